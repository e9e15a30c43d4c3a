//! What expanded code calls of a function with `stream`.

use futures_core::Stream;

use super::moved::{Elsewhere, Fail, Nothing, Nowhere};
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::call::stream::{Items, Pushed};
use crate::function::Function;
use crate::task::large::{Boxed, is_large};
use crate::task::portions::Open;

/// A result that is an iterator.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no iterator",
    label = "with `stream` a function returns `impl Iterator<Item = …>`, or a `Result` of one",
    note = "return `impl Iterator<Item = {Self}>`, or one of what is in it (where a call can fail, in another process or with `timeout`, `Result<impl Iterator<Item = …>, offload_runtime::Error>`), or remove `stream`",
    note = "or take `out: &mut offload_runtime::Sink<…>`, and return `Result<(), offload_runtime::Error>`"
)]
pub trait Iterates: Sized {
    /// What the iterator yields.
    type Made;

    /// `Self`. Unknown to the compiler where `Self` is no iterator, so that it reports nothing more of it.
    type Itself;

    /// The iterator itself.
    fn iterator(self) -> impl Iterator<Item = Self::Made>;

    /// A body that returns it.
    fn made_by<F>(body: F) -> impl FnOnce() -> Self::Itself + Send + 'static
    where
        F: FnOnce() -> Self + Send + 'static;

    /// A body that returns it, or an error.
    fn opened_by<F, E>(body: F) -> impl FnOnce() -> Result<Self::Itself, E> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static;
}

// That it is no `Iterator` is what the words above say. They are said where the compiler finds a
// bound that is not about the type itself: of a type it would say, in the library's words, which
// bound it lacks.
#[diagnostic::do_not_recommend]
impl<I, J, M, N> Iterates for I
where
    (I,): Makes<Item = M, Known = N>,
    N: MadeBy<I, Iterator = J>,
{
    type Made = M;
    type Itself = J;

    fn iterator(self) -> impl Iterator<Item = M> {
        (self,).iterate()
    }

    fn made_by<F>(body: F) -> impl FnOnce() -> J + Send + 'static
    where
        F: FnOnce() -> I + Send + 'static,
    {
        move || N::iterator(body())
    }

    fn opened_by<F, E>(body: F) -> impl FnOnce() -> Result<J, E> + Send + 'static
    where
        F: FnOnce() -> Result<I, E> + Send + 'static,
    {
        move || body().map(N::iterator)
    }
}

/// What `(I,)` is where `I` is an iterator.
pub trait Makes {
    /// What the iterator yields.
    type Item;

    /// `Item` again, in no other bound: unknown where `I` is no iterator, which keeps the compiler from a second error.
    type Known;

    /// Its items; that this can be called shows that `I` is an iterator.
    fn iterate(self) -> impl Iterator<Item = Self::Item>;
}

#[diagnostic::do_not_recommend]
impl<I: Iterator> Makes for (I,) {
    type Item = I::Item;
    type Known = I::Item;

    fn iterate(self) -> impl Iterator<Item = I::Item> {
        self.0
    }
}

/// What is made by an `I`. Where the compiler does not know what that is, it does not know the iterator either.
pub trait MadeBy<I> {
    /// The iterator.
    type Iterator;

    /// Returns it unchanged.
    fn iterator(iterator: I) -> Self::Iterator;
}

impl<I, M> MadeBy<I> for M {
    type Iterator = I;

    fn iterator(iterator: I) -> I {
        iterator
    }
}

/// An iterator of which another thread makes a stream.
///
/// `By` is left to be inferred, as that of [`Argument`](super::moved::Argument) is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be streamed from another thread",
    label = "its items are made there, and it is not `Send`, or they are not",
    note = "make items of `Arc` in place of `Rc`, of `Box<dyn Trait + Send>` in place of `Box<dyn Trait>`, and \
            keep only `Send` values in the iterator; where a type parameter is in it, give that the bound `Send`",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Streams<By>: Sized {
    /// What the iterator yields.
    type Item;

    /// The stream of its items.
    fn items<F>(
        function: &'static Function,
        fail: Option<Fail<Self::Item>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Self::Item> + Send + 'static
    where
        F: FnOnce() -> Self + Send + 'static;

    /// The same of one that may fail to be there, whose items can carry that: `item` makes one of the error.
    fn opened_items<F, E>(
        function: &'static Function,
        fail: Option<Fail<Self::Item>>,
        room: usize,
        item: fn(E) -> Self::Item,
        body: F,
    ) -> impl Stream<Item = Self::Item> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static,
        E: 'static;
}

/// The same of one that may fail to be there with an `E`, which its items cannot carry: those of the stream are results.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be streamed from another thread",
    label = "its items are made there, and it is not `Send`, or they are not",
    note = "make items of `Arc` in place of `Rc`, of `Box<dyn Trait + Send>` in place of `Box<dyn Trait>`, and \
            keep only `Send` values in the iterator; where a type parameter is in it, give that the bound `Send`",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Opens<E, By>: Sized {
    /// What the iterator yields.
    type Item;

    /// `E`, which the compiler knows only if that may come back: else it asks nothing besides.
    type Error;

    /// The stream of its items.
    fn opened<F>(
        function: &'static Function,
        fail: Option<Fail<Result<Self::Item, Self::Error>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<Self::Item, Self::Error>> + Send + 'static
    where
        F: FnOnce() -> Result<Self, Self::Error> + Send + 'static;
}

/// What is sent into a [`Sink`] by a body that may end with an `E`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be streamed from another thread",
    label = "what is sent into a `Sink` comes from there, and this is not `Send`",
    note = "send an `Arc` in place of an `Rc`, a `Box<dyn Trait + Send>` in place of a `Box<dyn Trait>`; where a type parameter \
            is in it, give that the bound `Send`",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Pushes<E, By>: Sized {
    /// `E`, as of [`Opens`].
    type Error;

    /// What the body returns.
    type Ended;

    /// The stream of what is sent.
    fn pushed<F>(
        function: &'static Function,
        fail: Option<Fail<Self::Ended>>,
        shape: Shape,
        body: F,
    ) -> impl Stream<Item = Result<Self, Self::Error>> + Send + 'static
    where
        F: FnOnce(&mut Sink<Self>) -> Self::Ended + Send + 'static;
}

/// An error of a stream, which comes from another thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another thread",
    label = "the error of a stream comes from there, and this is not `Send`",
    note = "return `Result<_, offload_runtime::Error>`, or an error that is `Send`: `Arc` in place of `Rc`, \
            `Box<dyn Error + Send + Sync>` in place of `Box<dyn Error>`; where a type parameter is in it, give that the \
            bound `Send`",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait StreamError<By>: Sized {
    /// The type itself.
    type Itself;
}

/// What opens a stream. A large body, a `$f`, is on the heap, where it is called in place. A macro, since a function would have one
/// more copy of what the body returns on its stack.
macro_rules! open {
    ($body:ident: $f:ty => $result:ty, $open:expr) => {
        if const { is_large::<$f>() } {
            let $body: Boxed<$result> = Box::new($body);
            Open::new($open)
        } else {
            Open::new($open)
        }
    };
}

/// Each trait twice, for all that may move and for nothing: see [`Nowhere`].
macro_rules! streams {
    ($by:ty, $($bound:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<I, M> Streams<$by> for I
        where
            I: Iterator<Item = M> + Send $(+ $bound)? + 'static,
            M: Send + 'static,
        {
            type Item = M;

            fn items<F>(
                function: &'static Function,
                fail: Option<Fail<M>>,
                room: usize,
                body: F,
            ) -> impl Stream<Item = M> + Send + 'static
            where
                F: FnOnce() -> I + Send + 'static,
            {
                let open = open!(body: F => I, move || Ok(Box::new(body())));
                Items::new(function, fail, room, open)
            }

            fn opened_items<F, E>(
                function: &'static Function,
                fail: Option<Fail<M>>,
                room: usize,
                item: fn(E) -> M,
                body: F,
            ) -> impl Stream<Item = M> + Send + 'static
            where
                F: FnOnce() -> Result<I, E> + Send + 'static,
                E: 'static,
            {
                let open = open!(body: F => Result<I, E>, move || body().map(Box::new).map_err(item));
                Items::new(function, fail, room, open)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<I, M, E> Opens<E, $by> for I
        where
            I: Iterator<Item = M> + Send + 'static,
            M: Send + 'static,
            E: Send $(+ $bound)? + 'static,
        {
            type Item = M;
            type Error = E;

            fn opened<F>(
                function: &'static Function,
                fail: Option<Fail<Result<M, E>>>,
                room: usize,
                body: F,
            ) -> impl Stream<Item = Result<M, E>> + Send + 'static
            where
                F: FnOnce() -> Result<I, E> + Send + 'static,
            {
                let open = open!(body: F => Result<I, E>, move || {
                    body().map(|items| Box::new(items.map(Ok))).map_err(Err)
                });
                Items::new(function, fail, room, open)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T, E> Pushes<E, $by> for T
        where
            T: Send + 'static,
            E: Send $(+ $bound)? + 'static,
        {
            type Error = E;
            type Ended = Result<(), E>;

            fn pushed<F>(
                function: &'static Function,
                fail: Option<Fail<Result<(), E>>>,
                shape: Shape,
                body: F,
            ) -> impl Stream<Item = Result<T, E>> + Send + 'static
            where
                F: FnOnce(&mut Sink<T>) -> Result<(), E> + Send + 'static,
            {
                Pushed::new(function, fail, shape, Box::new(body))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<E: Send $(+ $bound)? + 'static> StreamError<$by> for E {
            type Itself = E;
        }
    };
}

streams!(Elsewhere,);
streams!(Nowhere, Nothing);

/// An item that can carry the error of what opens its iterator.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a `{E}`",
    label = "if the iterator cannot be opened, this error, converted with `From`, is the stream's only item",
    note = "return the same error type in both places, or implement `From<{E}>` for that of the items, if that type is yours"
)]
pub trait OfOpening<E> {
    /// The item.
    fn item(error: E) -> Self;
}

// That an error type is not `From` the other is half of what there is to say.
#[diagnostic::do_not_recommend]
impl<T, V: From<E>, E> OfOpening<E> for Result<T, V> {
    fn item(error: E) -> Result<T, V> {
        Err(V::from(error))
    }
}

/// What a body returns that may fail to return an iterator.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Result`",
    label = "with `stream` a function returns `impl Iterator<Item = …>`, or a `Result` of one"
)]
pub trait Opening {
    /// What there is in the place of the iterator.
    type Error;
}

impl<T, E> Opening for Result<T, E> {
    type Error = E;
}

/// The result of a body that has a [`Sink`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether all was sent",
    label = "with a `Sink` a function returns `Result<(), …>`"
)]
pub trait Ends {
    /// The error that is the last item.
    type Error;
}

impl<E> Ends for Result<(), E> {
    type Error = E;
}
