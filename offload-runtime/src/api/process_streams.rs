//! What the compiler is asked about the results of a `process` function with `stream`, and how a
//! worker sends what it makes.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process_stream::{End, Streamed, read, stream};
use crate::call::stream::shape::Shape;
use crate::call::stream::sink::Sink;
use crate::error::Error;
use crate::function::Function;
use crate::task::current;
use crate::wire::arguments::{Arguments, Malformed, Outbound};
use crate::wire::codec;
use crate::wire::codec::top::Lent;

/// The result of a body that has a [`Sink`], in another process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another process",
    label = "this has to be a `Result<(), E>` whose `E` can say that a process died, and is a `serde` type",
    note = "return `Result<(), offload_runtime::Error>`, or a `Result<(), E>` whose `E` implements \
            `From<offload_runtime::Error>` and is a `serde` type"
)]
pub trait RemoteEnds: Sized {
    /// The error that is the last item.
    type Error;

    /// How its stream ends.
    fn end() -> End<Self::Error>;

    /// Sends, in the worker, how the body has ended.
    fn ended<T>(self, sink: Sink<T>, arguments: &mut Arguments<'_>);
}

#[diagnostic::do_not_recommend]
impl<E> RemoteEnds for Result<(), E>
where
    E: From<Error> + Serialize + DeserializeOwned + Send + 'static,
{
    type Error = E;

    fn end() -> End<E> {
        End { read: read::<(), E>, fail: |error| Err(E::from(error)) }
    }

    fn ended<T>(self, sink: Sink<T>, arguments: &mut Arguments<'_>) {
        // Where it is not the channel's, it cannot have stalled.
        let _ = sink.finish(self.is_ok());
        arguments.answer(self.as_ref());
    }
}

/// An item of an iterator, in another process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come from another process as an item of a stream",
    label = "each item has to be a `Result` that can say that a process died, made of `serde` types",
    note = "make items of `Result<T, offload_runtime::Error>`, or of a `Result<T, E>` whose `E` implements \
            `From<offload_runtime::Error>`; or return a `Result<impl Iterator<Item = T>, E>`",
    note = "`T` and `E` are `serde` types, and `Send`: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait RemoteItem: Sized {
    /// What there is of it if nothing fails.
    type Value;

    /// What there is of it if something does.
    type Error;

    /// The stream of what an iterator makes.
    fn items<A>(function: &'static Function, shape: Shape, arguments: A) -> Streamed<Self>
    where
        A: FnOnce(&mut Outbound) + Send + 'static;

    /// Sends, in the worker, what an iterator makes.
    ///
    /// # Errors
    ///
    /// If the call is of no stream.
    fn send_items<I>(items: I, arguments: &mut Arguments<'_>) -> Result<(), Malformed>
    where
        I: Iterator<Item = Self>;

    /// Sends the items of an iterator, or the error with which the body failed to return one, as its first item, which
    /// `item` makes.
    ///
    /// # Errors
    ///
    /// As of `send_items`.
    fn send_opened_items<I, E>(
        opened: Result<I, E>,
        item: fn(E) -> Self,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed>
    where
        I: Iterator<Item = Self>;

    /// Sends the items of an iterator, or the error with which the body failed to return one. Items are plain values, and
    /// become `Ok`.
    ///
    /// # Errors
    ///
    /// As of `send_items`.
    fn send_opened<I>(
        opened: Result<I, Self::Error>,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed>
    where
        I: Iterator<Item = Self::Value>;
}

#[diagnostic::do_not_recommend]
impl<T, E> RemoteItem for Result<T, E>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: From<Error> + Serialize + DeserializeOwned + Send + 'static,
{
    type Value = T;
    type Error = E;

    fn items<A>(function: &'static Function, shape: Shape, arguments: A) -> Streamed<Result<T, E>>
    where
        A: FnOnce(&mut Outbound) + Send + 'static,
    {
        let end = <Result<(), E> as RemoteEnds>::end();
        let items = stream(function, shape, read::<T, E>, end, arguments);
        Streamed::new(Flattened(items))
    }

    fn send_items<I>(items: I, arguments: &mut Arguments<'_>) -> Result<(), Malformed>
    where
        I: Iterator<Item = Result<T, E>>,
    {
        let outlet = arguments.outlet()?;
        let mut items = items;
        while !current::is_cancelled() {
            let Some(item) = items.next() else { break };
            let item = item.as_ref();
            if !outlet.send(&|message| codec::encode(&item.map(Lent), message)) {
                break;
            }
        }
        drop(items);
        arguments.answer::<(), E>(Ok(&()));
        Ok(())
    }

    fn send_opened_items<I, U>(
        opened: Result<I, U>,
        item: fn(U) -> Result<T, E>,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed>
    where
        I: Iterator<Item = Result<T, E>>,
    {
        match opened {
            Ok(items) => Self::send_items(items, arguments),
            Err(error) => Self::send_items([item(error)].into_iter(), arguments),
        }
    }

    fn send_opened<I>(opened: Result<I, E>, arguments: &mut Arguments<'_>) -> Result<(), Malformed>
    where
        I: Iterator<Item = T>,
    {
        match opened {
            Ok(items) => Self::send_items(items.map(Ok), arguments),
            Err(error) => Self::send_items([Err(error)].into_iter(), arguments),
        }
    }
}

/// Items that are results themselves: an error of the offload is one of theirs.
struct Flattened<S>(S);

impl<S, T, E> Stream for Flattened<S>
where
    S: Stream<Item = Result<Result<T, E>, E>> + Unpin,
{
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item.map(|item| item.and_then(|item| item)))
    }
}
