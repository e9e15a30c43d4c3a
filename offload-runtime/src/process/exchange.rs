//! One call, as the parent's thread that has a worker for it sees it: the
//! request out, then whatever the worker says until the answer.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::leash::{End, Leash};
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
    pub(crate) worker: Option<Worker>,
    pub(crate) leash: Arc<Leash>,
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
    let (worker, leash, answer_by) = Frame::with(|frame| {
        let hired = frame.hired.as_mut().expect("a process function has a worker hired");
        (hired.worker.take(), Arc::clone(&hired.leash), frame.answer_by)
    });
    let worker = worker.expect("its body runs once");
    let call = Call { function, leash, answer_by, panic: None };
    let (result, ending) = call.run(worker, arguments, decode);
    Frame::with(|frame| frame.hired.as_mut().expect("looked at above").ending = ending);
    result
}

struct Call {
    function: &'static Function,
    leash: Arc<Leash>,
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

impl Call {
    fn run(
        mut self,
        mut worker: Worker,
        arguments: &mut dyn FnMut(&mut Outbound),
        decode: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> (Result<(), Error>, Option<Ending>) {
        let pool = self.function.pool();
        let workers = &pool.processes().workers;
        let name = self.function.name();
        let number = worker.next_call();
        let request = match self.request(&mut worker, number, arguments) {
            Ok(request) => request,
            Err(error) => {
                workers.give_back(pool, &self.leash, worker);
                return (Err(error), Some(Ending::Failed));
            }
        };
        if !self.leash.hold(worker.held(number)) {
            worker.keep_buffer(request);
            workers.give_back(pool, &self.leash, worker);
            return (Err(Error::ended_before_start(name)), Some(Ending::Killed));
        }
        let mut decoded = Ok(());
        let said = self.talk(&mut worker, request, &mut |result| decoded = decode(result));
        // From here on nobody else kills the worker.
        let killed = self.leash.let_go();
        match (said, killed) {
            (Ok(_), Some(_)) | (Err(_), _) => {
                let dead = worker.bury();
                let aborted = self.panic.take().filter(|_| dead.is_aborted());
                match killed {
                    Some(why) => {
                        workers.replace(pool, &self.leash, true);
                        let error = match why {
                            End::Cancelled => Error::killed(name),
                            End::Shutdown => Error::killed_by_shutdown(name),
                        };
                        (Err(error), Some(Ending::Killed))
                    }
                    None => {
                        workers.replace(pool, &self.leash, false);
                        match aborted {
                            Some(panic) => {
                                (Err(panicked(name, panic, Some(dead))), Some(Ending::Panicked))
                            }
                            None => (Err(Error::worker_died(name, dead)), Some(Ending::Died)),
                        }
                    }
                }
            }
            (Ok(said), None) => {
                workers.give_back(pool, &self.leash, worker);
                match said {
                    Said::Result => match decoded {
                        Ok(()) => (Ok(()), None),
                        Err(reason) => {
                            let what = format!("returned a result that cannot be read: {reason}");
                            let error = Error::new(ErrorKind::Serialization, Ran::Yes, name, what);
                            (Err(error), Some(Ending::Failed))
                        }
                    },
                    Said::Panicked(panic) => {
                        (Err(panicked(name, panic, None)), Some(Ending::Panicked))
                    }
                    Said::Failed(failure) => (Err(self.failed(&failure)), Some(Ending::Failed)),
                }
            }
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
        let head = CallHead { number, function, level: level() };
        let mut message = worker.message(Kind::Call);
        codec::encode(&head, &mut message).map_err(unsent)?;
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
        worker: &mut Worker,
        request: Vec<u8>,
        result: &mut dyn FnMut(&[u8]),
    ) -> Result<Said, ()> {
        #[cfg(feature = "tracing")]
        let mut replay = super::events::Replay::new();
        let patience = self.answer_by;
        worker.set_deadline(patience);
        let mut rest = &*request;
        while !rest.is_empty() {
            match worker.write(rest) {
                Ok(0) => return Err(()),
                Ok(length) => rest = &rest[length..],
                Err(error) => self.waited(worker, &error)?,
            }
        }
        worker.keep_buffer(request);
        loop {
            let frame = match worker.read() {
                Ok(frame) => frame,
                Err(ReadError::Io(error)) => {
                    self.waited(worker, &error)?;
                    continue;
                }
                // Dead, or not talking as a worker does.
                Err(_) => return Err(()),
            };
            let mut payload = codec::Decoder::new(frame.payload);
            match Kind::of(frame.kind) {
                Some(Kind::Done) => {
                    result(frame.payload);
                    return Ok(Said::Result);
                }
                Some(Kind::Panicked) => return payload.next().map(Said::Panicked).map_err(drop),
                Some(Kind::Failed) => return payload.next().map(Said::Failed).map_err(drop),
                Some(Kind::Panicking) => self.note(payload.next().ok()),
                #[cfg(feature = "tracing")]
                Some(Kind::Event) => replay.replay(frame.payload),
                #[cfg(not(feature = "tracing"))]
                Some(Kind::Event) => {}
                _ => return Err(()),
            }
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

    /// A read or a write did not get on: by the deadline, or for good.
    fn waited(&self, worker: &mut Worker, error: &io::Error) -> Result<(), ()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let passed = self.answer_by.is_some_and(|answer_by| answer_by <= Instant::now());
                if passed {
                    // The caller's own timer may be late, or its event loop
                    // blocked. It is killed now, or ends in its grace.
                    self.leash.end(End::Cancelled);
                    worker.set_deadline(None);
                } else {
                    worker.set_deadline(self.answer_by);
                }
                Ok(())
            }
            _ => Err(()),
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

/// The most verbose `tracing` level that anybody here listens to.
fn level() -> u8 {
    #[cfg(feature = "tracing")]
    return super::events::level();
    #[cfg(not(feature = "tracing"))]
    0
}
