//! Which worker is stuck, and in what.
//!
//! A worker of tokio's counts how often it parked and woke, and, whenever a
//! turn ends, adds up how long it was busy. One that is awake while neither
//! number moves has not ended a turn. A busy worker with short polls moves them
//! every 61 polls.

use std::time::{Duration, Instant};

use tokio::runtime::RuntimeMetrics;

use super::probe::{Probe, Worker};
use super::record::{Record, Stall, Stuck};
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
    /// The threads that it may be, and their processor times when it was first seen not to move.
    before: Vec<(Worker, Option<Times>)>,
    /// `before` is one thread, and the right one.
    is_known: bool,
    since: Option<Instant>,
    /// Its stall, when it was reported.
    stuck: Option<Stuck>,
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
            let said = || {
                let parks = metrics.worker_park_unpark_count(number);
                (parks, metrics.worker_total_busy_duration(number))
            };
            let now = said();
            watch.stillness.look(now, passed);
            let lasts = watch.stillness.lasts;
            if lasts.is_zero() {
                watch.since = None;
                if let Some(stuck) = watch.stuck.take() {
                    record.moves_again(&stuck);
                }
            } else if let Some(mut stuck) = watch.stuck.take() {
                record.lasted(&mut stuck, lasts);
                if stuck.starves() && watch.has_computed(threshold) {
                    // On a machine with less to do it would have been stuck, too.
                    record.moves_again(&stuck);
                    stuck = record.stuck(&watch.computing(lasts));
                }
                watch.stuck = Some(stuck);
            } else if lasts >= threshold {
                let stall = watch.stall(probe, number, lasts, || said() == now);
                watch.stuck = Some(record.stuck(&stall));
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
        let (threads, is_known) = probe.threads_of(number);
        self.is_known = is_known;
        self.before = threads
            .into_iter()
            .map(|worker| {
                let times = worker.number.and_then(thread::times);
                (worker, times)
            })
            .collect();
    }

    /// What it is stuck in. `is_still`: it has not moved on meanwhile.
    fn stall(
        &mut self,
        probe: &Probe,
        number: usize,
        lasts: Duration,
        is_still: impl Fn() -> bool,
    ) -> Stall {
        if self.since.is_none() {
            self.begin(probe, number);
        }
        let passed = self.since.map(|since| since.elapsed()).unwrap_or_default();
        let mut can: Vec<(Worker, Doing)> = Vec::new();
        for (worker, before) in &self.before {
            let doing = match (*before, worker.number.and_then(thread::times)) {
                (Some(before), Some(now)) => doing(before, now, passed),
                _ => Doing::Unknown,
            };
            let doing = match (doing, worker.number) {
                (Doing::Waiting(_), Some(number)) => {
                    match look_again(|| thread::activity(number)) {
                        // What it waits in now came after the stall. For how long it had no
                        // processor is known since it has got one.
                        _ if !is_still() => match (*before, thread::times(number)) {
                            (Some(before), Some(now)) => did(before, now, passed),
                            _ => Doing::Unknown,
                        },
                        Activity::Call(call) => Doing::Waiting(call),
                        // The time for which it has had no processor is known when it gets one.
                        Activity::Running => Doing::Starved,
                    }
                }
                (other, _) => other,
            };
            can.push((worker.clone(), doing));
        }
        narrow(&mut can);
        let doing = judge(can.iter().map(|(_, doing)| *doing), self.is_known);
        let spans = common(can.iter().map(|(worker, _)| spans(worker)));
        let threads = can.into_iter().map(|(worker, _)| worker).collect();
        Stall { threads, doing, spans, lasts }
    }

    /// Whether the thread has used at least `time` of a processor since it was first seen not to move.
    fn has_computed(&self, time: Duration) -> bool {
        let [(worker, Some(before))] = &self.before[..] else { return false };
        let now = worker.number.and_then(thread::times);
        now.is_some_and(|now| now.ran.saturating_sub(before.ran) >= time)
    }

    /// The stall of one that [has computed](Self::has_computed).
    fn computing(&self, lasts: Duration) -> Stall {
        let threads: Vec<_> = self.before.iter().map(|(worker, _)| worker.clone()).collect();
        let spans = common(threads.iter().map(spans));
        Stall { threads, doing: Doing::Computing, spans, lasts }
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

/// The same of one that is not stuck any more: what it waited in is not known.
fn did(before: Times, now: Times, passed: Duration) -> Doing {
    match doing(before, now, passed) {
        Doing::Waiting(_) => Doing::Unknown,
        other => other,
    }
}

/// Looks for the system call of a thread that has used no processor. One that waits again and
/// again is on a core for a moment in between.
fn look_again(mut look: impl FnMut() -> Activity) -> Activity {
    for _ in 1..LOOKS_FOR_CALL {
        let activity = look();
        if activity != Activity::Running {
            return activity;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    look()
}

/// Whether a worker that is parked, so none that is stuck, looks like this.
fn looks_parked(doing: Doing) -> bool {
    matches!(
        doing,
        Doing::Waiting(Some("futex" | "epoll_wait" | "epoll_pwait") | None) | Doing::Unknown
    )
}

/// Of threads that may be the one, leaves those that must be: a worker that is
/// parked neither computes nor waits in a call other than those of its own.
fn narrow(can: &mut Vec<(Worker, Doing)>) {
    if can.len() > 1 && can.iter().any(|(_, doing)| !looks_parked(*doing)) {
        can.retain(|(_, doing)| !looks_parked(*doing));
    }
}

/// What the one that is stuck does, if it is among these. If it need not be, one that looks
/// parked is not it.
fn judge(can: impl Iterator<Item = Doing> + Clone, is_known: bool) -> Doing {
    let mut all = can.clone();
    let has = |what| can.clone().any(|doing| doing == what);
    let Some(first) = all.next() else { return Doing::Unknown };
    if all.all(|doing| doing == first) {
        return if is_known || !looks_parked(first) { first } else { Doing::Unknown };
    }
    match () {
        () if has(Doing::Computing) => Doing::Computing,
        () if has(Doing::Starved) => Doing::Starved,
        () => Doing::Unknown,
    }
}

/// Spans, each with its place in the source, if that is known.
type Spans = Vec<(String, Option<String>)>;

/// The spans of all that are in some, if those are the same.
fn common(mut all: impl Iterator<Item = Spans>) -> Spans {
    let first = all.find(|spans| !spans.is_empty()).unwrap_or_default();
    let is_common = all.all(|spans| spans.is_empty() || spans == first);
    if is_common { first } else { Spans::new() }
}

#[cfg(feature = "watch-spans")]
fn spans(worker: &Worker) -> Spans {
    super::spans::of(worker.thread)
}

#[cfg(not(feature = "watch-spans"))]
fn spans(_: &Worker) -> Spans {
    Spans::new()
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
        assert_eq!(did(start, at(520, 180), millis(100)), Doing::Starved);
        assert_eq!(did(start, at(501, 100), millis(100)), Doing::Unknown, "it has gone on");
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
        assert_eq!(sees(&[Activity::Running, Activity::Running, read]), (read, 3));
        let unknown = Activity::Call(None);
        assert_eq!(sees(&[unknown]), (unknown, 1), "nobody tells");
        let looks = LOOKS_FOR_CALL as usize;
        let runs = Activity::Running;
        assert_eq!(sees(&[runs; LOOKS_FOR_CALL as usize]), (runs, looks), "it does not wait");
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

    #[test]
    fn what_computes_does_not_wait_in_the_call_of_a_thread_that_is_parked() {
        let (computes, starved) = (Doing::Computing, Doing::Starved);
        let (locks, sleeps) = (Doing::Waiting(Some("futex")), Doing::Waiting(Some("nanosleep")));
        let judge = |can: &[Doing], is_known| super::judge(can.iter().copied(), is_known);
        assert_eq!(judge(&[], true), Doing::Unknown);
        assert_eq!(judge(&[locks], true), locks, "it is the one");
        assert_eq!(judge(&[locks], false), Doing::Unknown, "the one may be another");
        assert_eq!(judge(&[sleeps], false), sleeps, "none that is parked sleeps");
        assert_eq!(judge(&[computes, computes], false), computes);
        assert_eq!(judge(&[computes, starved], false), computes, "one of them waits for a core");
        assert_eq!(judge(&[starved, sleeps], false), starved);
        assert_eq!(judge(&[locks, sleeps], false), Doing::Unknown);
    }

    #[test]
    fn spans_are_told_where_there_is_no_doubt() {
        let spans = |names: &[&str]| -> Spans {
            names.iter().map(|name| ((*name).to_owned(), None)).collect()
        };
        let (none, one, other) = (spans(&[]), spans(&["a", "b"]), spans(&["a", "c"]));
        assert_eq!(common([].into_iter()), none);
        assert_eq!(common([none.clone(), one.clone(), one.clone()].into_iter()), one);
        assert_eq!(common([one, none.clone(), other].into_iter()), none);
    }
}
