//! The task on a runtime that is probed, and tells how late it was polled and
//! by which thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

use super::record::Record;
use super::thread::number;
use crate::system::abort::Unpoisoned;

/// What the watching thread and the task share.
pub(super) struct Probe {
    metrics: RuntimeMetrics,
    record: Arc<Record>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The task was spawned.
    begun: bool,
    /// When it was probed, if it has not been polled since.
    asked: Option<Instant>,
    waker: Option<Waker>,
    /// The runtime, or the task, has ended.
    gone: bool,
    /// It is to end.
    over: bool,
    threads: Vec<Indexed>,
}

/// A thread that polled something of ours, so a worker of the runtime.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) thread: ThreadId,
    pub(super) name: String,
    /// The system's number of it, where that is known.
    pub(super) number: Option<u32>,
}

struct Indexed {
    worker: Worker,
    /// Which of the runtime's workers it can be; one, when it is known.
    maybe: Vec<usize>,
}

impl Probe {
    pub(super) fn new(metrics: RuntimeMetrics, record: Arc<Record>) -> Probe {
        Probe { metrics, record, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Spawns the task, if that was not done.
    pub(super) fn begin(self: &Arc<Probe>, runtime: &Handle) {
        let mut state = self.lock();
        if state.begun {
            return;
        }
        (state.begun, state.asked) = (true, Some(Instant::now()));
        drop(state);
        drop(runtime.spawn(Task(Arc::clone(self))));
    }

    /// Wakes the task, if it has answered. Otherwise: how long it has not.
    pub(super) fn probe(&self, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        if let Some(asked) = state.asked {
            return Some(now.saturating_duration_since(asked));
        }
        // It is there as soon as the task was polled.
        let waker = state.waker.take()?;
        state.asked = Some(Instant::now());
        drop(state);
        waker.wake();
        None
    }

    /// Ends the task.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// The workers that are awake: one that is parked has an odd count.
    pub(super) fn awake(&self) -> Vec<usize> {
        let parked = |worker: &usize| self.metrics.worker_park_unpark_count(*worker) % 2 == 1;
        (0..self.metrics.num_workers()).filter(|worker| !parked(worker)).collect()
    }

    /// This thread is a worker of the runtime, one of those that are awake.
    /// Whether it is known now which.
    pub(super) fn note(&self) -> bool {
        let thread = thread::current().id();
        let mut state = self.lock();
        let place = state.threads.iter().position(|indexed| indexed.worker.thread == thread);
        let mut awake = self.awake();
        let place = place.unwrap_or_else(|| {
            let name = thread::current().name().unwrap_or("a thread without a name").to_owned();
            let worker = Worker { thread, name, number: number() };
            state.threads.push(Indexed { worker, maybe: awake.clone() });
            state.threads.len() - 1
        });
        // Two threads are not the same worker, unless one has left its place to
        // the other: `block_in_place` does that.
        let known = |indexed: &Indexed| match indexed.maybe[..] {
            [one] if indexed.worker.thread != thread => Some(one),
            _ => None,
        };
        let others: Vec<usize> = state.threads.iter().filter_map(known).collect();
        if awake.iter().any(|worker| !others.contains(worker)) {
            awake.retain(|worker| !others.contains(worker));
        }
        let maybe = &mut state.threads[place].maybe;
        if maybe.iter().any(|worker| awake.contains(worker)) {
            maybe.retain(|worker| awake.contains(worker));
        } else {
            *maybe = awake;
        }
        let [worker] = maybe[..] else { return false };
        for (n, indexed) in state.threads.iter_mut().enumerate() {
            if n != place {
                indexed.maybe.retain(|other| *other != worker);
            }
        }
        true
    }

    /// Whether it is known of each worker which thread it is.
    pub(super) fn knows_all(&self) -> bool {
        let state = self.lock();
        let known = state.threads.iter().filter(|indexed| indexed.maybe.len() == 1);
        known.count() >= self.metrics.num_workers()
    }

    /// The threads that can be this worker; and whether it is known which, so that there is one.
    pub(super) fn threads_of(&self, worker: usize) -> (Vec<Worker>, bool) {
        let state = self.lock();
        let can = state.threads.iter().filter(|indexed| indexed.maybe.contains(&worker));
        let known = can.clone().find(|indexed| indexed.maybe.len() == 1);
        match known {
            Some(known) => (vec![known.worker.clone()], true),
            None => (can.map(|indexed| indexed.worker.clone()).collect(), false),
        }
    }
}

struct Task(Arc<Probe>);

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (now, waker) = (Instant::now(), cx.waker().clone());
        let mut state = self.0.lock();
        if state.over {
            return Poll::Ready(());
        }
        let asked = state.asked.take();
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        if let Some(asked) = asked {
            self.0.record.answered(now, now.saturating_duration_since(asked));
        }
        self.0.note();
        Poll::Pending
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}
