//! The stream of what a body pushes into its [`Sink`].

use std::any::Any;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::channel::{Channel, Producer, Receiver};
use super::shape::Shape;
use super::sink::Sink;
use crate::call::admission;
use crate::call::sent::{Sent, count_rejected, last};
use crate::error::Error;
use crate::function::Function;
use crate::task::context::Captured;
use crate::task::large::poll_result;
use crate::task::meta::StandIn;
use crate::task::{self, Failure};

/// What a body comes to, and how that is made of an error, where it can carry one.
type Ending<E> = Result<(), E>;
type Fail<E> = Option<fn(Error) -> Ending<E>>;

/// On the heap, since a large one would be moved often.
type Body<T, E> = Box<dyn FnOnce(&mut Sink<T>) -> Ending<E> + Send>;

/// See the [module](self).
pub(crate) struct Pushed<T, E> {
    function: &'static Function,
    fail: Fail<E>,
    shape: Shape,
    state: State<T, E>,
    /// While a body of its own pool reads it: its own body blocks until that one reads on, which may wait for
    /// another call of the pool first.
    stand_in: Option<StandIn>,
}

enum State<T, E> {
    /// Not polled yet.
    Lazy(Body<T, E>, Captured),
    // In this order: a body whose sink is closed knows that it is cancelled.
    Sent(Sent, Receiver<T>),
    /// The body has ended, and what it made is not taken.
    /// `None`: well. `Ok`: by the error that it returned. `Err`: why there is none. On the heap, since all of this
    /// moves with each item.
    Ended(Receiver<T>, Option<Box<Result<E, Failure>>>),
    Done,
}

impl<T, E> Pushed<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// In the surroundings of this thread: whoever polls it may be somebody else.
    pub(crate) fn new(
        function: &'static Function,
        fail: Fail<E>,
        shape: Shape,
        body: Body<T, E>,
    ) -> Pushed<T, E> {
        let state = State::Lazy(body, Captured::here());
        Pushed { function, fail, shape, state, stand_in: None }
    }

    fn see_who_reads(&mut self) {
        let is_body = admission::is_in_body_of_pool(self.function);
        if is_body != self.stand_in.is_some() {
            let later = || self.function.executor().stand_in_later();
            self.stand_in = is_body.then(later).flatten();
        }
    }

    fn send(
        &self,
        body: Body<T, E>,
        captured: Captured,
        cx: &mut Context<'_>,
    ) -> Result<State<T, E>, Failure> {
        let meta = admission::admit_captured(self.function)?;
        let stall_timeout =
            admission::caught(|| Ok(self.shape.stall_timeout.map(|timeout| timeout())))?;
        let channel = Arc::new(Channel::new(self.function.name(), self.shape.room, stall_timeout));
        let receiver = Receiver(Arc::clone(&channel));
        let fail = self.fail;
        let make = task::maker();
        let task = make(meta, captured, move || {
            let mut sink = Sink::new(Producer::new(channel));
            let ending = body(&mut sink);
            match (sink.finish(ending.is_ok()), fail) {
                (Err(error), Some(fail)) => fail(error),
                _ => ending,
            }
        });
        let sent = Sent::new(self.function, task, None, cx).map_err(Failure::Error)?;
        Ok(State::Sent(sent.of_items(), receiver))
    }

    fn last(&self, failure: Failure) -> Option<Result<T, E>> {
        last(self.function, self.fail, failure).err().map(Err)
    }
}

// Neither the body nor an item is pinned: they are moved.
impl<T, E> Unpin for Pushed<T, E> {}

impl<T, E> Stream for Pushed<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        loop {
            match mem::replace(&mut self.state, State::Done) {
                State::Lazy(body, captured) => match self.send(body, captured, cx) {
                    Ok(state) => self.state = state,
                    Err(failure) => {
                        count_rejected(self.function, &failure);
                        return Poll::Ready(self.last(failure));
                    }
                },
                State::Sent(mut sent, receiver) => {
                    self.see_who_reads();
                    let mut item = receiver.take(cx);
                    if item.is_none() {
                        let poll = |place: &mut dyn Any| sent.poll(cx, place);
                        if let Poll::Ready(ending) = poll_result(poll, Ok, Err) {
                            self.stand_in = None;
                            let ending = match ending {
                                Err(failure) if !sent.has_ended() => {
                                    return Poll::Ready(self.last(failure));
                                }
                                Err(failure) => Some(Box::new(Err(failure))),
                                Ok(Err(error)) => Some(Box::new(Ok(error))),
                                Ok(Ok(())) => None,
                            };
                            self.state = State::Ended(receiver, ending);
                            continue;
                        }
                        // One may have come before the waker was there.
                        item = receiver.take(cx);
                    }
                    self.state = State::Sent(sent, receiver);
                    return item.map_or(Poll::Pending, |item| Poll::Ready(Some(Ok(item))));
                }
                State::Ended(receiver, ending) => {
                    if let Some(item) = receiver.take(cx) {
                        self.state = State::Ended(receiver, ending);
                        return Poll::Ready(Some(Ok(item)));
                    }
                    return Poll::Ready(match ending.map(|ending| *ending) {
                        None => None,
                        Some(Ok(error)) => Some(Err(error)),
                        Some(Err(failure)) => self.last(failure),
                    });
                }
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

impl<T, E> fmt::Debug for Pushed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushed").field("function", &self.function.name()).finish_non_exhaustive()
    }
}
