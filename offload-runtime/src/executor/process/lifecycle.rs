//! What becomes of workers, as it is told through `tracing`: an event of the target `offload` for each
//! start, end, kill and recycling, with the pool, the process and the reason. And the end of those that
//! are not needed.
//!
//! A subscriber is foreign code: nothing is locked here, and one that panics costs nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;
use std::{mem, thread};

use super::worker::{Dead, END, Worker};
use crate::sync::foreign::quietly;
use crate::system::abort::{Unpoisoned, abort_on_panic};

/// A worker is ready for calls.
pub(super) fn started(pool: &str, pid: u32, reason: &str) {
    quietly(|| tracing::debug!(target: "offload", pool, pid, reason, "a worker has started"));
}

pub(super) fn not_started(pool: &str, pid: Option<u32>, reason: &str) {
    quietly(|| {
        tracing::warn!(target: "offload", pool, pid, reason, "a worker could not be started");
    });
}

/// It did so by itself.
pub(super) fn died(pool: &str, dead: &Dead) {
    let (pid, reason) = (dead.pid, dead.how());
    quietly(|| tracing::warn!(target: "offload", pool, pid, reason, "a worker has died"));
}

pub(super) fn killed(pool: &str, pid: u32, reason: &str) {
    quietly(|| tracing::debug!(target: "offload", pool, pid, reason, "a worker was killed"));
}

/// It is to end between calls, and another takes its place.
pub(super) fn recycled(pool: &str, pid: u32, reason: &str) {
    quietly(|| tracing::debug!(target: "offload", pool, pid, reason, "a worker is replaced"));
}

/// How the workers of a pool end that end by themselves.
pub(super) struct Ends {
    /// What waits for some of them.
    under_way: AtomicUsize,
    /// The end of the grace, once the pool is closed.
    grace: Mutex<Option<Instant>>,
}

impl Ends {
    pub(super) const fn new() -> Ends {
        Ends { under_way: AtomicUsize::new(0), grace: Mutex::new(None) }
    }

    /// Also those that end already have until then.
    pub(super) fn give_until(&self, end: Instant) {
        let mut grace = self.grace.lock().unpoisoned();
        *grace = (*grace).max(Some(end));
    }

    /// The pool is open again, unless somebody has closed it since.
    pub(super) fn forget_grace(&self, is_closed: impl FnOnce() -> bool) {
        let mut grace = self.grace.lock().unpoisoned();
        if !is_closed() {
            *grace = None;
        }
    }

    /// When a worker is killed that was asked to end then.
    fn latest(&self, asked: Instant) -> Instant {
        let grace = *self.grace.lock().unpoisoned();
        grace.unwrap_or(asked).max(asked + END)
    }

    /// Whether none is under way.
    pub(super) fn are_over(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }
}

/// Workers that end by themselves, or have and are not reaped yet.
pub(super) struct Ending {
    workers: Vec<Worker>,
    ends: &'static Ends,
}

impl Ending {
    pub(super) fn new(workers: Vec<Worker>, ends: &'static Ends) -> Ending {
        ends.under_way.fetch_add(1, Ordering::AcqRel);
        Ending { workers, ends }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Killed, if they were not let end.
        self.workers.clear();
        self.ends.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets workers end by themselves, where nobody waits for that.
pub(super) fn retire(pool: &'static str, ending: Ending, reason: &'static str) {
    let (asked, ends) = (Instant::now(), ending.ends);
    // All of them first: they end beside each other.
    ending.workers.iter().for_each(Worker::ask_to_end);
    apart(ending, move |worker| {
        let pid = worker.pid();
        worker.await_end(|| ends.latest(asked));
        drop(worker);
        quietly(|| tracing::debug!(target: "offload", pool, pid, reason, "a worker has ended"));
    });
}

/// Calls `end` for each, on a thread of its own: it waits for them, and tells a subscriber.
pub(super) fn apart(mut ending: Ending, end: impl Fn(Worker) + Send + 'static) {
    if ending.workers.is_empty() {
        return;
    }
    let all = move || {
        abort_on_panic("the thread that ends workers", || {
            mem::take(&mut ending.workers).into_iter().for_each(end);
        });
    };
    // Without a thread, they are dropped with the closure, and so killed.
    let _ = thread::Builder::new().name("offload-retire".into()).spawn(all);
}

/// Wakes who waits for workers.
pub(super) fn wake(wakers: Vec<(u64, Waker)>) {
    for (_, waker) in wakers {
        quietly(|| waker.wake());
    }
}
