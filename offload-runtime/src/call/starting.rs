//! How an async function with `spawn` is started, and not awaited.
//!
//! Its body is in the async function alone, so that an attribute macro below the attribute is a part of
//! both ways, and so that nothing else has to stand beside it. Who starts it says so on this thread, and polls its
//! future once. The call finds that it is wanted, is started, and leaves its handle behind on the thread;
//! the future, which would never be ready, is dropped.

use std::cell::Cell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use super::started::{Started, State};
use crate::error::Error;
use crate::sync::foreign::drop_quietly;
use crate::task::large::is_large;

/// What passes between the one who starts a call, and the call.
enum HandOver {
    Nothing,
    /// The first call of this function is to be started.
    Wanted(Which),
    Left(State),
}

/// Which function is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) label: &'static str,
    /// The type whose method it is, or nothing. The default method of a trait has one label for all types, and that of
    /// one type may call that of another.
    pub(crate) of: &'static str,
}

thread_local! {
    /// Without a destructor, so that the destructors of other thread-locals can start calls.
    static HERE: Cell<ManuallyDrop<HandOver>> =
        const { Cell::new(ManuallyDrop::new(HandOver::Nothing)) };
}

fn replace(hand_over: HandOver) -> HandOver {
    ManuallyDrop::into_inner(HERE.replace(ManuallyDrop::new(hand_over)))
}

/// Whether the call of this function that is made now is to be started. It is asked once.
pub(crate) fn is_wanted(which: Which) -> bool {
    match replace(HandOver::Nothing) {
        HandOver::Wanted(wanted) if wanted == which => true,
        other => {
            replace(other);
            false
        }
    }
}

/// Leaves the handle of a call that was wanted.
pub(crate) fn leave<T>(started: Started<T>) {
    replace(HandOver::Left(started.into_state()));
}

/// The first poll of a call, by which it starts.
#[derive(Debug)]
pub struct FirstPoll(Which);

/// Whether a future had its first poll.
pub enum Polled<'f, T> {
    /// It had, and is dropped.
    Now,
    /// It is large, and so has it when the arguments that it was made of are off the stack.
    Later(Pin<Box<dyn Future<Output = T> + 'f>>),
}

impl FirstPoll {
    /// Polls the future of the call, or keeps it to be polled.
    pub fn of<'f, F: Future + 'f>(self, future: F) -> Polled<'f, F::Output> {
        if const { is_large::<F>() } {
            return Polled::Later(Box::pin(future));
        }
        self.poll_once(pin!(future));
        Polled::Now
    }

    fn poll_once<T>(self, future: Pin<&mut dyn Future<Output = T>>) {
        replace(HandOver::Wanted(self.0));
        // It leaves its handle, or does not reach its call.
        let _ = future.poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Starts the call of the function with this label. `make` makes the future that awaits it and passes it to
/// `FirstPoll::of`, which polls it, or keeps a large one to be polled once `make` has returned. `of` is the type whose
/// method the function is, or nothing. What is foreign to the start does not unwind into who starts it.
pub fn start<'f, M, T>(label: &'static str, of: &'static str, make: M) -> Started<T>
where
    M: FnOnce(FirstPoll) -> Polled<'f, T>,
{
    let which = Which { label, of };
    if const { is_large::<M>() } {
        let make: Box<dyn FnOnce(FirstPoll) -> Polled<'f, T> + '_> = Box::new(make);
        start_small(which, make)
    } else {
        start_small(which, make)
    }
}

fn start_small<'f, T>(which: Which, make: impl FnOnce(FirstPoll) -> Polled<'f, T>) -> Started<T> {
    // Another start on this thread, of which this one is a part: a copy that is made may start calls.
    let outer = replace(HandOver::Nothing);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        if let Polled::Later(mut future) = make(FirstPoll(which)) {
            FirstPoll(which).poll_once(future.as_mut());
        }
    }));
    match (replace(outer), polled) {
        (HandOver::Left(state), polled) => {
            drop_quietly(polled);
            Started::of(state)
        }
        (_, Err(payload)) => Started::rejected(Error::panicked_before(which.label, payload)),
        (_, Ok(())) => Started::rejected(Error::not_reached(which.label)),
    }
}
