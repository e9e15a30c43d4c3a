//! How many calls of an executor were taken and have not ended, for who waits until there are none.
//!
//! # The protocol
//!
//! Who hands a call over counts it as taken, and who ends it as ended. Both numbers only grow. They are
//! spread over cache lines, of which each thread uses one: so a thread hardly ever waits for another's.
//!
//! *No call is missed.* Who closes an executor says so first, and then asks here; who hands a call over counts it
//! first, and then looks whether the executor is closed. All of that has one order (`SeqCst`, which costs nothing more
//! where it is a change of a number): so the call is rejected, or who closes the executor waits for its end.
//!
//! *None is missed that a body makes.* Who asks reads first what has ended, and then what was taken. A call was
//! taken before it ended, and whoever sees its end sees that, too: so the difference is never too small. If it is 0,
//! there was a moment at which no call was under way; and since a body that makes a call has not ended by
//! then, from that moment on only code outside of all bodies can make another.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering, thread_number};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// Their number is a power of two.
    lines: Box<[CachePadded<Counted>]>,
}

#[derive(Debug, Default)]
struct Counted {
    taken: AtomicU64,
    ended: AtomicU64,
}

impl UnderWay {
    /// For some threads for each core: those that call, and those that run bodies.
    pub(crate) fn new(cores: usize) -> UnderWay {
        UnderWay {
            lines: (0..(4 * cores).next_power_of_two()).map(|_| CachePadded::default()).collect(),
        }
    }

    /// The line of this thread.
    fn own(&self) -> &Counted {
        &self.lines[thread_number() & (self.lines.len() - 1)]
    }

    /// A call is about to be handed over on this thread.
    pub(super) fn take(&self) {
        self.own().take();
    }

    /// A call has ended on this thread.
    pub(super) fn end(&self) {
        self.own().end();
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        count(|| [self])
    }

    fn taken(&self) -> u64 {
        self.lines.iter().map(|counted| counted.taken.load(Ordering::SeqCst)).sum()
    }

    fn ended(&self) -> u64 {
        self.lines.iter().map(|counted| counted.ended.load(Ordering::Acquire)).sum()
    }
}

impl Counted {
    fn take(&self) {
        self.taken.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Release);
    }
}

/// How many are under way of all of these together. It is asked for them twice, as there may be one more the
/// second time, whose first call was made by a body of another that has ended since.
pub(crate) fn count<'a, I: IntoIterator<Item = &'a UnderWay>>(all: impl Fn() -> I) -> usize {
    let ended: u64 = all().into_iter().map(UnderWay::ended).sum();
    let taken: u64 = all().into_iter().map(UnderWay::taken).sum();
    usize::try_from(taken.saturating_sub(ended)).unwrap_or(usize::MAX)
}

#[cfg(all(test, offload_loom))]
mod models {
    use loom::thread;

    use super::*;
    use crate::sync::queue::Queue;
    use crate::sync::{AtomicBool, fence};

    /// One executor, of which each thread uses a line of its own, by its number.
    fn under_way(threads: usize) -> &'static UnderWay {
        let lines = (0..threads).map(|_| CachePadded::default()).collect();
        Box::leak(Box::new(UnderWay { lines }))
    }

    fn flag() -> &'static AtomicBool {
        Box::leak(Box::new(AtomicBool::new(false)))
    }

    /// A caller hands a call over, whose body hands another over, to a second pool, and ends.
    #[test]
    fn a_call_that_a_body_makes_is_not_missed_by_who_waits_for_the_end_of_all() {
        loom::model(|| {
            let (first, second) = (under_way(2), under_way(2));
            let queue: &'static Queue<()> = Box::leak(Box::new(Queue::new()));
            let all_ended = flag();
            first.lines[0].take();
            let body = thread::spawn(move || {
                second.lines[0].take();
                queue.push(());
                first.lines[1].end();
            });
            let other = thread::spawn(move || {
                if queue.pop().is_some() {
                    all_ended.store(true, Ordering::Relaxed);
                    second.lines[1].end();
                }
            });
            // The last to be started, so that it sees what the others did at any of their steps.
            let looks = thread::spawn(move || {
                if count(|| [first, second]) == 0 {
                    assert!(all_ended.load(Ordering::Relaxed), "one is under way");
                }
            });
            looks.join().unwrap();
            body.join().unwrap();
            other.join().unwrap();
            let left = usize::from(queue.pop().is_some());
            assert_eq!(count(|| [first, second]), left);
        });
    }

    /// By its caller, say, who has cancelled it.
    #[test]
    fn a_call_that_another_thread_ends_is_never_counted_as_less_than_none() {
        loom::model(|| {
            let calls = under_way(2);
            let queue: &'static Queue<()> = Box::leak(Box::new(Queue::new()));
            let caller = thread::spawn(move || {
                calls.lines[0].take();
                queue.push(());
            });
            let ends = thread::spawn(move || {
                if queue.pop().is_some() {
                    calls.lines[1].end();
                }
            });
            let looks = thread::spawn(move || {
                let ended = calls.ended();
                assert!(calls.taken() >= ended);
            });
            [caller, ends, looks].into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    /// The call comes as its pool is closed. Loom does not know that all of `SeqCst` has one order, but of fences: so
    /// they stand here for that.
    #[test]
    fn a_call_is_rejected_or_who_closes_its_pool_waits_for_its_end() {
        loom::model(|| {
            let (calls, closed, ends) = (under_way(1), flag(), flag());
            let caller = thread::spawn(move || {
                calls.lines[0].take();
                fence(Ordering::SeqCst);
                let is_taken = !closed.load(Ordering::SeqCst);
                if is_taken {
                    ends.store(true, Ordering::Relaxed);
                }
                calls.lines[0].end();
                is_taken
            });
            closed.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if calls.count() == 0 {
                // From here on nothing of it runs.
                let has_ended = ends.load(Ordering::Relaxed);
                assert_eq!(caller.join().unwrap(), has_ended);
            } else {
                caller.join().unwrap();
            }
        });
    }
}
