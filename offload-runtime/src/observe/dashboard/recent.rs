//! What happened in the last minute: the numbers of functions count from their
//! first call on, and here is kept what each second added.

use std::collections::{HashMap, VecDeque};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::function::Function;
use crate::sync::histogram::{Histogram, percentiles};
use crate::task::Owner;

/// How far back a summary goes.
const WINDOW: Duration = Duration::from_secs(60);

/// The time over which a rate is taken.
const RATE: Duration = Duration::from_secs(5);

/// The recent counts of all functions, since somebody looks.
#[derive(Default)]
pub(super) struct Recents(HashMap<usize, Recent>);

/// That of one function.
struct Recent {
    /// What the counters said last.
    counters: [u64; COUNTERS],
    wait: Vec<u64>,
    run: Vec<u64>,
    /// The oldest first.
    added: VecDeque<Added>,
}

/// What was added from one moment to the next.
struct Added {
    from: Instant,
    to: Instant,
    counters: [u64; COUNTERS],
    wait: Grown,
    run: Grown,
}

/// Buckets of a histogram that grew, and by how much.
type Grown = Vec<(u16, u64)>;

const COUNTERS: usize = 5;

/// What a function did lately.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// The seconds that the summary covers: at first less than a minute.
    pub(super) over_seconds: f64,
    /// Bodies that started, in the last five seconds.
    pub(super) started_per_second: f64,
    pub(super) started: u64,
    pub(super) refused: u64,
    pub(super) timed_out: u64,
    pub(super) panicked: u64,
    /// Bodies whose process died.
    pub(super) died: u64,
    pub(super) wait_seconds: Option<Times>,
    pub(super) run_seconds: Option<Times>,
}

/// Of bodies that started or ended lately.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Recents {
    /// Looks at a function, and tells what it did since it was looked at first.
    /// `None`: that was just now.
    pub(super) fn look(&mut self, function: &'static Function, now: Instant) -> Option<Summary> {
        let counters = counters(function);
        let (wait, run) =
            (function.about().counts().wait.read(), function.about().counts().run.read());
        let key = ptr::from_ref(function).addr();
        let Some(recent) = self.0.get_mut(&key) else {
            let added = VecDeque::from([Added::nothing(now)]);
            self.0.insert(key, Recent { counters, wait, run, added });
            return None;
        };
        let from = recent.added.back().map_or(now, |last| last.to);
        recent.added.push_back(Added {
            from,
            to: now,
            counters: std::array::from_fn(|n| counters[n].saturating_sub(recent.counters[n])),
            wait: grown(&recent.wait, &wait),
            run: grown(&recent.run, &run),
        });
        (recent.counters, recent.wait, recent.run) = (counters, wait, run);
        recent.added.retain(|added| now.saturating_duration_since(added.from) <= WINDOW);
        Some(recent.summary(now))
    }
}

impl Added {
    fn nothing(now: Instant) -> Added {
        let (wait, run) = (Vec::new(), Vec::new());
        Added { from: now, to: now, counters: [0; COUNTERS], wait, run }
    }
}

impl Recent {
    fn summary(&self, now: Instant) -> Summary {
        let sum = |counter: usize| self.added.iter().map(|added| added.counters[counter]).sum();
        let age = |added: &Added| now.saturating_duration_since(added.from);
        let latest = || self.added.iter().filter(|added| age(added) <= RATE + RATE / 10);
        let seconds = latest().map(age).max().unwrap_or_default().as_secs_f64();
        let started: u64 = latest().map(|added| added.counters[0]).sum();
        Summary {
            over_seconds: self.added.front().map(age).unwrap_or_default().as_secs_f64(),
            started_per_second: if seconds > 0.0 { started as f64 / seconds } else { 0.0 },
            started: sum(0),
            refused: sum(1),
            timed_out: sum(2),
            panicked: sum(3),
            died: sum(4),
            wait_seconds: times(self.added.iter().map(|added| &added.wait)),
            run_seconds: times(self.added.iter().map(|added| &added.run)),
        }
    }
}

fn counters(function: &'static Function) -> [u64; COUNTERS] {
    let counts = function.about().counts();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    #[cfg(feature = "process")]
    let died = read(&counts.died);
    #[cfg(not(feature = "process"))]
    let died = 0;
    [
        counts.started(),
        read(&counts.rejected),
        read(&counts.timed_out),
        read(&counts.panicked),
        died,
    ]
}

fn grown(before: &[u64], now: &[u64]) -> Grown {
    let differences = now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before));
    let grown = differences.enumerate().filter(|(_, by)| *by > 0);
    grown.map(|(bucket, by)| (bucket as u16, by)).collect()
}

fn times<'a>(all: impl Iterator<Item = &'a Grown>) -> Option<Times> {
    let mut counts = vec![0; Histogram::BUCKETS];
    let mut any = false;
    for (bucket, by) in all.flatten() {
        counts[usize::from(*bucket)] += by;
        any = true;
    }
    let [p50, p99] = percentiles(&counts, [0.5, 0.99]).map(|time| time.as_secs_f64());
    any.then_some(Times { p50, p99 })
}
