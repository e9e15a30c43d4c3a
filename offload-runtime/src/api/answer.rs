//! What an offloaded function gives where it is called: the future of the call, or what may become
//! one.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::call::made::Made;
use crate::call::started::Started;
use crate::error::Error;
use crate::function::Function;

/// The future of a call whose bounds were asked for where it was made: its own
/// `Future` needs none.
#[must_use = "a call does nothing unless it is awaited"]
pub struct Answer<T> {
    call: Made<T>,
    poll: PollFn<T>,
}

/// `Made::poll`, taken where its bounds are known to be met.
type PollFn<T> = fn(&mut Made<T>, &mut Context<'_>) -> Poll<T>;

impl<T: Send + 'static> Answer<T> {
    pub(super) fn new(call: Made<T>) -> Answer<T> {
        Answer { call, poll: Made::poll }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        (self.poll)(&mut self.call, cx)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// A body and its arguments, of a function that may be awaited or started. What it becomes was
/// chosen where the bounds are known to be met.
pub struct Job<F, T> {
    function: &'static Function,
    fail: Option<fn(Error) -> T>,
    body: F,
    call: Awaits<F, T>,
    start: Starts<F, T>,
}

/// `Returned::call`
type Awaits<F, T> = fn(&'static Function, Option<fn(Error) -> T>, F) -> Answer<T>;

/// `started::start`
type Starts<F, T> = fn(&'static Function, F) -> Started<T>;

impl<F, T> Job<F, T> {
    pub(super) fn new(
        function: &'static Function,
        fail: Option<fn(Error) -> T>,
        body: F,
        call: Awaits<F, T>,
        start: Starts<F, T>,
    ) -> Job<F, T> {
        Job { function, fail, body, call, start }
    }

    /// Is awaited by the one who calls.
    pub fn call(self) -> Answer<T> {
        (self.call)(self.function, self.fail, self.body)
    }

    /// What is made is started at once. A copy that panics while it is made is in the handle: what
    /// starts a call does not panic.
    pub fn start(function: &'static str, make: impl FnOnce() -> Job<F, T>) -> Started<T> {
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(job) => (job.start)(job.function, job.body),
            Err(payload) => Started::rejected(Error::panicked_before(function, payload)),
        }
    }
}

impl<F, T> fmt::Debug for Job<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("function", &self.function.name()).finish_non_exhaustive()
    }
}
