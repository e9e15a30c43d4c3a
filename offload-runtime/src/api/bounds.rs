//! What the compiler is asked about the types of an offloaded function, on the
//! way between the attribute and the call.
//!
//! Expanded code writes its types through these traits
//! (`let x: <T as Argument<_>>::Held = x`). A bound that is not met leaves no type
//! there, only an error, at the user's own type; and whatever follows from a
//! type with an error is not reported again. Bounds on functions would be: at
//! the closure, at the call, at the `.await`.
//!
//! Messages of the compiler name these traits, and so they have a path that can be shown. Nobody
//! has to implement or to name one.
//!
//! What is wrong with a type is said in these words: the blanket impls are not recommended, of which the
//! compiler would say, in the library's words, which bound they lack.

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
#[doc(no_inline)]
pub use crate::api::moved::{Argument, Copied, Elsewhere, Fail, Lent, Nothing, Nowhere, Returned};
#[cfg(feature = "process")]
#[doc(no_inline)]
pub use crate::api::process_streams::{RemoteEnds, RemoteItem};
#[doc(no_inline)]
pub use crate::api::streams::{
    Ends, Iterates, OfOpening, Opening, Opens, Pushes, StreamError, Streams,
};
#[cfg(feature = "process")]
#[doc(no_inline)]
pub use crate::api::transfer::{Remote, Transfer, TransferLent};
use crate::error::Error;
#[doc(no_inline)]
pub use crate::function::Function;
#[doc(no_inline)]
pub use crate::limiter::Limit;

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
