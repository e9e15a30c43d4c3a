//! In a worker: the channel to its parent, which one thread at a time writes to.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Mutex, OnceLock};

use super::messages::{Kind, MAX_NOTE, MORE};
use crate::system::abort::Unpoisoned;
use crate::wire::blobs;
use crate::wire::codec::{self, Target};
use crate::wire::frames::Outgoing;

/// The status of a process that will not be a worker.
pub(super) const REJECTED: i32 = 70;

/// What frames are written to.
static DATA: OnceLock<Mutex<Outlet>> = OnceLock::new();

/// The same, for the thread that sends items, and waits for the parent to take them.
static ANSWERS: OnceLock<UnixStream> = OnceLock::new();

struct Outlet {
    data: UnixStream,
    /// The parent listens: it waits for a call, or for this worker to start up.
    is_open: bool,
}

/// From now on this is the channel.
pub(super) fn open(data: UnixStream) {
    if let Ok(answers) = data.try_clone() {
        let _ = ANSWERS.set(answers);
    }
    let _ = DATA.set(Mutex::new(Outlet { data, is_open: true }));
}

/// Waits until the parent takes more items: how many. It sends nothing else while a body runs, so
/// that no byte is read that belongs to another message. `None`: it does not.
pub(super) fn hear_more() -> Option<u32> {
    let mut frame = [0; MORE];
    ANSWERS.get()?.read_exact(&mut frame).ok()?;
    let [kind, 4, 0, 0, 0, a, b, c, d] = frame else { return None };
    (kind == Kind::More as u8).then(|| u32::from_le_bytes([a, b, c, d]))
}

/// The parent has sent a call, and listens from now on.
pub(super) fn listen() {
    if let Some(outlet) = DATA.get() {
        outlet.lock().unpoisoned().is_open = true;
    }
}

/// Answers a ping, which the parent sends between calls. That is the only message that a worker writes then.
pub(super) fn answer_ping() {
    let here = message(Kind::Here, &());
    if let Some(outlet) = DATA.get() {
        // If it is gone, the watch ends this process.
        let _ = outlet.lock().unpoisoned().data.write_all(&here);
    }
}

/// Who listens after a message.
#[derive(PartialEq)]
pub(super) enum Then {
    /// The parent, still.
    Continue,
    /// Nobody, until the parent sends the next call.
    Close,
}

/// Writes a whole message. False: nobody listens. If nobody ever will, the
/// watch ends this process.
pub(super) fn write(message: &[u8], then: Then) -> bool {
    write_parts([message, &[]], then)
}

/// Sends a part of the result ahead of it.
pub(super) fn send_blob(blob: &[u8]) -> bool {
    blobs::header(blob).is_some_and(|header| write_parts([&header, blob], Then::Continue))
}

/// The same as [`write`], of a message in two parts.
fn write_parts(parts: [&[u8]; 2], then: Then) -> bool {
    let Some(outlet) = DATA.get() else { return false };
    let mut outlet = outlet.lock().unpoisoned();
    if !outlet.is_open {
        return false;
    }
    outlet.is_open = then == Then::Continue;
    parts.into_iter().all(|part| outlet.data.write_all(part).is_ok())
}

/// A message of ours, which is small.
pub(super) fn message<T: serde::Serialize>(kind: Kind, content: &T) -> Vec<u8> {
    whole(with(Outgoing::new(kind as u8, MAX_NOTE), content))
}

/// The same message, with this at its end.
pub(super) fn with<T: serde::Serialize>(mut message: Outgoing, content: &T) -> Outgoing {
    if codec::encode(content, &mut message).is_err() {
        reject("it cannot say what happened");
    }
    message
}

/// A message to which nothing is added any more.
pub(super) fn whole(message: Outgoing) -> Vec<u8> {
    message.finish().unwrap_or_else(|_| reject("it cannot say what happened"))
}

/// A whole message with this payload, unless it is too long.
pub(super) fn frame(kind: Kind, payload: &[u8]) -> Option<Vec<u8>> {
    let mut message = Outgoing::new(kind as u8, MAX_NOTE);
    message.put(payload);
    message.finish().ok()
}

/// Tells the parent, and ends.
pub(super) fn reject(reason: &str) -> ! {
    if let Some(message) = frame(Kind::Rejected, reason.as_bytes()) {
        write(&message, Then::Close);
    }
    process::exit(REJECTED);
}
