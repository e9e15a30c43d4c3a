//! A call that is held by one thing at a time until it ends: a job of a pool, a request to a task, an entry of a table.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use super::calls::Calls;
use super::failures;
use super::in_flight::InFlight;
use super::parcel::Answer;
use crate::error::Error;
use crate::task::counts::Ending;

/// When this is dropped, the call has ended: with its answer, if it was given one, and otherwise
/// with an error. So what it had, permits above all, comes back also where nobody awaits it.
pub(super) struct CallGuard {
    call: Arc<InFlight>,
    calls: &'static Calls,
    answer: Option<Answer>,
}

impl CallGuard {
    pub(super) fn new(call: Arc<InFlight>, calls: &'static Calls) -> CallGuard {
        CallGuard { call, calls, answer: None }
    }

    pub(super) fn call(&self) -> &Arc<InFlight> {
        &self.call
    }

    /// It is its answer, if it has begun.
    pub(super) fn set_answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    /// A worker may begin it. False: it was cancelled, is late, or another has begun it.
    pub(super) fn begin(&self) -> bool {
        self.calls.begin(&self.call)
    }

    /// Ends it, if it has not begun.
    pub(super) fn refuse(self, error: Error) {
        self.calls.refuse(&self.call, error);
    }

    /// Ends it, if it has begun: this is its answer.
    pub(super) fn end(mut self, answer: Answer) {
        self.set_answer(answer);
    }
}

impl Deref for CallGuard {
    type Target = InFlight;

    fn deref(&self) -> &InFlight {
        &self.call
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
        if !calls.refuse(call, failures::dropped(name)) {
            calls.end(call, Err((failures::disconnected(name), Ending::Died)));
        }
    }
}
