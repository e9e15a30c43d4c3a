//! One call, as the parent's thread that has a worker for it sees it: the
//! request out, then whatever the worker says until the answer.

use std::io;
use std::time::Instant;

use super::events::{self, Replay};
use super::lease::Lease;
use super::leash::End;
use super::messages::{CallHead, Failure, Kind, Panic};
use super::transfer::Outbound;
use super::wire::ReadError;
use super::worker::{Dead, Worker};
use super::{codec, registry};
use crate::current::Frame;
use crate::error::{Error, ErrorKind, Ran};
use crate::function::Function;

/// What a body that runs in a worker came to, for the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It panicked there.
    Panicked,
    /// Its worker died by itself.
    Died,
    /// Its worker was killed, since nobody waited any more.
    Killed,
    /// An argument or the result could not be sent.
    Failed,
}

/// A call and the worker that was hired for it, in the [`Frame`] of its body.
pub(crate) struct Hired {
    pub(crate) lease: Option<Lease>,
    /// `None`: it returned.
    pub(crate) ending: Option<Ending>,
}

/// Has the worker of this thread's [`Frame`] run `function`, and `decode` its
/// result.
pub(crate) fn run(
    function: &'static Function,
    arguments: &mut dyn FnMut(&mut Outbound),
    decode: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), Error> {
    let (lease, answer_by) = Frame::with(|frame| {
        let hired = frame.hired.as_mut().expect("a process function has a worker hired");
        (hired.lease.take().expect("its body runs once"), frame.answer_by)
    });
    let call = Call { function, answer_by, panic: None };
    let result = call.run(lease, arguments, decode);
    let ending = result.as_ref().err().map(|(_, ending)| *ending);
    Frame::with(|frame| frame.hired.as_mut().expect("looked at above").ending = ending);
    result.map_err(|(error, _)| error)
}

struct Call {
    function: &'static Function,
    answer_by: Option<Instant>,
    /// The last one that began.
    panic: Option<Panic>,
}

/// How the exchange ended.
enum Said {
    Result,
    Panicked(Panic),
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The worker is dead.
    Dead,
    /// It lives, and said something that no worker says: what runs in it is out
    /// of its mind.
    Mad,
}

impl Call {
    fn run(
        mut self,
        mut lease: Lease,
        arguments: &mut dyn FnMut(&mut Outbound),
        decode: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), (Error, Ending)> {
        let number = lease.worker().next_call();
        let request = self
            .request(lease.worker(), number, arguments)
            .map_err(|error| (error, Ending::Failed))?;
        if !lease.begin(number) {
            return Err((Error::ended_before_start(self.function.name()), Ending::Killed));
        }
        let mut decoded = Ok(());
        let said = self.talk(&mut lease, request, &mut |result| decoded = decode(result));
        match (said, lease.let_go()) {
            (Ok(said), None) => {
                lease.give_back();
                self.answered(said, decoded)
            }
            (said, killed) => {
                let is_mad = said.err() == Some(Lost::Mad);
                let dead = lease.bury(killed.is_some());
                Err(self.lost(dead, killed, is_mad))
            }
        }
    }

    /// What an answer means for the caller.
    fn answered(self, said: Said, decoded: Result<(), String>) -> Result<(), (Error, Ending)> {
        let name = self.function.name();
        match said {
            Said::Result => decoded.map_err(|reason| {
                let what = format!("returned a result that cannot be read: {reason}");
                (Error::new(ErrorKind::Serialization, Ran::Yes, name, what), Ending::Failed)
            }),
            Said::Panicked(panic) => Err((panicked(name, panic, None), Ending::Panicked)),
            Said::Failed(failure) => Err((self.failed(&failure), Ending::Failed)),
        }
    }

    /// What the death of the worker means for the caller.
    fn lost(self, dead: Dead, killed: Option<End>, is_mad: bool) -> (Error, Ending) {
        let name = self.function.name();
        match (killed, self.panic) {
            (Some(End::Cancelled), _) => (Error::killed(name), Ending::Killed),
            (Some(End::Shutdown), _) => (Error::killed_by_shutdown(name), Ending::Killed),
            (None, _) if is_mad => (Error::worker_mad(name, dead), Ending::Died),
            // One that must not unwind, or with `panic = "abort"`.
            (None, Some(panic)) if dead.is_aborted() => {
                (panicked(name, panic, Some(dead)), Ending::Panicked)
            }
            (None, _) => (Error::worker_died(name, dead), Ending::Died),
        }
    }

    /// The whole request, as it is sent.
    fn request(
        &self,
        worker: &mut Worker,
        number: u64,
        arguments: &mut dyn FnMut(&mut Outbound),
    ) -> Result<Vec<u8>, Error> {
        let name = self.function.name();
        let unsent = |what: String| Error::new(ErrorKind::Serialization, Ran::No, name, what);
        let function = registry::number(self.function)
            .ok_or_else(|| unsent("is not in the list of this program's functions".into()))?;
        let head = CallHead { number, function, level: events::level() };
        let mut message = worker.message(Kind::Call);
        codec::encode(&head, &mut message).map_err(unsent)?;
        message.end_head(self.function.pool().processes().plan.max_message);
        let mut outbound = Outbound::new(message);
        arguments(&mut outbound);
        let message = outbound.finish().map_err(|reason| {
            unsent(format!("has arguments that cannot be sent to another process: {reason}"))
        })?;
        message.finish().map_err(|large| {
            unsent(format!(
                "has arguments of {} bytes, and its pool sends at most {}",
                large.bytes, large.limit
            ))
        })
    }

    /// Sends the request, and reads until the answer. An error: the worker is
    /// of no use any more.
    fn talk(
        &mut self,
        lease: &mut Lease,
        request: Vec<u8>,
        result: &mut dyn FnMut(&[u8]),
    ) -> Result<Said, Lost> {
        let mad = |_: String| Lost::Mad;
        let mut replay = Replay::new(lease.worker().take_places());
        lease.worker().set_deadline(self.answer_by);
        let mut rest = &*request;
        while !rest.is_empty() {
            match lease.worker().write(rest) {
                Ok(0) => return Err(Lost::Dead),
                Ok(length) => rest = &rest[length..],
                Err(error) => self.waited(lease, &error)?,
            }
        }
        lease.worker().keep_buffer(request);
        let said = loop {
            let frame = match lease.worker().read() {
                Ok(frame) => frame,
                Err(ReadError::Io(error)) => {
                    self.waited(lease, &error)?;
                    continue;
                }
                Err(ReadError::Closed | ReadError::Truncated) => return Err(Lost::Dead),
                Err(ReadError::TooLarge) => return Err(Lost::Mad),
            };
            let mut payload = codec::Decoder::new(frame.payload);
            match Kind::of(frame.kind) {
                Some(Kind::Done) => {
                    result(frame.payload);
                    break Said::Result;
                }
                Some(Kind::Panicked) => break Said::Panicked(payload.next().map_err(mad)?),
                Some(Kind::Failed) => break Said::Failed(payload.next().map_err(mad)?),
                Some(Kind::Panicking) => self.note(payload.next().ok()),
                Some(Kind::Event) => replay.replay(frame.payload),
                _ => return Err(Lost::Mad),
            }
        };
        lease.worker().keep_places(replay.into_places());
        Ok(said)
    }

    /// A panic began. One that must not unwind is followed by another, which
    /// says no more than that.
    fn note(&mut self, panic: Option<Panic>) {
        let is_second = |panic: &Panic| panic.message.starts_with("panic in a ");
        if self.panic.is_none() || !panic.as_ref().is_some_and(is_second) {
            self.panic = panic;
        }
    }

    /// A read or a write did not get on: by the deadline, or for good.
    fn waited(&self, lease: &mut Lease, error: &io::Error) -> Result<(), Lost> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let passed = self.answer_by.is_some_and(|answer_by| answer_by <= Instant::now());
                if passed {
                    // The caller's own timer may be late, or its event loop
                    // blocked. It is killed now, or ends in its grace.
                    lease.end();
                    lease.worker().set_deadline(None);
                } else {
                    lease.worker().set_deadline(self.answer_by);
                }
                Ok(())
            }
            _ => Err(Lost::Dead),
        }
    }

    fn failed(&self, failure: &Failure) -> Error {
        let name = self.function.name();
        let (ran, what) = match failure {
            Failure::Arguments(reason) => {
                (Ran::No, format!("has arguments that another process cannot read: {reason}"))
            }
            Failure::Result(reason) => {
                (Ran::Yes, format!("returned a result that cannot be sent back: {reason}"))
            }
            Failure::TooLarge(bytes) => {
                let limit = self.function.pool().processes().plan.max_message;
                let what = format!(
                    "returned a result of {bytes} bytes, and its pool sends at most {limit}"
                );
                (Ran::Yes, what)
            }
        };
        Error::new(ErrorKind::Serialization, ran, name, what)
    }
}

fn panicked(name: &str, panic: Panic, dead: Option<Dead>) -> Error {
    let place = panic.place.map(|place| format!(" at {place}")).unwrap_or_default();
    let what = format!("panicked{place}: {}", panic.message);
    Error::panicked(name, what, panic.backtrace, dead)
}
