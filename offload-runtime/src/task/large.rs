//! Large bodies and results are moved to the heap early: in an unoptimized build each function that
//! passes a value on has a copy of it on its stack.

use std::any::Any;
use std::mem::size_of;

/// A value of more bytes is large. A stack of 2 MiB has room for hundreds of values of this size.
const LARGE: usize = 4096;

pub(crate) const fn is_large<T>() -> bool {
    size_of::<T>() > LARGE
}

/// Moves a body to the heap, where it stays when it is called: a `Box<dyn FnOnce>` is called in
/// place, and not moved to the stack before.
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
