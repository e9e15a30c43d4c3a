//! How code that is not ours is called where it must not unwind into ours: destructors,
//! wakers, subscribers.

use std::any::Any;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Drops a value that nobody waits for. The panic hook has reported a panic by then.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Calls foreign code. Returns whether it came back without a panic.
pub(crate) fn quietly(call: impl FnOnce()) -> bool {
    panic_of(call).map(drop_payload).is_none()
}

/// A value that is dropped quietly. Where a panic unwinds, the panic of a destructor would be the end
/// of the process.
pub(crate) struct Quiet<T>(Option<T>);

impl<T> Quiet<T> {
    pub(crate) fn new(value: T) -> Quiet<T> {
        Quiet(Some(value))
    }

    /// It is not here any more.
    pub(crate) fn take(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Deref for Quiet<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is taken")
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}

/// Calls foreign code. Returns the payload of a panic.
pub(crate) fn panic_of(call: impl FnOnce()) -> Option<Payload> {
    // Unwind safety: the payload goes to the caller, who unwinds on, so nobody sees what was left half
    // done, unless it was shared.
    catch_unwind(AssertUnwindSafe(call)).err()
}

/// Unwinds by the first of these panics, if there are any.
pub(crate) fn resume_first(panics: [Option<Payload>; 2]) {
    let mut panics = panics.into_iter().flatten();
    if let Some(first) = panics.next() {
        panics.for_each(drop_payload);
        resume_unwind(first);
    }
}

/// What a panic says, if that is text.
pub(crate) fn text_of(payload: &Payload) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "with a payload that is no text",
    }
}

/// Drops what a panic left. Its own destructor may panic too; that one's payload is leaked.
pub(crate) fn drop_payload(payload: Payload) {
    if let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(last);
    }
}
