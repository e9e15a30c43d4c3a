//! What the rest is built from, and what knows nothing of calls: primitives, a queue, a
//! semaphore, a timer, histograms, and how foreign code is called.
//!
//! The primitives are std's, crossbeam's and smol's, or loom's where the models run
//! (`--cfg offload_loom`). Only code that the models check takes them from here.

pub(crate) mod foreign;
pub(crate) mod histogram;
mod line;
pub(crate) mod outer;
pub(crate) mod queue;
pub(crate) mod ring;
pub(crate) mod semaphore;
pub(crate) mod timer;
pub(crate) mod waker;

#[cfg(not(offload_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use std::thread::{Thread, current, park, park_timeout, yield_now};

    pub(crate) use atomic_waker::AtomicWaker;
    pub(crate) use crossbeam_queue::{ArrayQueue, SegQueue};
}

#[cfg(offload_loom)]
mod imp {
    use std::task::Waker;

    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use loom::thread::{Thread, current, park, yield_now};

    pub(crate) use super::queue::stand_in::SegQueue;
    pub(crate) use super::ring::stand_in::ArrayQueue;

    /// What stands for the real one: the waker under a lock.
    #[derive(Debug)]
    pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(crate) fn new() -> AtomicWaker {
            AtomicWaker(Mutex::new(None))
        }

        pub(crate) fn register(&self, waker: &Waker) {
            *self.0.lock().unwrap() = Some(waker.clone());
        }

        pub(crate) fn take(&self) -> Option<Waker> {
            self.0.lock().unwrap().take()
        }
    }

    pub(crate) fn park_timeout(_: std::time::Duration) {
        unreachable!("loom knows no time: its models retire no thread")
    }
}

pub(crate) use imp::*;

/// How models are run.
#[cfg(all(test, offload_loom))]
pub(crate) mod model {
    /// With every order of steps in which a thread loses its core so often, though it could go on.
    pub(crate) fn check(bound: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(bound);
        builder.check(model);
    }
}

use std::cell::Cell;

use crate::system::abort::Unpoisoned;

/// What tells this thread from most others that run at the same time: the threads are numbered as they come.
/// Who spreads what all count over several cache lines takes the line from it.
pub(crate) fn thread_number() -> usize {
    // Loom has no statics, and need not see this one.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

/// Locks. No foreign code runs while it is held.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unpoisoned()
}
