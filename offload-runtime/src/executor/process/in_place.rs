//! A stream that a body in a worker makes use of. There is no worker of this one to send it to: so its body runs in the
//! same process, in the place of one, on a thread of a pool; and all that would be sent is encoded and decoded, so that it is
//! the same stream.

use std::mem;
use std::sync::{Arc, Mutex};

use super::failures;
use super::items::Take;
use super::messages::{Failure, Kind, cut};
use super::plan::MAX_MESSAGE;
use crate::error::Error;
use crate::system::abort::Unpoisoned;
use crate::task::current;
use crate::wire::arguments::{Arguments, Outbound, Outlet, Write};
use crate::wire::codec::Decoder;
use crate::wire::frames::{HEADER, Outgoing, TooLarge};
use crate::wire::registry::Callable;

/// Runs `function` on this thread, has its items taken, and `decode` its result.
pub(crate) fn run(
    function: &'static dyn Callable,
    take: Box<dyn Take>,
    arguments: &mut dyn FnMut(&mut Outbound),
    decode: &mut dyn FnMut(Decoder<'_>) -> Result<(), String>,
) -> Result<(), Error> {
    let name = function.about().name;
    let failed = |failure: Failure| failures::failed(name, &failure, MAX_MESSAGE);
    let mut outbound = Outbound::new(Outgoing::new(Kind::Call as u8, MAX_MESSAGE));
    arguments(&mut outbound);
    let request = outbound.finish().map_err(|reason| failures::unsendable(name, &reason))?;
    let request = request.finish().map_err(|large| failures::too_large(name, &large))?;
    let sending = Mutex::new(Some(Sending { take, buffer: Vec::new() }));
    let outlet = Arc::new(Here { function: name, sending, failure: Mutex::new(None) });
    let decoder = Decoder::new(&request[HEADER..]);
    let mut arguments = Arguments::new(decoder, Outgoing::new(Kind::Done as u8, MAX_MESSAGE))
        .with_outlet(Arc::<Here>::clone(&outlet));
    let entry = function.entry().expect("a function of the kind has one");
    let loans = function.lend()?;
    let ended = current::with_loans(function.about(), loans, || entry(&mut arguments));
    let failure = outlet.failure.lock().unpoisoned().take();
    if let Some(failure) = failure {
        return Err(failed(failure));
    }
    ended.map_err(|malformed| failed(Failure::Arguments(malformed.into_reason())))?;
    let answer = arguments.into_answer().map_err(|reason| failed(Failure::Result(reason)))?;
    let answer = answer.map_err(|large| failed(Failure::TooLarge(large.bytes)))?;
    decode(Decoder::new(&answer[HEADER..])).map_err(|reason| failures::unreadable(name, &reason))
}

/// Where the items of such a stream go.
struct Here {
    function: &'static str,
    /// Not there while an item is sent: what writes and reads it is foreign, and nothing is locked.
    sending: Mutex<Option<Sending>>,
    /// Why one could not be sent: none is after it.
    failure: Mutex<Option<Failure>>,
}

struct Sending {
    take: Box<dyn Take>,
    /// That of the last item.
    buffer: Vec<u8>,
}

/// What sends an item, which is put back when this is dropped.
struct Held<'a> {
    here: &'a Here,
    sending: Option<Sending>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.here.sending.lock().unpoisoned() = self.sending.take();
    }
}

impl Sending {
    /// Whether the consumer takes more.
    fn send(&mut self, write: Write<'_>) -> Result<bool, Failure> {
        let buffer = mem::take(&mut self.buffer);
        let mut message = Outgoing::reuse(buffer, Kind::Item as u8, MAX_MESSAGE);
        let failed = |reason| Failure::Item(cut(reason));
        write(&mut message).map_err(failed)?;
        let item =
            message.finish().map_err(|TooLarge { bytes, .. }| Failure::ItemTooLarge(bytes))?;
        let read = self.take.read(Decoder::new(&item[HEADER..]));
        self.buffer = item;
        read.map_err(failed)?;
        Ok(self.take.pass_on())
    }
}

impl Outlet for Here {
    fn function(&self) -> &'static str {
        self.function
    }

    fn send(&self, write: Write<'_>) -> bool {
        if self.failure.lock().unpoisoned().is_some() {
            return false;
        }
        let sending = self.sending.lock().unpoisoned().take();
        let mut held = Held { here: self, sending };
        // Only the body sends, one item after the other.
        let Some(sending) = &mut held.sending else { return false };
        sending.send(write).unwrap_or_else(|failure| {
            *self.failure.lock().unpoisoned() = Some(failure);
            false
        })
    }
}
