//! Bodies and results that are large: they are put on the heap at once, since each function that
//! passes a value on may have a copy of it on its stack, and without optimization all do.

use std::any::Any;
use std::mem::size_of;

/// What is larger, in bytes, is large: the stack of a pool's thread has room for hundreds of these.
const LARGE: usize = 4096;

pub(crate) const fn is_large<T>() -> bool {
    size_of::<T>() > LARGE
}

/// Puts a body on the heap, where it stays when it is called: of a type that is not known, it is not
/// moved to the stack before.
pub(crate) fn to_heap<F, T>(body: F) -> Box<dyn FnOnce() -> T + Send>
where
    F: FnOnce() -> T + Send + 'static,
{
    Box::new(body)
}

/// Where a caller gets a result.
pub(crate) enum Place<T> {
    Small(Option<T>),
    Large(Option<Box<T>>),
}

impl<T: 'static> Place<T> {
    pub(crate) fn new() -> Place<T> {
        match is_large::<T>() {
            true => Place::Large(None),
            false => Place::Small(None),
        }
    }

    /// An `Option` of what the task has.
    pub(crate) fn as_any(&mut self) -> &mut dyn Any {
        match self {
            Place::Small(result) => result,
            Place::Large(result) => result,
        }
    }

    pub(crate) fn result(self) -> Option<T> {
        match self {
            Place::Small(result) => result,
            Place::Large(result) => result.map(|result| *result),
        }
    }
}
