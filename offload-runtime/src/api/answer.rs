//! What an offloaded function gives where it is called: the future of the call, or its handle.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::call::made::Made;

/// The future of a call whose bounds were asked for where it was made: its own
/// `Future` needs none.
#[must_use = "a call does nothing unless it is awaited"]
pub struct Answer<T> {
    call: Made<T>,
    poll: PollFn<T>,
}

/// `Made::poll`, taken where its bounds are known to be met.
type PollFn<T> = fn(&mut Made<T>, &mut Context<'_>) -> Poll<T>;

impl<T: Send + 'static> Answer<T> {
    pub(super) fn new(call: Made<T>) -> Answer<T> {
        Answer { call, poll: Made::poll }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        (self.poll)(&mut self.call, cx)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
