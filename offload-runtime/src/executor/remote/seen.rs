//! What was seen of a pool at the broker, in numbers: by a program that calls, by one that works, or by one that
//! does both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::known_workers::SAY_SO;
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
    /// Calls that were given to another worker, since the first was lost; in a worker, such as it got from other programs.
    pub(super) again: AtomicU64,
    /// The name under which this program makes calls, if it makes any.
    caller: OnceLock<String>,
    /// Answers that nobody waited for.
    pub(super) unawaited: AtomicU64,
    /// Calls that are here, to be served.
    serving: AtomicU64,
    /// Calls that may be served at the same time.
    slots: AtomicU64,
    /// How often somebody has read the numbers.
    reads: AtomicU64,
}

impl Seen {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the name under which this program makes calls.
    pub(super) fn set_caller(&self, name: &str) {
        // It has one for as long as it runs.
        let _ = self.caller.set(name.to_owned());
    }

    /// Whether this caller is this program, which then has counted the redelivery already.
    pub(super) fn is_own(&self, caller: &str) -> bool {
        self.caller.get().is_some_and(|own| own == caller)
    }

    /// The numbers, for somebody who wants to know them.
    pub(super) fn numbers(&self) -> Remote {
        Seen::count(&self.reads);
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

    /// Asks the server how many calls are queued.
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

/// A worker's part of a number that all of them in this process have together. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Part {
    seen: Arc<Seen>,
    of: fn(&Seen) -> &AtomicU64,
    count: u64,
}

impl Part {
    /// A call that is here, to be served.
    pub(super) fn of_serving(seen: &Arc<Seen>) -> Part {
        Part::new(seen, |seen| &seen.serving, 1)
    }

    /// So many calls may be served at the same time.
    pub(super) fn of_slots(seen: &Arc<Seen>, count: usize) -> Part {
        Part::new(seen, |seen| &seen.slots, count as u64)
    }

    fn new(seen: &Arc<Seen>, of: fn(&Seen) -> &AtomicU64, count: u64) -> Part {
        of(seen).fetch_add(count, Ordering::Relaxed);
        Part { seen: Arc::clone(seen), of, count }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        (self.of)(&self.seen).fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// So long after the numbers were read somebody may come again. Who comes every now and then finds numbers.
const READER: Duration = Duration::from_secs(60);

/// Whether somebody reads the numbers, for one that looks into them once in [`SAY_SO`].
#[derive(Debug, Default)]
pub(super) struct Readers {
    reads: u64,
    in_vain: Option<u32>,
}

impl Readers {
    /// Asked once at each look.
    pub(super) fn are_there(&mut self, seen: &Seen) -> bool {
        let reads = seen.reads.load(Ordering::Relaxed);
        let was_read = std::mem::replace(&mut self.reads, reads) != reads;
        let in_vain =
            if was_read { Some(0) } else { self.in_vain.map(|looks| looks.saturating_add(1)) };
        self.in_vain = in_vain.filter(|looks| SAY_SO * *looks <= READER);
        self.in_vain.is_some()
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn readers_are_there_for_a_minute_after_they_have_read_for_each_that_asks() {
        let seen = Seen::default();
        let (mut one, mut other) = (Readers::default(), Readers::default());
        assert!(!one.are_there(&seen));
        seen.numbers();
        for _ in 0..=12 {
            assert!(one.are_there(&seen));
        }
        assert!(!one.are_there(&seen));
        assert!(other.are_there(&seen));
        seen.numbers();
        assert!(one.are_there(&seen));
    }

    #[test]
    fn workers_of_one_process_count_their_calls_and_slots_together_and_give_them_back() {
        let seen = Arc::default();
        let slots = [Part::of_slots(&seen, 4), Part::of_slots(&seen, 3)];
        let [one, other] = [Part::of_serving(&seen), Part::of_serving(&seen)];
        assert_eq!((seen.numbers().serving, seen.numbers().slots), (2, 7));
        drop(one);
        assert_eq!(seen.numbers().serving, 1);
        drop((other, slots));
        assert_eq!((seen.numbers().serving, seen.numbers().slots), (0, 0));
    }
}
