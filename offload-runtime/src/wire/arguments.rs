//! The arguments of a call on their way to another process, and the result on its way back.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "remote")]
use super::codec::Target;
use super::codec::top::{Lent, Top};
use super::codec::{self, Decoder, Kept};
use super::frames::{Outgoing, TooLarge};
use super::plain::is_plain;
use crate::error::Ran;
use crate::task::current;

/// An argument that was written already.
#[derive(Debug)]
pub(crate) struct Encoded(Result<Kept, String>);

impl Encoded {
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Encoded {
        let mut kept = Kept::default();
        let written = codec::encode(value, &mut kept);
        Encoded(written.map(|()| kept))
    }
}

/// Nobody reads this: the arguments are written elsewhere.
const NOT_PLAIN: &str = "it is not plain";

/// The arguments of a call, on their way to a worker.
#[derive(Debug)]
pub struct Outbound {
    message: Outgoing,
    /// Why one of them cannot be sent.
    failed: Option<String>,
    /// Each is [plain](is_plain), of so many bytes at most, or was written already.
    plain: Option<usize>,
}

impl Outbound {
    pub(crate) fn new(message: Outgoing) -> Outbound {
        Outbound { message, failed: None, plain: None }
    }

    /// For arguments that are [plain](is_plain), of so many bytes at most, or were written already.
    pub(crate) fn of_plain(message: Outgoing, most: usize) -> Outbound {
        Outbound { plain: Some(most), ..Outbound::new(message) }
    }

    pub(crate) fn push<T: Serialize + 'static>(&mut self, value: &T) {
        if self.plain.is_some_and(|most| !is_plain(value, most)) {
            self.failed = Some(NOT_PLAIN.to_owned());
        }
        if self.failed.is_none() {
            self.failed = codec::encode(&Lent(value), &mut self.message).err();
        }
    }

    /// The next argument, if it was written already.
    pub(crate) fn encoded(&mut self, argument: &Encoded) {
        if self.failed.is_some() {
            return;
        }
        // What is too long is counted, and found when the message ends.
        self.failed = match &argument.0 {
            Ok(kept) => codec::put(kept, &mut self.message).err(),
            Err(reason) => Some(reason.clone()),
        };
    }

    /// The next argument, which `write` writes by itself.
    pub(crate) fn push_lent(&mut self, write: impl FnOnce() -> Encoded) {
        match self.plain {
            Some(_) => self.failed = Some(NOT_PLAIN.to_owned()),
            None => self.encoded(&write()),
        }
    }

    /// All of them, which were written elsewhere.
    #[cfg(feature = "remote")]
    pub(crate) fn written(&mut self, arguments: &[u8]) {
        self.message.put(arguments);
    }

    /// The message; or why an argument cannot be sent.
    pub(crate) fn finish(self) -> Result<Outgoing, String> {
        self.failed.map_or(Ok(self.message), Err)
    }
}

/// In a worker: where the body of a stream sends its items, on their way to the caller.
pub(crate) trait Outlet: Send + Sync {
    /// The label of the function.
    fn function(&self) -> &'static str;

    /// Sends the item that `write` writes. False: nobody takes it, or it cannot be sent, and the
    /// body is to end.
    fn send(&self, write: Write<'_>) -> bool;
}

/// Writes an item; or says why it cannot be written.
pub(crate) type Write<'a> = &'a dyn Fn(&mut Outgoing) -> Result<(), String>;

/// In a worker: the arguments of a call that came in, and its result.
pub struct Arguments<'a> {
    decoder: Decoder<'a>,
    answer: Outgoing,
    /// Why the result cannot be sent.
    failed: Option<String>,
    /// Of a stream.
    outlet: Option<Arc<dyn Outlet>>,
}

/// What came in are not the arguments of the function.
#[derive(Debug)]
pub struct Malformed(String);

impl Malformed {
    pub(crate) fn into_reason(self) -> String {
        self.0
    }
}

impl<'a> Arguments<'a> {
    /// The result goes into `answer`.
    pub(crate) fn new(decoder: Decoder<'a>, answer: Outgoing) -> Arguments<'a> {
        Arguments { decoder, answer, failed: None, outlet: None }
    }

    /// The call is a stream, whose items go there.
    pub(crate) fn with_outlet(mut self, outlet: Arc<dyn Outlet>) -> Arguments<'a> {
        self.outlet = Some(outlet);
        self
    }

    /// Where the items go of a call that is a stream.
    pub(crate) fn outlet(&self) -> Result<Arc<dyn Outlet>, Malformed> {
        self.outlet.clone().ok_or_else(|| Malformed("the call is no stream".to_owned()))
    }

    pub(crate) fn next<T: DeserializeOwned + 'static>(&mut self) -> Result<T, Malformed> {
        self.decoder.next().map(|Top(value)| value).map_err(Malformed)
    }

    /// The next one, written without its type being known.
    pub(crate) fn next_owned<T: DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        self.decoder.next().map_err(Malformed)
    }

    /// This is the result.
    pub(crate) fn answer<T: Serialize + 'static, E: Serialize>(&mut self, result: Result<&T, &E>) {
        self.failed = codec::encode(&result.map(Lent), &mut self.answer).err();
    }

    /// There is no further one: the body is next.
    ///
    /// # Errors
    ///
    /// If there is one.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.decoder.end().map_err(Malformed)?;
        current::set_ran(Ran::Yes);
        Ok(())
    }

    /// The message with the result, or how large it would be; or why it cannot be sent.
    pub(crate) fn into_answer(self) -> Result<Result<Vec<u8>, TooLarge>, String> {
        self.failed.map_or_else(|| Ok(self.answer.finish()), Err)
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments").finish_non_exhaustive()
    }
}
