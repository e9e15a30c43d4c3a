//! The call of an offloaded function: its task is made before it is polled, since a function
//! awaits its call where it makes it. So the arguments are on their way to the heap at once, and
//! are no part of the future.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::admission;
use super::sent::{self, Sent, polled_again};
use crate::error::Error;
use crate::executor::Written;
use crate::function::Function;
use crate::task::{self, Awaited, Failure};

/// See the [module](self).
pub(crate) struct Made<T> {
    function: &'static Function,
    /// Makes a result of an error, where the result can carry one.
    fail: Option<fn(Error) -> T>,
    state: State,
}

enum State {
    /// Not polled yet. With its request, if that was written already.
    Made(Awaited, Option<Arc<Written>>),
    Rejected(Failure),
    /// It was started, and its handle is elsewhere: this is never ready.
    Started,
    /// On its way to a thread and back.
    Sent(Sent),
    /// The answer was given.
    Done,
}

impl<T: Send + 'static> Made<T> {
    /// A call of `function`, whose body with its arguments is `body`, which is about to be polled
    /// for the first time; with its request, if that was written already. Not wrapped in a helper: unoptimized, each
    /// function that is given the body has a copy of it on its stack.
    pub(crate) fn new<F>(
        function: &'static Function,
        fail: Option<fn(Error) -> T>,
        written: Option<Arc<Written>>,
        body: F,
    ) -> Made<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let state = match admission::admit(function) {
            Ok((meta, captured)) => {
                // `enter` of a propagated value is user code and may block: a thread of the pool runs it before the worker
                // has the call.
                let written = written.filter(|_| !captured.carries_values());
                State::Made(task::maker()(meta, captured, body), written)
            }
            Err(failure) => State::Rejected(failure),
        };
        Made { function, fail, state }
    }

    /// One that is not made, since what comes before failed.
    #[cfg(feature = "process")]
    pub(crate) fn rejected(
        function: &'static Function,
        fail: Option<fn(Error) -> T>,
        failure: Failure,
    ) -> Made<T> {
        Made { function, fail, state: State::Rejected(failure) }
    }

    /// What is left where a call was started that is not awaited here.
    pub(crate) fn started(function: &'static Function) -> Made<T> {
        Made { function, fail: None, state: State::Started }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let function = self.function;
        let sent = match mem::replace(&mut self.state, State::Done) {
            State::Sent(sent) => Ok(sent),
            State::Made(task, written) => {
                Sent::new(function, task, written.as_deref(), cx).map_err(Failure::Error)
            }
            State::Rejected(failure) => Err(failure),
            State::Started => {
                self.state = State::Started;
                return Poll::Pending;
            }
            State::Done => polled_again(),
        };
        match sent {
            Ok(sent) => sent::answer(sent, cx, self.fail, |sent| self.state = State::Sent(sent)),
            Err(failure) => sent::answer_rejected(function, self.fail, failure),
        }
    }
}
