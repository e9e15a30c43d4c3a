//! What moves to the thread of a body and what comes back: asked by expanded code, at the types of
//! arguments and results, in words of ours.
//!
//! What is wrong with a type is said as it stands at the trait. The compiler, which would go on to the bound that an impl
//! lacks, and say that in the library's words, has none to go on to: of two impls that are not for a type it chooses
//! neither. So `By` stays open, and it does not recommend the trait for a type parameter either.

use std::borrow::Borrow;

use super::answer::Answer;
use crate::call::made::Made;
use crate::call::started;
use crate::call::starting::{self, Which};
use crate::error::Error;
use crate::function::Function;
use crate::task::large::{Boxed, is_large};

/// A function that makes a result of an error.
pub type Fail<T> = fn(Error) -> T;

/// An argument that may move to another thread: a type that is `Send`.
///
/// `By` is always [`Elsewhere`]. That it is left to be inferred keeps the compiler from recommending this
/// trait for a type parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot move to another thread",
    label = "an argument of an offloaded function moves there, and this is not `Send`",
    note = "take an `Arc` in place of an `Rc`, an `Arc<Mutex<_>>` in place of an `Rc<RefCell<_>>`, a `Box<dyn Trait + Send>` \
            in place of a `Box<dyn Trait>`; where a type parameter or an `impl Trait` is in it, give that the bound `Send`; \
            and what belongs to one thread is made in the body",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Argument<By>: Sized {
    /// The type itself.
    type Held;

    /// Asks for the bound, and nothing else: for `self`.
    fn moves() {}

    /// Asks for the bound of an argument whose type has no name.
    fn held(self) -> Self::Held;
}

/// A result that may come back from another thread: a type that is `Send`.
///
/// `By` is left to be inferred, as that of [`Argument`] is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another thread",
    label = "the result of an offloaded function comes from there, and this is not `Send`",
    note = "return an `Arc` in place of an `Rc`, an `Arc<Mutex<_>>` in place of an `Rc<RefCell<_>>`, a `Box<dyn Trait + Send>` \
            in place of a `Box<dyn Trait>`; where a type parameter or an `impl Trait` is in it, give that the bound `Send`; \
            or return what the caller makes it of",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Returned<By>: Sized {
    /// The type itself.
    type Held;

    /// The call of a function with this result; `fail`, if the result can carry an [`Error`].
    fn call<F>(function: &'static Function, fail: Option<Fail<Self>>, body: F) -> Answer<Self>
    where
        F: FnOnce() -> Self + Send + 'static;

    /// The same, or the start of one that is not awaited; `of` is the type whose method it is, or nothing.
    fn call_or_start<F>(
        function: &'static Function,
        of: &'static str,
        fail: Option<Fail<Self>>,
        body: F,
    ) -> Answer<Self>
    where
        F: FnOnce() -> Self + Send + 'static;
}

/// What is `By` of everything that may move.
#[derive(Debug)]
pub enum Elsewhere {}

/// What is `By` of nothing. Two impls leave it open for a type that neither is for: a bound with an open
/// parameter is none that the compiler would recommend.
#[derive(Debug)]
pub enum Nowhere {}

/// What no type is.
pub trait Nothing {}

/// What `#[to_owned]` copies.
///
/// `By` is left to be inferred, as that of [`Argument`] is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be copied",
    label = "`#[to_owned]` gives the job a copy, and this is not `Clone`",
    note = "give it `#[derive(Clone)]`, or a type parameter in it the bound `Clone`; or take it without `#[to_owned]`: as a \
            value, or in an `Arc` if it is `Sync`"
)]
pub trait Lent<By> {
    /// The type of the copy.
    type Held;

    /// A copy that remembers of what it is, which has no name.
    type Nameless;

    /// The job's own copy.
    fn copy(&self) -> Self::Held;

    /// The same of a type that has no name.
    fn copied(&self) -> Self::Nameless;
}

/// Each trait twice, for all that may move and for nothing: see [`Nowhere`].
macro_rules! moved {
    ($by:ty, $($bound:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<T: Send $(+ $bound)?> Argument<$by> for T {
            type Held = T;

            fn held(self) -> T {
                self
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: Send $(+ $bound)? + 'static> Returned<$by> for T {
            type Held = T;

            fn call<F>(function: &'static Function, fail: Option<Fail<T>>, body: F) -> Answer<T>
            where
                F: FnOnce() -> T + Send + 'static,
            {
                Answer::new(Made::new(function, fail, None, body))
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
                // Boxed here, and not in a helper, which would have one more copy on its stack.
                if const { is_large::<F>() } {
                    let body: Boxed<T> = Box::new(body);
                    call_or_start(function, of, fail, body)
                } else {
                    call_or_start(function, of, fail, body)
                }
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: ToOwned $(+ $bound)? + ?Sized> Lent<$by> for T {
            type Held = T::Owned;
            type Nameless = Copied<T>;

            fn copy(&self) -> T::Owned {
                self.to_owned()
            }

            fn copied(&self) -> Copied<T> {
                Copied(self.to_owned())
            }
        }
    };
}

moved!(Elsewhere,);
moved!(Nowhere, Nothing);

fn call_or_start<F, T>(
    function: &'static Function,
    of: &'static str,
    fail: Option<Fail<T>>,
    body: F,
) -> Answer<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !starting::is_wanted(Which { label: function.name(), of }) {
        return Answer::new(Made::new(function, fail, None, body));
    }
    starting::leave(started::start(function, body));
    Answer::new(Made::started(function))
}

/// The job's own copy of a `T`.
#[derive(Debug)]
pub struct Copied<T: ToOwned + ?Sized>(T::Owned);

impl<T: ToOwned + ?Sized> Copied<T> {
    /// What the body is lent.
    pub fn lend(&self) -> &T {
        self.0.borrow()
    }
}
