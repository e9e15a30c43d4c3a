//! A call that has been sent, or is being: what is known of it.

use std::time::Instant;

use bytes::Bytes;

use crate::executor::remote::call_guard::CallGuard;
use crate::executor::remote::messages::Outcome;

/// A call that has to be published, with its arguments.
pub(in crate::executor::remote) struct ToSend {
    pub(in crate::executor::remote) call: CallGuard,
    pub(in crate::executor::remote) arguments: Bytes,
    pub(in crate::executor::remote) answer_by: Option<Instant>,
}

/// A call that has been sent, or is being, and has not ended.
pub(super) struct Outstanding {
    pub(super) call: CallGuard,
    /// What it sends, as long as it may have to be sent again.
    pub(super) arguments: Option<Bytes>,
    pub(super) answer_by: Option<Instant>,
    pub(super) attempt: u32,
    /// Earlier ones whose bodies were told that nobody waits for them: what they came to is no answer.
    pub(super) cancelled: Vec<u32>,
    /// They are in the object store, or on their way there.
    pub(super) is_object: bool,
    /// Its message in the stream, as far as that is known.
    pub(super) sequence: Option<u64>,
    pub(super) assignment: Option<Assignment>,
}

/// A worker has it, and may begin it.
pub(super) struct Assignment {
    pub(super) worker: String,
    /// Of which something was heard then.
    pub(super) heard: Instant,
    /// It has answered, and the result is on its way out of the object store.
    pub(super) has_answered: bool,
}

impl Assignment {
    pub(super) fn new(worker: String) -> Assignment {
        Assignment { worker, heard: Instant::now(), has_answered: false }
    }
}

impl Outstanding {
    pub(super) fn new(to_send: ToSend) -> Outstanding {
        let ToSend { call, arguments, answer_by } = to_send;
        Outstanding {
            call,
            arguments: Some(arguments),
            answer_by,
            attempt: 1,
            cancelled: Vec::new(),
            is_object: false,
            sequence: None,
            assignment: None,
        }
    }

    /// Whether nobody waits for its answer any more.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.answer_by.is_some_and(|by| by <= now)
    }

    /// Whether what an attempt came to is the call's answer. An earlier one, whose worker was thought to be lost, has
    /// one if it has a result, and was not told to end without; otherwise the current one goes on.
    pub(super) fn is_answer(&self, attempt: u32, outcome: &Outcome) -> bool {
        let is_result = matches!(outcome, Outcome::Returned) && !self.cancelled.contains(&attempt);
        attempt == self.attempt || (attempt < self.attempt && is_result)
    }

    /// An earlier attempt is told that nobody waits for it.
    pub(super) fn cancel_earlier(&mut self, attempt: u32) {
        if !self.cancelled.contains(&attempt) {
            self.cancelled.push(attempt);
        }
    }
}
