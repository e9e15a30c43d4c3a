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

/// Runs a loop of ours that no panic may end in silence: who waits for it would wait for
/// ever. A panic in it is a bug of this crate, and ends the process with its message.
pub(crate) fn abort_on_panic<T>(what: &str, run: impl FnOnce() -> T) -> T {
    struct Abort<'a>(&'a str);

    impl Drop for Abort<'_> {
        fn drop(&mut self) {
            eprintln!("offload-runtime: {} panicked, which is a bug of it; aborting", self.0);
            std::process::abort();
        }
    }

    let abort = Abort(what);
    let result = run();
    std::mem::forget(abort);
    result
}
