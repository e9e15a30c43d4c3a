//! A call that is held by one thing at a time until it ends: a job of a pool, a request to a task, an entry of a table.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::calls::Calls;
use super::carried::Carried;
use super::failures;
use super::in_flight::{InFlight, Stage};
use super::parcel::Answer;
use crate::error::Error;
use crate::task::about::About;
use crate::task::counts::Ending;
use crate::wire::registry::Callable;

/// When this is dropped, the call has ended: with its answer, if it was given one, and otherwise
/// with an error. So what it had, permits above all, comes back also where nobody awaits it. Nobody
/// gets at the call itself through this, so none ends it past the table of those that have not.
pub(super) struct CallGuard {
    call: Arc<InFlight>,
    calls: &'static Calls,
    answer: Option<Answer>,
}

impl CallGuard {
    pub(super) fn new(call: Arc<InFlight>, calls: &'static Calls) -> CallGuard {
        CallGuard { call, calls, answer: None }
    }

    /// No other call of this process has it.
    pub(super) fn number(&self) -> u64 {
        self.call.number
    }

    pub(super) fn name(&self) -> &'static str {
        self.call.name()
    }

    pub(super) fn about(&self) -> &'static About {
        self.call.about()
    }

    pub(super) fn function(&self) -> &'static dyn Callable {
        self.call.parcel.function()
    }

    /// The caller's context that is sent in headers.
    pub(super) fn carried(&self) -> &Carried {
        &self.call.carried
    }

    /// The arguments, as they are sent. It runs foreign code: `Serialize`.
    pub(super) fn pack(&self, max_message: usize) -> Result<Bytes, Error> {
        self.call.pack(max_message)
    }

    pub(super) fn stage(&self) -> Stage {
        self.call.stage()
    }

    /// Whether it has begun, and nobody awaits it any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }

    /// It is its answer, if it has begun.
    pub(super) fn set_answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    /// A worker may begin it. False: it was cancelled, is late, or another has begun it.
    pub(super) fn begin(&self) -> bool {
        self.calls.begin(&self.call)
    }

    /// From now on the body of a call that has begun may start. False: nobody awaits it any more, and its
    /// caller was told that it did not run.
    pub(super) fn grant(&self) -> bool {
        self.call.grant()
    }

    /// The worker has started the body.
    pub(super) fn set_started(&self) {
        self.call.set_started();
    }

    /// Ends it, if it has not begun and is too late to.
    pub(super) fn expire(&self, now: Instant) -> bool {
        self.calls.expire(&self.call, now)
    }

    /// Ends it, if it has not begun.
    pub(super) fn reject(&self, error: Error) -> bool {
        self.calls.reject(&self.call, error)
    }

    /// Ends it, if it has begun: this is its answer.
    pub(super) fn end(mut self, answer: Answer) {
        self.set_answer(answer);
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let CallGuard { call, calls, answer } = self;
        // An answer for a call that has not begun is ignored.
        let has_ended = answer.take().is_some_and(|answer| calls.end(call, answer));
        if has_ended || calls.expire(call, Instant::now()) {
            return;
        }
        let name = call.name();
        if !calls.reject(call, failures::dropped(name)) {
            calls.end(call, Err((failures::disconnected(name), Ending::Died)));
        }
    }
}
