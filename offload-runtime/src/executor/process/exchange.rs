//! One call, as the parent's thread that has a worker for it sees it: its arguments are written, it
//! is talked about, and what comes of that is what its caller gets.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::checked_out::CheckedOut;
use super::conversation::{Conversation, Lost, Said, is_there, write};
use super::events;
use super::failures;
use super::items::Items;
use super::kill_handle::End;
use super::messages::{CallHead, Kind, MAX_HEAD};
use super::worker::{Dead, Worker};
use crate::error::{Error, ErrorKind, Ran};
use crate::executor::Written;
use crate::task::counts::Ending;
use crate::task::{current, incidents};
#[cfg(feature = "remote")]
use crate::wire::arguments::Encoded;
use crate::wire::arguments::Outbound;
use crate::wire::blobs;
use crate::wire::codec::Decoder;
use crate::wire::frames::Outgoing;
use crate::wire::registry::Callable;
use crate::wire::{codec, registry};

thread_local! {
    /// The worker of the call whose arguments are written on this thread.
    static SENDING: RefCell<Option<Sending>> = const { RefCell::new(None) };
    /// The worker of the call whose body is about to run on this thread.
    static CHECKED_OUT: RefCell<Option<Assigned>> = const { RefCell::new(None) };
}

/// A worker for a call, which may have got a part of it.
pub(super) struct Assigned {
    worker: CheckedOut,
    /// So many bytes of the request were sent.
    sent: usize,
}

impl Assigned {
    /// It has got nothing.
    pub(super) fn new(worker: CheckedOut) -> Assigned {
        Assigned { worker, sent: 0 }
    }

    /// It has got what there is room for now, if the call is to begin.
    pub(super) fn sent(mut worker: CheckedOut, written: &Written) -> Assigned {
        let is_wanted = worker.begin(written.number);
        let sent = if is_wanted { worker.process().write_now(&written.request) } else { 0 };
        Assigned { worker, sent }
    }
}

/// Calls `run`, whose body may use this worker by [`run`]. If it does not (the call was cancelled, or what enters its context
/// panicked), the worker goes back to the pool; one that has got a part of the request is killed and replaced.
pub(super) fn with<R>(worker: Assigned, run: impl FnOnce() -> R) -> R {
    CHECKED_OUT.set(Some(worker));
    let result = run();
    drop(CHECKED_OUT.take());
    result
}

/// A request is small if its arguments have so many bytes at most. The channel of an idle worker has room for many times
/// that, and to write them takes a microsecond or two.
const SMALL: usize = 4 << 10;

/// The request with these arguments, if it is a small one that runs no code of theirs, and they have no more bytes than
/// `most`. The subscriber is asked for its level, which is foreign.
pub(crate) fn written(
    function: &'static dyn Callable,
    arguments: &dyn Fn(&mut Outbound),
    most: usize,
) -> Option<Written> {
    let most = most.min(SMALL);
    let (number, function) = (next_number(), registry::number(function)?);
    let head = CallHead { number, function, level: events::level(), window: 0, is_relayed: false };
    let mut message = Outgoing::new(Kind::Call as u8, MAX_HEAD);
    begin_request(&mut message, &head, most).ok()?;
    let mut outbound = Outbound::of_plain(message, most);
    arguments(&mut outbound);
    Some(Written { number, request: outbound.finish().ok()?.finish().ok()? })
}

/// Writes what stands before the arguments, which may have so many bytes.
fn begin_request(message: &mut Outgoing, head: &CallHead, limit: usize) -> Result<(), String> {
    codec::encode(head, message)?;
    message.end_head(limit);
    Ok(())
}

/// Has the worker of this thread run `function`, and `decode` its result. If it is a stream, its
/// `items` come before.
pub(crate) fn run(
    function: &'static dyn Callable,
    items: Option<Items>,
    arguments: &mut dyn FnMut(&mut Outbound),
    decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
) -> Result<(), Error> {
    noted(function, exchange(function, items, false, arguments, decode))
}

/// The same with a request that is written, and may be sent already.
pub(crate) fn run_written(
    function: &'static dyn Callable,
    written: &Written,
    decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
) -> Result<(), Error> {
    let Assigned { worker, sent } = worker_here();
    let call = Call::new(function, &worker, written.number, None, false);
    noted(function, call.talk(worker, Cow::Borrowed(&written.request), sent, false, decode))
}

/// What a call came to, for its caller and for who counts.
fn noted(
    function: &'static dyn Callable,
    result: Result<(), (Error, Ending)>,
) -> Result<(), Error> {
    result.map_err(|(error, ending)| {
        current::set_ending(ending, error.ran());
        incidents::note_ending(function.about().name, ending, &error);
        error
    })
}

/// Takes the worker of the call whose body begins on this thread. If it may have got a part of the request already, the call
/// may have run.
fn worker_here() -> Assigned {
    let assigned = CHECKED_OUT.take().expect("the body of a process function has a worker");
    current::set_ran(if assigned.worker.has_begun() { Ran::Maybe } else { Ran::No });
    assigned
}

/// Has the worker of this thread run `function`, whose arguments were written elsewhere, with what was
/// carried along; its result, for who reads it elsewhere.
#[cfg(feature = "remote")]
pub(crate) fn relay(
    function: &'static dyn Callable,
    carried: &[(String, String)],
    arguments: &[u8],
) -> Result<Vec<u8>, (Error, Ending)> {
    let mut result = Vec::new();
    let mut write = |outbound: &mut Outbound| {
        outbound.encoded(&Encoded::of(carried));
        outbound.written(arguments);
    };
    exchange(function, None, true, &mut write, &mut |answer| {
        result = answer.into_rest().to_vec();
        Ok(())
    })?;
    Ok(result)
}

fn exchange(
    function: &'static dyn Callable,
    items: Option<Items>,
    is_relayed: bool,
    arguments: &mut dyn FnMut(&mut Outbound),
    decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
) -> Result<(), (Error, Ending)> {
    let Assigned { worker, .. } = worker_here();
    let call = Call::new(function, &worker, next_number(), items, is_relayed);
    call.run(worker, arguments, decode)
}

/// A worker that gets a request, whose blobs are sent while its arguments are written.
struct Sending {
    worker: CheckedOut,
    /// Of the call.
    number: u64,
    answer_by: Option<Instant>,
    /// Whether blobs are sent ahead, once that is known.
    is_ahead: Option<bool>,
}

impl Sending {
    /// Has `write` write the arguments. If it panics, the worker is dropped before the panic goes on.
    fn during<T>(self, write: impl FnOnce() -> T) -> (T, Sending) {
        struct TakeBack;

        impl Drop for TakeBack {
            fn drop(&mut self) {
                drop(SENDING.take());
            }
        }

        SENDING.set(Some(self));
        let guard = TakeBack;
        let written = write();
        let sending = SENDING.take().expect("nobody else takes it");
        drop(guard);
        (written, sending)
    }

    fn send(&mut self, blob: &[u8]) -> bool {
        let Some(header) = blobs::header(blob) else { return false };
        if self.is_ahead.is_none() {
            self.is_ahead = Some(self.can_be_ahead());
        }
        self.is_ahead == Some(true)
            && [&header, blob]
                .iter()
                .all(|part| write(&mut self.worker, part, self.answer_by).is_ok())
    }

    /// Whether blobs may be sent before the message. They are not kept, and so cannot be sent again to another worker:
    /// the worker is pinged first. If it has died while it was idle, they go into the message, which is kept.
    fn can_be_ahead(&mut self) -> bool {
        self.worker.process().is_alive()
            && self.worker.begin_afresh(self.number)
            && is_there(&mut self.worker, self.answer_by)
    }
}

/// Sends a part of the arguments that are written on this thread, ahead of them.
fn send_blob(blob: &[u8]) -> bool {
    SENDING.with_borrow_mut(|sending| sending.as_mut().is_some_and(|sending| sending.send(blob)))
}

struct Call {
    function: &'static dyn Callable,
    /// No argument list and no result is larger, in bytes.
    max_message: usize,
    /// Others have written its arguments, and read its result.
    is_relayed: bool,
    talk: Conversation,
}

/// When workers die before they have read a call, so many are tried.
const TRIES: u32 = 3;

impl Call {
    fn new(
        function: &'static dyn Callable,
        worker: &CheckedOut,
        number: u64,
        items: Option<Items>,
        is_relayed: bool,
    ) -> Call {
        let talk = Conversation { number, answer_by: current::answer_by(), items, panic: None };
        Call { function, max_message: worker.plan().max_message, is_relayed, talk }
    }

    fn run(
        self,
        mut worker: CheckedOut,
        arguments: &mut dyn FnMut(&mut Outbound),
        decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
    ) -> Result<(), (Error, Ending)> {
        let name = self.function.about().name;
        let message = self.head(worker.process()).map_err(|error| (error, Ending::Failed))?;
        let (number, answer_by) = (self.talk.number, self.talk.answer_by);
        let foreign = worker.foreign();
        let sending = Sending { worker, number, answer_by, is_ahead: None };
        let write = || foreign.run(|| self.request(message, arguments));
        let (request, sending) = sending.during(write);
        let is_sent_in_part = sending.is_ahead == Some(true);
        let worker = sending.worker;
        match request {
            Some(Ok(request)) => self.talk(worker, Cow::Owned(request), 0, is_sent_in_part, decode),
            None => Err((worker.ended_before_start(name), Ending::Killed)),
            Some(Err(error)) => {
                if worker.has_begun() {
                    self.forget(worker);
                }
                Err((error, Ending::Failed))
            }
        }
    }

    /// Sends the request, but for what was sent, and reads until the answer. Of one that `is_sent_in_part` the rest is not
    /// here, so no other worker can have it.
    fn talk(
        mut self,
        mut worker: CheckedOut,
        request: Cow<'_, [u8]>,
        mut sent: usize,
        is_sent_in_part: bool,
        decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
    ) -> Result<(), (Error, Ending)> {
        let name = self.function.about().name;
        let (number, answer_by) = (self.talk.number, self.talk.answer_by);
        let mut tries = 1;
        loop {
            if !worker.has_begun() && !worker.begin_afresh(number) {
                return Err((worker.ended_before_start(name), Ending::Killed));
            }
            current::set_ran(Ran::Maybe);
            let mut decoded = Ok(());
            let rest = &request[mem::take(&mut sent)..];
            let said =
                self.talk.go_through(&mut worker, rest, &mut |result| decoded = decode(result));
            match (said, worker.let_go()) {
                (Ok(said), None) => {
                    if let Cow::Owned(request) = request {
                        worker.process().keep_buffer(request);
                    }
                    worker.put_back();
                    return self.answered(said, decoded);
                }
                (Err(Lost::Unread), None) if tries < TRIES && !is_sent_in_part => {
                    tries += 1;
                    worker = worker
                        .reap_for_another(answer_by)
                        .map_err(|dead| (failures::worker_died_idle(name, dead), Ending::Died))?;
                }
                (Err(Lost::Unread), None) => {
                    return Err((failures::worker_died_idle(name, worker.reap()), Ending::Died));
                }
                (Err(Lost::Dead), None) => return Err(self.lost(worker.reap(), None)),
                (Err(Lost::Unreadable(reason)), None) => {
                    drop(worker.kill(None));
                    return Err((failures::unreadable_item(name, &reason), Ending::Failed));
                }
                (Err(Lost::Invalid), None) => {
                    return Err((failures::worker_invalid(name, worker.kill(None)), Ending::Died));
                }
                (_, killed) => return Err(self.lost(worker.kill(killed), killed)),
            }
        }
    }

    /// What an answer means for the caller.
    fn answered(self, said: Said, decoded: Result<(), String>) -> Result<(), (Error, Ending)> {
        let name = self.function.about().name;
        match said {
            Said::Result => {
                current::set_ran(Ran::Yes);
                decoded.map_err(|reason| (failures::unreadable(name, &reason), Ending::Failed))
            }
            Said::Unawaited => Err((failures::unawaited(name), Ending::Returned)),
            Said::Panicked(panic) => Err((failures::panicked(name, panic, None), Ending::Panicked)),
            Said::Failed(failure) => {
                Err((failures::failed(name, &failure, self.max_message), Ending::Failed))
            }
        }
    }

    /// What the death of the worker means for the caller.
    fn lost(self, dead: Dead, killed: Option<End>) -> (Error, Ending) {
        let name = self.function.about().name;
        match (killed, self.talk.panic) {
            (Some(End::Cancelled | End::Told), _) => (failures::killed(name), Ending::Killed),
            (Some(End::Shutdown), _) => (failures::killed_by_shutdown(name), Ending::Killed),
            // One that must not unwind, or with `panic = "abort"`.
            (None, Some(panic)) if dead.is_aborted() => {
                (failures::panicked(name, panic, Some(dead)), Ending::Panicked)
            }
            (None, _) => (failures::worker_died(name, dead), Ending::Died),
        }
    }

    /// The worker has got blobs of a request that does not come.
    fn forget(&self, mut worker: CheckedOut) {
        let is_told = write(&mut worker, &blobs::FORGET_FRAME, self.talk.answer_by).is_ok();
        match (is_told, worker.let_go()) {
            (true, None) => worker.put_back(),
            (false, None) => drop(worker.reap()),
            (_, killed) => drop(worker.kill(killed)),
        }
    }

    fn unsent(&self, what: String) -> Error {
        Error::new(ErrorKind::Serialization, Ran::No, self.function.about().name, what)
    }

    /// The beginning of the request.
    fn head(&self, process: &mut Worker) -> Result<Outgoing, Error> {
        let unsent = |what: String| self.unsent(what);
        let function = registry::number(self.function)
            .ok_or_else(|| unsent("is not in the list of this program's functions".into()))?;
        let window = self.talk.items.as_ref().map_or(0, Items::window);
        let (level, is_relayed) = (events::level(), self.is_relayed);
        let head = CallHead { number: self.talk.number, function, level, window, is_relayed };
        let mut message = process.message(Kind::Call);
        begin_request(&mut message, &head, self.max_message).map_err(unsent)?;
        Ok(message.with_blobs(send_blob))
    }

    /// The whole request, as it is sent.
    fn request(
        &self,
        message: Outgoing,
        arguments: &mut dyn FnMut(&mut Outbound),
    ) -> Result<Vec<u8>, Error> {
        let name = self.function.about().name;
        let mut outbound = Outbound::new(message);
        arguments(&mut outbound);
        let message =
            outbound.finish().map_err(|reason| failures::unsendable(name, &reason.to_string()))?;
        message.finish().map_err(|large| failures::too_large(name, &large))
    }
}

/// What the next call is known by, over all workers, so that a number never means another's call.
fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
