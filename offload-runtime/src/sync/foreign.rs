//! How code that is not ours is called where it must not unwind into ours: destructors,
//! wakers, subscribers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Drops a value that nobody waits for. The panic hook has reported a panic by then.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Calls foreign code. Returns whether it came back without a panic.
pub(crate) fn quietly(call: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { return true };
    drop_payload(payload);
    false
}

/// Drops what a panic left. Its own destructor may panic too; that one's payload is leaked.
pub(crate) fn drop_payload(payload: Payload) {
    if let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(last);
    }
}
