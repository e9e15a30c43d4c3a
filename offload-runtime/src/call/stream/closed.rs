//! What a body is told when nobody takes its items any more.

use std::{fmt, io};

use crate::error::{Error, ErrorKind, Ran};

/// The error of a [`Sink`](crate::Sink) from which nobody takes anything any more: the stream was dropped,
/// or its time is over.
///
/// By `?` it becomes an [`Error`] of the kind [`Cancelled`](ErrorKind::Cancelled), or a
/// [`std::io::Error`] of the kind [`BrokenPipe`](std::io::ErrorKind::BrokenPipe).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub(super) function: &'static str,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody takes what `{}` makes any more", self.function)
    }
}

impl std::error::Error for Closed {}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Error {
        let what = "stopped, since nobody takes what it makes any more";
        Error::new(ErrorKind::Cancelled, Ran::Yes, closed.function, what)
    }
}

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> io::Error {
        io::Error::new(io::ErrorKind::BrokenPipe, closed)
    }
}
