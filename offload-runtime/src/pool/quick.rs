//! The threads that run a body of which it is known that it ends in no time:
//! how much work they take before another thread is woken.
//!
//! To wake another makes nothing faster where a body does less than it takes to hand it
//! over: who makes the calls is no quicker then. So what counts is what bodies do beyond that.

use std::time::Duration;

use crate::pace::Pace;
use crate::streak;

/// To wake a thread is worth it if bodies of so much work wait.
const WORTH_IT: Duration = Duration::from_micros(50);

/// What it takes a thread to come to a body, about, where the call was made on another core.
const HANDOFF: Duration = Duration::from_nanos(1500);

/// The least that a body is taken for: so at most a thousand wait.
const LEAST: Duration = Duration::from_nanos(50);

/// The pace before it is known, and the slowest there is: that of bodies that are just quick.
const SLOWEST: Duration = streak::QUICK;

/// See the [module](self).
pub(crate) struct Quick {
    /// Whether a thread runs such a body, by its number.
    running: Vec<bool>,
    /// How many of them do.
    count: usize,
    /// A body only seemed quick: until the queue is empty, none is believed to be.
    distrusts: bool,
    /// That of bodies, with what it takes to come to them.
    pace: Pace,
}

impl Quick {
    pub(crate) fn new() -> Quick {
        Quick { running: Vec::new(), count: 0, distrusts: false, pace: Pace::new(LEAST, SLOWEST) }
    }

    /// This thread runs a body that is said to be quick, or not.
    pub(crate) fn set(&mut self, number: usize, quick: bool) {
        if self.running.len() <= number {
            self.running.resize(number + 1, false);
        }
        let quick = quick && !self.distrusts;
        let before = std::mem::replace(&mut self.running[number], quick);
        self.count = self.count + usize::from(quick) - usize::from(before);
    }

    /// Whether this thread runs one.
    pub(crate) fn is(&self, number: usize) -> bool {
        self.running.get(number).is_some_and(|quick| *quick)
    }

    /// Whether any thread does.
    pub(crate) fn is_any(&self) -> bool {
        self.count > 0
    }

    /// This thread has run a body, which took so long with what it takes to come to it; no
    /// time, if there was none to run.
    pub(crate) fn ran(&mut self, number: usize, took: Duration) {
        if !self.is(number) || took.is_zero() {
            return;
        }
        self.pace.add(took);
    }

    /// So many calls need no other thread.
    pub(crate) fn room(&self) -> usize {
        let body = self.pace.get().saturating_sub(HANDOFF).max(LEAST);
        match self.count {
            0 => 0,
            _ => WORTH_IT.div_duration_f64(body) as usize,
        }
    }

    /// No body is believed to be quick.
    pub(crate) fn distrust(&mut self) {
        self.distrusts = true;
        self.running.fill(false);
        self.count = 0;
    }

    /// Bodies are believed to be quick again.
    pub(crate) fn trust(&mut self) {
        self.distrusts = false;
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    /// What there is room for, if a thread takes so long for each of many calls.
    fn room_at(quick: &mut Quick, pace: Duration) -> usize {
        (0..500).for_each(|_| quick.ran(1, pace));
        quick.room()
    }

    #[test]
    fn the_less_bodies_do_the_more_calls_wait_for_one_thread() {
        let mut quick = Quick::new();
        assert_eq!(quick.room(), 0, "nobody runs one");
        quick.set(1, true);
        assert_eq!(quick.room(), 1);
        assert_eq!(room_at(&mut quick, HANDOFF / 2), 1000);
        quick.ran(0, SLOWEST);
        assert_eq!(quick.room(), 1000, "that thread ran no quick body");
        assert!((7..=11).contains(&room_at(&mut quick, HANDOFF + WORTH_IT / 10)));
        quick.set(1, false);
        assert_eq!(quick.room(), 0);
    }

    #[test]
    fn a_few_that_lost_their_core_make_no_difference_and_many_that_take_longer_do() {
        let room_where_one_is_long_in = |many: u32| {
            let mut quick = Quick::new();
            quick.set(1, true);
            for n in 0..1000 {
                quick.ran(1, if n % many == 0 { SLOWEST * 4 } else { HANDOFF / 2 });
            }
            quick.room()
        };
        assert_eq!(room_where_one_is_long_in(10), 1000);
        assert!(room_where_one_is_long_in(3) < 10);
    }

    #[test]
    fn who_was_wrong_is_not_believed_until_it_is_told() {
        let mut quick = Quick::new();
        quick.set(0, true);
        quick.distrust();
        assert!(!quick.is(0));
        quick.set(2, true);
        assert_eq!(quick.room(), 0);
        quick.trust();
        quick.set(2, true);
        assert!(quick.is(2));
        assert_eq!(quick.room(), 1);
    }
}
