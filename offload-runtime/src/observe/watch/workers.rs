//! Which worker is stuck, and in what.
//!
//! A worker of tokio's counts how often it parked and woke, and, whenever a
//! turn ends, adds up how long it was busy. One that is awake while neither
//! number moves has not ended a turn. A busy worker with short polls moves them
//! every 61 polls.

use std::time::{Duration, Instant};

use tokio::runtime::RuntimeMetrics;

use super::probe::{Probe, Worker};
use super::record::{Record, Stall};
use super::thread::{self, Activity, Times};
use crate::api::loops::Doing;

/// So often at most a thread is looked at for the system call that it waits in.
const LOOKS_FOR_CALL: u32 = 5;

/// The workers of one runtime, as they were at the last look.
pub(super) struct Workers(Vec<Watch>);

/// One of them.
#[derive(Default)]
struct Watch {
    stillness: Stillness,
    /// What the threads that it may be had done when it was found still.
    before: Vec<(Worker, Option<Times>)>,
    since: Option<Instant>,
    /// The place of its stall, when it was reported.
    place: Option<usize>,
}

/// For how long a worker has been awake without ending a turn.
#[derive(Debug, Default)]
struct Stillness {
    said: Option<(u64, Duration)>,
    lasts: Duration,
}

impl Stillness {
    /// What the worker says now: how often it parked and woke, and for how
    /// long it was busy. `passed` is the time since the last look.
    fn look(&mut self, said: (u64, Duration), passed: Duration) {
        let parked = said.0 % 2 == 1;
        let still = self.said == Some(said) && !parked;
        self.said = Some(said);
        self.lasts = if still { self.lasts + passed } else { Duration::ZERO };
    }
}

impl Workers {
    pub(super) fn new(workers: usize) -> Workers {
        Workers((0..workers).map(|_| Watch::default()).collect())
    }

    /// Whether one of them may be stuck.
    pub(super) fn is_one_still(&self) -> bool {
        self.0.iter().any(|watch| !watch.stillness.lasts.is_zero())
    }

    /// Looks at all of them, and reports those that are stuck.
    pub(super) fn look(
        &mut self,
        metrics: &RuntimeMetrics,
        probe: &Probe,
        record: &Record,
        passed: Duration,
        threshold: Duration,
    ) {
        for (number, watch) in self.0.iter_mut().enumerate() {
            let parks = metrics.worker_park_unpark_count(number);
            let busy = metrics.worker_total_busy_duration(number);
            watch.stillness.look((parks, busy), passed);
            let lasts = watch.stillness.lasts;
            if lasts.is_zero() {
                (watch.since, watch.place) = (None, None);
            } else if let Some(place) = watch.place {
                record.lasted(place, lasts);
            } else if lasts >= threshold {
                watch.place = Some(record.stuck(&watch.stall(probe, number, lasts)));
            } else if watch.since.is_none() {
                watch.begin(probe, number);
            }
        }
    }
}

impl Watch {
    /// It was found still just now.
    fn begin(&mut self, probe: &Probe, number: usize) {
        self.since = Some(Instant::now());
        let threads = probe.threads_of(number).into_iter();
        self.before = threads
            .map(|worker| {
                let times = worker.number.and_then(thread::times);
                (worker, times)
            })
            .collect();
    }

    fn stall(&mut self, probe: &Probe, number: usize, lasts: Duration) -> Stall {
        if self.since.is_none() {
            self.begin(probe, number);
        }
        let passed = self.since.map(|since| since.elapsed()).unwrap_or_default();
        let mut can: Vec<(Worker, Doing)> = Vec::new();
        for (worker, before) in self.before.drain(..) {
            let doing = match (before, worker.number.and_then(thread::times)) {
                (Some(before), Some(now)) => doing(before, now, passed),
                _ => Doing::Unknown,
            };
            let doing = match doing {
                Doing::Waiting(_) => {
                    let call = |number| look_again(|| thread::activity(number));
                    Doing::Waiting(worker.number.and_then(call))
                }
                other => other,
            };
            can.push((worker, doing));
        }
        narrow(&mut can);
        let doing = match &can[..] {
            [] => Doing::Unknown,
            [(_, first), rest @ ..] if rest.iter().all(|(_, doing)| doing == first) => *first,
            _ => Doing::Waiting(None),
        };
        let spans = match &can[..] {
            [(worker, _)] => spans(worker),
            _ => Vec::new(),
        };
        let threads = can.into_iter().map(|(worker, _)| worker).collect();
        Stall { threads, doing, spans, lasts }
    }
}

/// What a thread did in the time that passed.
fn doing(before: Times, now: Times, passed: Duration) -> Doing {
    let half = passed / 2;
    let ran = now.ran.saturating_sub(before.ran);
    let ready = now.ready.saturating_sub(before.ready);
    if ran >= half {
        Doing::Computing
    } else if ran + ready >= half {
        Doing::Starved
    } else {
        Doing::Waiting(None)
    }
}

/// Looks for the system call of a thread that mostly waits. One that waits again and
/// again is on a core for a moment in between.
fn look_again(mut look: impl FnMut() -> Activity) -> Option<&'static str> {
    for _ in 1..LOOKS_FOR_CALL {
        if let Activity::Call(call) = look() {
            return call;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    match look() {
        Activity::Call(call) => call,
        Activity::Running => None,
    }
}

/// Of threads that may be the one, leaves those that must be: a worker that is
/// parked neither computes nor waits in a call other than these.
fn narrow(can: &mut Vec<(Worker, Doing)>) {
    let parked = |doing: &Doing| {
        matches!(
            doing,
            Doing::Waiting(Some("futex" | "epoll_wait" | "epoll_pwait") | None) | Doing::Unknown
        )
    };
    if can.len() > 1 && can.iter().any(|(_, doing)| !parked(doing)) {
        can.retain(|(_, doing)| !parked(doing));
    }
}

#[cfg(feature = "watch-spans")]
fn spans(worker: &Worker) -> Vec<(String, Option<String>)> {
    super::spans::of(worker.thread)
}

#[cfg(not(feature = "watch-spans"))]
fn spans(_: &Worker) -> Vec<(String, Option<String>)> {
    Vec::new()
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(25);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_worker_is_still_while_it_is_awake_and_ends_no_turn() {
        let mut worker = Stillness::default();
        let mut look = |parks, busy| {
            worker.look((parks, millis(busy)), LOOK);
            worker.lasts
        };
        assert_eq!(look(4, 10), Duration::ZERO, "the first look");
        assert_eq!(look(4, 10), LOOK);
        assert_eq!(look(4, 10), LOOK * 2);
        assert_eq!(look(4, 60), Duration::ZERO, "a turn has ended");
        assert_eq!(look(5, 60), Duration::ZERO, "it has parked");
        assert_eq!(look(5, 60), Duration::ZERO, "it is parked");
        assert_eq!(look(6, 60), Duration::ZERO, "it woke");
        assert_eq!(look(6, 60), LOOK);
        assert_eq!(look(8, 60), Duration::ZERO, "it has parked and woken");
    }

    #[test]
    fn computing_waiting_and_starving_are_told_apart() {
        let at = |ran, ready| Times { ran: millis(ran), ready: millis(ready) };
        let start = at(500, 100);
        assert_eq!(doing(start, at(590, 105), millis(100)), Doing::Computing);
        assert_eq!(doing(start, at(501, 100), millis(100)), Doing::Waiting(None));
        assert_eq!(doing(start, at(520, 180), millis(100)), Doing::Starved);
    }

    #[test]
    fn a_thread_that_is_on_a_core_for_a_moment_is_looked_at_again() {
        let mut looks = 0;
        let mut sees = |activities: &[Activity]| {
            looks = 0;
            let call = look_again(|| {
                looks += 1;
                activities[looks - 1]
            });
            (call, looks)
        };
        let read = Activity::Call(Some("read"));
        assert_eq!(sees(&[Activity::Running, Activity::Running, read]), (Some("read"), 3));
        assert_eq!(sees(&[Activity::Call(None)]), (None, 1), "nobody tells");
        let looks = LOOKS_FOR_CALL as usize;
        assert_eq!(sees(&[Activity::Running; LOOKS_FOR_CALL as usize]), (None, looks));
    }

    #[test]
    fn a_thread_that_is_not_parked_is_the_one_that_is_stuck() {
        let thread = |name: &str, doing| {
            let id = std::thread::current().id();
            (Worker { thread: id, name: name.to_owned(), number: None }, doing)
        };
        let parked = thread("parked", Doing::Waiting(Some("futex")));
        let names = |mut can: Vec<(Worker, Doing)>| {
            narrow(&mut can);
            can.into_iter().map(|(worker, _)| worker.name).collect::<Vec<_>>()
        };
        let sleeps = thread("sleeps", Doing::Waiting(Some("clock_nanosleep")));
        assert_eq!(names(vec![parked.clone(), sleeps]), ["sleeps"]);
        let computes = thread("computes", Doing::Computing);
        assert_eq!(names(vec![computes, parked.clone()]), ["computes"]);
        let locks = thread("locks", Doing::Waiting(Some("futex")));
        assert_eq!(names(vec![locks, parked]), ["locks", "parked"], "nobody can tell");
    }
}
