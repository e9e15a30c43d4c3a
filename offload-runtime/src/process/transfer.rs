//! What the compiler is asked about the types of a `process` function, and how
//! its arguments and its result get to the worker and back.

use std::borrow::Borrow;
use std::fmt;
use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::top::{Lent, Top};
use super::codec::{self, Decoder};
use super::exchange;
use super::messages::Kind;
use super::wire::{Outgoing, TooLarge};
use crate::bounds::{Answer, Fallible, Returned};
use crate::error::Error;
use crate::function::Function;

/// An argument that may go to another process.
///
/// Expanded code gets at it by methods only: then a type that is none is
/// reported once, by what stands here, and not by what `serde` lacks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "this is no `serde` type, or not `Send`",
    note = "what goes to another process implements `Serialize` and `Deserialize`: \
            `#[derive(serde::Serialize, serde::Deserialize)]`, or the feature `serde` of its crate",
    note = "a thread has to wait for the other process, so it implements `Send` as well"
)]
pub trait Transfer: Sized {
    /// In the parent: on its way.
    fn send(&self, outbound: &mut Outbound);

    /// In the worker: the next argument.
    fn take(arguments: &mut Arguments<'_>) -> Result<Self, Malformed>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Transfer for T {
    fn send(&self, outbound: &mut Outbound) {
        outbound.push(self);
    }

    fn take(arguments: &mut Arguments<'_>) -> Result<T, Malformed> {
        arguments.next()
    }
}

/// What `#[to_owned]` lends: it is sent from the borrow, and the worker owns its copy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "this is no `serde` type, or its copy is none",
    note = "what `#[to_owned]` lends implements `Serialize` and `ToOwned`, which `Clone` gives, and its \
            copy `Deserialize`: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`"
)]
pub trait TransferLent {
    /// In the parent, in the caller's task.
    fn encode(&self) -> Encoded;

    /// In the worker: lends the next argument to the rest of the call.
    fn lend<F>(arguments: &mut Arguments<'_>, rest: F) -> Result<(), Malformed>
    where
        F: FnOnce(&Self, &mut Arguments<'_>) -> Result<(), Malformed>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ToOwned<Owned: DeserializeOwned> + ?Sized> TransferLent for T {
    fn encode(&self) -> Encoded {
        let mut bytes = Vec::new();
        let written = codec::encode(self, &mut bytes);
        Encoded(written.map(|()| bytes))
    }

    fn lend<F>(arguments: &mut Arguments<'_>, rest: F) -> Result<(), Malformed>
    where
        F: FnOnce(&Self, &mut Arguments<'_>) -> Result<(), Malformed>,
    {
        // As it was written: without its type being known.
        let owned: T::Owned = arguments.decoder.next().map_err(Malformed)?;
        rest(owned.borrow(), arguments)
    }
}

/// A result that can come back from another process, and say that it did not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another process",
    label = "a process can die, and the result of its call has to say so",
    note = "return `Result<T, offload_runtime::Error>`, or a `Result<T, E>` whose `E` implements \
            `From<offload_runtime::Error>`",
    note = "`T` and `E` are `serde` types: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Remote: Sized {
    /// The call of a function with this result.
    fn call<A>(function: &'static Function, arguments: A) -> Answer<Body<Self>, Self>
    where
        A: FnOnce(&mut Outbound) + Send + 'static;

    /// In the worker: sends the result back.
    fn answer(self, arguments: &mut Arguments<'_>);
}

/// What a call runs in the parent: it has a worker do the work.
pub(crate) type Body<T> = Box<dyn FnOnce() -> T + Send>;

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> Remote for Result<T, E>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Serialize + DeserializeOwned + Send + 'static,
{
    fn call<A>(function: &'static Function, arguments: A) -> Answer<Body<Self>, Self>
    where
        A: FnOnce(&mut Outbound) + Send + 'static,
    {
        let body: Body<Self> = Box::new(move || {
            let mut arguments = Some(arguments);
            let mut result = None;
            let ended = exchange::run(
                function,
                &mut |outbound| arguments.take().expect("called once")(outbound),
                &mut |bytes| {
                    let mut decoder = Decoder::new(bytes);
                    let read: Result<Top<T>, E> = decoder.next()?;
                    result = Some(read.map(|Top(value)| value));
                    decoder.end()
                },
            );
            match ended {
                Ok(()) => result.expect("what ends well has a result"),
                Err(error) => Err(E::from(error)),
            }
        });
        <Self as Returned>::call(function, <Self as Fallible<Error>>::fail(), body)
    }

    fn answer(self, arguments: &mut Arguments<'_>) {
        let result = self.as_ref().map(Lent);
        arguments.failed = codec::encode(&result, &mut arguments.answer).err();
    }
}

/// An argument that was written already.
#[derive(Debug)]
pub struct Encoded(Result<Vec<u8>, String>);

/// The arguments of a call, on their way to a worker.
#[derive(Debug)]
pub struct Outbound {
    message: Outgoing,
    /// Why one of them cannot be sent.
    failed: Option<String>,
}

impl Outbound {
    pub(crate) fn new(message: Outgoing) -> Outbound {
        Outbound { message, failed: None }
    }

    fn push<T: Serialize + 'static>(&mut self, value: &T) {
        if self.failed.is_none() {
            self.failed = codec::encode(&Lent(value), &mut self.message).err();
        }
    }

    /// The next argument, if it was written already.
    pub fn encoded(&mut self, argument: Encoded) {
        if self.failed.is_some() {
            return;
        }
        match argument.0 {
            // What is too long is counted, and found when the message ends.
            Ok(bytes) => {
                self.failed = self.message.write_all(&bytes).err().map(|error| error.to_string())
            }
            Err(reason) => self.failed = Some(reason),
        }
    }

    /// The message; or why an argument cannot be sent.
    pub(crate) fn finish(self) -> Result<Outgoing, String> {
        self.failed.map_or(Ok(self.message), Err)
    }
}

/// In a worker: the arguments of a call that came in, and its result.
pub struct Arguments<'a> {
    decoder: Decoder<'a>,
    answer: Outgoing,
    /// Why the result cannot be sent.
    failed: Option<String>,
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
    pub(crate) fn new(decoder: Decoder<'a>, kind: Kind, max_message: usize) -> Arguments<'a> {
        let answer = Outgoing::new(kind as u8, max_message);
        Arguments { decoder, answer, failed: None }
    }

    fn next<T: DeserializeOwned + 'static>(&mut self) -> Result<T, Malformed> {
        self.decoder.next().map(|Top(value)| value).map_err(Malformed)
    }

    /// There is no further one.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.decoder.end().map_err(Malformed)
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

/// In the worker: takes the arguments, runs the body, sends the result.
pub(crate) type Entry = fn(&mut Arguments<'_>) -> Result<(), Malformed>;

/// Where a function stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Of the file.
    pub file: &'static str,
    /// In the file, from 1.
    pub line: u32,
    /// In the line, from 1.
    pub column: u32,
}

/// A `process` function of this binary.
#[derive(Debug)]
pub struct Listed(pub &'static Function);

inventory::collect!(Listed);
