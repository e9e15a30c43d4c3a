//! What the tests have in common: bodies that wait until they are let go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

pub(crate) use offload_tests::{PATIENCE, begin, numbers, poll, pool, settle};

/// Holds bodies until it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entered: usize,
    open: bool,
}

impl Gate {
    /// In a body: tells that it runs, and waits until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.entered += 1;
        self.0.changed.notify_all();
        while !state.open {
            state = self.0.changed.wait(state).unwrap();
        }
    }

    /// Waits until so many bodies have come.
    pub(crate) fn wait_for(&self, bodies: usize) {
        let mut state = self.0.state.lock().unwrap();
        while state.entered < bodies {
            let (next, late) = self.0.changed.wait_timeout(state, PATIENCE).unwrap();
            state = next;
            assert!(!late.timed_out(), "{} of {bodies} bodies came", state.entered);
        }
    }

    /// How many bodies have come.
    pub(crate) fn entered(&self) -> usize {
        self.0.state.lock().unwrap().entered
    }

    /// Lets all bodies go on, now and later.
    pub(crate) fn open(&self) {
        self.0.state.lock().unwrap().open = true;
        self.0.changed.notify_all();
    }
}

/// How many bodies run at once, and how many did at most.
#[derive(Debug)]
pub(crate) struct Peak {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Peak {
    /// Nobody yet.
    pub(crate) const fn new() -> Peak {
        Peak { now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    pub(crate) fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let result = body();
        self.now.fetch_sub(1, Ordering::SeqCst);
        result
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}
