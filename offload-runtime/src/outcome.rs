//! Why a call has no result, and how what nobody takes is dropped: a destructor
//! that panics must not take the pool's thread down.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

/// A payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Why there is no result.
pub(crate) enum Failure {
    Panic(Payload),
    /// The body was not started.
    Refusal(Error),
}

/// Drops what nobody waits for. The panic hook has reported a panic by then.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Calls foreign code that must not unwind into ours.
pub(crate) fn quietly(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // The payload's own destructor may panic too; that one's is leaked.
        if let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(last);
        }
    }
}
