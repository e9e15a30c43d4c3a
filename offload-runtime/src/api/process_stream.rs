//! The stream of a call whose items come from a worker.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::call::stream::Pushed;
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::error::Error;
use crate::executor::process::items::{Items, Take};
use crate::executor::process::{exchange, in_place, serve};
use crate::executor::threads::THREAD;
use crate::function::Function;
use crate::wire::arguments::Outbound;
use crate::wire::codec::Decoder;
use crate::wire::codec::top::Top;

/// A stream whose bounds were asked for where it was made: its own `Stream` needs none.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Streamed<T>(Pin<Box<dyn Stream<Item = T> + Send>>);

impl<T> Streamed<T> {
    pub(super) fn new(stream: impl Stream<Item = T> + Send + 'static) -> Streamed<T> {
        Streamed(Box::pin(stream))
    }
}

impl<T> Stream for Streamed<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Streamed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}

/// How a stream ends, with errors of this type.
pub struct End<E> {
    /// What the worker has sent as the result.
    pub(super) read: Read<Result<(), E>>,
    pub(super) fail: fn(Error) -> Result<(), E>,
}

/// Reads what a worker has sent.
pub(super) type Read<T> = fn(Decoder<'_>) -> Result<T, String>;

/// Decodes the result of a call, as its worker has sent it.
pub(super) fn read<T, E>(mut decoder: Decoder<'_>) -> Result<Result<T, E>, String>
where
    T: DeserializeOwned + 'static,
    E: DeserializeOwned,
{
    let read: Result<Top<T>, E> = decoder.next()?;
    decoder.end()?;
    Ok(read.map(|Top(value)| value))
}

impl<E> fmt::Debug for End<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}

/// Takes items for a stream.
struct Taker<X> {
    read: Read<X>,
    /// It was read, and not passed on.
    item: Option<X>,
    sink: Sink<X>,
}

impl<X: Send> Take for Taker<X> {
    fn read(&mut self, item: Decoder<'_>) -> Result<(), String> {
        self.item = Some((self.read)(item)?);
        Ok(())
    }

    fn pass_on(&mut self) -> bool {
        self.item.take().is_none_or(|item| self.sink.send(item).is_ok())
    }
}

/// The stream of a call whose items are read by `read_item`. In a worker it runs there, on a
/// thread.
pub(super) fn stream<X, E, A>(
    function: &'static Function,
    shape: Shape,
    read_item: Read<X>,
    end: End<E>,
    arguments: A,
) -> Pushed<X, E>
where
    X: Send + 'static,
    E: Send + 'static,
    A: FnOnce(&mut Outbound) + Send + 'static,
{
    let is_here = serve::in_worker();
    let body = move |sink: &mut Sink<X>| {
        let mut arguments = Some(arguments);
        let mut write = |outbound: &mut Outbound| {
            arguments.take().expect("they are written once")(outbound);
        };
        let sink = sink.again().expect("this end is in the same process");
        let take = Box::new(Taker { read: read_item, item: None, sink });
        let mut ending = None;
        let mut decode = |result: Decoder<'_>| (end.read)(result).map(|read| ending = Some(read));
        let ended = match is_here {
            true => in_place::run(function, take, &mut write, &mut decode),
            false => {
                let items = Items::new(shape.room, take);
                exchange::run(function, Some(items), &mut write, &mut decode)
            }
        };
        match ended {
            Ok(()) => ending.expect("what ends well has said so"),
            Err(error) => (end.fail)(error),
        }
    };
    let runs = match is_here {
        true => Function::of_closures(function.name(), &THREAD),
        false => function,
    };
    Pushed::new(runs, Some(end.fail), shape, Box::new(body))
}
