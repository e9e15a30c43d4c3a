//! A queue without a lock that has room for so many, and of which the side that takes says when the
//! other goes on: not at each item, but when half of the room is free.

use crossbeam_queue::ArrayQueue;

use super::{Ordering, fence};

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

    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Whether half of the room is free. Who has said before that it waits, or taken an item before,
    /// and asks this, sees what the other side did before that asked: at least one of them sees that
    /// the other is to be woken.
    pub(crate) fn is_half_free(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.len() <= self.0.capacity() / 2
    }
}
