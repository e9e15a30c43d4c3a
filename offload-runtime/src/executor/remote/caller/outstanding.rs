//! A call that has been sent, or is being: what is known of it.

use std::time::Instant;

use bytes::Bytes;

use crate::executor::remote::call_guard::CallGuard;

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
            is_object: false,
            sequence: None,
            assignment: None,
        }
    }

    /// Whether nobody waits for its answer any more.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.answer_by.is_some_and(|by| by <= now)
    }
}
