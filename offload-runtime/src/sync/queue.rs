//! A queue without a lock: first in, first out, with a second entrance for what goes ahead.

use super::SegQueue;

/// See the [module](self). What was put in at the front leaves in the order in which it was
/// put there, before all that was put in at the back.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    front: SegQueue<T>,
    back: SegQueue<T>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue { front: SegQueue::new(), back: SegQueue::new() }
    }

    pub(crate) fn push(&self, item: T) {
        self.back.push(item);
    }

    /// Ahead of what was [pushed](Self::push).
    pub(crate) fn push_front(&self, item: T) {
        self.front.push(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        // To ask whether it is empty is a read; to take from an empty one is not.
        let first = if self.front.is_empty() { None } else { self.front.pop() };
        first.or_else(|| self.back.pop())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.back.is_empty()
    }

    /// How many there were at some moment during the call.
    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }
}

/// What stands for the queue in models, since loom does not see into the real one: the
/// items under a lock, and how many there are in an atomic of its own, whose orderings are the weakest
/// that a queue can have: what the models prove depends on fences of ours, and not on the real one's.
#[cfg(offload_loom)]
pub(crate) mod stand_in {
    use std::collections::VecDeque;

    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    pub(crate) struct SegQueue<T> {
        items: Mutex<VecDeque<T>>,
        length: AtomicUsize,
    }

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> SegQueue<T> {
            SegQueue { items: Mutex::new(VecDeque::new()), length: AtomicUsize::new(0) }
        }

        pub(crate) fn push(&self, item: T) {
            let mut items = self.items.lock().unwrap();
            items.push_back(item);
            self.length.store(items.len(), Ordering::Release);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            // Like the real queue: finding it empty orders nothing, as taking the lock would.
            if self.is_empty() {
                return None;
            }
            let mut items = self.items.lock().unwrap();
            let item = items.pop_front();
            self.length.store(items.len(), Ordering::Release);
            item
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            self.length.load(Ordering::Acquire)
        }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_goes_ahead_keeps_its_order_too() {
        let queue = Queue::new();
        queue.push(3);
        queue.push_front(1);
        queue.push(4);
        queue.push_front(2);
        assert_eq!((queue.len(), queue.is_empty()), (4, false));
        assert!(std::iter::from_fn(|| queue.pop()).eq([1, 2, 3, 4]));
        assert!(queue.is_empty());
    }
}
