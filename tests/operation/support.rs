//! What the tests have in common: bodies that wait until they are let go.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long a test waits for something before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

/// A call on the heap, polled once, so that it is on its way.
pub(crate) fn begin<F: Future>(call: F) -> Pin<Box<F>> {
    let mut call = Box::pin(call);
    assert!(poll(&mut call).is_pending(), "it has its answer already");
    call
}

/// Polls without being woken.
pub(crate) fn poll<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Looks again and again until something is so that nothing reports.
pub(crate) fn settle(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::yield_now();
    }
}

/// The numbers of one function.
pub(crate) fn numbers(name: &str) -> offload_runtime::FunctionStats {
    let all = offload_runtime::stats().functions;
    all.into_iter().find(|function| function.name == name).expect("it was called")
}

/// The numbers of one pool.
pub(crate) fn pool(name: &str) -> offload_runtime::PoolStats {
    let all = offload_runtime::stats().pools;
    all.into_iter().find(|pool| pool.name == name).expect("it was used")
}
