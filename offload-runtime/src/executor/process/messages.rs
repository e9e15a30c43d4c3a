//! What parent and worker say to each other: the payloads of the frames.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Ran};
use crate::system::priority::Priority;
use crate::wire::frames::HEADER;

/// No frame that a worker sends is larger, in bytes, but for a result: what it
/// says beside results is cut to fit.
pub(crate) const MAX_NOTE: usize = 1 << 20;

/// The length of a frame by which the parent says that it takes more items.
pub(crate) const MORE: usize = HEADER + 4;

/// The frame by which the parent asks whether a worker is there.
pub(crate) const PING_FRAME: [u8; HEADER] = [Kind::Ping as u8, 0, 0, 0, 0];

/// What a frame is; those that are parts of another are [`blobs`](crate::wire::blobs). An answer begins
/// with the number of its call, so that it is taken for no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Parent: a [`Hello`], the answer to [`Here`](Kind::Here).
    Hello = 1,
    /// Worker: it has started up, and waits for calls. No payload.
    Ready = 2,
    /// Worker: it will not work for this parent. The reason, as text.
    Rejected = 3,
    /// Parent: a [`CallHead`], then the arguments.
    Call = 4,
    /// Worker: an answer: the result.
    Done = 5,
    /// Worker: an answer: a [`Panic`] unwound out of the body.
    Panicked = 6,
    /// Worker: a [`Panic`] began. It may be caught, or end the process.
    Panicking = 7,
    /// Worker: an answer: a [`Failure`] of the transfer.
    Failed = 8,
    /// Worker: something for the parent's `tracing` subscriber.
    Event = 9,
    /// Worker: its own code has come so far as to be one. No payload. Before this, nothing is sent that the
    /// program could read as its standard input. Later: the answer to [`Ping`](Kind::Ping).
    Here = 10,
    /// Worker: an item of a stream.
    Item = 11,
    /// Parent: so many more items may come, as four bytes, little end first.
    More = 12,
    /// Parent: is the worker there? No payload.
    Ping = 13,
}

impl Kind {
    pub(crate) fn of(number: u8) -> Option<Kind> {
        use Kind::{
            Call, Done, Event, Failed, Hello, Here, Item, More, Panicked, Panicking, Ping, Ready,
            Rejected,
        };
        let all = [
            Hello, Ready, Rejected, Call, Done, Panicked, Panicking, Failed, Event, Here, Item,
            More, Ping,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Who the parent is, and what it wants of the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// See [`registry::build`](crate::wire::registry::build).
    pub(crate) build: u64,
    /// The parent's process.
    pub(crate) parent: u32,
    /// One of the functions of the pool.
    pub(crate) function: u32,
    /// No frame is larger, in bytes.
    pub(crate) max_message: usize,
    /// What the worker may allocate, in bytes.
    pub(crate) max_memory: Option<u64>,
    pub(crate) priority: Priority,
    /// The most verbose `tracing` level that the parent wants while it starts; 0
    /// is none.
    pub(crate) level: u8,
}

/// No [`CallHead`] is longer, nor the number before an answer, in bytes.
pub(crate) const MAX_HEAD: usize = 128;

/// Which call, and of which function.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallHead {
    /// No other call of this worker has it.
    pub(crate) number: u64,
    pub(crate) function: u32,
    /// The most verbose `tracing` level that the parent wants; 0 is none.
    pub(crate) level: u8,
    /// The call is a stream, of which so many items may be on their way; 0: it is none.
    pub(crate) window: u32,
    /// It comes from another machine, and its result goes there: what is carried along stands before the
    /// arguments, and all of the result is to be in its message.
    pub(crate) is_relayed: bool,
}

/// A panic of a body, or of what reads its arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Panic {
    pub(crate) message: String,
    /// `src/render.rs:10:5`
    pub(crate) place: Option<String>,
    pub(crate) backtrace: Option<String>,
    /// Whether the body had begun, or its arguments were still being read.
    pub(crate) ran: Ran,
}

/// Why a call has no result, though its worker is well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// These are not the arguments of the function.
    Arguments(String),
    /// The result cannot be written.
    Result(String),
    /// The result is larger than a frame may be.
    TooLarge(u64),
    /// An item of the stream cannot be written.
    Item(String),
    /// An item of the stream is larger than a frame may be.
    ItemTooLarge(u64),
    /// The body was not started.
    Unstarted(Error),
}

/// A text that may be of any length, cut so that a few of them fit into a frame.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > MAX_NOTE / 4 {
        let end = (0..=MAX_NOTE / 4).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}
