//! What was seen of a pool at the broker, in numbers: by a program that calls, by one that works, or by one that
//! does both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::queue::Queue;
use crate::executor::Remote;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Workers that have said lately that they are there.
    pub(super) workers: AtomicU64,
    /// Messages in the stream, at the last look.
    messages: AtomicU64,
    /// How old the first of them was, in milliseconds.
    oldest: AtomicU64,
    /// Calls that were given to another worker, since the first was lost; in a worker, such as it got.
    pub(super) again: AtomicU64,
    /// Answers that nobody waited for.
    pub(super) unawaited: AtomicU64,
    /// Calls that are here, to be served.
    pub(super) serving: AtomicU64,
    /// Calls that may be served at the same time.
    pub(super) slots: AtomicU64,
    /// Somebody has read the numbers since this was asked the last time.
    is_read: AtomicBool,
}

impl Seen {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The numbers, for somebody who wants to know them.
    pub(super) fn numbers(&self) -> Remote {
        self.is_read.store(true, Ordering::Relaxed);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Remote {
            workers: read(&self.workers),
            messages: read(&self.messages),
            oldest: Duration::from_millis(read(&self.oldest)),
            again: read(&self.again),
            unawaited: read(&self.unawaited),
            serving: read(&self.serving),
            slots: read(&self.slots),
        }
    }

    /// Whether somebody has read them since this was asked the last time.
    pub(super) fn was_read(&self) -> bool {
        self.is_read.swap(false, Ordering::Relaxed)
    }

    /// Asks the server what waits.
    pub(super) fn look_into(self: &Arc<Seen>, queue: &Queue) {
        if !queue.link.is_connected() {
            return;
        }
        let (seen, asked) = (Arc::clone(self), queue.clone());
        queue.link.spawn(async move {
            if let Some((messages, oldest)) = asked.waiting().await {
                seen.messages.store(messages, Ordering::Relaxed);
                let oldest = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
                seen.oldest.store(oldest, Ordering::Relaxed);
            }
        });
    }
}
