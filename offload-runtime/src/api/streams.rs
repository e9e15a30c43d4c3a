//! What expanded code calls of a function with `stream`.

use futures_core::Stream;

use super::moved::{Elsewhere, Fail, Nothing, Nowhere};
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::call::stream::{Items, Pushed};
use crate::function::Function;

/// A result that is an iterator. Its bounds are asked for where it makes a stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no iterator",
    label = "with `stream` a function returns `impl Iterator<Item = …>`, or a `Result` of one",
    note = "return `impl Iterator<Item = {Self}>`, or one of what is in it (where a call can fail, in another process or with `timeout`, `Result<impl Iterator<Item = …>, offload_runtime::Error>`), or remove `stream`",
    note = "or take `out: &mut offload_runtime::Sink<…>`, and return `Result<(), offload_runtime::Error>`"
)]
pub trait Iterates: Sized {
    /// What it makes.
    type Made;

    /// The iterator itself.
    fn iterator(self) -> impl Iterator<Item = Self::Made>;

    /// The stream of its items.
    fn items<F>(
        function: &'static Function,
        fail: Option<Fail<Self::Made>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Self::Made> + Send + 'static
    where
        F: FnOnce() -> Self + Send + 'static,
        Self: Send + 'static,
        Self::Made: Send + 'static;

    /// The stream of one that may fail to be there, whose items can carry that.
    fn opened_items<F, E, U, V>(
        function: &'static Function,
        fail: Option<Fail<Result<U, V>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<U, V>> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static,
        Self: Iterator<Item = Result<U, V>> + Send + 'static,
        E: 'static,
        U: Send + 'static,
        V: From<E> + Send + 'static;

    /// The stream of one that may fail to be there, whose items cannot carry that: those of the stream are results.
    fn opened<F, E>(
        function: &'static Function,
        fail: Option<Fail<Result<Self::Made, E>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<Self::Made, E>> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static,
        Self: Send + 'static,
        E: Send + 'static,
        Self::Made: Send + 'static;
}

// That it is no `Iterator` is what the words above say. They are said where the compiler finds a
// bound that is not about the type itself: of a type it would say, in the library's words, which
// bound it lacks.
#[diagnostic::do_not_recommend]
impl<I, M> Iterates for I
where
    (I,): Makes<Iterator = I, Item = M>,
{
    type Made = M;

    fn iterator(self) -> impl Iterator<Item = M> {
        <(I,)>::iterator(self)
    }

    fn items<F>(
        function: &'static Function,
        fail: Option<Fail<M>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = M> + Send + 'static
    where
        F: FnOnce() -> I + Send + 'static,
        I: Send + 'static,
        M: Send + 'static,
    {
        <(I,)>::stream(function, fail, room, move || Ok(body()), |item| item)
    }

    fn opened_items<F, E, U, V>(
        function: &'static Function,
        fail: Option<Fail<Result<U, V>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<U, V>> + Send + 'static
    where
        F: FnOnce() -> Result<I, E> + Send + 'static,
        I: Iterator<Item = Result<U, V>> + Send + 'static,
        E: 'static,
        U: Send + 'static,
        V: From<E> + Send + 'static,
    {
        Items::new(function, fail, room, move || body().map_err(|error| Err(V::from(error))))
    }

    fn opened<F, E>(
        function: &'static Function,
        fail: Option<Fail<Result<M, E>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<M, E>> + Send + 'static
    where
        F: FnOnce() -> Result<I, E> + Send + 'static,
        I: Send + 'static,
        E: Send + 'static,
        M: Send + 'static,
    {
        <(I,)>::stream(function, fail, room, move || body().map_err(Err), Ok)
    }
}

/// An iterator without a name, of which another thread makes a stream. `By` is left to be inferred, as that of [`Argument`](super::moved::Argument) is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be streamed from another thread",
    label = "its items are made there, and it is not `Send`, or they are not",
    note = "make items of `Arc` in place of `Rc`, of `Box<dyn Trait + Send>` in place of `Box<dyn Trait>`, and an iterator \
            that has no others in it; where a type parameter is in it, give that the bound `Send`",
    note = "to be told which part of it is not `Send`, hand it to a `fn sent<T: Send>(_: &T) {{}}` in the body"
)]
pub trait Streams<By>: Iterates {
    /// The stream of its items.
    fn items<F>(
        function: &'static Function,
        fail: Option<Fail<Self::Made>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Self::Made> + Send + 'static
    where
        F: FnOnce() -> Self + Send + 'static;

    /// The same of one that may fail to be there, whose items can carry that.
    fn opened_items<F, E, U, V>(
        function: &'static Function,
        fail: Option<Fail<Result<U, V>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<U, V>> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static,
        Self: Iterator<Item = Result<U, V>>,
        E: 'static,
        U: Send + 'static,
        V: From<E> + Send + 'static;

    /// The same, whose items cannot carry that: those of the stream are results.
    fn opened<F, E>(
        function: &'static Function,
        fail: Option<Fail<Result<Self::Made, E>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<Self::Made, E>> + Send + 'static
    where
        F: FnOnce() -> Result<Self, E> + Send + 'static,
        E: Send + 'static;
}

/// The trait twice, for all that may move and for nothing: see [`Nowhere`].
macro_rules! streams {
    ($by:ty, $($bound:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<I, M> Streams<$by> for I
        where
            I: Iterates<Made = M> + Send $(+ $bound)? + 'static,
            M: Send + 'static,
        {
            fn items<F>(
                function: &'static Function,
                fail: Option<Fail<M>>,
                room: usize,
                body: F,
            ) -> impl Stream<Item = M> + Send + 'static
            where
                F: FnOnce() -> I + Send + 'static,
            {
                <I as Iterates>::items(function, fail, room, body)
            }

            fn opened_items<F, E, U, V>(
                function: &'static Function,
                fail: Option<Fail<Result<U, V>>>,
                room: usize,
                body: F,
            ) -> impl Stream<Item = Result<U, V>> + Send + 'static
            where
                F: FnOnce() -> Result<I, E> + Send + 'static,
                I: Iterator<Item = Result<U, V>>,
                E: 'static,
                U: Send + 'static,
                V: From<E> + Send + 'static,
            {
                <I as Iterates>::opened_items(function, fail, room, body)
            }

            fn opened<F, E>(
                function: &'static Function,
                fail: Option<Fail<Result<M, E>>>,
                room: usize,
                body: F,
            ) -> impl Stream<Item = Result<M, E>> + Send + 'static
            where
                F: FnOnce() -> Result<I, E> + Send + 'static,
                E: Send + 'static,
            {
                <I as Iterates>::opened(function, fail, room, body)
            }
        }
    };
}

streams!(Elsewhere,);
streams!(Nowhere, Nothing);

/// What `(I,)` is where `I` is an iterator.
pub trait Makes {
    /// The iterator.
    type Iterator;
    /// What it makes.
    type Item;

    /// That it is one.
    fn iterator(iterator: Self::Iterator) -> impl Iterator<Item = Self::Item>;

    /// The stream of what is made of its items; the body gives it, or the last item instead.
    fn stream<F, T>(
        function: &'static Function,
        fail: Option<Fail<T>>,
        room: usize,
        body: F,
        item: impl FnMut(Self::Item) -> T + Send + 'static,
    ) -> impl Stream<Item = T> + Send + 'static
    where
        F: FnOnce() -> Result<Self::Iterator, T> + Send + 'static,
        Self::Iterator: Send + 'static,
        T: Send + 'static;
}

#[diagnostic::do_not_recommend]
impl<I: Iterator> Makes for (I,) {
    type Iterator = I;
    type Item = I::Item;

    fn iterator(iterator: I) -> impl Iterator<Item = I::Item> {
        iterator
    }

    fn stream<F, T>(
        function: &'static Function,
        fail: Option<Fail<T>>,
        room: usize,
        body: F,
        item: impl FnMut(I::Item) -> T + Send + 'static,
    ) -> impl Stream<Item = T> + Send + 'static
    where
        F: FnOnce() -> Result<I, T> + Send + 'static,
        I: Send + 'static,
        T: Send + 'static,
    {
        Items::new(function, fail, room, move || Ok(body()?.map(item)))
    }
}

/// The result of a body that has a [`Sink`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether all was sent",
    label = "with a `Sink` a function returns `Result<(), …>`"
)]
pub trait Ends: Sized {
    /// The error that is the last item.
    type Error;

    /// The stream of what a body sends.
    fn pushed<F, T>(
        function: &'static Function,
        fail: Option<Fail<Self>>,
        shape: Shape,
        body: F,
    ) -> impl Stream<Item = Result<T, Self::Error>> + Send + 'static
    where
        F: FnOnce(&mut Sink<T>) -> Self + Send + 'static,
        T: Send + 'static,
        Self::Error: Send + 'static;
}

impl<E> Ends for Result<(), E> {
    type Error = E;

    fn pushed<F, T>(
        function: &'static Function,
        fail: Option<Fail<Result<(), E>>>,
        shape: Shape,
        body: F,
    ) -> impl Stream<Item = Result<T, E>> + Send + 'static
    where
        F: FnOnce(&mut Sink<T>) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        Pushed::new(function, fail, shape, body)
    }
}
