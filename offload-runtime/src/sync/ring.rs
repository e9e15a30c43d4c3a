//! A queue without a lock that has room for so many, and of which the side that takes says when the
//! other goes on: not at each item, but when half of the room is free.

use super::{ArrayQueue, Ordering, fence};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Ring<T>(ArrayQueue<T>);

impl<T> Ring<T> {
    /// With room for so many, at least one.
    pub(crate) fn new(room: usize) -> Ring<T> {
        Ring(ArrayQueue::new(room.max(1)))
    }

    /// The item itself, if there is no room.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        self.0.push(item)
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Whether at least half of the capacity is free. Each side publishes its own change first (that it
    /// waits, or that an item was taken): with the fence, one of them sees the other's, and no wake-up is lost.
    pub(crate) fn is_half_free(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.len() <= self.0.capacity() / 2
    }
}

/// What stands for it in models, as that of the [queue](super::queue): the items under a lock, and
/// how many there are in an atomic of its own.
#[cfg(offload_loom)]
pub(crate) mod stand_in {
    use std::collections::VecDeque;

    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    pub(crate) struct ArrayQueue<T> {
        items: Mutex<VecDeque<T>>,
        length: AtomicUsize,
        room: usize,
    }

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(room: usize) -> ArrayQueue<T> {
            let items = Mutex::new(VecDeque::new());
            ArrayQueue { items, length: AtomicUsize::new(0), room }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().unwrap();
            if items.len() == self.room {
                return Err(item);
            }
            items.push_back(item);
            self.length.store(items.len(), Ordering::Release);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut items = self.items.lock().unwrap();
            let item = items.pop_front();
            self.length.store(items.len(), Ordering::Release);
            item
        }

        pub(crate) fn is_full(&self) -> bool {
            self.len() == self.room
        }

        pub(crate) fn len(&self) -> usize {
            self.length.load(Ordering::Acquire)
        }

        pub(crate) fn capacity(&self) -> usize {
            self.room
        }
    }
}
