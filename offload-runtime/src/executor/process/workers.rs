//! The workers of one pool: which are free, and when others are started.
//!
//! # The protocol
//!
//! A thread of the pool that has a call checks a worker out for it, and returns it
//! after. Free workers are a stack, so the one used last is used first,
//! and those that are not needed stay at the bottom until they are retired.
//!
//! Workers are started by threads of their own, which end when that is done,
//! so a thread that waits for a worker takes whichever comes first: the new
//! one, or one that was returned. Each change of the state that a waiting
//! thread could use ends with a word to `changed`, under the lock.
//!
//! *Ahead of need.* When the last free worker is checked out, or one is lost, and
//! there may be more, another is started. So the next call, or the one after a
//! crash, finds one ready.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::checked_out::CheckedOut;
use super::kill_handle::{End, KillHandle};
use super::messages::Hello;
use super::plan::Plan;
use super::worker::{NotReady, Worker};
use super::{events, way};
use crate::executor;
use crate::sync::foreign::drop_quietly;
use crate::system::spawner;
use crate::task::meta::Meta;
use crate::wire::registry::{self, Host};

/// When no worker can be started but others are at work, it is tried again
/// this much later.
const RETRY: Duration = Duration::from_millis(50);

/// When workers are killed while they start, so many others are tried in a row.
const TRIES: u32 = 5;

/// None is started ahead of need so long after a start that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(crate) struct Workers {
    pub(crate) plan: Plan,
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
    /// The channels of those that start.
    starts: Vec<Arc<UnixStream>>,
    /// Threads that wait for one.
    waiting: usize,
    /// Why the last start failed, for one of those that wait.
    failure: Option<String>,
    /// When one failed last.
    failed: Option<Instant>,
    /// So many in a row were killed while they started.
    killed: u32,
    /// Of the calls that have one.
    handles: Vec<Arc<KillHandle>>,
    /// There may be so many, and so many threads there are that may use one.
    limit: usize,
    threads: usize,
    /// No more are started: the process shuts down.
    is_closed: bool,
    /// And no call gets one.
    is_ended: bool,
}

/// What became of workers.
struct Counts {
    restarts: AtomicU64,
    kills: AtomicU64,
    recycled: AtomicU64,
}

/// Why there is no worker.
pub(crate) enum NoWorker {
    /// The call has ended, or it is too late for it to start.
    Late,
    /// The process shuts down.
    Shutdown,
    /// None can be started. The reason.
    Unavailable(String),
}

impl Workers {
    pub(crate) const fn new() -> Workers {
        Workers {
            plan: Plan::DEFAULT,
            state: Mutex::new(State {
                free: Vec::new(),
                alive: 0,
                starting: 0,
                starts: Vec::new(),
                waiting: 0,
                failure: None,
                failed: None,
                killed: 0,
                handles: Vec::new(),
                limit: 0,
                threads: 0,
                is_closed: false,
                is_ended: false,
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

    pub(crate) fn plan(&'static self) -> &'static Plan {
        &self.plan
    }

    pub(crate) fn stats(&self) -> executor::Workers {
        let state = self.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        executor::Workers {
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
    /// Checks a worker out for a call, at the latest at `until`. There may be `limit` of them, and
    /// there are `threads` that may use one.
    pub(crate) fn check_out(
        &'static self,
        host: &'static dyn Host,
        [limit, threads]: [usize; 2],
        call: &Meta,
        handle: &Arc<KillHandle>,
    ) -> Result<CheckedOut, NoWorker> {
        let mut state = self.lock();
        (state.limit, state.threads) = (limit, threads);
        let is_ended = || call.state.is_cancelled();
        let worker = self.await_worker(host, state, call.start_by(), &is_ended, Some(handle))?;
        Ok(CheckedOut::new(self, host, Arc::clone(handle), worker))
    }

    /// Another for a call that had one.
    pub(super) fn check_out_another(
        &'static self,
        host: &'static dyn Host,
        handle: &KillHandle,
        until: Option<Instant>,
    ) -> Option<Worker> {
        self.await_worker(host, self.lock(), until, &|| handle.is_ended(), None).ok()
    }

    /// A worker for a call, which from then on is among those that have one if its handle is `new`.
    fn await_worker(
        &'static self,
        host: &'static dyn Host,
        mut state: MutexGuard<'_, State>,
        until: Option<Instant>,
        is_ended: &dyn Fn() -> bool,
        new: Option<&Arc<KillHandle>>,
    ) -> Result<Worker, NoWorker> {
        let mut lost = Vec::new();
        state.waiting += 1;
        let result = loop {
            if state.is_ended {
                break Err(NoWorker::Shutdown);
            }
            if is_ended() {
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
                    self.tend(host, &mut state);
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
        if result.is_ok() {
            state.handles.extend(new.map(Arc::clone));
        }
        self.tend(host, &mut state);
        drop(state);
        self.reap(lost);
        result
    }

    /// A call is over, and its worker can take another.
    pub(super) fn put_back(
        &'static self,
        host: &'static dyn Host,
        handle: &Arc<KillHandle>,
        worker: Worker,
    ) {
        let plan = &self.plan;
        let spent = plan.max_jobs.is_some_and(|jobs| worker.calls() >= jobs)
            // What one call left behind must not count against the next.
            || plan.max_memory.is_some_and(|most| worker.memory() > Some(most / 2));
        let mut state = self.lock();
        state.forget(handle);
        if !spent && !state.is_closed {
            state.free.push(worker);
            self.changed.notify_one();
            return;
        }
        state.alive -= 1;
        self.tend(host, &mut state);
        drop(state);
        if spent {
            self.counts.recycled.fetch_add(1, Ordering::Relaxed);
        }
        retire(vec![worker]);
    }

    /// A call is over, and so is its worker: it died, or was `killed`.
    pub(super) fn replace(
        &'static self,
        host: &'static dyn Host,
        handle: &Arc<KillHandle>,
        killed: bool,
    ) {
        let mut state = self.lock();
        state.forget(handle);
        state.alive -= 1;
        self.tend(host, &mut state);
        drop(state);
        let counter = if killed { &self.counts.kills } else { &self.counts.restarts };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker of a call is dead, and the call has not ended.
    pub(super) fn lost(&'static self, host: &'static dyn Host) {
        let mut state = self.lock();
        state.alive -= 1;
        self.tend(host, &mut state);
        drop(state);
        self.counts.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that has no worker any more is over.
    pub(super) fn forget(&self, handle: &Arc<KillHandle>) {
        self.lock().forget(handle);
    }

    /// A thread of the pool has ended, and so many are left.
    pub(crate) fn shrink(&self, threads: usize) {
        let mut state = self.lock();
        state.threads = threads;
        self.shrink_to_need(state);
    }

    fn shrink_to_need(&self, mut state: MutexGuard<'_, State>) {
        // One more than can be busy: it was started ahead of need.
        let users = state.threads.max(state.handles.len() + state.waiting);
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
    fn look(&'static self, host: &'static dyn Host) {
        let mut state = self.lock();
        let (alive, lost) = std::mem::take(&mut state.free)
            .into_iter()
            .partition::<Vec<_>, _>(|worker| worker.is_alive());
        state.free = alive;
        state.alive -= lost.len();
        if !lost.is_empty() {
            self.tend(host, &mut state);
        }
        drop(state);
        self.reap(lost);
    }

    /// The call of somebody who waits here may have ended.
    pub(crate) fn wake(&self) {
        let state = self.lock();
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Ends the call that has a worker, if this one does.
    pub(crate) fn end(&self, task: usize) {
        let state = self.lock();
        let handle = state.handles.iter().find(|handle| handle.task() == task).cloned();
        drop(state);
        if let Some(handle) = handle {
            handle.end(End::Cancelled);
            // It may wait for another worker.
            self.wake();
        }
    }

    /// Ends all calls, those that come for a worker later too.
    pub(crate) fn end_all(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_ended = true;
        let handles = state.handles.clone();
        drop(state);
        for handle in handles {
            handle.end(End::Shutdown);
        }
        self.wake();
    }

    /// Nobody will call any more: lets all that are free end, kills those that start, and
    /// starts no others.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for start in &state.starts {
            // Its thread waits there for what it says, and kills it then.
            let _ = start.shutdown(Shutdown::Both);
        }
        let free = std::mem::take(&mut state.free);
        state.alive -= free.len();
        self.changed.notify_all();
        drop(state);
        retire(free);
    }

    fn reap(&self, lost: Vec<Worker>) {
        self.counts.restarts.fetch_add(lost.len() as u64, Ordering::Relaxed);
        // Each is reaped by its drop.
        drop(lost);
    }

    /// Starts the workers that are wanted.
    fn tend(&'static self, host: &'static dyn Host, state: &mut State) {
        while state.wants_another() {
            state.starting += 1;
            // From a thread that is as normal as the main one: a worker is what its starter is.
            let start = move || {
                let run = move || self.start(host);
                let thread = thread::Builder::new().name("offload-start".into()).spawn(run);
                if let Err(refusal) = thread {
                    self.start_refused(&mut self.lock(), &refusal);
                }
            };
            if let Err(refusal) = spawner::request(Box::new(start)) {
                self.start_refused(state, &refusal);
                return;
            }
        }
    }

    fn start_refused(&self, state: &mut State, refusal: &io::Error) {
        state.starting -= 1;
        state.fail(format!("the system refuses a thread to start it: {refusal}"));
        // Whoever waits tries again, or ends its call.
        self.changed.notify_all();
    }

    fn start(&'static self, host: &'static dyn Host) {
        // What its start-up function says goes to a foreign subscriber.
        let worker =
            catch_unwind(AssertUnwindSafe(|| self.start_worker(host))).unwrap_or_else(|payload| {
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
                self.tend(host, &mut state);
            }
            Err(not_ready) => state.fail(not_ready.reason),
        }
        self.changed.notify_all();
        let is_closed = state.is_closed;
        self.shrink_to_need(state);
        if is_closed {
            self.close();
        }
    }

    fn start_worker(&'static self, host: &'static dyn Host) -> Result<Worker, NotReady> {
        let impossible = |reason: String| NotReady { reason, was_killed: false };
        let way = way::way()
            .ok_or_else(|| impossible("this process is not set up to start workers".into()))?;
        let plan = &self.plan;
        let build = registry::build()
            .map_err(|error| impossible(format!("the program's file is gone: {error}")))?;
        let function = registry::any_of(host)
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
        let on_end = Box::new(move || self.look(host));
        let mut channel = None;
        let is_wanted = |data: &Arc<UnixStream>| {
            let mut state = self.lock();
            state.starts.push(Arc::clone(channel.insert(Arc::clone(data))));
            !state.is_closed
        };
        let worker = Worker::start(&hello, plan, &way, on_end, is_wanted);
        if let Some(channel) = channel {
            self.lock().starts.retain(|other| !Arc::ptr_eq(other, &channel));
        }
        worker
    }
}

impl State {
    fn wants_another(&self) -> bool {
        if self.is_closed || self.alive + self.starting >= self.limit || self.failure.is_some() {
            return false;
        }
        let lately = self.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        let ahead = self.starting == 0 && self.free.is_empty() && !self.handles.is_empty();
        self.waiting > self.starting + self.free.len() || ahead && !lately
    }

    /// A start has failed.
    fn fail(&mut self, reason: String) {
        self.failed = Some(Instant::now());
        self.failure = (self.waiting > 0).then_some(reason);
    }

    fn forget(&mut self, handle: &Arc<KillHandle>) {
        self.handles.retain(|other| !Arc::ptr_eq(other, handle));
    }
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
