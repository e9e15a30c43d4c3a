//! What the compiler is asked about the types of a `process` or `remote` function, and how
//! its arguments and its result get to the worker and back.

use std::any::Any;
use std::borrow::Borrow;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::bounds::Fallible;
use super::chosen_pool::OfProcess;
#[cfg(feature = "remote")]
use super::chosen_pool::OfRemote;
use super::process_stream::{End, Streamed, read, stream};
use crate::call::made::Made;
use crate::call::starting::{self, Which};
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::call::{admission, started};
use crate::error::Error;
use crate::executor::process::exchange;
use crate::executor::process::serve::in_worker;
#[cfg(feature = "remote")]
use crate::executor::remote::parcel::{OfParcel, Parcel};
use crate::function::Function;
use crate::resource::{self, per_thread};
use crate::sync::foreign::drop_quietly;
use crate::task::about::About;
use crate::task::large::Boxed;
use crate::task::loan::Loans;
use crate::task::{Owner, current};
use crate::wire::arguments::{Arguments, Encoded, Malformed, Outbound};
use crate::wire::codec::top::{Lent, Top};
use crate::wire::codec::{self, Decoder};
use crate::wire::registry::{Callable, Entry, Host, Listed, Offered, Place};

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
    /// Sends it, in the parent.
    fn send(&self, outbound: &mut Outbound);

    /// The next argument, in the worker.
    ///
    /// # Errors
    ///
    /// If there is none of this type.
    fn take(arguments: &mut Arguments<'_>) -> Result<Self, Malformed>;

    /// The stream of such items, in the parent, which a body pushes, and which ends like this.
    fn pushed<E, A>(
        end: End<E>,
        function: &'static Function,
        shape: Shape,
        arguments: A,
    ) -> Streamed<Result<Self, E>>
    where
        E: Send + 'static,
        A: FnOnce(&mut Outbound) + Send + 'static;

    /// The sink, in the worker, into which a body pushes such items.
    ///
    /// # Errors
    ///
    /// If the call is of no stream.
    fn sink(arguments: &Arguments<'_>) -> Result<Sink<Self>, Malformed>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Transfer for T {
    fn send(&self, outbound: &mut Outbound) {
        outbound.push(self);
    }

    fn take(arguments: &mut Arguments<'_>) -> Result<T, Malformed> {
        arguments.next()
    }

    fn pushed<E, A>(
        end: End<E>,
        function: &'static Function,
        shape: Shape,
        arguments: A,
    ) -> Streamed<Result<T, E>>
    where
        E: Send + 'static,
        A: FnOnce(&mut Outbound) + Send + 'static,
    {
        let read = |mut decoder: Decoder<'_>| {
            let Top(item) = decoder.next()?;
            decoder.end()?;
            Ok(item)
        };
        Streamed::new(stream(function, shape, read, end, arguments))
    }

    fn sink(arguments: &Arguments<'_>) -> Result<Sink<T>, Malformed> {
        let outlet = arguments.outlet()?;
        let function = outlet.function();
        let send = move |item| outlet.send(&|message| codec::encode(&Lent(&item), message));
        Ok(Sink::away(function, send))
    }
}

/// What `#[to_owned]` lends: it is sent from the borrow, and the worker owns its copy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "this is no `serde` type, or its copy is none, or not `Send`",
    note = "what `#[to_owned]` lends implements `Serialize` and `ToOwned`, which `Clone` gives, and its \
            copy `Deserialize` and `Send`: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`"
)]
pub trait TransferLent {
    /// The call's own of what it was lent, when the function is called.
    fn hold(&self) -> OwnCopy;

    /// What the body is lent in a worker, where it runs in place.
    fn lent(held: &OwnCopy) -> &Self;

    /// Sends it, in the parent.
    fn send(held: &OwnCopy, outbound: &mut Outbound);

    /// Lends, in the worker, the next argument to the rest of the call.
    ///
    /// # Errors
    ///
    /// If there is none of this type, and those of the rest.
    fn lend<F>(arguments: &mut Arguments<'_>, rest: F) -> Result<(), Malformed>
    where
        F: FnOnce(&Self, &mut Arguments<'_>) -> Result<(), Malformed>;
}

/// What a call has of its own of what it was lent. Its type says nothing of that, by which a type that is no
/// [`TransferLent`] would be reported once more.
#[derive(Debug)]
pub struct OwnCopy(Copied);

#[derive(Debug)]
enum Copied {
    /// In the parent, where it is written from the borrow.
    Written(Encoded),
    /// In a worker, where the body runs in place: a copy of what was lent.
    Made(Box<dyn Any + Send>),
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ToOwned<Owned: DeserializeOwned + Send + 'static> + ?Sized> TransferLent for T {
    fn hold(&self) -> OwnCopy {
        OwnCopy(match in_worker() {
            true => Copied::Made(Box::new(self.to_owned())),
            false => Copied::Written(Encoded::of(self)),
        })
    }

    fn lent(held: &OwnCopy) -> &T {
        let Copied::Made(copy) = &held.0 else {
            unreachable!("a process does not become a worker by and by")
        };
        let copy: &T::Owned = copy.downcast_ref().expect("it was made of this type");
        copy.borrow()
    }

    fn send(held: &OwnCopy, outbound: &mut Outbound) {
        match &held.0 {
            Copied::Written(encoded) => outbound.encoded(encoded),
            Copied::Made(_) => outbound.push_lent(|| Encoded::of(Self::lent(held))),
        }
    }

    fn lend<F>(arguments: &mut Arguments<'_>, rest: F) -> Result<(), Malformed>
    where
        F: FnOnce(&Self, &mut Arguments<'_>) -> Result<(), Malformed>,
    {
        // As it was written: without its type being known.
        let owned: T::Owned = arguments.next_owned()?;
        rest(owned.borrow(), arguments)
    }
}

/// A result that can come back from another process, and say that it did not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another process",
    label = "this has to be a `Result` that can say that a process died, made of `serde` types",
    note = "return `Result<T, offload_runtime::Error>`, or a `Result<T, E>` whose `E` implements \
            `From<offload_runtime::Error>`",
    note = "`T` and `E` are `serde` types, and `Send`: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Remote: Sized {
    /// The call of a function with this result.
    fn call<A>(function: &'static Function, arguments: A) -> Answer<Self>
    where
        A: Fn(&mut Outbound) + Send + 'static;

    /// The call, or the start of one that is not awaited.
    fn call_or_start<A>(function: &'static Function, arguments: A) -> Answer<Self>
    where
        A: Fn(&mut Outbound) + Send + 'static;

    /// The result of a call, in the worker, by a body there, which runs in place.
    ///
    /// # Errors
    ///
    /// The call, if it is one that was to be started and not awaited.
    fn here_or_started(
        function: &'static Function,
        body: impl FnOnce() -> Self,
    ) -> Result<Self, Answer<Self>>;

    /// The result of a call, in the worker, that a body there makes. It runs right there, as a call of the plain function
    /// would: there is nobody to send it to. For functions that borrow something, as others need nothing for that.
    fn in_place(function: &'static Function, body: impl FnOnce() -> Self) -> Self;

    /// The call of a function with this result, whose body runs on another machine.
    #[cfg(feature = "remote")]
    fn call_remote<A>(function: &'static Function, arguments: A) -> OfParcel<Answer<Self>>
    where
        A: FnOnce(&mut Outbound) + Send + 'static;

    /// The call of such a function, or the start of one that is not awaited.
    #[cfg(feature = "remote")]
    fn call_remote_or_start<A>(function: &'static Function, arguments: A) -> OfParcel<Answer<Self>>
    where
        A: FnOnce(&mut Outbound) + Send + 'static;

    /// Sends the result back, in the worker.
    fn answer(self, arguments: &mut Arguments<'_>);
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> Remote for Result<T, E>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Serialize + DeserializeOwned + Send + 'static,
{
    fn call<A>(function: &'static Function, arguments: A) -> Answer<Self>
    where
        A: Fn(&mut Outbound) + Send + 'static,
    {
        let fail = <Self as Fallible<Error>>::fail();
        let written = match function.executor().begin_limit() {
            Some(most) => admission::caught(|| Ok(exchange::written(function, &arguments, most))),
            None => Ok(None),
        };
        let written = match written {
            Ok(written) => written.map(Arc::new),
            Err(failure) => return Answer::new(Made::rejected(function, fail, failure)),
        };
        let Some(written) = written else {
            let body: Boxed<Self> =
                Box::new(move || exchanged(function, arguments).unwrap_or_else(|e| Err(e.into())));
            return Answer::new(Made::new(function, fail, None, body));
        };
        let request = Arc::clone(&written);
        let run = move |decode: Decode<'_>| exchange::run_written(function, &request, decode);
        let body: Boxed<Self> = Box::new(move || received(run).unwrap_or_else(|e| Err(e.into())));
        Answer::new(Made::new(function, fail, Some(written), body))
    }

    fn call_or_start<A>(function: &'static Function, arguments: A) -> Answer<Self>
    where
        A: Fn(&mut Outbound) + Send + 'static,
    {
        if !starting::is_wanted(which(function)) {
            return <Self as Remote>::call(function, arguments);
        }
        let body: Boxed<Result<Self, Error>> = Box::new(move || exchanged(function, arguments));
        starting::leave(started::start_apart(function, body));
        Answer::new(Made::started(function))
    }

    fn here_or_started(
        function: &'static Function,
        body: impl FnOnce() -> Self,
    ) -> Result<Self, Answer<Self>> {
        if !starting::is_wanted(which(function)) {
            return Ok(body());
        }
        starting::leave(started::run_here(function, body));
        Err(Answer::new(Made::started(function)))
    }

    fn in_place(function: &'static Function, body: impl FnOnce() -> Self) -> Self {
        let loans = function.borrow(false)?;
        current::with_loans(Owner::about(function), loans, body)
    }

    #[cfg(feature = "remote")]
    fn call_remote<A>(function: &'static Function, arguments: A) -> OfParcel<Answer<Self>>
    where
        A: FnOnce(&mut Outbound) + Send + 'static,
    {
        let parcel = Parcel::new(function, Box::new(arguments));
        let opened = Arc::clone(&parcel);
        let body: Boxed<Self> =
            Box::new(move || opened.open(read).unwrap_or_else(|e| Err(e.into())));
        OfParcel::new(
            parcel,
            Answer::new(Made::new(function, <Self as Fallible<Error>>::fail(), None, body)),
        )
    }

    #[cfg(feature = "remote")]
    fn call_remote_or_start<A>(function: &'static Function, arguments: A) -> OfParcel<Answer<Self>>
    where
        A: FnOnce(&mut Outbound) + Send + 'static,
    {
        if !starting::is_wanted(which(function)) {
            return <Self as Remote>::call_remote(function, arguments);
        }
        let parcel = Parcel::new(function, Box::new(arguments));
        let opened = Arc::clone(&parcel);
        let body: Boxed<Result<Self, Error>> = Box::new(move || opened.open(read));
        starting::leave(parcel.submitted(|| started::start_apart(function, body)));
        OfParcel::submitted_before(Answer::new(Made::started(function)))
    }

    fn answer(self, arguments: &mut Arguments<'_>) {
        arguments.answer(self.as_ref());
    }
}

/// A function that another process runs is there once for all types.
fn which(function: &Function) -> Which {
    Which { label: function.name(), of: "" }
}

/// Has a worker do the work.
fn exchanged<A, T, E>(function: &'static Function, arguments: A) -> Result<Result<T, E>, Error>
where
    A: FnOnce(&mut Outbound),
    T: DeserializeOwned + 'static,
    E: DeserializeOwned,
{
    let mut arguments = Some(arguments);
    let mut write = |outbound: &mut Outbound| arguments.take().expect("called once")(outbound);
    received(|decode| exchange::run(function, None, &mut write, decode))
}

/// Reads a result.
type Decode<'a> = &'a mut dyn FnMut(Decoder<'_>) -> Result<(), String>;

/// What comes of a call that `run` has a worker do.
fn received<T, E>(run: impl FnOnce(Decode<'_>) -> Result<(), Error>) -> Result<Result<T, E>, Error>
where
    T: DeserializeOwned + 'static,
    E: DeserializeOwned,
{
    let mut result = None;
    run(&mut |decoder| read(decoder).map(|read| result = Some(read)))?;
    Ok(result.expect("what ends well has a result"))
}

impl Function {
    /// A function of the kind `process`.
    pub const fn process<P: OfProcess>(
        name: &'static str,
        pool: &'static P,
        place: Place,
        entry: Entry,
    ) -> Function {
        Function::on_pool(name, "process", pool).offer(Offered { place, entry, attempts: 1 })
    }
}

#[cfg(feature = "remote")]
impl Function {
    /// A function of the kind `remote`.
    pub const fn remote<P: OfRemote>(
        name: &'static str,
        pool: &'static P,
        place: Place,
        entry: Entry,
    ) -> Function {
        Function::on_pool(name, "remote", pool).offer(Offered { place, entry, attempts: 1 })
    }

    /// The option `attempts`.
    ///
    /// # Panics
    ///
    /// If it is 0; in a `static`, that is a compile error.
    pub const fn attempts(self, attempts: u32) -> Function {
        assert!(attempts > 0, "`attempts` is at least 1");
        match self.offered() {
            Some(offered) => self.offer(Offered { attempts, ..offered }),
            None => panic!("no other process runs it"),
        }
    }
}

impl Listed {
    /// This function of this binary.
    pub const fn new(function: &'static Function) -> Listed {
        Listed(function)
    }
}

impl Callable for Function {
    fn about(&'static self) -> &'static About {
        Owner::about(self)
    }

    fn place(&self) -> Option<Place> {
        self.offered().map(|offered| offered.place)
    }

    fn entry(&self) -> Option<Entry> {
        self.offered().map(|offered| offered.entry)
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        self.borrow(false)
    }

    fn drop_lent(&self) {
        resource::close_all().into_iter().for_each(drop_quietly);
        per_thread::drop_here();
    }

    fn attempts(&self) -> u32 {
        self.offered().map_or(1, |offered| offered.attempts)
    }

    #[cfg(feature = "remote")]
    fn make_known(&'static self) {
        self.make_known();
    }

    fn host(&self) -> Option<&'static dyn Host> {
        self.host()
    }
}
