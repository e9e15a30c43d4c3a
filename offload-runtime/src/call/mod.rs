//! The future of one call: from the first poll to the answer, or to the drop.

pub(crate) mod admission;
pub(crate) mod made;
mod sent;
pub(crate) mod started;
pub(crate) mod starting;
pub(crate) mod stream;

use std::future::Future;
use std::marker::PhantomData;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, mem};

use self::sent::{Sent, polled_again};
use crate::function::Function;
use crate::task::{self, Failure, Unsent};

/// The future of one call of a closure, as [`to_thread`](crate::to_thread) and
/// [`run`](crate::ThreadPool::run) return it.
///
/// # Panics
///
/// A poll panics as the closure does, where the call is rejected, and after the future has given its
/// answer.
///
/// # Cancel safety
///
/// Dropped before the closure starts, it never runs. Dropped while it runs, the closure goes on, and
/// [`is_cancelled`](crate::is_cancelled) is true for it.
///
/// It has no bounds of its own, so that a type that is not `Send` is reported
/// once, where it is written.
#[must_use = "a call does nothing unless it is awaited: `spawn_thread` and `spawn_cpu` start a closure at once, \
              as `spawn` of a pool does"]
pub struct Call<F, T> {
    function: &'static Function,
    /// As if it had the closure: it is `Send` and `Sync` where that is.
    types: PhantomData<(F, fn() -> T)>,
    state: State,
}

enum State {
    /// Not polled yet.
    Lazy(Arc<dyn Unsent>),
    /// On its way to a thread and back.
    Sent(Sent),
    /// The answer was given.
    Done,
}

impl<F, T> Call<F, T> {
    /// A call of `function`, whose body with its arguments is `body`.
    pub(crate) fn new(function: &'static Function, body: F) -> Call<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Call { function, types: PhantomData, state: State::Lazy(task::unsent(body)) }
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
}

// The body is in the task, and the result is moved.
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
        let sent = match mem::replace(&mut self.state, State::Done) {
            State::Sent(sent) => sent,
            State::Lazy(unsent) => {
                let send = |(meta, captured)| {
                    let task = unsent.admit(meta, captured);
                    Sent::new(function, task, None, cx).map_err(Failure::Error)
                };
                match admission::admit(function).and_then(send) {
                    Ok(sent) => sent,
                    Err(failure) => return sent::answer_rejected(function, None, failure),
                }
            }
            State::Done => polled_again(),
        };
        sent::answer(sent, cx, None, |sent| self.state = State::Sent(sent))
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
