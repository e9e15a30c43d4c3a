//! One thread of a pool, as the others see it: how it is woken, and how the
//! body that it runs is told that its caller has gone.

use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, Ordering, Thread, current, park, park_timeout};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Seat {
    thread: Thread,
    /// Somebody took this seat off the idle stack and woke its thread.
    called: AtomicBool,
    /// The caller of the body that runs here has gone. Written under the
    /// pool's lock only, so that it is never meant for an earlier body.
    cancelled: AtomicBool,
}

impl Seat {
    /// The calling thread's own.
    pub(crate) fn new() -> Seat {
        Seat {
            thread: current(),
            called: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Ends [`wait`](Self::wait), also one that has not begun.
    pub(crate) fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Parks this seat's thread until it is called; false: it was not, in
    /// `patience`. Bodies may park and unpark their thread as they like: a
    /// token that they leave or take only makes this look once more, since no
    /// body runs here between [`call`](Self::call) and the look.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> bool {
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        loop {
            if self.called.load(Ordering::Acquire) {
                // Nobody else writes: a seat is called once for each time that
                // it was on the idle stack.
                self.called.store(false, Ordering::Relaxed);
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            left.map_or_else(park, park_timeout);
        }
    }

    pub(crate) fn set_cancelled(&self, cancelled: bool) {
        self.cancelled.store(cancelled, Ordering::Release);
    }

    /// Whether the caller of the body that runs here has gone.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}
