//! What caller and worker say to each other, past the stream.
//!
//! They may be of different builds: what one does not know of the other's is skipped.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::subjects::CallId;
use crate::error::Error;
use crate::task::counts::Ending;
use crate::wire::codec::{self, Decoder};

/// A worker, to a caller.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToCaller {
    /// It has got this call, and asks whether it may begin.
    Claim {
        number: u64,
        attempt: u32,
        worker: String,
        /// Where the server is told that the message has arrived.
        acknowledge: String,
    },
    /// It does not know this call's function, and has handed it back.
    Unknown { number: u64, attempt: u32, function: String },
    /// It has got this call, and its arguments are on their way there.
    Fetching { number: u64, attempt: u32, worker: String },
    /// It works on this call, or sends its result.
    Working { number: u64, attempt: u32, worker: String },
    /// What this call came to. The result, if there is one, follows.
    Answer {
        number: u64,
        attempt: u32,
        worker: String,
        outcome: Outcome,
        /// The result is in the object store.
        #[serde(default)]
        is_object: bool,
    },
}

/// A caller, to the worker that has this call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// The body is not to start.
    Gone,
    /// Nobody waits for it any more.
    Cancel,
    /// The answer has arrived.
    Received,
}

/// A worker, to whom it may concern.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Presence {
    Here {
        worker: String,
        functions: Vec<String>,
    },
    /// It takes no more calls.
    Leaving {
        worker: String,
    },
}

/// What a body came to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Outcome {
    Returned,
    Panicked(Error),
    /// An argument or the result could not be sent.
    Failed(Error),
    /// It was not started.
    Unstarted(Error),
}

impl Outcome {
    pub(super) fn of(error: Error, ending: Ending) -> Outcome {
        match ending {
            Ending::Panicked => Outcome::Panicked(error),
            _ => Outcome::Failed(error),
        }
    }
}

impl ToCaller {
    pub(super) fn claim(id: &CallId, worker: &str, acknowledge: &str) -> ToCaller {
        let CallId { number, attempt, .. } = *id;
        let (worker, acknowledge) = (worker.to_owned(), acknowledge.to_owned());
        ToCaller::Claim { number, attempt, worker, acknowledge }
    }

    pub(super) fn fetching(id: &CallId, worker: &str) -> ToCaller {
        let CallId { number, attempt, .. } = *id;
        ToCaller::Fetching { number, attempt, worker: worker.to_owned() }
    }

    pub(super) fn working(id: &CallId, worker: &str) -> ToCaller {
        let CallId { number, attempt, .. } = *id;
        ToCaller::Working { number, attempt, worker: worker.to_owned() }
    }
}

/// Before a head stands its length.
const LENGTH: usize = size_of::<u32>();

/// A message, and what follows it.
pub(super) fn write(message: &impl Serialize, body: &[u8]) -> Bytes {
    let mut head = Vec::new();
    codec::encode(message, &mut head).expect("what is ours can be written");
    let mut bytes = BytesMut::with_capacity(LENGTH + head.len() + body.len());
    bytes.put_u32_le(u32::try_from(head.len()).expect("a head is small"));
    bytes.put_slice(&head);
    bytes.put_slice(body);
    bytes.freeze()
}

/// A message, and what follows it. `None`: it is none that is known here.
pub(super) fn read<M: DeserializeOwned>(bytes: &Bytes) -> Option<(M, Bytes)> {
    let length = bytes.get(..LENGTH)?.try_into().ok()?;
    let end = LENGTH.checked_add(usize::try_from(u32::from_le_bytes(length)).ok()?)?;
    let head = bytes.get(LENGTH..end)?;
    let message = Decoder::new(head).next().ok()?;
    Some((message, bytes.slice(end..)))
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_and_what_is_none_is_not() {
        let working = ToCaller::Working { number: 7, attempt: 3, worker: "w".to_owned() };
        let written = write(&working, b"rest");
        let (read_again, rest) = read::<ToCaller>(&written).unwrap();
        assert!(matches!(read_again, ToCaller::Working { number: 7, attempt: 3, .. }));
        assert_eq!(rest, "rest");
        for cut in 0..written.len() - 4 {
            assert!(read::<ToCaller>(&written.slice(..cut)).is_none(), "{cut}");
        }
        assert!(read::<ToCaller>(&Bytes::from_static(&[255; 9])).is_none());
        assert!(read::<ToWorker>(&written).is_none());
    }

    #[test]
    fn what_a_newer_build_says_besides_is_skipped() {
        #[derive(Serialize)]
        enum Newer {
            Unknown { number: u64, attempt: u32, function: &'static str, colour: &'static str },
            Paint,
        }
        let newer = Newer::Unknown { number: 7, attempt: 3, function: "f", colour: "red" };
        let read_here = read::<ToCaller>(&write(&newer, b"")).unwrap().0;
        assert!(
            matches!(read_here, ToCaller::Unknown { number: 7, attempt: 3, .. }),
            "{read_here:?}"
        );
        assert!(read::<ToCaller>(&write(&Newer::Paint, b"")).is_none());
    }
}
