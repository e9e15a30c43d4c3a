//! What went wrong last, and when, for those who look: a panic, a rejection, a death. What goes on
//! going wrong is one incident.
//!
//! On the way of a call that goes well nothing is done. One that is rejected waits for no lock, and
//! formats nothing most of the time: a server that has too much to do is not held up by it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

#[cfg(feature = "process")]
use super::counts::Ending;
use crate::error::{Error, ErrorKind};
use crate::sync::foreign::{Payload, text_of};
use crate::system::abort::Unpoisoned;

/// Without a dashboard nobody looks, and nothing is kept.
const IS_SHOWN: bool = cfg!(feature = "axum");

/// So many are kept.
const KEPT: usize = 20;

/// What happens again within this is the same incident.
const SAME: Duration = Duration::from_secs(60);

/// The words of an incident that goes on are renewed after this.
const RENEWED: Duration = Duration::from_secs(1);

/// One thing that went wrong, once or again and again.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) what: What,
    /// The label of a function, or the span in which an event loop was stuck: empty, if none is
    /// known.
    pub(crate) whose: String,
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "nobody looks"))]
    pub(crate) first: SystemTime,
    pub(crate) last: SystemTime,
    /// How often about.
    pub(crate) times: u64,
    /// Those of the error, of the last time. They may be about anything: a panic's message, a path.
    pub(crate) words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A body did.
    Panicked,
    /// The process of a body died by itself.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "no process runs any"))]
    Died,
    /// A call was.
    Rejected,
    /// The deadline of a call has passed.
    TimedOut,
    /// An event loop was stuck.
    #[cfg_attr(not(feature = "watch"), expect(dead_code, reason = "nobody watches"))]
    Stalled,
    /// An event loop had no processor.
    #[cfg_attr(not(feature = "watch"), expect(dead_code, reason = "nobody watches"))]
    Starved,
}

/// The one that happened last is the last.
static LAST: Mutex<VecDeque<Incident>> = Mutex::new(VecDeque::new());

/// Something went wrong.
pub(crate) fn note(what: What, whose: &str, words: impl FnOnce() -> String) {
    if IS_SHOWN {
        add(&mut LAST.lock().unpoisoned(), SystemTime::now(), what, whose, words);
    }
}

fn add(
    all: &mut VecDeque<Incident>,
    now: SystemTime,
    what: What,
    whose: &str,
    words: impl FnOnce() -> String,
) {
    let since = |then: SystemTime| now.duration_since(then).unwrap_or_default();
    let is_same = |one: &Incident| one.what == what && one.whose == whose;
    let known = all.iter().rposition(|one| is_same(one) && since(one.last) <= SAME);
    if let Some(mut known) = known.and_then(|known| all.remove(known)) {
        if since(known.last) >= RENEWED {
            known.words = words();
        }
        (known.last, known.times) = (now, known.times.saturating_add(1));
        all.push_back(known);
        return;
    }
    if all.len() >= KEPT {
        all.pop_front();
    }
    let (whose, words) = (whose.to_owned(), words());
    all.push_back(Incident { what, whose, first: now, last: now, times: 1, words });
}

/// What is said of an incident from now on.
#[cfg(feature = "watch")]
pub(crate) fn reword(what: What, whose: &str, words: String) {
    let mut all = LAST.lock().unpoisoned();
    if let Some(one) = all.iter_mut().rev().find(|one| one.what == what && one.whose == whose) {
        one.words = words;
    }
}

/// A call was answered by an error. If others tell of something at this moment, nobody waits for
/// them: it is left out.
pub(crate) fn note_error(function: &str, error: &Error) {
    let is_late = error.kind() == ErrorKind::TimedOut;
    let what = if is_late { What::TimedOut } else { What::Rejected };
    if !IS_SHOWN {
        return;
    }
    let Ok(mut all) = LAST.try_lock() else { return };
    add(&mut all, SystemTime::now(), what, function, || error.to_string());
}

/// A body panicked.
pub(crate) fn note_panic(function: &str, payload: &Payload) {
    note(What::Panicked, function, || format!("`{function}` panicked: {}", text_of(payload)));
}

/// A body in another process ended in this way.
#[cfg(feature = "process")]
pub(crate) fn note_ending(function: &str, ending: Ending, error: &Error) {
    let what = match ending {
        Ending::Died => What::Died,
        Ending::Panicked => What::Panicked,
        Ending::Returned | Ending::Killed | Ending::Failed => return,
    };
    note(what, function, || error.to_string());
}

/// All that are kept, the last first.
#[cfg(feature = "axum")]
pub(crate) fn all() -> Vec<Incident> {
    LAST.lock().unpoisoned().iter().rev().cloned().collect()
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn words(all: &VecDeque<Incident>) -> Vec<(&str, u64, &str)> {
        all.iter().map(|one| (one.whose.as_str(), one.times, one.words.as_str())).collect()
    }

    #[test]
    fn what_goes_on_is_one_incident_and_its_words_are_the_last() {
        let (mut all, start) = (VecDeque::new(), SystemTime::now());
        let mut say = |after, whose, words: &str| {
            let now = start + Duration::from_millis(after);
            add(&mut all, now, What::Rejected, whose, || words.to_owned());
        };
        say(0, "a", "one");
        say(10, "b", "other");
        say(20, "a", "too soon to be said");
        say(1_500, "a", "two");
        assert_eq!(words(&all), [("b", 1, "other"), ("a", 3, "two")]);
        assert_eq!((all[1].first, all[1].last), (start, start + Duration::from_millis(1_500)));
        let later = start + Duration::from_millis(1_500) + SAME + Duration::from_millis(1);
        add(&mut all, later, What::Rejected, "a", || "anew".to_owned());
        add(&mut all, later, What::Panicked, "a", || "of another sort".to_owned());
        assert_eq!(words(&all)[2..], [("a", 1, "anew"), ("a", 1, "of another sort")]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut all, now) = (VecDeque::new(), SystemTime::now());
        let names: Vec<String> = (0..=KEPT).map(|n| n.to_string()).collect();
        for name in &names {
            add(&mut all, now, What::Died, name, String::new);
        }
        let kept: Vec<_> = all.into_iter().map(|one| one.whose).collect();
        assert_eq!(kept, names[1..]);
    }
}
