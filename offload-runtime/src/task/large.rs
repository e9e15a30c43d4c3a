//! Large bodies and results, and iterators of streams, are moved to the heap early: in an unoptimized build each function that
//! passes a value on has a copy of it on its stack.

use std::any::Any;
use std::mem::size_of;
use std::task::{Poll, ready};

/// A value of more bytes is large. A stack of 2 MiB has room for hundreds of values of this size.
const LARGE: usize = 4096;

pub(crate) const fn is_large<T>() -> bool {
    size_of::<T>() > LARGE
}

/// A body on the heap, where it stays when it is called: a `Box<dyn FnOnce>` is called in place, and not moved to the
/// stack before.
pub(crate) type Boxed<T> = Box<dyn FnOnce() -> T + Send>;

/// Polls a call, and makes its answer.
///
/// `poll` is given an empty `Option<T>`, or `Option<Box<T>>` where `T` is large. When the call has ended it either puts the result
/// there and returns `None`, of which `give` makes the answer; or it returns why there is no result, and `fail` does.
pub(crate) fn poll_result<T: 'static, X, R>(
    poll: impl FnOnce(&mut dyn Any) -> Poll<Option<X>>,
    give: fn(T) -> R,
    fail: impl FnOnce(X) -> R,
) -> Poll<R> {
    // Two functions: in an unoptimized build each way through a function has a copy on its stack.
    if const { is_large::<T>() } {
        poll_large(poll, give, fail)
    } else {
        poll_small(poll, give, fail)
    }
}

fn poll_small<T: 'static, X, R>(
    poll: impl FnOnce(&mut dyn Any) -> Poll<Option<X>>,
    give: fn(T) -> R,
    fail: impl FnOnce(X) -> R,
) -> Poll<R> {
    let mut result = None::<T>;
    Poll::Ready(match ready!(poll(&mut result)) {
        None => give(result.unwrap_or_else(|| ended_without())),
        Some(failure) => fail(failure),
    })
}

fn poll_large<T: 'static, X, R>(
    poll: impl FnOnce(&mut dyn Any) -> Poll<Option<X>>,
    give: fn(T) -> R,
    fail: impl FnOnce(X) -> R,
) -> Poll<R> {
    let mut result = None::<Box<T>>;
    Poll::Ready(match ready!(poll(&mut result)) {
        None => give(*result.unwrap_or_else(|| ended_without())),
        Some(failure) => fail(failure),
    })
}

pub(crate) fn ended_without() -> ! {
    unreachable!("a call that ended has a result, or says why not")
}
