//! What a call came to, and how it is dropped if nobody takes it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind};
use crate::function::{Function, count};

/// A payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Why there is no result.
pub(crate) enum Failure {
    Panic(Payload),
    /// The body was not started.
    Refusal(Error),
}

/// What a call came to. Nobody may be left to take it, so it is dropped with
/// care: a destructor that panics must not take the pool's thread down.
pub(crate) struct Outcome<T> {
    pub(crate) function: &'static Function,
    /// That of the caller: a destructor may need it, say to spawn.
    pub(crate) runtime: Option<Handle>,
    pub(crate) result: Option<Result<T, Failure>>,
}

impl<T> Outcome<T> {
    pub(crate) fn into_result(mut self) -> Result<T, Failure> {
        self.result.take().expect("taken once")
    }

    pub(crate) fn take_runtime(&mut self) -> Option<Handle> {
        self.runtime.take()
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let Some(result) = self.result.take() else {
            return;
        };
        let counts = &self.function.counts;
        match &result {
            // Counted when it was made.
            Err(Failure::Refusal(error)) if error.kind() == ErrorKind::TimedOut => {}
            Err(Failure::Refusal(_)) => count(&counts.cancelled),
            _ if self.function.is_detached() => {}
            _ => count(&counts.abandoned),
        }
        let _runtime = self.runtime.as_ref().map(|runtime| runtime.enter());
        drop_quietly(result);
    }
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
