//! What a call sends, and what came back.
//!
//! The task of a call has a body that reads the answer; the executor knows of no types. They share
//! a parcel. It gets from the call to the executor on the thread of the first poll, while the call
//! is submitted.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::failures::too_large_with;
use crate::error::Error;
use crate::executor::process::failures;
use crate::system::abort::Unpoisoned;
use crate::task::counts::Ending;
use crate::task::{current, incidents};
use crate::wire::arguments::Outbound;
use crate::wire::codec::Decoder;
use crate::wire::frames::{HEADER, Outgoing};
use crate::wire::registry::Callable;

/// Writes the arguments.
pub(crate) type Pack = Box<dyn FnOnce(&mut Outbound) + Send>;

/// What a call came to: its result, as it was written, or why there is none.
pub(crate) type Answer = Result<Bytes, (Error, Ending)>;

thread_local! {
    /// The parcel of the call that is submitted on this thread.
    static SUBMITTED: RefCell<Option<Arc<Parcel>>> = const { RefCell::new(None) };
}

/// See the [module](self).
pub(crate) struct Parcel {
    function: &'static dyn Callable,
    content: Mutex<Content>,
}

enum Content {
    Arguments(Pack),
    Answer(Answer),
    Nothing,
}

impl Parcel {
    pub(crate) fn new(function: &'static dyn Callable, pack: Pack) -> Arc<Parcel> {
        Arc::new(Parcel { function, content: Mutex::new(Content::Arguments(pack)) })
    }

    pub(super) fn function(&self) -> &'static dyn Callable {
        self.function
    }

    /// Calls what submits its call.
    pub(crate) fn submitted<R>(self: Arc<Parcel>, submit: impl FnOnce() -> R) -> R {
        let _submitting = Submitting::new(self);
        submit()
    }

    fn replace(&self, content: Content) -> Content {
        let mut place = self.content.lock().unpoisoned();
        std::mem::replace(&mut *place, content)
    }

    /// The arguments, as they are sent beside so many bytes of `carried` context. It runs foreign code:
    /// `Serialize`.
    pub(super) fn pack(&self, max_message: usize, carried: usize) -> Result<Bytes, Error> {
        let Content::Arguments(pack) = self.replace(Content::Nothing) else {
            unreachable!("the arguments of a call are sent once")
        };
        let name = self.function.about().name;
        let mut outbound = Outbound::new(Outgoing::new(0, max_message.saturating_sub(carried)));
        pack(&mut outbound);
        let message = outbound.finish().map_err(|reason| failures::unsendable(name, &reason))?;
        let message = message.finish().map_err(|large| match carried {
            0 => failures::too_large(name, &large),
            _ => too_large_with(name, &large, carried, max_message),
        })?;
        Ok(Bytes::from(message).slice(HEADER..))
    }

    pub(super) fn set_answer(&self, answer: Answer) {
        // What it holds, if the call was never sent, is as foreign as the body.
        drop(self.replace(Content::Answer(answer)));
    }

    /// As the body of the call: what came back.
    pub(crate) fn open<R>(&self, read: fn(Decoder<'_>) -> Result<R, String>) -> Result<R, Error> {
        let Content::Answer(answer) = self.replace(Content::Nothing) else {
            unreachable!("the body of a call is called when its answer is there")
        };
        let name = self.function.about().name;
        let read = |bytes: Bytes| {
            read(Decoder::new(&bytes))
                .map_err(|reason| (failures::unreadable(name, &reason), Ending::Failed))
        };
        answer.and_then(read).map_err(|(error, ending)| {
            current::set_ending(ending, error.ran());
            incidents::note_ending(name, ending, &error);
            error
        })
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("function", &self.function.about().name).finish()
    }
}

/// The parcel of the call that is submitted on this thread, if it has not been taken.
pub(super) fn take() -> Option<Arc<Parcel>> {
    SUBMITTED.take()
}

/// The parcel is for who takes it meanwhile.
struct Submitting(Option<Arc<Parcel>>);

impl Submitting {
    fn new(parcel: Arc<Parcel>) -> Submitting {
        Submitting(SUBMITTED.replace(Some(parcel)))
    }
}

impl Drop for Submitting {
    fn drop(&mut self) {
        drop(SUBMITTED.replace(self.0.take()));
    }
}

/// The future of a call that has a parcel.
#[derive(Debug)]
#[must_use = "a call does nothing unless it is awaited"]
pub struct OfParcel<C> {
    /// Until the call is submitted.
    parcel: Option<Arc<Parcel>>,
    call: C,
}

impl<C> OfParcel<C> {
    pub(crate) fn new(parcel: Arc<Parcel>, call: C) -> OfParcel<C> {
        OfParcel { parcel: Some(parcel), call }
    }

    /// Of a call that has no parcel any more.
    pub(crate) fn submitted_before(call: C) -> OfParcel<C> {
        OfParcel { parcel: None, call }
    }
}

impl<C: Future + Unpin> Future for OfParcel<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let submitting = self.parcel.take().map(Submitting::new);
        let answer = Pin::new(&mut self.call).poll(cx);
        drop(submitting);
        answer
    }
}
