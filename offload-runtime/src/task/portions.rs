//! A body that makes items, and runs in parts: a part fills the buffer, and ends. While the consumer
//! is slow it is on no thread; it is queued again when half of the buffer is free.
//!
//! # The protocol
//!
//! A part that finds the buffer full puts back what makes the items, with its context and its permits,
//! and then suspends the call in its [state](super::state). From there on all of that belongs to who
//! changes the word: the consumer, that resumes or cancels it, or the same thread, that claims it back.
//! *No part is forgotten*: the thread suspends the call first, and then looks whether half of the
//! buffer is free; the consumer takes an item first, and then looks whether the call is suspended;
//! with a fence between in both cases.
//!
//! *No deadline is missed.* When it passes, the timer claims a call that is suspended, and has it ended by a
//! thread of a pool. A thread that suspends one looks at the clock after that: one of them sees that it is late.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};

use super::context::Captured;
use super::kept::Kept;
use super::meta::Meta;
use super::{Failure, Permits, Work, current, own};
use crate::error::{Error, Ran};
use crate::sync::foreign::{drop_quietly, quietly};
use crate::sync::ring::Ring;

/// Gives what makes the items, or the last item instead. Both are on the heap: a [large](super::large) one would be moved
/// often.
pub(crate) struct Open<I, T> {
    open: Box<dyn FnOnce() -> Result<Box<I>, T> + Send>,
    /// Whether to drop what is in it may run foreign code.
    has_drop_glue: bool,
}

impl<I, T> Open<I, T> {
    pub(crate) fn new<F>(open: F) -> Open<I, T>
    where
        F: FnOnce() -> Result<Box<I>, T> + Send + 'static,
    {
        Open { open: Box::new(open), has_drop_glue: mem::needs_drop::<F>() }
    }
}

/// See the [module](self).
pub(crate) struct Portions<I, T> {
    content: Mutex<Content<I, T>>,
    kept: Kept<Permits>,
    pub(crate) ring: Ring<T>,
    meta: Meta,
}

enum Content<I, T> {
    Body(Open<I, T>, Captured),
    Rest(Box<I>, Captured),
    Failure(Box<Failure>),
    Nothing,
}

impl<I, T> Portions<I, T>
where
    I: Iterator<Item = T>,
{
    /// A call with this body, and a buffer that has room for so many items.
    pub(crate) fn new(
        meta: Meta,
        captured: Captured,
        body: Open<I, T>,
        room: usize,
    ) -> Portions<I, T> {
        let kept = Kept::default();
        let content = Mutex::new(Content::Body(body, captured));
        Portions { content, kept, ring: Ring::new(room), meta }
    }

    /// The consumer has taken an item. True: it is to queue the call, which is resumed.
    pub(crate) fn resume(&self) -> bool {
        if !self.ring.is_half_free() || !self.meta.state.resume() {
            return false;
        }
        self.meta.pool_slot.take_again();
        true
    }

    /// The deadline has passed. True: the call is suspended no more, and is to be
    /// [cleared](super::completion::clear), which ends it.
    pub(crate) fn expire(&self) -> bool {
        let is_ours = self.meta.state.reclaim();
        if is_ours {
            self.is_resumed();
        }
        is_ours
    }

    /// The call is not counted as suspended any more.
    pub(crate) fn is_resumed(&self) {
        self.meta.about().counts().suspended.fetch_sub(1, Ordering::AcqRel);
    }

    fn add(&self, item: T) {
        // There is room: only this thread adds.
        if let Err(item) = self.ring.push(item) {
            drop_quietly(item);
        }
        if let Some(waker) = self.meta.waker.take() {
            quietly(|| waker.wake());
        }
    }

    /// Makes items until the buffer is full. `None`: there are no more.
    fn fill(&self, mut items: Box<I>) -> Option<Box<I>> {
        loop {
            // Also if there is no room: so a part ends the body that runs when the deadline has passed.
            if current::is_cancelled() {
                if current::is_stopped() {
                    self.stop();
                }
                return None;
            }
            if self.ring.is_full() {
                return Some(items);
            }
            self.add(items.next()?);
        }
    }

    fn stop(&self) {
        let error = Error::stopped(self.meta.about().name);
        self.replace(Content::Failure(Box::new(Failure::Error(error))));
    }
}

impl<I, T> Portions<I, T> {
    fn content(&self) -> MutexGuard<'_, Content<I, T>> {
        own(&self.content)
    }

    fn replace(&self, content: Content<I, T>) -> Content<I, T> {
        mem::replace(&mut *self.content(), content)
    }
}

impl<I, T> Work for Portions<I, T>
where
    I: Iterator<Item = T> + Send,
    T: Send,
{
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut())) {
        self.kept.set_rest(false);
        let (mut body, mut items, mut captured) = match self.replace(Content::Nothing) {
            Content::Body(body, captured) => (Some(body), None, captured),
            Content::Rest(items, captured) => (None, Some(items), captured),
            Content::Failure(_) | Content::Nothing => return,
        };
        // A span may be cloned, by a subscriber.
        let again = catch_unwind(AssertUnwindSafe(|| captured.again()));
        let (mut again, mut panic) = match again {
            Ok(again) => (Some(again), None),
            Err(payload) => (None, Some(payload)),
        };
        enter(captured, &mut || {
            if let Some(payload) = panic.take() {
                if body.is_some() {
                    current::set_ran(Ran::No);
                }
                // That is the body's own.
                resume_unwind(payload);
            }
            let items = match (items.take(), body.take()) {
                (Some(items), _) => items,
                (None, Some(body)) => match (body.open)() {
                    Ok(items) => items,
                    Err(last) => return self.add(last),
                },
                (None, None) => return,
            };
            let Some(rest) = self.fill(items) else { return };
            let Some(again) = again.take() else { return };
            let captured = again.here();
            self.replace(Content::Rest(rest, captured));
            self.kept.set_rest(true);
        });
        // They are left if the context could not be entered, or there is nothing more to make.
        drop_quietly((body, items));
        drop_quietly(again);
    }

    fn fail(&self, failure: Failure) {
        self.kept.set_rest(false);
        let content = self.replace(Content::Failure(Box::new(failure)));
        drop_quietly(content);
    }

    fn take(&self, _: &mut dyn Any) -> Option<Failure> {
        match self.replace(Content::Nothing) {
            Content::Failure(failure) => Some(*failure),
            _ => None,
        }
    }

    fn clear(&self) {
        let content = self.replace(Content::Nothing);
        let permits = self.kept.take();
        quietly(|| drop(content));
        // Before the items: they are not what the permits are for.
        drop(permits);
        while let Some(item) = self.ring.pop() {
            drop_quietly(item);
        }
    }

    fn error(&self) -> Option<Error> {
        match &*self.content() {
            Content::Failure(failure) => failure.error(),
            _ => None,
        }
    }

    fn has_drop_glue(&self) -> bool {
        let is_any = match &*self.content() {
            Content::Body(body, captured) => body.has_drop_glue || captured.is_any(),
            Content::Rest(_, captured) => mem::needs_drop::<I>() || captured.is_any(),
            Content::Failure(failure) => matches!(**failure, Failure::Panic(..)),
            Content::Nothing => false,
        };
        is_any || mem::needs_drop::<T>()
    }

    fn kept(&self) -> Option<&Kept<Permits>> {
        Some(&self.kept)
    }

    fn wants_more(&self) -> bool {
        self.ring.is_half_free()
    }
}
