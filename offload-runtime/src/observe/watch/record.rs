//! What is known of a loop that is watched: its lag, and the places where it
//! was stuck.

use std::collections::VecDeque;
#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::probe::Worker;
use crate::api::loops::{Doing, LoopStats, StallStats};
use crate::api::stats::Percentiles;
#[cfg(feature = "tracing")]
use crate::sync::foreign;
use crate::sync::histogram::Histogram;
use crate::system::abort::Unpoisoned;
use crate::task::incidents::{self, What};

/// The seconds of lag that are kept.
const SECONDS: usize = 300;

/// A place of which only is known what the thread does there is reported again
/// after this.
const AGAIN: Duration = Duration::from_secs(60);

/// The most places that are kept.
const PLACES: usize = 64;

/// See the [module](self).
pub(crate) struct Record {
    /// It tells this loop from others.
    #[cfg(feature = "metrics")]
    number: usize,
    flavor: &'static str,
    workers: usize,
    lag: Histogram,
    state: Mutex<State>,
}

/// Who is told of stalls: that of the thread that asked to watch.
#[cfg(feature = "tracing")]
pub(super) type Subscriber = Option<tracing::Dispatch>;

#[cfg(not(feature = "tracing"))]
pub(super) type Subscriber = Option<std::convert::Infallible>;

/// A stall that was reported, until the worker moves again.
pub(super) struct Stuck {
    /// The number of its place.
    place: u64,
    what: What,
    /// The span; empty, if none is known.
    span: String,
    /// The message, before and after the time that it has lasted.
    words: [String; 2],
    lasts: Duration,
}

/// What stalls are counted by.
const DOING: [Doing; 4] = [Doing::Computing, Doing::Waiting(None), Doing::Starved, Doing::Unknown];

struct State {
    /// How often a worker was stuck, for each of [`DOING`].
    stalls: [u64; DOING.len()],
    stuck_workers: usize,
    /// The second that lasts, and the longest lag in it.
    second: (Instant, Duration),
    /// The longest lag of each second before, the oldest first.
    seconds: VecDeque<Duration>,
    places: Vec<Place>,
    /// Places that there were, for their numbers.
    places_ever: u64,
    subscriber: Subscriber,
}

impl Stuck {
    /// The worker has no processor.
    pub(super) fn starves(&self) -> bool {
        self.what == What::Starved
    }

    fn words(&self) -> String {
        let [before, after] = &self.words;
        format!("{before} {} ms{after}", self.lasts.as_millis())
    }
}

struct Place {
    number: u64,
    stats: StallStats,
    /// A worker was stuck there last.
    last: Instant,
    reported: Option<Instant>,
}

/// One worker that is stuck.
pub(super) struct Stall {
    /// The threads that it may be: one, if it is known.
    pub(super) threads: Vec<Worker>,
    pub(super) doing: Doing,
    /// The spans it is in, each with its place in the source, if it is known.
    pub(super) spans: Vec<(String, Option<String>)>,
    pub(super) lasts: Duration,
}

impl Record {
    pub(super) fn new(runtime: &Handle) -> Record {
        #[cfg(feature = "metrics")]
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        Record {
            #[cfg(feature = "metrics")]
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            flavor: flavor(runtime),
            workers: runtime.metrics().num_workers(),
            lag: Histogram::default(),
            state: Mutex::new(State {
                stalls: [0; DOING.len()],
                stuck_workers: 0,
                second: (Instant::now(), Duration::ZERO),
                seconds: VecDeque::new(),
                places: Vec::new(),
                places_ever: 0,
                subscriber: subscriber(),
            }),
        }
    }

    /// Whether it can be of this runtime. The number of one that has ended may be another's.
    pub(super) fn fits(&self, runtime: &Handle) -> bool {
        self.flavor == flavor(runtime) && self.workers == runtime.metrics().num_workers()
    }

    /// The loop is not watched any more. What is returned has a destructor that is foreign code.
    pub(super) fn rest(&self) -> Subscriber {
        let mut state = self.lock();
        state.stuck_workers = 0;
        state.subscriber.take()
    }

    /// The loop is watched again. Of the time between nothing is known.
    pub(super) fn go_on(&self) {
        let subscriber = subscriber();
        let mut state = self.lock();
        state.second = (Instant::now(), Duration::ZERO);
        state.seconds.clear();
        state.subscriber = subscriber;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Records that the probe was polled `lag` after it was woken.
    pub(super) fn answered(&self, now: Instant, lag: Duration) {
        self.lag.record(lag);
        self.lock().note(now, lag);
    }

    /// Records for how long the probe has not been polled, if it is due.
    pub(super) fn late(&self, now: Instant, lag: Option<Duration>) {
        self.lock().note(now, lag.unwrap_or_default());
    }

    /// A worker is stuck.
    pub(super) fn stuck(&self, stall: &Stall) -> Stuck {
        let now = Instant::now();
        let starves = stall.doing == Doing::Starved;
        // It is no place at which a worker has no processor.
        let spans: Vec<String> = match starves {
            true => Vec::new(),
            false => stall.spans.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut state = self.lock();
        state.stuck_workers += 1;
        for (doing, count) in DOING.into_iter().zip(&mut state.stalls) {
            *count += u64::from(doing.name() == stall.doing.name());
        }
        let same = |place: &Place| {
            place.stats.spans == spans && (!spans.is_empty() || place.stats.doing == stall.doing)
        };
        let known = state.places.iter().position(same);
        let index = known.unwrap_or_else(|| state.add_place(now, stall.doing, &spans));
        let place = &mut state.places[index];
        place.last = now;
        place.stats.thread = names(&stall.threads);
        place.stats.doing = stall.doing;
        place.stats.count += 1;
        place.stats.longest = place.stats.longest.max(stall.lasts);
        let again = |reported: Instant| {
            spans.is_empty() && now.saturating_duration_since(reported) >= AGAIN
        };
        let is_told = place.reported.is_none_or(again);
        if is_told {
            place.reported = Some(now);
        }
        let place = place.number;
        drop(state);
        let what = if starves { What::Starved } else { What::Stalled };
        let span = spans.into_iter().next_back().unwrap_or_default();
        let stuck = Stuck { place, what, span, words: words(stall), lasts: stall.lasts };
        incidents::note(what, &stuck.span, || stuck.words());
        if is_told {
            self.report(stall, &stuck.words());
        }
        stuck
    }

    /// The worker that was stuck there still is, for so long.
    pub(super) fn lasted(&self, stuck: &mut Stuck, time: Duration) {
        stuck.lasts = time;
        let mut state = self.lock();
        if let Some(place) = state.places.iter_mut().find(|place| place.number == stuck.place) {
            place.stats.longest = place.stats.longest.max(time);
        }
    }

    /// It is not stuck any more.
    pub(super) fn moves_again(&self, stuck: &Stuck) {
        self.lock().stuck_workers -= 1;
        incidents::reword(stuck.what, &stuck.span, stuck.words());
    }

    #[cfg(feature = "tracing")]
    fn report(&self, stall: &Stall, words: &str) {
        let Stall { doing, lasts, .. } = stall;
        let advice = match doing {
            Doing::Computing => "Put what computes there into a function with `#[offload(cpu)]`.",
            Doing::Waiting(Some("futex")) => {
                "It waits for another thread: put what waits there into a function with \
                 `#[offload(thread)]`, and what the other does, if that computes, into one with \
                 `#[offload(cpu)]`."
            }
            Doing::Waiting(_) => "Put what waits there into a function with `#[offload(thread)]`.",
            Doing::Starved => "The machine has more to do than it can.",
            Doing::Unknown => "Put what blocks there into a function with `#[offload(…)]`.",
        };
        let warn = || {
            tracing::warn!(
                target: "offload",
                stuck_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX),
                doing = %doing,
                "{words}. {advice}"
            );
        };
        // A subscriber of the thread that asked for this, or the global one, which may have been set since. It is
        // foreign: told while nothing is locked, and its panic is not the watcher's end.
        let subscriber = self.lock().subscriber.clone();
        foreign::quietly(|| match subscriber {
            Some(subscriber) if !subscriber.is::<tracing::subscriber::NoSubscriber>() => {
                tracing::dispatcher::with_default(&subscriber, warn);
            }
            _ => warn(),
        });
    }

    #[cfg(not(feature = "tracing"))]
    fn report(&self, _: &Stall, _: &str) {}

    pub(crate) fn stats(&self) -> LoopStats {
        let state = self.lock();
        let stalls = state.places.iter().map(|place| place.stats.clone()).collect();
        let stuck_workers = state.stuck_workers;
        drop(state);
        let (flavor, workers) = (self.flavor, self.workers);
        LoopStats { flavor, workers, lag: Percentiles::of(&self.lag), stuck_workers, stalls }
    }

    /// Its number, among all loops that were watched: it keeps it.
    #[cfg(feature = "metrics")]
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn lag(&self) -> &Histogram {
        &self.lag
    }

    /// How often a worker was stuck, by what it did.
    #[cfg(feature = "metrics")]
    pub(crate) fn stalls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DOING.into_iter().map(Doing::name).zip(self.lock().stalls)
    }

    /// The longest lag of each of the last seconds, the oldest first.
    #[cfg(feature = "axum")]
    pub(crate) fn history(&self) -> Vec<Duration> {
        let state = self.lock();
        state.seconds.iter().copied().chain([state.second.1]).collect()
    }
}

impl State {
    /// Where it is among the places. The one at which a worker was stuck the longest time ago goes for it, if there
    /// are as many as are kept.
    fn add_place(&mut self, now: Instant, doing: Doing, spans: &[String]) -> usize {
        let stats = StallStats {
            thread: String::new(),
            doing,
            spans: spans.to_vec(),
            count: 0,
            longest: Duration::ZERO,
        };
        let place = Place { number: self.places_ever, stats, last: now, reported: None };
        self.places_ever += 1;
        if self.places.len() < PLACES {
            self.places.push(place);
            return self.places.len() - 1;
        }
        let oldest = (0..PLACES).min_by_key(|place| self.places[*place].last);
        let oldest = oldest.expect("some are kept");
        self.places[oldest] = place;
        oldest
    }

    fn note(&mut self, now: Instant, lag: Duration) {
        while now.saturating_duration_since(self.second.0) >= Duration::from_secs(1) {
            self.seconds.push_back(self.second.1);
            if self.seconds.len() > SECONDS {
                self.seconds.pop_front();
            }
            self.second = (self.second.0 + Duration::from_secs(1), Duration::ZERO);
        }
        self.second.1 = self.second.1.max(lag);
    }
}

fn flavor(runtime: &Handle) -> &'static str {
    match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => "current_thread",
        _ => "multi_thread",
    }
}

/// That of this thread.
fn subscriber() -> Subscriber {
    #[cfg(feature = "tracing")]
    return tracing::dispatcher::get_default(|one| Some(one.clone()));
    #[cfg(not(feature = "tracing"))]
    None
}

fn names(threads: &[Worker]) -> String {
    let mut names: Vec<_> = threads.iter().map(|thread| thread.name.as_str()).collect();
    names.dedup();
    if names.is_empty() { "a worker".to_owned() } else { names.join(", ") }
}

/// What is said of a stall, before and after how long it has lasted.
fn words(stall: &Stall) -> [String; 2] {
    let thread = match &stall.threads[..] {
        [one] => match one.number {
            Some(number) => format!("the thread {number} (`{}`)", one.name),
            None => format!("the thread `{}`", one.name),
        },
        _ => format!("one of its threads ({})", names(&stall.threads)),
    };
    if stall.doing == Doing::Starved {
        let before =
            format!("the event loop is late: {thread} was ready to run and had no processor for");
        return [before, ", since others had them".to_owned()];
    }
    let span = match stall.spans.last() {
        Some((name, Some(source))) => format!(", in the span `{name}` at {source}"),
        Some((name, None)) => format!(", in the span `{name}`"),
        None => String::new(),
    };
    let before = format!("the event loop is stuck: {thread} has not ended a turn for");
    [before, format!("{span}; {}", stall.doing)]
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn stall(span: &str) -> Stall {
        let spans = vec![(span.to_owned(), None)];
        Stall { threads: Vec::new(), doing: Doing::Computing, spans, lasts: Duration::ZERO }
    }

    #[test]
    fn the_place_that_is_seen_last_is_kept_also_after_many_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let record = Record::new(runtime.handle());
        record.stuck(&stall("again and again"));
        let mut first = record.stuck(&stall("once"));
        for n in 0..2 * PLACES {
            let stuck = record.stuck(&stall(&format!("place {n}")));
            record.moves_again(&stuck);
            record.stuck(&stall("again and again"));
        }
        // Its place is another's.
        record.lasted(&mut first, Duration::from_secs(9));
        let stalls = record.stats().stalls;
        assert_eq!(stalls.len(), PLACES);
        let at = |span: &str| stalls.iter().find(|stall| stall.spans == [span]);
        assert_eq!(at("again and again").unwrap().count, 1 + 2 * PLACES as u64);
        assert!(at(&format!("place {}", 2 * PLACES - 1)).is_some());
        assert!(at("once").is_none());
        assert!(stalls.iter().all(|stall| stall.longest.is_zero()));
    }

    #[test]
    fn a_loop_that_is_watched_again_has_its_places_and_nobody_is_stuck_from_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let record = Record::new(runtime.handle());
        record.stuck(&stall("a place"));
        assert_eq!(record.stats().stuck_workers, 1);
        record.rest();
        assert_eq!(record.stats().stuck_workers, 0);
        record.go_on();
        record.stuck(&stall("a place"));
        let stats = record.stats();
        assert_eq!((stats.stuck_workers, stats.stalls.len(), stats.stalls[0].count), (1, 1, 2));
    }

    #[test]
    fn a_worker_without_a_processor_is_late_and_not_stuck() {
        let [before, after] = words(&Stall { doing: Doing::Starved, ..stall("a span") });
        assert!(before.contains("is late"), "{before}");
        assert!(!before.contains("stuck") && !after.contains("span"), "{before} … {after}");
    }
}
