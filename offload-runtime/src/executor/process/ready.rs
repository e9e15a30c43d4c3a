//! Waits until the workers that are kept ready are there.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use super::workers::Workers;
use crate::sync::foreign::drop_quietly;

/// See the [module](self). The error says why they are not there.
pub(super) struct Ready {
    workers: &'static Workers,
    /// What tells it from others.
    number: u64,
}

/// Why workers are not ready.
pub(super) enum NotThere {
    /// Their pool is closed, or the process shuts down.
    Closed,
    /// The reason.
    Unavailable(String),
}

impl Ready {
    pub(super) fn new(workers: &'static Workers) -> Ready {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Ready { workers, number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Future for Ready {
    type Output = Result<(), NotThere>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A waker is foreign code: cloned and dropped while nothing is locked.
        let waker = cx.waker().clone();
        let mut state = self.workers.lock();
        if state.is_closed {
            return Poll::Ready(Err(NotThere::Closed));
        }
        self.workers.note_threads(&mut state);
        let before = state.leave(self.number);
        state.until_ready.push((self.number, waker));
        let result = if state.alive >= state.enough() {
            Some(Ok(()))
        } else {
            self.workers.tend(&mut state);
            let is_hopeless = state.starts.under_way == 0;
            let reason = || NotThere::Unavailable(state.starts.last_reason().to_owned());
            is_hopeless.then(|| Err(reason()))
        };
        let own = if result.is_some() { state.leave(self.number) } else { None };
        drop(state);
        drop((before, own));
        result.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let own = self.workers.lock().leave(self.number);
        drop_quietly(own);
    }
}
