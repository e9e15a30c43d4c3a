//! What the compiler is asked about the types of an offloaded function, on the
//! way between the attribute and the call.
//!
//! Expanded code writes its types through these traits
//! (`let x: <T as Argument>::Held = x`). A bound that is not met leaves no type
//! there, only an error, at the user's own type; and whatever follows from a
//! type with an error is not reported again. Bounds on functions would be: at
//! the closure, at the call, at the `.await`.
//!
//! Messages of the compiler name these traits, and so they have a path that can be shown. Nobody
//! has to implement or to name one.
//!
//! The blanket impls are recommended by the compiler on purpose: it then names
//! the field that is not `Send`, and the bound that a type parameter lacks.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::ops::Deref;

#[doc(no_inline)]
pub use crate::api::answer::Answer;
#[cfg(feature = "process")]
#[doc(no_inline)]
pub use crate::api::chosen_pool::OfProcess;
#[cfg(feature = "remote")]
#[doc(no_inline)]
pub use crate::api::chosen_pool::OfRemote;
#[doc(no_inline)]
pub use crate::api::chosen_pool::{OfCpu, OfThread};
#[doc(no_inline)]
pub use crate::api::lends::{LentMut, LentShared};
#[cfg(feature = "process")]
#[doc(no_inline)]
pub use crate::api::process_streams::{RemoteEnds, RemoteItem};
#[doc(no_inline)]
pub use crate::api::streams::{Ends, Iterates};
#[cfg(feature = "process")]
#[doc(no_inline)]
pub use crate::api::transfer::{Remote, Transfer, TransferLent};
use crate::call::made::Made;
use crate::call::started;
use crate::call::starting::{self, Which};
use crate::error::Error;
use crate::function::Function;
#[doc(no_inline)]
pub use crate::limiter::Limit;

/// An argument that may move to another thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent between threads safely",
    note = "the arguments of an offloaded function move to another thread"
)]
pub trait Argument: Sized {
    /// The type itself.
    type Held;

    /// Asks for the bound, and nothing else: for `self`.
    fn moves() {}

    /// Asks for the bound of an argument whose type has no name.
    fn held(self) -> Self {
        self
    }
}

impl<T: Send> Argument for T {
    type Held = T;
}

/// A result that may come back from another thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent between threads safely",
    note = "the result of an offloaded function comes back from another thread"
)]
pub trait Returned: Sized {
    /// The type itself.
    type Held;

    /// The call of a function with this result; `fail`, if the result can carry an [`Error`].
    fn call<F>(function: &'static Function, fail: Option<Fail<Self>>, body: F) -> Answer<Self>
    where
        F: FnOnce() -> Self + Send + 'static;

    /// The call, or the start of one that is not awaited; `of` is the type whose method it is, or nothing.
    fn call_or_start<F>(
        function: &'static Function,
        of: &'static str,
        fail: Option<Fail<Self>>,
        body: F,
    ) -> Answer<Self>
    where
        F: FnOnce() -> Self + Send + 'static;
}

impl<T: Send + 'static> Returned for T {
    type Held = T;

    fn call<F>(function: &'static Function, fail: Option<Fail<T>>, body: F) -> Answer<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        Answer::new(Made::new(function, fail, body))
    }

    fn call_or_start<F>(
        function: &'static Function,
        of: &'static str,
        fail: Option<Fail<T>>,
        body: F,
    ) -> Answer<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        if !starting::is_wanted(Which { label: function.name(), of }) {
            return Answer::new(Made::new(function, fail, body));
        }
        starting::leave(started::start(function, body));
        Answer::new(Made::started(function))
    }
}

/// A function that makes a result of an error.
pub type Fail<T> = fn(Error) -> T;

/// What finds out whether a result can carry an [`Error`], where nothing demands it.
///
/// `<T as Asked>::CARRIER.offload_fail()` is the method of `Carrier` where the compiler knows, at the
/// function itself, that `T` is a `Result` whose error type is made of an [`Error`]. Where it does
/// not know that, the method does not apply, and is looked for in what a `Carrier` derefs to. No
/// method of a user's trait has this name.
#[derive(Debug)]
pub struct Carrier<T>(CarriesNothing<T>);

/// A result that is asked about: any.
pub trait Asked: Sized {
    /// What to ask.
    const CARRIER: Carrier<Self> = Carrier(CarriesNothing(PhantomData));
}

impl<T> Asked for T {}

impl<T, E: From<Error>> Carrier<Result<T, E>> {
    /// How it carries one.
    pub fn offload_fail(&self) -> Option<Fail<Result<T, E>>> {
        Some(|error| Err(E::from(error)))
    }
}

impl<T> Deref for Carrier<T> {
    type Target = CarriesNothing<T>;

    fn deref(&self) -> &CarriesNothing<T> {
        &self.0
    }
}

/// What a result is that cannot carry an [`Error`], or is not known to.
#[derive(Debug)]
pub struct CarriesNothing<T>(PhantomData<fn() -> T>);

impl<T> CarriesNothing<T> {
    /// Nothing: it cannot.
    pub fn offload_fail(&self) -> Option<Fail<T>> {
        None
    }
}

/// A result that can carry an [`Error`], of a function whose call can fail.
///
/// `By` is always [`Error`]. That it is left to be inferred keeps the compiler from recommending
/// this trait for a type parameter, which would not help anybody.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry an `offload_runtime::Error`",
    label = "with `timeout`, `queue`, `queue_timeout` or `panic` a call can fail, and its result has to say so",
    note = "return `Result<_, offload_runtime::Error>`, or a `Result` whose error type implements \
            `From<offload_runtime::Error>`, as `anyhow::Error`, `std::io::Error` and \
            `Box<dyn Error + Send + Sync>` do"
)]
pub trait Fallible<By>: Sized {
    /// How an error becomes a result.
    fn fail() -> Option<Fail<Self>>;
}

// That an error type is not `From<Error>` is half of what there is to say.
#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> Fallible<Error> for Result<T, E> {
    fn fail() -> Option<Fail<Self>> {
        Some(|error| Err(E::from(error)))
    }
}

/// What `#[to_owned]` copies: behind a reference, its copy may move to another thread.
pub trait Lent {
    /// The type of the copy.
    type Held;

    /// The job's own copy.
    fn copy(&self) -> Self::Held;

    /// The job's own copy of a type that has no name, which the copy then remembers.
    fn copied(&self) -> Copied<Self>;
}

impl<T: ToOwned<Owned: Send> + ?Sized> Lent for T {
    type Held = T::Owned;

    fn copy(&self) -> T::Owned {
        self.to_owned()
    }

    fn copied(&self) -> Copied<T> {
        Copied(self.to_owned())
    }
}

/// The job's own copy of a `T`.
#[derive(Debug)]
pub struct Copied<T: Lent + ?Sized>(T::Held);

impl<T: ToOwned<Owned: Send> + ?Sized> Copied<T> {
    /// What the body is lent.
    pub fn lend(&self) -> &T {
        self.0.borrow()
    }
}
