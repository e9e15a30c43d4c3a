//! How many calls were taken and have not ended, for who waits until there are none.
//!
//! # The protocol
//!
//! Each thread counts for itself the calls that it hands over and those that it ends, in a cache line of
//! its own: so that costs a call two stores, and no thread waits for another's line. Both numbers only
//! grow.
//!
//! Who asks reads of all threads first what has ended, and then what was taken. A call was taken before
//! it ended, and whoever sees its end sees that, too: so the difference is never too small. If it is 0,
//! there was a moment at which no call was under way; and since a body that makes a call has not ended by
//! then, from that moment on only code outside of all bodies can make another.

use std::sync::Mutex;

use crate::sync::{Apart, AtomicU64, Ordering};
use crate::system::abort::Unpoisoned;

/// What one thread has counted, or several, one after the other.
#[derive(Default)]
struct Counted {
    taken: AtomicU64,
    ended: AtomicU64,
}

/// Of all threads that there are or were.
static ALL: Mutex<Vec<&'static Apart<Counted>>> = Mutex::new(Vec::new());

/// Those that no thread uses.
static FREE: Mutex<Vec<&'static Apart<Counted>>> = Mutex::new(Vec::new());

/// That of this thread. Dropped, it is another's.
struct Own(&'static Apart<Counted>);

thread_local! {
    static OWN: Own = Own::new();
}

impl Own {
    fn new() -> Own {
        if let Some(free) = FREE.lock().unpoisoned().pop() {
            return Own(free);
        }
        let new: &'static Apart<Counted> = Box::leak(Box::default());
        ALL.lock().unpoisoned().push(new);
        Own(new)
    }

    /// Calls this with that of this thread; one that is about to end takes one for a moment.
    fn with(count: fn(&Counted)) {
        if OWN.try_with(|own| count(own.0)).is_err() {
            count(Own::new().0);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        FREE.lock().unpoisoned().push(self.0);
    }
}

impl Counted {
    fn take(&self) {
        // Ordered by what hands the call over, and by its end.
        self.taken.store(self.taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// A call is about to be handed over on this thread.
pub(super) fn take() {
    Own::with(Counted::take);
}

/// A call has ended on this thread.
pub(super) fn end() {
    Own::with(Counted::end);
}

/// How many are under way.
pub(crate) fn count() -> usize {
    // Under the lock: a thread that is not among them yet takes its first call after this.
    difference(&ALL.lock().unpoisoned())
}

fn difference(all: &[&'static Apart<Counted>]) -> usize {
    let ended: u64 = all.iter().map(|counted| counted.ended.load(Ordering::Acquire)).sum();
    let taken: u64 = all.iter().map(|counted| counted.taken.load(Ordering::Relaxed)).sum();
    usize::try_from(taken.saturating_sub(ended)).unwrap_or(usize::MAX)
}

#[cfg(all(test, offload_loom))]
mod models {
    use loom::thread;

    use super::*;
    use crate::sync::AtomicBool;
    use crate::sync::queue::Queue;

    fn counted<const N: usize>() -> [&'static Apart<Counted>; N] {
        std::array::from_fn(|_| -> &'static Apart<Counted> { Box::leak(Box::default()) })
    }

    /// A caller hands a call over, whose body hands another over, to a second pool, and ends.
    #[test]
    fn a_call_that_a_body_makes_is_not_missed_by_who_waits_for_the_end_of_all() {
        loom::model(|| {
            let [caller, first, second] = counted();
            let queue: &'static Queue<()> = Box::leak(Box::new(Queue::new()));
            let all_ended: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
            caller.take();
            let body = thread::spawn(move || {
                first.take();
                queue.push(());
                first.end();
            });
            let other = thread::spawn(move || {
                if queue.pop().is_some() {
                    all_ended.store(true, Ordering::Relaxed);
                    second.end();
                }
            });
            // The last to be started, so that it sees what the others did at any of their steps.
            let looks = thread::spawn(move || {
                if difference(&[caller, first, second]) == 0 {
                    assert!(all_ended.load(Ordering::Relaxed), "one is under way");
                }
            });
            looks.join().unwrap();
            body.join().unwrap();
            other.join().unwrap();
            let left = usize::from(queue.pop().is_some());
            assert_eq!(difference(&[caller, first, second]), left);
        });
    }

    /// By its caller, say, who has cancelled it.
    #[test]
    fn a_call_that_another_thread_ends_is_never_counted_as_less_than_none() {
        loom::model(|| {
            let [caller, worker] = counted();
            let queue: &'static Queue<()> = Box::leak(Box::new(Queue::new()));
            let calls = thread::spawn(move || {
                caller.take();
                queue.push(());
            });
            let ends = thread::spawn(move || {
                if queue.pop().is_some() {
                    worker.end();
                }
            });
            let looks = thread::spawn(move || {
                let ended = worker.ended.load(Ordering::Acquire);
                assert!(caller.taken.load(Ordering::Relaxed) >= ended);
            });
            [calls, ends, looks].into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}
