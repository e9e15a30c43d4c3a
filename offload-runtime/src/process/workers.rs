//! The workers of one pool: which are free, and when others are started.
//!
//! # The protocol
//!
//! A thread of the pool that has a call hires a worker for it, and gives it
//! back after. Free workers are a stack, so the one used last is used first,
//! and those that are not needed stay at the bottom until they are retired.
//!
//! Workers are started by threads of their own, which end when that is done,
//! so a thread that waits for a worker takes whichever comes first: the new
//! one, or one that was given back. Each change of the state that a waiting
//! thread could use ends with a word to `changed`, under the lock.
//!
//! *Ahead of need.* When the last free worker is hired, or one is lost, and
//! there may be more, another is started. So the next call, or the one after a
//! crash, finds one ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::lease::Lease;
use super::leash::{End, Leash};
use super::messages::Hello;
use super::worker::{NotReady, Worker};
use super::{events, registry, start};
use crate::outcome::drop_quietly;
use crate::pool::Pool;

/// When no worker can be started but others are at work, it is tried again
/// this much later.
const RETRY: Duration = Duration::from_millis(50);

/// When workers are killed while they start, so many others are tried in a row.
const TRIES: u32 = 5;

/// None is started ahead of need so long after a start that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(crate) struct Workers {
    state: Mutex<State>,
    /// A worker is free, or was lost, or somebody need not wait any more.
    changed: Condvar,
    counts: Counts,
}

struct State {
    /// The most recent last.
    free: Vec<Worker>,
    /// All that can work, the free ones included.
    alive: usize,
    starting: usize,
    /// Threads that wait for one.
    waiting: usize,
    /// Why the last start failed, for one of those that wait.
    failure: Option<String>,
    /// When one failed last.
    failed: Option<Instant>,
    /// So many in a row were killed while they started.
    killed: u32,
    /// The calls that have one, or wait for one.
    leashes: Vec<Arc<Leash>>,
    /// No more are started: the process shuts down.
    is_closed: bool,
}

/// What became of workers.
struct Counts {
    restarts: AtomicU64,
    kills: AtomicU64,
    recycled: AtomicU64,
}

/// Workers of one pool, as they are now and have been.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WorkerStats {
    /// Processes that can take a call or have one.
    pub alive: usize,
    /// Those that wait for a call.
    pub idle: usize,
    /// Processes that died by themselves: a crash, an exit, a kill by others.
    pub restarts: u64,
    /// Processes that were killed, since nobody waited for their call.
    pub kills: u64,
    /// Processes that were replaced between calls: by `max_jobs` or `max_memory`.
    pub recycled: u64,
}

/// Why there is no worker.
pub(crate) enum NoWorker {
    /// The call has ended, or it is too late for it to start.
    Late,
    /// None can be started. The reason.
    Unavailable(String),
}

impl Workers {
    pub(crate) const fn new() -> Workers {
        Workers {
            state: Mutex::new(State {
                free: Vec::new(),
                alive: 0,
                starting: 0,
                waiting: 0,
                failure: None,
                failed: None,
                killed: 0,
                leashes: Vec::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
            counts: Counts {
                restarts: AtomicU64::new(0),
                kills: AtomicU64::new(0),
                recycled: AtomicU64::new(0),
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let state = self.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerStats {
            alive: state.alive,
            idle: state.free.len(),
            restarts: count(&self.counts.restarts),
            kills: count(&self.counts.kills),
            recycled: count(&self.counts.recycled),
        }
    }
}

/// What the threads of the pool do.
impl Workers {
    /// Hires a worker for a call, at the latest at `until`.
    pub(crate) fn hire(
        &self,
        pool: &'static Pool,
        leash: &Arc<Leash>,
        until: Option<Instant>,
    ) -> Result<Lease, NoWorker> {
        let mut lost = Vec::new();
        let mut state = self.lock();
        state.leashes.push(Arc::clone(leash));
        state.waiting += 1;
        let result = loop {
            if state.is_closed {
                leash.end(End::Shutdown);
            }
            if leash.why_ended().is_some() {
                break Err(NoWorker::Late);
            }
            match state.free.pop() {
                Some(worker) if worker.is_alive() => break Ok(worker),
                Some(worker) => {
                    state.alive -= 1;
                    lost.push(worker);
                    continue;
                }
                None => {}
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break Err(NoWorker::Late);
            }
            let failure = state.failure.take();
            let pause = match failure {
                Some(reason) if state.alive == 0 && state.starting == 0 => {
                    break Err(NoWorker::Unavailable(reason));
                }
                // One that is at work may become free before that.
                Some(_) => Some(RETRY),
                None => {
                    self.tend(pool, &mut state);
                    if state.failure.is_some() {
                        continue;
                    }
                    None
                }
            };
            let pause = [pause, left].into_iter().flatten().min();
            state = match pause {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    let woken = self.changed.wait_timeout(state, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.waiting -= 1;
        if result.is_err() {
            state.forget(leash);
        }
        self.tend(pool, &mut state);
        drop(state);
        self.bury(lost);
        let leash = Arc::clone(leash);
        result.map(|worker| Lease::new(pool, leash, worker))
    }

    /// A call is over, and its worker can take another.
    pub(super) fn give_back(&self, pool: &'static Pool, leash: &Arc<Leash>, worker: Worker) {
        let plan = &pool.processes().plan;
        let spent = plan.max_jobs.is_some_and(|jobs| worker.calls() >= jobs)
            // What one call left behind must not count against the next.
            || plan.max_memory.is_some_and(|most| worker.memory() > Some(most / 2));
        let mut state = self.lock();
        state.forget(leash);
        if !spent && !state.is_closed {
            state.free.push(worker);
            self.changed.notify_one();
            return;
        }
        state.alive -= 1;
        self.tend(pool, &mut state);
        drop(state);
        if spent {
            self.counts.recycled.fetch_add(1, Ordering::Relaxed);
        }
        retire(vec![worker]);
    }

    /// A call is over, and so is its worker: it died, or was `killed`.
    pub(super) fn replace(&self, pool: &'static Pool, leash: &Arc<Leash>, killed: bool) {
        let mut state = self.lock();
        state.forget(leash);
        state.alive -= 1;
        self.tend(pool, &mut state);
        drop(state);
        let counter = if killed { &self.counts.kills } else { &self.counts.restarts };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread of the pool has ended, and so many are left.
    pub(crate) fn shrink(&self, threads: usize) {
        let mut state = self.lock();
        // One more than can be busy: it was started ahead of need.
        let users = threads.max(state.leashes.len());
        let keep = if users == 0 { 0 } else { users + 1 };
        let excess = state.alive.saturating_sub(keep).min(state.free.len());
        state.alive -= excess;
        let excess: Vec<_> = state.free.drain(..excess).collect();
        drop(state);
        retire(excess);
    }
}

/// What others do.
impl Workers {
    /// A worker has died, perhaps a free one.
    pub(crate) fn look(&self, pool: &'static Pool) {
        let mut state = self.lock();
        let (alive, lost) = std::mem::take(&mut state.free)
            .into_iter()
            .partition::<Vec<_>, _>(|worker| worker.is_alive());
        state.free = alive;
        state.alive -= lost.len();
        if !lost.is_empty() {
            self.tend(pool, &mut state);
        }
        drop(state);
        self.bury(lost);
    }

    /// The call of somebody who waits here may have ended.
    pub(crate) fn wake(&self) {
        let state = self.lock();
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Ends all calls, those that come for a worker later too.
    pub(crate) fn end_all(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let leashes = state.leashes.clone();
        drop(state);
        for leash in leashes {
            leash.end(End::Shutdown);
        }
        self.wake();
    }

    /// Nobody will call any more: lets all that are free end, and starts no
    /// others.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let free = std::mem::take(&mut state.free);
        state.alive -= free.len();
        self.changed.notify_all();
        drop(state);
        retire(free);
    }

    fn bury(&self, lost: Vec<Worker>) {
        self.counts.restarts.fetch_add(lost.len() as u64, Ordering::Relaxed);
        // Each is reaped by its drop.
        drop(lost);
    }

    /// Starts the workers that are wanted.
    fn tend(&self, pool: &'static Pool, state: &mut State) {
        while state.wants_another(pool.limit()) {
            state.starting += 1;
            let started = thread::Builder::new()
                .name("offload-start".into())
                .spawn(move || pool.processes().workers.start(pool));
            if let Err(refusal) = started {
                state.starting -= 1;
                state.fail(format!("the system refuses a thread to start it: {refusal}"));
                // Whoever waits tries again, or ends its call.
                self.changed.notify_all();
                return;
            }
        }
    }

    fn start(&self, pool: &'static Pool) {
        // What its start-up function says goes to a foreign subscriber.
        let worker =
            catch_unwind(AssertUnwindSafe(|| start_worker(pool))).unwrap_or_else(|payload| {
                drop_quietly(payload);
                let reason = "a `tracing` subscriber panicked while it started".to_owned();
                Err(NotReady { reason, was_killed: false })
            });
        let mut state = self.lock();
        state.starting -= 1;
        match worker {
            Ok(worker) => {
                state.alive += 1;
                state.killed = 0;
                // Those that have worked already are warm.
                state.free.insert(0, worker);
            }
            Err(not_ready) if not_ready.was_killed && state.killed < TRIES => {
                state.killed += 1;
                self.tend(pool, &mut state);
            }
            Err(not_ready) => state.fail(not_ready.reason),
        }
        self.changed.notify_all();
        let is_closed = state.is_closed;
        drop(state);
        if is_closed {
            self.close();
        }
        self.shrink(pool.threads());
    }
}

impl State {
    fn wants_another(&self, max: usize) -> bool {
        if self.is_closed || self.alive + self.starting >= max || self.failure.is_some() {
            return false;
        }
        let lately = self.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        let ahead = self.starting == 0 && self.free.is_empty() && !self.leashes.is_empty();
        self.waiting > self.starting + self.free.len() || ahead && !lately
    }

    /// A start has failed.
    fn fail(&mut self, reason: String) {
        self.failed = Some(Instant::now());
        self.failure = (self.waiting > 0).then_some(reason);
    }

    fn forget(&mut self, leash: &Arc<Leash>) {
        self.leashes.retain(|other| !Arc::ptr_eq(other, leash));
    }
}

fn start_worker(pool: &'static Pool) -> Result<Worker, NotReady> {
    let impossible = |reason: String| NotReady { reason, was_killed: false };
    let way = start::way()
        .ok_or_else(|| impossible("this process is not set up to start workers".into()))?;
    let plan = &pool.processes().plan;
    let build = registry::build()
        .map_err(|error| impossible(format!("the program's file is gone: {error}")))?;
    let function = registry::any_of(pool)
        .ok_or_else(|| impossible("this program has no function of the pool".into()))?;
    let hello = Hello {
        build,
        parent: std::process::id(),
        function,
        max_message: plan.max_message,
        max_memory: plan.max_memory,
        priority: plan.priority,
        level: events::level(),
    };
    Worker::start(pool, &hello, plan, &way)
}

/// Lets workers end by themselves, where nobody waits for that.
fn retire(workers: Vec<Worker>) {
    if workers.is_empty() {
        return;
    }
    let all = move || workers.into_iter().for_each(|worker| worker.retire());
    // Without a thread, they are dropped with the closure, and so killed.
    let _ = thread::Builder::new().name("offload-retire".into()).spawn(all);
}
