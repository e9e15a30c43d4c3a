//! The future of one call: from the first poll to the answer, or to the drop.

mod admission;
mod sent;
pub(crate) mod started;

use std::future::Future;
use std::panic::{UnwindSafe, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, mem};

use self::admission::Admitted;
use self::sent::{Sent, count, ended_without, polled_again};
use crate::error::Error;
use crate::function::Function;
use crate::task::{self, Failure};

/// One call of an offloaded function or closure, for awaiting.
///
/// It has no bounds of its own, so that a type that is not `Send` is reported
/// once, where it is written.
#[must_use = "a call does nothing unless it is awaited"]
pub struct Call<F, T> {
    function: &'static Function,
    /// Makes a result of an error, where the result can carry one.
    fail: Option<fn(Error) -> T>,
    state: State<F>,
}

enum State<F> {
    /// Not polled yet.
    Lazy(F),
    /// On its way to a thread and back.
    Sent(Sent),
    /// The answer was given.
    Done,
}

impl<F, T> Call<F, T> {
    /// A call of `function`, whose body with its arguments is `body`.
    pub(crate) fn new(function: &'static Function, body: F) -> Call<F, T> {
        Call { function, fail: None, state: State::Lazy(body) }
    }

    /// As [`new`](Self::new), where the result can carry an error.
    pub(crate) fn fallible(
        function: &'static Function,
        body: F,
        fail: fn(Error) -> T,
    ) -> Call<F, T> {
        Call { function, fail: Some(fail), state: State::Lazy(body) }
    }

    /// Gives the closure a label of its own in [`stats`](crate::stats), spans and the dashboard.
    /// All closures on a pool with the same label are one there.
    ///
    /// It is for before the first poll; afterwards it has no effect.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let sorted = offload_runtime::to_cpu(|| {
    ///     let mut words = vec!["pear", "apple"];
    ///     words.sort();
    ///     words
    /// });
    /// assert_eq!(sorted.named("sort").await, ["apple", "pear"]);
    /// assert!(offload_runtime::stats().functions.iter().any(|function| function.name == "sort"));
    /// # });
    /// ```
    pub fn named(mut self, label: &'static str) -> Call<F, T> {
        if let State::Lazy(_) = self.state {
            self.function = Function::of_closures(label, self.function.executor());
        }
        self
    }

    /// The answer in place of a result.
    fn answer(&self, error: Error) -> T {
        match self.fail {
            Some(fail) => fail(error),
            None => panic_infallible(&error),
        }
    }
}

/// A call whose result cannot carry an error.
fn panic_infallible(error: &Error) -> ! {
    panic!("{error}")
}

// Neither the body nor the result is pinned: both are moved.
impl<F, T> Unpin for Call<F, T> {}

// What a task shares has one owner at a time, and nothing of it is left half done.
impl<F: UnwindSafe, T> UnwindSafe for Call<F, T> {}

impl<F, T> Future for Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let function = self.function;
        let mut sent = match mem::replace(&mut self.state, State::Done) {
            State::Sent(sent) => sent,
            State::Lazy(body) => match admission::admit(function, cx.waker()) {
                Ok(Admitted { meta, captured, alarm }) => {
                    let task = task::task(meta, captured, body);
                    Sent::new(function, task, alarm, cx)
                }
                Err(error) => {
                    count(function, &error);
                    return Poll::Ready(self.answer(error));
                }
            },
            State::Done => polled_again(),
        };
        let mut result: Option<T> = None;
        match sent.poll(cx, &mut result) {
            Poll::Pending => {
                self.state = State::Sent(sent);
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(result.unwrap_or_else(|| ended_without())),
            Poll::Ready(Some(Failure::Error(error))) => Poll::Ready(self.answer(error)),
            Poll::Ready(Some(Failure::Panic(payload))) => resume_unwind(payload),
        }
    }
}

impl<F, T> fmt::Debug for Call<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Lazy(_) => "lazy",
            State::Sent(_) => "sent",
            State::Done => "done",
        };
        f.debug_struct("Call")
            .field("function", &self.function.name())
            .field("state", &state)
            .finish()
    }
}
