//! What is kept of a body between two of its parts, whatever it makes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::system::abort::Unpoisoned;

/// See the [module](self). `P`: its permits.
pub(crate) struct Kept<P> {
    /// The last part has ended, and the body has not.
    has_rest: AtomicBool,
    permits: Mutex<Option<P>>,
    /// How long the parts have run, in nanoseconds.
    ran: AtomicU64,
}

/// What became of a part that has filled the buffer.
pub(crate) enum Suspended {
    /// The call is suspended, and whoever resumes it has it.
    Left,
    /// There is room again.
    Again,
    /// Nobody awaits it any more.
    Cancelled,
}

impl<P> Default for Kept<P> {
    fn default() -> Kept<P> {
        Kept { has_rest: AtomicBool::new(false), permits: Mutex::new(None), ran: AtomicU64::new(0) }
    }
}

impl<P> Kept<P> {
    pub(crate) fn set_rest(&self, has_rest: bool) {
        self.has_rest.store(has_rest, Ordering::Relaxed);
    }

    pub(crate) fn has_rest(&self) -> bool {
        self.has_rest.load(Ordering::Relaxed)
    }

    /// Keeps what the body has permits for, as long as it is on no thread.
    pub(crate) fn keep(&self, permits: P) {
        *self.permits.lock().unpoisoned() = Some(permits);
    }

    pub(crate) fn take(&self) -> Option<P> {
        self.permits.lock().unpoisoned().take()
    }

    /// How long its parts have run.
    pub(crate) fn ran(&self) -> Duration {
        Duration::from_nanos(self.ran.load(Ordering::Relaxed))
    }

    pub(crate) fn set_ran(&self, ran: Duration) {
        let nanos = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        self.ran.store(nanos, Ordering::Relaxed);
    }

    /// When the body began, as if its parts had run without a pause up to now.
    pub(crate) fn began(&self, now: Instant) -> Instant {
        now.checked_sub(self.ran()).unwrap_or(now)
    }
}
