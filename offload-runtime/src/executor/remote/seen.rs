//! What was seen of a pool at the broker, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::executor::Remote;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Workers that have said lately that they are there.
    pub(super) workers: AtomicU64,
    /// Messages in the stream, at the last look.
    pub(super) messages: AtomicU64,
    /// How old the first of them was, in milliseconds.
    pub(super) oldest: AtomicU64,
    /// Calls that were given to another worker, since the first was lost.
    pub(super) again: AtomicU64,
    /// Answers that nobody waited for.
    pub(super) unawaited: AtomicU64,
}

impl Seen {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn numbers(&self) -> Remote {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Remote {
            workers: read(&self.workers),
            messages: read(&self.messages),
            oldest: Duration::from_millis(read(&self.oldest)),
            again: read(&self.again),
            unawaited: read(&self.unawaited),
        }
    }
}
