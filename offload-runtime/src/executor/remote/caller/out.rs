//! A call that is out: what is known of it, and how it ends.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::executor::remote::calls::Calls;
use crate::executor::remote::in_flight::InFlight;
use crate::executor::remote::parcel::Answer;

/// A call that is to go out.
pub(in crate::executor::remote) struct ToSend {
    pub(in crate::executor::remote) call: Arc<InFlight>,
    pub(in crate::executor::remote) arguments: Bytes,
    pub(in crate::executor::remote) answer_by: Option<Instant>,
}

/// A call that is out.
pub(super) struct Out {
    pub(super) call: Arc<InFlight>,
    /// What it sends, as long as it may have to be sent again.
    pub(super) arguments: Option<Bytes>,
    pub(super) answer_by: Option<Instant>,
    pub(super) attempt: u32,
    /// They are in the object store, or on their way there.
    pub(super) is_object: bool,
    /// Its message in the stream, as far as that is known.
    pub(super) sequence: Option<u64>,
    pub(super) taken: Option<Taken>,
}

/// A worker has it.
pub(super) struct Taken {
    pub(super) worker: String,
    /// Of which something was heard then.
    pub(super) heard: Instant,
    pub(super) is_granted: bool,
    /// It has answered, and the result is on its way out of the object store.
    pub(super) has_answered: bool,
}

impl Out {
    pub(super) fn new(to_send: ToSend) -> Out {
        let ToSend { call, arguments, answer_by } = to_send;
        Out {
            call,
            arguments: Some(arguments),
            answer_by,
            attempt: 1,
            is_object: false,
            sequence: None,
            taken: None,
        }
    }
}

/// The call ends when this is dropped.
pub(super) struct Ended {
    pub(super) call: Arc<InFlight>,
    pub(super) calls: &'static Calls,
    pub(super) answer: Option<Answer>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if self.answer.take().is_some_and(|answer| self.call.end(answer)) {
            drop(self.calls.remove(&self.call));
        }
    }
}
