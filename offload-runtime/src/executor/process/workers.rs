//! The workers of one pool: which are free, and who gets one.
//!
//! # The protocol
//!
//! A thread of the pool that has a call, or of the caller ([begun](super::begun)), checks a worker out for it, and
//! the thread of the pool returns it after. Free workers are a stack, so the one used last is used first,
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
//!
//! Nobody who holds the lock calls foreign code: what there is to tell through `tracing` is told after.

use std::fmt;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use super::checked_out::CheckedOut;
use super::kill_handle::{End, KillHandle};
use super::lifecycle::{self, Ending, Ends};
use super::plan::Plan;
use super::state::State;
use super::worker::{Dead, Worker};
use crate::executor::threads::Pool;
use crate::executor::{self, settings};
use crate::system::abort::Unpoisoned;
use crate::task::meta::Meta;
use crate::wire::registry::Host;

/// When no worker can be started but others are at work, it is tried again
/// this much later.
const RETRY: Duration = Duration::from_millis(50);

/// See the [module](self).
pub(crate) struct Workers {
    /// One for each call that has a worker, or waits for one.
    pub(super) threads: Pool,
    /// The settings as the pool was declared with them.
    pub(crate) plan: Plan,
    /// That of the default pool, from its first call on.
    installed: Option<OnceLock<Plan>>,
    pub(super) state: Mutex<State>,
    /// A worker is free, or was lost, or somebody need not wait any more.
    pub(super) changed: Condvar,
    counts: Counts,
    ends: Ends,
}

/// What became of workers.
struct Counts {
    restarts: AtomicU64,
    kills: AtomicU64,
    recycled: AtomicU64,
}

/// How a worker has come to its end that had a call.
pub(super) enum Gone {
    /// By itself.
    Died,
    /// It was killed, since its call had to end. Why.
    Ended(&'static str),
    /// It was killed, since it was of no use. Why.
    Discarded(&'static str),
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
    /// `installed` is what the settings are kept in if they are read at the first call.
    pub(crate) const fn new(threads: Pool, installed: Option<OnceLock<Plan>>) -> Workers {
        Workers {
            threads,
            plan: Plan::DEFAULT,
            installed,
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            counts: Counts {
                restarts: AtomicU64::new(0),
                kills: AtomicU64::new(0),
                recycled: AtomicU64::new(0),
            },
            ends: Ends::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// What is done with them. Not to be asked before the pool has started.
    pub(crate) fn plan(&self) -> &Plan {
        match &self.installed {
            Some(installed) => installed.get_or_init(|| settings::plan().unwrap_or(self.plan)),
            None => &self.plan,
        }
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
    /// Checks a worker out for a call.
    pub(crate) fn check_out(&'static self, call: &Meta) -> Result<CheckedOut, NoWorker> {
        let handle = Arc::new(KillHandle::new(place(call), self.plan().grace, &self.threads));
        let mut state = self.lock();
        self.note_threads(&mut state);
        let is_ended = || call.state.is_cancelled();
        let worker = self.await_worker(state, call.start_by(), &is_ended, Some(&handle))?;
        Ok(CheckedOut::new(self, handle, worker))
    }

    /// Checks a free worker out on the caller's thread, for a call that no other waits before, if it has to wait for no
    /// lock for that. The thread that has the rest of the call looks whether others are to be
    /// [started ahead](Self::start_ahead).
    pub(super) fn check_out_free(&'static self, call: &Meta) -> Option<CheckedOut> {
        let Ok(mut state) = self.state.try_lock() else { return None };
        if state.is_closed || state.waiting > 0 {
            return None;
        }
        let free = state.free.last().filter(|worker| !worker.has_ended())?;
        // What it has printed before is not the call's. If the stderr reader holds its lock, the call is queued instead.
        if !free.try_forget_printed() {
            return None;
        }
        let worker = state.free.pop()?;
        let handle = Arc::new(KillHandle::new(place(call), self.plan().grace, &self.threads));
        state.handles.push(Arc::clone(&handle));
        Some(CheckedOut::new(self, handle, worker))
    }

    /// Starts the workers that are to be kept ready, after a free one was [checked out](Self::check_out_free) by a thread that may
    /// not wait for the lock.
    pub(super) fn start_ahead(&'static self) {
        let mut state = self.lock();
        self.note_threads(&mut state);
        self.tend(&mut state);
    }

    /// Takes over from the pool of threads how many there are, and how many there may be.
    pub(super) fn note_threads(&'static self, state: &mut State) {
        state.threads = self.threads.threads();
        state.limit = self.threads.limit();
        state.kept = self.plan().min_workers.min(state.limit);
    }

    /// Another for a call that had one.
    pub(super) fn check_out_another(
        &'static self,
        handle: &KillHandle,
        until: Option<Instant>,
    ) -> Option<Worker> {
        let is_ended = || handle.end_reason().is_some();
        self.await_worker(self.lock(), until, &is_ended, None).ok()
    }

    /// A worker for a call, which from then on is among those that have one if its handle is `new`.
    fn await_worker(
        &'static self,
        mut state: MutexGuard<'_, State>,
        until: Option<Instant>,
        is_ended: &dyn Fn() -> bool,
        new: Option<&Arc<KillHandle>>,
    ) -> Result<Worker, NoWorker> {
        let mut lost = Vec::new();
        state.waiting += 1;
        let drains = state.drains;
        let result = loop {
            // It may have been opened again since.
            if state.is_drained || state.drains != drains {
                break Err(NoWorker::Shutdown);
            }
            if is_ended() {
                break Err(NoWorker::Late);
            }
            match state.free.pop() {
                // One that has died unseen does not read the request, which the next one gets.
                Some(worker) if new.is_some() && !worker.has_ended() => break Ok(worker),
                Some(worker) if worker.is_alive() => break Ok(worker),
                Some(worker) => {
                    state.lose(&worker, Instant::now());
                    lost.push(worker);
                    continue;
                }
                None => {}
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break Err(NoWorker::Late);
            }
            let mut failure = state.starts.failure.take();
            if failure.is_none() {
                self.tend(&mut state);
                if state.starts.failure.is_some() {
                    continue;
                }
                failure = state.given_up(self.plan().max_restarts, Instant::now());
            }
            let pause = match failure {
                Some(reason) if state.alive == 0 && state.starts.under_way == 0 => {
                    break Err(NoWorker::Unavailable(reason));
                }
                // One that is at work may become free before that.
                Some(_) => Some(RETRY),
                None => None,
            };
            let pause = [pause, left].into_iter().flatten().min();
            state = match pause {
                None => self.changed.wait(state).unpoisoned(),
                Some(pause) => {
                    let woken = self.changed.wait_timeout(state, pause);
                    woken.unpoisoned().0
                }
            };
        };
        state.waiting -= 1;
        if state.waiting == 0 {
            // It was for one of those that waited.
            state.starts.failure = None;
        }
        if result.is_ok() {
            state.handles.extend(new.map(Arc::clone));
        }
        self.tend(&mut state);
        drop(state);
        lost.into_iter().for_each(|worker| self.reap(worker));
        result
    }

    /// A call is over, and its worker can take another.
    pub(super) fn put_back(&'static self, handle: &Arc<KillHandle>, worker: Worker) {
        let spent = self.plan().spent(worker.calls(), || worker.memory());
        let mut state = self.lock();
        if !state.forget(handle) {
            // It was given up, and others may have its place.
            state.alive += 1;
            if state.alive > state.limit {
                state.alive -= 1;
                let ending = self.ending(vec![worker]);
                drop(state);
                return lifecycle::retire(self.name(), ending, "another has its place");
            }
        }
        state.starts.succeed();
        if spent.is_none() && !state.is_closed {
            state.free.push(worker);
            // It would be a system call in any case.
            if state.waiting > 0 {
                self.changed.notify_one();
            }
            return;
        }
        state.alive -= 1;
        let pid = worker.pid();
        let ending = self.ending(vec![worker]);
        self.tend(&mut state);
        drop(state);
        match spent {
            Some(reason) => {
                self.counts.recycled.fetch_add(1, Ordering::Relaxed);
                lifecycle::recycled(self.name(), pid, &reason);
                lifecycle::retire(self.name(), ending, "it is replaced");
            }
            None => lifecycle::retire(self.name(), ending, "its pool is closed"),
        }
    }

    /// A call is over, and so is its worker.
    pub(super) fn replace(&'static self, handle: &Arc<KillHandle>, dead: &Dead, gone: &Gone) {
        let mut state = self.lock();
        if state.forget(handle) {
            state.alive -= 1;
        }
        self.tend(&mut state);
        drop(state);
        let counter = match gone {
            Gone::Ended(_) => &self.counts.kills,
            Gone::Died | Gone::Discarded(_) => &self.counts.restarts,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        match gone {
            Gone::Died => lifecycle::died(self.name(), dead),
            Gone::Ended(why) | Gone::Discarded(why) => {
                lifecycle::killed(self.name(), dead.pid, why);
            }
        }
    }

    /// The worker of a call has died before it had read the call, which has not ended.
    pub(super) fn lose(&'static self, mut worker: Worker) -> Dead {
        let dead = worker.reap();
        let mut state = self.lock();
        state.lose(&worker, Instant::now());
        state.starts.explain(dead.how());
        self.tend(&mut state);
        drop(state);
        self.counts.restarts.fetch_add(1, Ordering::Relaxed);
        lifecycle::died(self.name(), &dead);
        dead
    }

    /// A call that has no worker any more is over.
    pub(super) fn forget(&self, handle: &Arc<KillHandle>) {
        let _ = self.lock().forget(handle);
    }

    /// A thread of the pool has ended.
    pub(crate) fn shrink(&'static self) {
        let mut state = self.lock();
        state.threads = self.threads.threads();
        let (ending, why) = self.excess(&mut state);
        drop(state);
        lifecycle::retire(self.name(), ending, why);
    }
}

/// What others do.
impl Workers {
    /// A worker has died, perhaps a free one.
    pub(super) fn look(&'static self) {
        let mut state = self.lock();
        let (alive, lost) = std::mem::take(&mut state.free)
            .into_iter()
            .partition::<Vec<_>, _>(|worker| worker.is_alive());
        state.free = alive;
        let now = Instant::now();
        lost.iter().for_each(|worker| state.lose(worker, now));
        let mut wakers = Vec::new();
        if !lost.is_empty() {
            self.tend(&mut state);
            wakers = state.take_wakers();
        }
        let ending = self.ending(lost);
        drop(state);
        lifecycle::wake(wakers);
        // Not here: this is the thread that reads what the workers of all pools print.
        lifecycle::apart(ending, |worker| self.reap(worker));
    }

    /// The call of somebody who waits here may have ended.
    pub(crate) fn wake(&self) {
        let state = self.lock();
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Ends the call that has a worker, if this one does.
    pub(crate) fn end(&'static self, call: &Meta, why: End) {
        let state = self.lock();
        let handle = state.handles.iter().find(|handle| handle.task() == place(call)).cloned();
        drop(state);
        let Some(handle) = handle else { return };
        match handle.end(why) {
            true => self.give_up(&handle),
            // It may wait for another worker.
            false => self.wake(),
        }
    }

    /// The thread of this call is away, and may not come back: the pool goes on without its worker.
    pub(super) fn give_up(&'static self, handle: &Arc<KillHandle>) {
        let mut state = self.lock();
        if state.forget(handle) {
            state.alive -= 1;
            self.tend(&mut state);
            self.changed.notify_all();
        }
    }

    /// Ends all calls, those that come for a worker later too; unless the pool was opened meanwhile.
    pub(crate) fn end_all(&'static self) {
        let mut state = self.lock();
        if !self.threads.intake().is_drained() {
            return;
        }
        state.is_closed = true;
        state.is_drained = true;
        state.drains += 1;
        let handles = state.handles.clone();
        drop(state);
        for handle in handles {
            if handle.end(End::Shutdown) {
                self.give_up(&handle);
            }
        }
        self.wake();
    }

    /// The pool is closed: what ends by itself has until then, if that is longer than else.
    pub(crate) fn give_until(&self, end: Instant) {
        self.ends.give_until(end);
    }

    /// Nobody will call any more: lets all that are free end, kills those that start, and
    /// starts no others; unless the pool was opened meanwhile.
    pub(crate) fn close(&'static self) {
        let mut state = self.lock();
        if !self.threads.intake().is_closed() {
            return;
        }
        state.is_closed = true;
        state.kept = 0;
        for start in &state.starts.channels {
            // Its thread waits there for what it says, and kills it then.
            let _ = start.shutdown(Shutdown::Both);
        }
        let free = std::mem::take(&mut state.free);
        state.alive -= free.len();
        let ending = self.ending(free);
        let wakers = state.take_wakers();
        self.changed.notify_all();
        drop(state);
        lifecycle::retire(self.name(), ending, "its pool is closed");
        lifecycle::wake(wakers);
    }

    /// There may be workers again, unless the pool is closed for good.
    pub(crate) fn open(&'static self) {
        if self.threads.intake().is_closed_for_good() {
            return;
        }
        self.ends.forget_grace(|| self.threads.intake().is_closed());
        let mut state = self.lock();
        if state.is_closed {
            state.is_closed = false;
            state.is_drained = false;
            state.starts.begin_anew();
        }
    }

    /// Those that have to go, and why.
    pub(super) fn excess(&'static self, state: &mut State) -> (Ending, &'static str) {
        let why = if state.is_closed { "its pool is closed" } else { "nobody needs it" };
        (self.ending(state.take_excess()), why)
    }

    /// These end by themselves, or have. Under the lock, so that one that is no more alive is one that ends.
    pub(super) fn ending(&'static self, workers: Vec<Worker>) -> Ending {
        Ending::new(workers, &self.ends)
    }

    /// Whether all workers have ended.
    pub(super) fn are_gone(&self) -> bool {
        self.lock().alive == 0 && self.ends.are_over()
    }

    /// A free worker has died.
    fn reap(&self, mut worker: Worker) {
        let dead = worker.reap();
        self.lock().starts.explain(dead.how());
        self.counts.restarts.fetch_add(1, Ordering::Relaxed);
        lifecycle::died(self.name(), &dead);
    }
}

impl Host for Workers {
    fn name(&self) -> &'static str {
        self.threads.label()
    }

    fn on_start(&self) -> Option<fn()> {
        self.plan.on_start
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// What tells a call from others.
fn place(call: &Meta) -> usize {
    std::ptr::from_ref(call).addr()
}
