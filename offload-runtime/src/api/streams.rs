//! What expanded code calls of a function with `stream`.

use futures_core::Stream;

use crate::api::bounds::Fail;
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::call::stream::{Items, Pushed};
use crate::function::Function;

/// A result that is an iterator. Its bounds are asked for where it makes a stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no iterator",
    label = "with `stream` a function returns `impl Iterator<Item = …>`, or a `Result` of one",
    note = "or it has an argument `out: &mut Sink<…>`, and returns `Result<(), …>`"
)]
pub trait Iterates: Sized {
    /// What it makes.
    type Made;

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

    /// The same of one that may fail to be there, whose items can carry that.
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

    /// The same, whose items cannot carry that: those of the stream are results.
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

// That it is no `Iterator` is what the words above say.
#[diagnostic::do_not_recommend]
impl<I: Iterator> Iterates for I {
    type Made = I::Item;

    fn items<F>(
        function: &'static Function,
        fail: Option<Fail<I::Item>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = I::Item> + Send + 'static
    where
        F: FnOnce() -> I + Send + 'static,
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        Items::new(function, fail, room, move || Ok(body()))
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
        fail: Option<Fail<Result<I::Item, E>>>,
        room: usize,
        body: F,
    ) -> impl Stream<Item = Result<I::Item, E>> + Send + 'static
    where
        F: FnOnce() -> Result<I, E> + Send + 'static,
        I: Send + 'static,
        E: Send + 'static,
        I::Item: Send + 'static,
    {
        let body = move || match body() {
            Ok(items) => Ok(items.map(Ok)),
            Err(error) => Err(Err(error)),
        };
        Items::new(function, fail, room, body)
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
