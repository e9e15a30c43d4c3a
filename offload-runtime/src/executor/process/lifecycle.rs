//! What becomes of workers, as it is told through `tracing`: an event of the target `offload` for each
//! start, end, kill and recycling, with the pool, the process and the reason. And the end of those that
//! are not needed.
//!
//! A subscriber is foreign code: nothing is locked here, and one that panics costs nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::{mem, thread};

use super::worker::{Dead, Worker};
use crate::sync::foreign::quietly;

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

/// Workers that end by themselves, or have and are not reaped yet. Until that is done, they are one that `count` counts.
pub(super) struct Ending {
    workers: Vec<Worker>,
    count: &'static AtomicUsize,
}

impl Ending {
    pub(super) fn new(workers: Vec<Worker>, count: &'static AtomicUsize) -> Ending {
        count.fetch_add(1, Ordering::AcqRel);
        Ending { workers, count }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Killed, if they were not let end.
        self.workers.clear();
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets workers end by themselves, where nobody waits for that.
pub(super) fn retire(pool: &'static str, ending: Ending, reason: &'static str) {
    apart(ending, move |worker| {
        let pid = worker.pid();
        worker.retire();
        quietly(|| tracing::debug!(target: "offload", pool, pid, reason, "a worker has ended"));
    });
}

/// Calls `end` for each, on a thread of its own: it waits for them, and tells a subscriber.
pub(super) fn apart(mut ending: Ending, end: impl Fn(Worker) + Send + 'static) {
    if ending.workers.is_empty() {
        return;
    }
    let all = move || mem::take(&mut ending.workers).into_iter().for_each(end);
    // Without a thread, they are dropped with the closure, and so killed.
    let _ = thread::Builder::new().name("offload-retire".into()).spawn(all);
}

/// Wakes who waits for workers.
pub(super) fn wake(wakers: Vec<(u64, Waker)>) {
    for (_, waker) in wakers {
        quietly(|| waker.wake());
    }
}
