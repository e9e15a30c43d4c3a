//! A stream that is made use of in a worker: its body runs there, on a thread of a pool, with all
//! that would be sent encoded and decoded.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

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
    let state = Mutex::new(State { take, buffer: Vec::new(), failure: None });
    let outlet = Arc::new(Here { function: name, state });
    let decoder = Decoder::new(&request[HEADER..]);
    let mut arguments =
        Arguments::new(decoder, Kind::Done as u8, MAX_MESSAGE)
            .with_outlet(Arc::<Here>::clone(&outlet));
    let entry = function.entry().expect("a function of the kind has one");
    let loans = function.lend()?;
    let ended = current::with_loans(function.about(), loans, || entry(&mut arguments));
    if let Some(failure) = outlet.lock().failure.take() {
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
    state: Mutex<State>,
}

struct State {
    take: Box<dyn Take>,
    /// That of the last item.
    buffer: Vec<u8>,
    /// Why one could not be sent: none is after it.
    failure: Option<Failure>,
}

impl Here {
    /// What writes and reads an item is foreign, and may panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }
}

impl Outlet for Here {
    fn function(&self) -> &'static str {
        self.function
    }

    fn send(&self, write: Write<'_>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        if state.failure.is_some() {
            return false;
        }
        let buffer = mem::take(&mut state.buffer);
        let mut message = Outgoing::reuse(buffer, Kind::Item as u8, MAX_MESSAGE);
        match write(&mut message).map(|()| message.finish()) {
            Ok(Ok(item)) => {
                let read = state.take.read(Decoder::new(&item[HEADER..]));
                state.buffer = item;
                match read {
                    Ok(()) => return state.take.pass_on(),
                    Err(reason) => state.failure = Some(Failure::Item(cut(reason))),
                }
            }
            Ok(Err(TooLarge { bytes, .. })) => state.failure = Some(Failure::ItemTooLarge(bytes)),
            Err(reason) => state.failure = Some(Failure::Item(cut(reason))),
        }
        false
    }
}
