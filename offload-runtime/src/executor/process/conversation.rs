//! What is said about one call between the thread that has it and its worker: the request, then
//! whatever the worker says until the answer.

use std::time::Instant;
use std::{io, mem};

use super::checked_out::CheckedOut;
use super::events::Replay;
use super::items::Items;
use super::messages::{Failure, Kind, PING_FRAME, Panic};
use crate::wire::codec::Decoder;
use crate::wire::frames::ReadError;

/// See the [module](self).
pub(super) struct Conversation {
    /// Of the call.
    pub(super) number: u64,
    pub(super) answer_by: Option<Instant>,
    /// If it is a stream.
    pub(super) items: Option<Items>,
    /// The last one that began.
    pub(super) panic: Option<Panic>,
}

/// What the worker has answered.
pub(super) enum Said {
    Result,
    /// A result that was not read, since nobody awaits it.
    Unawaited,
    Panicked(Panic),
    Failed(Failure),
}

/// Why there is no answer.
pub(super) enum Lost {
    /// The worker is dead, and died before it had read the call.
    Unread,
    /// The worker is dead.
    Dead,
    /// It lives, and sent no valid frame: something has written over its memory, or into its socket.
    Invalid,
    /// It has sent an item that is none. Why.
    Unreadable(String),
}

impl Conversation {
    /// Sends the request, and reads until the answer. An error: the worker is
    /// of no use any more.
    pub(super) fn go_through(
        &mut self,
        worker: &mut CheckedOut,
        request: &[u8],
        result: &mut dyn FnMut(Decoder<'_>),
    ) -> Result<Said, Lost> {
        let invalid = |_: String| Lost::Invalid;
        let foreign = worker.foreign();
        let mut replay = Replay::new(worker.process().take_places());
        worker.process().set_deadline(self.answer_by);
        write(worker, request, self.answer_by)?;
        let mut is_silent = true;
        let said = loop {
            let frame = match worker.process().read() {
                Ok(frame) => frame,
                // The system says so if the other end was closed with bytes in it that nobody has
                // read.
                Err(ReadError::Io(error)) if is_silent && is_unread(&error) => {
                    return Err(Lost::Unread);
                }
                Err(ReadError::Io(error)) => {
                    waited(worker, &error, self.answer_by)?;
                    continue;
                }
                Err(ReadError::Closed | ReadError::Truncated) => return Err(Lost::Dead),
                Err(ReadError::TooLarge) => return Err(Lost::Invalid),
            };
            is_silent = false;
            match Kind::of(frame.kind) {
                Some(kind @ (Kind::Done | Kind::Panicked | Kind::Failed)) => {
                    // Also where there is no result: it may have come in part.
                    let mut answer = Decoder::with_blobs(frame.payload, mem::take(frame.blobs));
                    if answer.next() != Ok(self.number) {
                        return Err(Lost::Invalid);
                    }
                    break match kind {
                        Kind::Panicked => Said::Panicked(answer.next().map_err(invalid)?),
                        Kind::Failed => Said::Failed(answer.next().map_err(invalid)?),
                        _ => match foreign.run(|| result(answer)) {
                            Some(()) => Said::Result,
                            None => Said::Unawaited,
                        },
                    };
                }
                Some(Kind::Panicking) => self.note(Decoder::new(frame.payload).next().ok()),
                Some(Kind::Event) => replay.replay(frame.payload),
                Some(Kind::Item) => {
                    let item = Decoder::with_blobs(frame.payload, mem::take(frame.blobs));
                    match foreign.run(|| self.read_item(item)) {
                        Some(read) => read?,
                        None => self.items.iter_mut().for_each(Items::skip),
                    }
                    self.go_on(worker);
                }
                _ => return Err(Lost::Invalid),
            }
            // One that speaks on is never waited for.
            end_if_late(worker, self.answer_by);
        };
        worker.process().keep_places(replay.into_places());
        Ok(said)
    }

    /// An item has come.
    fn read_item(&mut self, item: Decoder<'_>) -> Result<(), Lost> {
        let items = self.items.as_mut().ok_or(Lost::Invalid)?;
        items.read(item).map_err(Lost::Unreadable)
    }

    /// When there is room for the item, the worker is told to make more, or, if nobody wants them, to
    /// end.
    fn go_on(&mut self, worker: &mut CheckedOut) {
        let Some(items) = &mut self.items else { return };
        items.pass_on();
        if items.is_closed() {
            // It may have a grace, in which it must not wait for room.
            worker.end();
        }
        if let Some(more) = items.more() {
            // The consumer may have taken its time.
            worker.process().set_deadline(self.answer_by);
            // If that fails, its end is what is read next.
            let _ = write(worker, &more, self.answer_by);
        }
    }

    /// A panic began. One that must not unwind is followed by another, which
    /// says no more than that.
    fn note(&mut self, panic: Option<Panic>) {
        let is_second = |panic: &Panic| panic.message.starts_with("panic in a ");
        if self.panic.is_none() || !panic.as_ref().is_some_and(is_second) {
            self.panic = panic;
        }
    }
}

/// Pings the worker and waits for the answer: that it died while it was idle may not have been noticed yet. Between
/// calls a worker writes nothing else, so the next frame is the answer.
pub(super) fn is_there(worker: &mut CheckedOut, answer_by: Option<Instant>) -> bool {
    worker.process().set_deadline(answer_by);
    if write(worker, &PING_FRAME, answer_by).is_err() {
        return false;
    }
    loop {
        match worker.process().read() {
            Ok(frame) => return Kind::of(frame.kind) == Some(Kind::Here),
            Err(ReadError::Io(error)) => {
                if waited(worker, &error, answer_by).is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

/// Writes all of it.
pub(super) fn write(
    worker: &mut CheckedOut,
    mut rest: &[u8],
    answer_by: Option<Instant>,
) -> Result<(), Lost> {
    while !rest.is_empty() {
        match worker.process().write(rest) {
            Ok(0) => return Err(Lost::Dead),
            Ok(length) => rest = &rest[length..],
            // Nobody can read the rest of it.
            Err(error) if is_unread(&error) => return Err(Lost::Unread),
            Err(error) => waited(worker, &error, answer_by)?,
        }
    }
    Ok(())
}

/// A read or a write did not get on: by the deadline, or for good.
fn waited(
    worker: &mut CheckedOut,
    error: &io::Error,
    answer_by: Option<Instant>,
) -> Result<(), Lost> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            if !end_if_late(worker, answer_by) {
                worker.process().set_deadline(answer_by);
            }
            Ok(())
        }
        _ => Err(Lost::Dead),
    }
}

/// Whether the deadline has passed. The caller's own timer may be late, or its event loop blocked: the worker is
/// killed now, or ends in its grace.
fn end_if_late(worker: &mut CheckedOut, answer_by: Option<Instant>) -> bool {
    let is_late = answer_by.is_some_and(|answer_by| answer_by <= Instant::now());
    if is_late {
        worker.end();
        worker.process().set_deadline(None);
    }
    is_late
}

/// Whether the error says that the other end was closed before it had read all.
fn is_unread(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
