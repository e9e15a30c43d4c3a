//! At most so many bodies at once, over any number of functions and pools.
//!
//! # The protocol
//!
//! A permit belongs to a body that runs, never to a call that waits: a job
//! asks for it when a thread takes it from the pool's queue, under the lock of
//! that. If there is none, the job is put aside here, in order, and the thread
//! goes on to the next. A body that ends gives its permit to the job that waits longest:
//! that is `reserved` for it, and the job goes to the front of its pool's
//! queue. So newer jobs cannot overtake, and no thread ever waits for a permit.
//!
//! A call that is made from within a body (and blocks that body) is different:
//! its permit must not depend on a thread of a pool that may be full of such
//! bodies. It takes any permit that no running body has, reserved or not, and
//! is woken to try again at each release. The job that finds its reservation
//! taken goes back to the front of the line. If every permit belongs to a body
//! that is blocked so, the last to ask is told that this is a deadlock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::ThreadId;

use crate::job::Job;
use crate::pool::calls::{Calls, Ticket};

/// Lets at most so many bodies run at once, shared by several functions.
///
/// ```
/// use offload_runtime::{Limiter, offload};
///
/// static DATABASE: Limiter = Limiter::new(8);
///
/// #[offload(thread, limit = DATABASE)]
/// fn load(id: u64) -> String {
///     format!("row {id}")
/// }
///
/// #[offload(thread, limit = DATABASE)]
/// fn store(id: u64, row: String) {
///     drop((id, row));
/// }
/// # futures::executor::block_on(async { store(1, load(1).await).await });
/// ```
///
/// Calls get their permits in order, first come, first served. The permit
/// belongs to the body: it is given back when the body has ended, also if its
/// caller has long gone. A call that waits uses no thread.
///
/// A body that itself waits for a call with the same limit, of which it holds
/// the only permit, would wait for ever; that call ends with
/// [`Deadlock`](crate::ErrorKind::Deadlock), or a panic that says so.
pub struct Limiter {
    state: Mutex<State>,
}

struct State {
    limit: usize,
    /// Permits of running bodies.
    used: usize,
    /// Permits for jobs that are on their way back to a thread.
    reserved: usize,
    waiting: Option<Calls<Job>>,
    /// Calls that block a body.
    blocking: Vec<Blocking>,
}

/// A call that blocks a body until it has a permit.
pub(crate) struct Blocking {
    /// Distinguishes the calls of one thread.
    pub(crate) number: u64,
    /// The thread of the body.
    pub(crate) thread: ThreadId,
    /// How many permits of this limiter that body and its callers hold.
    pub(crate) holds: usize,
    pub(crate) waker: Waker,
}

/// What a call gets that blocks a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// It may run, with a permit.
    Permit,
    /// It is woken when it is worth another try.
    Waits,
    /// All permits belong to bodies that wait like this.
    Deadlock,
}

/// What a job gets that asks for a permit.
pub(crate) enum Acquired {
    /// It may run, with a permit.
    Permit(Job),
    /// It waits here; whoever releases a permit brings it back.
    Waits,
    /// It would have to wait, and must not.
    Full(Job),
    /// Its caller has gone.
    Gone(Job),
}

impl Limiter {
    /// At most `limit` bodies at once.
    ///
    /// # Panics
    ///
    /// If `limit` is 0; in a `static`, that is a compile error.
    pub const fn new(limit: usize) -> Limiter {
        assert!(limit > 0, "a limit has to be at least 1");
        Limiter {
            state: Mutex::new(State {
                limit,
                used: 0,
                reserved: 0,
                waiting: None,
                blocking: Vec::new(),
            }),
        }
    }

    /// How many bodies may run at once.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    /// How many do.
    pub fn in_use(&self) -> usize {
        self.lock().used
    }

    /// How many calls wait for a permit.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        state.waiting.as_ref().map_or(0, Calls::queued) + state.blocking.len()
    }

    /// Changes the limit, while it is in use as well. Raised, waiting calls
    /// start at once; lowered below what is in use, no call starts until
    /// enough bodies have ended.
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    pub fn set_limit(&self, limit: usize) {
        assert!(limit > 0, "a limit has to be at least 1");
        self.lock().limit = limit;
        while let Some(job) = self.reserve() {
            crate::perform::resume(job);
        }
        self.wake_blocking();
    }

    /// Whether a job that asked now would have to wait.
    pub(crate) fn would_wait(&self) -> bool {
        let state = self.lock();
        state.used + state.reserved >= state.limit
    }

    /// A job that a thread is ready to run asks for a permit.
    pub(crate) fn acquire(&self, job: Job, may_wait: bool) -> Acquired {
        let mut state = self.lock();
        let meta = job.meta();
        let had_reservation = meta.take_reservation();
        state.reserved -= usize::from(had_reservation);
        // Nobody overtakes the line: a permit that is free while calls wait is
        // about to be reserved for the first of them.
        let nobody_waits = state.waiting.as_ref().is_none_or(|line| line.queued() == 0);
        let free = state.used + state.reserved < state.limit && nobody_waits;
        if free || had_reservation && state.used < state.limit {
            state.used += 1;
            return Acquired::Permit(job);
        }
        // Read under the lock that a withdrawal takes: either it finds the job
        // in the line, or the job sees here that it is withdrawn.
        if meta.is_gone() {
            return Acquired::Gone(job);
        }
        if !may_wait && !had_reservation {
            return Acquired::Full(job);
        }
        let waiting = state.waiting.get_or_insert_with(Calls::new);
        let place = |ticket: Ticket| {
            job.meta().set_limit_ticket(ticket);
            job
        };
        if had_reservation {
            waiting.push_front(place)
        } else {
            waiting.push(place)
        };
        Acquired::Waits
    }

    /// A permit for a call that blocks a running body.
    pub(crate) fn acquire_blocking(&self, call: Blocking) -> Blocked {
        self.forget_blocking(call.number);
        let mut state = self.lock();
        if state.used < state.limit {
            state.used += 1;
            return Blocked::Permit;
        }
        // One thread may block with several calls at once; its permits count once.
        let mut threads = vec![(call.thread, call.holds)];
        for known in &state.blocking {
            if threads.iter().all(|(thread, _)| *thread != known.thread) {
                threads.push((known.thread, known.holds));
            }
        }
        if threads.iter().map(|(_, holds)| holds).sum::<usize>() >= state.used {
            return Blocked::Deadlock;
        }
        state.blocking.push(call);
        Blocked::Waits
    }

    /// A call that waits in [`acquire_blocking`](Self::acquire_blocking) is dropped.
    pub(crate) fn forget_blocking(&self, number: u64) {
        let mut state = self.lock();
        let found = state.blocking.iter().position(|known| known.number == number);
        let found = found.map(|at| state.blocking.swap_remove(at));
        // A waker's drop is foreign code: while nothing is locked.
        drop(state);
        drop(found);
    }

    /// A body with a permit has ended: the next job to bring back to a thread.
    pub(crate) fn release(&self) -> Option<Job> {
        self.lock().used -= 1;
        self.wake_blocking();
        self.reserve()
    }

    /// A job that has a reservation is dropped instead of run.
    pub(crate) fn give_up(&self, job: &Job) -> Option<Job> {
        {
            let mut state = self.lock();
            if !job.meta().take_reservation() {
                return None;
            }
            state.reserved -= 1;
        }
        self.wake_blocking();
        self.reserve()
    }

    /// Takes a job out of the line.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> Option<Job> {
        self.lock().waiting.as_mut()?.withdraw(ticket)
    }

    /// Takes all jobs out of the line.
    pub(crate) fn drain(&self) -> Vec<Job> {
        let mut state = self.lock();
        let Some(waiting) = state.waiting.as_mut() else {
            return Vec::new();
        };
        std::iter::from_fn(|| waiting.take()).collect()
    }

    /// The job that waits longest, if there is a permit for it.
    fn reserve(&self) -> Option<Job> {
        let mut state = self.lock();
        if state.used + state.reserved >= state.limit {
            return None;
        }
        let job = state.waiting.as_mut()?.take()?;
        job.meta().set_reservation();
        state.reserved += 1;
        Some(job)
    }

    fn wake_blocking(&self) {
        let blocking = std::mem::take(&mut self.lock().blocking);
        for call in blocking {
            // Foreign code, in the middle of our own.
            crate::outcome::quietly(|| call.waker.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("waiting", &self.waiting())
            .finish()
    }
}
