//! What expanded code calls of a function with `stream`.

use std::time::Duration;

use futures_core::Stream;

use crate::api::bounds::Fail;
use crate::call::stream::sink::Sink;
use crate::call::stream::{Items, Pushed};
use crate::function::Function;

/// A result that is an iterator.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no iterator",
    label = "with `stream` a function returns `impl Iterator<Item = …>`, or a `Result` of one",
    note = "or it has an argument `out: &mut Sink<…>`, and returns `Result<(), …>`"
)]
pub trait Iterates: Sized {
    /// What it makes.
    type Made;
}

impl<I: Iterator> Iterates for I {
    type Made = I::Item;
}

/// The result of a body that has a [`Sink`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether all was sent",
    label = "with a `Sink` a function returns `Result<(), …>`"
)]
pub trait Ends: Sized {
    /// The error that is the last item.
    type Error;
}

impl<E> Ends for Result<(), E> {
    type Error = E;
}

/// The stream of an iterator's items.
pub fn items<F, I>(
    function: &'static Function,
    fail: Option<Fail<I::Item>>,
    room: usize,
    body: F,
) -> impl Stream<Item = I::Item> + Send + 'static
where
    F: FnOnce() -> I + Send + 'static,
    I: Iterator<Item: Send + 'static> + Send + 'static,
{
    Items::new(function, fail, room, move || Ok(body()))
}

/// The same of an iterator that may fail to be there, whose items can carry that.
pub fn opened_items<F, I, E, U, V>(
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

/// The same, whose items cannot carry that: those of the stream are results.
pub fn opened<F, I, E, U>(
    function: &'static Function,
    fail: Option<Fail<Result<U, E>>>,
    room: usize,
    body: F,
) -> impl Stream<Item = Result<U, E>> + Send + 'static
where
    F: FnOnce() -> Result<I, E> + Send + 'static,
    I: Iterator<Item = U> + Send + 'static,
    E: Send + 'static,
    U: Send + 'static,
{
    let body = move || match body() {
        Ok(items) => Ok(items.map(Ok)),
        Err(error) => Err(Err(error)),
    };
    Items::new(function, fail, room, body)
}

/// The stream of what a body sends.
pub fn pushed<F, T, E>(
    function: &'static Function,
    fail: Option<Fail<Result<(), E>>>,
    room: usize,
    stall_timeout: Option<fn() -> Duration>,
    body: F,
) -> impl Stream<Item = Result<T, E>> + Send + 'static
where
    F: FnOnce(&mut Sink<T>) -> Result<(), E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    Pushed::new(function, fail, room, stall_timeout, body)
}
