//! What a worker does with the types of a function: it takes the arguments, and answers.
//!
//! The bounds of these types are checked where the call is made. Were they checked here as well, which is in another
//! item, incremental compilation would report each error twice. So expanded code gets at these methods through
//! [`InWorker`], which is implemented for all types. Where a type has the bound, the method of [`Known`] is found; where it
//! has not, the one of [`Unknown`], by `Deref`, which does nothing: the program does not compile in any case. The names
//! begin with `offload_`, so that no method of a user's trait is meant.

use std::marker::PhantomData;
use std::ops::Deref;

use super::process_streams::{RemoteEnds, RemoteItem};
use super::streams::Iterates;
use super::transfer::{Remote, Transfer, TransferLent};
use crate::call::stream::sink::Sink;
use crate::wire::arguments::{Arguments, Malformed};

/// Gives access to what a worker does with a type. It is implemented for all types.
pub trait InWorker {
    /// On which the methods are called.
    const TYPE: Known<Self> = Known(Unknown(PhantomData));
}

impl<T: ?Sized> InWorker for T {}

/// Has the methods of types with the bounds.
#[derive(Debug)]
pub struct Known<T: ?Sized>(Unknown<T>);

impl<T> Known<T> {
    /// The type of what a body returns, which may have no name.
    pub fn of(_: &T) -> Known<T> {
        <T as InWorker>::TYPE
    }
}

/// Has methods of the same names for all types. They are never called: a function with such a type does not compile.
#[derive(Debug)]
pub struct Unknown<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Deref for Known<T> {
    type Target = Unknown<T>;

    fn deref(&self) -> &Unknown<T> {
        &self.0
    }
}

impl<T: Transfer> Known<T> {
    /// The next argument.
    ///
    /// # Errors
    ///
    /// If there is none of this type.
    pub fn offload_take(&self, arguments: &mut Arguments<'_>) -> Result<T, Malformed> {
        T::take(arguments)
    }

    /// The sink, into which a body pushes such items.
    ///
    /// # Errors
    ///
    /// If the call is of no stream.
    pub fn offload_sink(&self, arguments: &Arguments<'_>) -> Result<Sink<T>, Malformed> {
        T::sink(arguments)
    }
}

impl<T: TransferLent + ?Sized> Known<T> {
    /// Lends the next argument to the rest of the call.
    ///
    /// # Errors
    ///
    /// If there is none of this type, and those of the rest.
    pub fn offload_lend<F>(&self, arguments: &mut Arguments<'_>, rest: F) -> Result<(), Malformed>
    where
        F: FnOnce(&T, &mut Arguments<'_>) -> Result<(), Malformed>,
    {
        T::lend(arguments, rest)
    }
}

impl<T: Remote> Known<T> {
    /// Sends the result to the parent.
    pub fn offload_answer(&self, result: T, arguments: &mut Arguments<'_>) {
        result.answer(arguments);
    }
}

impl<T: RemoteEnds> Known<T> {
    /// Sends how the body of a stream has ended.
    pub fn offload_ended<I>(&self, result: T, sink: Sink<I>, arguments: &mut Arguments<'_>) {
        result.ended(sink, arguments);
    }
}

impl<I: Iterates<Made: RemoteItem>> Known<I> {
    /// Sends what an iterator makes.
    ///
    /// # Errors
    ///
    /// If the call is of no stream.
    pub fn offload_send_items(
        &self,
        items: I,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed> {
        I::Made::send_items(items.iterator(), arguments)
    }
}

impl<I: Iterates<Made: RemoteItem>, E> Known<Result<I, E>> {
    /// Sends the items of an iterator, or the error with which the body failed to return one, as its first item, which
    /// `item` makes.
    ///
    /// # Errors
    ///
    /// As of `offload_send_items`.
    pub fn offload_send_opened_items(
        &self,
        opened: Result<I, E>,
        item: fn(E) -> I::Made,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed> {
        I::Made::send_opened_items(opened.map(I::iterator), item, arguments)
    }
}

impl<I: Iterates, E> Known<Result<I, E>>
where
    Result<I::Made, E>: RemoteItem<Value = I::Made, Error = E>,
{
    /// Sends the items of an iterator, or the error with which the body failed to return one. Items are plain values, and
    /// become `Ok`.
    ///
    /// # Errors
    ///
    /// As of `offload_send_items`.
    pub fn offload_send_opened(
        &self,
        opened: Result<I, E>,
        arguments: &mut Arguments<'_>,
    ) -> Result<(), Malformed> {
        <Result<I::Made, E>>::send_opened(opened.map(I::iterator), arguments)
    }
}

/// The same methods, without the bounds.
#[allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]
#[doc(hidden)]
impl<T> Unknown<T> {
    pub fn offload_take(&self, _: &mut Arguments<'_>) -> Result<T, Malformed> {
        never()
    }

    pub fn offload_sink(&self, _: &Arguments<'_>) -> Result<Sink<T>, Malformed> {
        never()
    }

    pub fn offload_answer(&self, _: T, _: &mut Arguments<'_>) {}

    pub fn offload_ended<I>(&self, _: T, _: Sink<I>, _: &mut Arguments<'_>) {}

    pub fn offload_send_items(&self, _: T, _: &mut Arguments<'_>) -> Result<(), Malformed> {
        never()
    }

    pub fn offload_send_opened(&self, _: T, _: &mut Arguments<'_>) -> Result<(), Malformed> {
        never()
    }
}

#[allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]
#[doc(hidden)]
impl<I: Iterates, E> Unknown<Result<I, E>> {
    pub fn offload_send_opened_items(
        &self,
        _: Result<I, E>,
        _: fn(E) -> I::Made,
        _: &mut Arguments<'_>,
    ) -> Result<(), Malformed> {
        never()
    }
}

#[allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]
#[doc(hidden)]
impl<T: ?Sized> Unknown<T> {
    pub fn offload_lend<F>(&self, _: &mut Arguments<'_>, _: F) -> Result<(), Malformed>
    where
        F: FnOnce(&T, &mut Arguments<'_>) -> Result<(), Malformed>,
    {
        never()
    }
}

fn never() -> ! {
    unreachable!("a function with such a type does not compile")
}
