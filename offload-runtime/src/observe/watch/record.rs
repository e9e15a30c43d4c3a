//! What is known of a loop that is watched: its lag, and the places where it
//! was stuck.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::probe::Worker;
use crate::api::loops::{Doing, LoopStats, StallStats};
use crate::api::stats::Percentiles;
use crate::sync::histogram::Histogram;

/// So many seconds of lag are kept.
const SECONDS: usize = 300;

/// A place of which only is known what the thread does there is reported again
/// after this.
const AGAIN: Duration = Duration::from_secs(60);

/// So many places are kept.
const PLACES: usize = 64;

/// See the [module](self).
pub(crate) struct Record {
    flavor: &'static str,
    workers: usize,
    lag: Histogram,
    state: Mutex<State>,
    #[cfg(feature = "tracing")]
    subscriber: tracing::Dispatch,
}

struct State {
    /// The second that lasts, and the longest lag in it.
    second: (Instant, Duration),
    /// The longest lag of each second before, the oldest first.
    seconds: VecDeque<Duration>,
    places: Vec<Place>,
}

struct Place {
    stats: StallStats,
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
        Record {
            flavor: match runtime.runtime_flavor() {
                RuntimeFlavor::CurrentThread => "current_thread",
                _ => "multi_thread",
            },
            workers: runtime.metrics().num_workers(),
            lag: Histogram::default(),
            state: Mutex::new(State {
                second: (Instant::now(), Duration::ZERO),
                seconds: VecDeque::new(),
                places: Vec::new(),
            }),
            #[cfg(feature = "tracing")]
            subscriber: tracing::dispatcher::get_default(Clone::clone),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The probe was polled so late.
    pub(super) fn answered(&self, now: Instant, lag: Duration) {
        self.lag.record(lag);
        self.lock().note(now, lag);
    }

    /// The probe has not been polled for so long, if it has not been polled.
    pub(super) fn late(&self, now: Instant, lag: Option<Duration>) {
        self.lock().note(now, lag.unwrap_or_default());
    }

    /// A worker is stuck. Returns the number of the place.
    pub(super) fn stuck(&self, stall: &Stall) -> usize {
        let now = Instant::now();
        let spans: Vec<String> = stall.spans.iter().map(|(name, _)| name.clone()).collect();
        let mut state = self.lock();
        let same = |place: &Place| {
            place.stats.spans == spans && (!spans.is_empty() || place.stats.doing == stall.doing)
        };
        let known = state.places.iter().position(same);
        let number = match known {
            Some(known) => known,
            None if state.places.len() < PLACES => {
                let stats = StallStats {
                    thread: String::new(),
                    doing: stall.doing,
                    spans: spans.clone(),
                    count: 0,
                    longest: Duration::ZERO,
                };
                state.places.push(Place { stats, reported: None });
                state.places.len() - 1
            }
            None => return PLACES,
        };
        let place = &mut state.places[number];
        place.stats.thread = names(&stall.threads);
        place.stats.doing = stall.doing;
        place.stats.count += 1;
        place.stats.longest = place.stats.longest.max(stall.lasts);
        let again = |reported: Instant| {
            spans.is_empty() && now.saturating_duration_since(reported) >= AGAIN
        };
        let report = place.reported.is_none_or(again);
        if report {
            place.reported = Some(now);
        }
        drop(state);
        if report {
            self.report(stall);
        }
        number
    }

    /// The worker that was stuck there still is, or was so long.
    pub(super) fn lasted(&self, place: usize, time: Duration) {
        if let Some(place) = self.lock().places.get_mut(place) {
            place.stats.longest = place.stats.longest.max(time);
        }
    }

    #[cfg(feature = "tracing")]
    fn report(&self, stall: &Stall) {
        let Stall { doing, lasts, .. } = stall;
        let thread = match &stall.threads[..] {
            [one] => match one.number {
                Some(number) => format!("the thread {number} (`{}`)", one.name),
                None => format!("the thread `{}`", one.name),
            },
            _ => format!("one of its threads ({})", names(&stall.threads)),
        };
        let span = match stall.spans.last() {
            Some((name, Some(source))) => format!(", in the span `{name}` at {source}"),
            Some((name, None)) => format!(", in the span `{name}`"),
            None => String::new(),
        };
        let advice = match doing {
            Doing::Computing => "Put what computes there into a function with `#[offload(cpu)]`.",
            Doing::Waiting(_) => "Put what waits there into a function with `#[offload(thread)]`.",
            Doing::Starved => "The machine has more to do than it can.",
            Doing::Unknown => "Put what blocks there into a function with `#[offload(…)]`.",
        };
        let millis = lasts.as_millis();
        let warn = || {
            tracing::warn!(
                target: "offload",
                stuck_ms = u64::try_from(millis).unwrap_or(u64::MAX),
                doing = %doing,
                "the event loop is stuck: {thread} has not ended a turn for {millis} ms{span}; \
                 {doing}. {advice}"
            );
        };
        // A subscriber of the thread that asked for this, or the global one,
        // which may have been set since.
        if self.subscriber.is::<tracing::subscriber::NoSubscriber>() {
            warn();
        } else {
            tracing::dispatcher::with_default(&self.subscriber, warn);
        }
    }

    #[cfg(not(feature = "tracing"))]
    fn report(&self, _: &Stall) {}

    pub(crate) fn stats(&self) -> LoopStats {
        let stalls = self.lock().places.iter().map(|place| place.stats.clone()).collect();
        let (flavor, workers) = (self.flavor, self.workers);
        LoopStats { flavor, workers, lag: Percentiles::of(&self.lag), stalls }
    }

    /// The longest lag of each of the last seconds, the oldest first.
    #[cfg(feature = "axum")]
    pub(crate) fn history(&self) -> Vec<Duration> {
        let state = self.lock();
        state.seconds.iter().copied().chain([state.second.1]).collect()
    }
}

impl State {
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

fn names(threads: &[Worker]) -> String {
    let mut names: Vec<_> = threads.iter().map(|thread| thread.name.as_str()).collect();
    names.dedup();
    if names.is_empty() { "a worker".to_owned() } else { names.join(", ") }
}
