//! The stream of what an iterator makes.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

use crate::call::admission;
use crate::call::sent::{Sent, count_rejected, last};
use crate::error::Error;
use crate::executor::threads;
use crate::function::Function;
use crate::sync::timer::Alarm;
use crate::task::context::Captured;
use crate::task::portions::{Open, Portions};
use crate::task::{Failure, Work};

/// See the [module](self).
pub(crate) struct Items<I, T> {
    function: &'static Function,
    /// Makes an item of an error, where it can carry one.
    fail: Option<fn(Error) -> T>,
    /// So many items are made ahead.
    room: usize,
    state: State<I, T>,
    /// Set once it was polled, if there is a deadline.
    expiry: Option<Alarm>,
}

/// Ends a body that its deadline finds on no thread: what it has is free then, also if the consumer does
/// not look.
struct Expiry<I, T>(Weak<Portions<I, T>>);

impl<I, T> Wake for Expiry<I, T>
where
    I: Iterator<Item = T> + Send + 'static,
    T: Send + 'static,
{
    fn wake(self: Arc<Self>) {
        let Some(portions) = self.0.upgrade() else { return };
        if portions.expire() {
            // Never here: the iterator's destructor is foreign code, and this is the timer's thread.
            threads::THREAD.clear_at_end(portions);
        }
    }
}

enum State<I, T> {
    /// Not polled yet.
    Lazy(Open<I, T>, Captured),
    Sent(Sent, Arc<Portions<I, T>>),
    /// The body has ended, and what it made is not taken.
    Ended(Sent, Arc<Portions<I, T>>, Option<Failure>),
    Done,
}

impl<I, T> Items<I, T>
where
    I: Iterator<Item = T> + Send + 'static,
    T: Send + 'static,
{
    /// In the surroundings of this thread: whoever polls it may be somebody else.
    pub(crate) fn new(
        function: &'static Function,
        fail: Option<fn(Error) -> T>,
        room: usize,
        body: Open<I, T>,
    ) -> Items<I, T> {
        let state = State::Lazy(body, Captured::here());
        Items { function, fail, room, state, expiry: None }
    }

    fn send(
        &mut self,
        body: Open<I, T>,
        captured: Captured,
        cx: &mut Context<'_>,
    ) -> Result<State<I, T>, Failure> {
        let meta = admission::admit_captured(self.function)?;
        let portions = Arc::new(Portions::new(meta, captured, body, self.room));
        let task = Arc::clone(&portions);
        let sent = Sent::new(self.function, task, None, cx).map_err(Failure::Error)?;
        self.expiry = portions.meta().answer_by().and_then(|answer_by| {
            let expiry = Arc::new(Expiry(Arc::downgrade(&portions)));
            // The timer's thread is there: `sent` has an alarm, too.
            Alarm::new(answer_by, &Waker::from(expiry)).ok()
        });
        Ok(State::Sent(sent.of_items(), portions))
    }
}

fn take<I, T>(sent: &Sent, portions: &Portions<I, T>) -> Option<T>
where
    I: Iterator<Item = T>,
{
    // No `?`: unoptimized, it has a copy of the item on its stack.
    let item = portions.ring.pop();
    if item.is_some() && portions.resume() {
        sent.submit_again();
        portions.is_resumed();
    }
    item
}

impl<I, T> Drop for Items<I, T> {
    /// A destructor is foreign code, and this may be the thread of an event loop.
    fn drop(&mut self) {
        if let State::Ended(sent, portions, _) = &self.state {
            if !portions.ring.is_empty() {
                sent.leave();
            }
        }
    }
}

// Neither the body nor an item is pinned: they are moved.
impl<I, T> Unpin for Items<I, T> {}

impl<I, T> Stream for Items<I, T>
where
    I: Iterator<Item = T> + Send + 'static,
    T: Send + 'static,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            match mem::replace(&mut self.state, State::Done) {
                State::Lazy(body, captured) => match self.send(body, captured, cx) {
                    Ok(state) => self.state = state,
                    Err(failure) => {
                        count_rejected(self.function, &failure);
                        return Poll::Ready(Some(last(self.function, self.fail, failure)));
                    }
                },
                State::Sent(mut sent, portions) => {
                    let mut item = take(&sent, &portions);
                    if item.is_none() {
                        if let Poll::Ready(failure) = sent.poll(cx, &mut ()) {
                            self.state = match (sent.has_ended(), failure) {
                                (false, Some(failure)) => {
                                    let item = last(self.function, self.fail, failure);
                                    return Poll::Ready(Some(item));
                                }
                                (_, failure) => State::Ended(sent, portions, failure),
                            };
                            continue;
                        }
                        // One may have come before the waker was there.
                        item = take(&sent, &portions);
                    }
                    self.state = State::Sent(sent, portions);
                    return item.map_or(Poll::Pending, |item| Poll::Ready(Some(item)));
                }
                State::Ended(sent, portions, failure) => {
                    if let Some(item) = portions.ring.pop() {
                        self.state = State::Ended(sent, portions, failure);
                        return Poll::Ready(Some(item));
                    }
                    let last = failure.map(|failure| last(self.function, self.fail, failure));
                    return Poll::Ready(last);
                }
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

impl<I, T> fmt::Debug for Items<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("function", &self.function.name()).finish_non_exhaustive()
    }
}
