//! In a worker: where the items of the stream go that runs.
//!
//! # The protocol
//!
//! With the call the parent says how many items may be on their way. Each that is sent counts against
//! that, and a body that has sent so many waits for the parent to say `More`: it does so when it has
//! room for them, or throws them away, since nobody takes them. So what is ahead of the consumer is
//! bounded, and a body that waits here is never forgotten: the parent says so for half of
//! them at the latest. What is left unread of that when the body ends, the main loop throws away.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::messages::{Failure, Kind, cut};
use super::to_parent::{Then, hear_more, send_blob, write};
use crate::system::abort::Unpoisoned;
use crate::wire::arguments::{Outlet, Write};
use crate::wire::blobs;
use crate::wire::frames::{Outgoing, TooLarge};

/// See the [module](self).
pub(super) struct ToParent {
    function: &'static str,
    /// No item is larger, in bytes.
    max_message: usize,
    /// Nobody awaits the call any more.
    cancelled: Arc<AtomicBool>,
    state: Mutex<State>,
}

struct State {
    /// So many may be sent before the parent says more.
    credit: u32,
    /// That of the last item.
    buffer: Vec<u8>,
    /// Why one could not be sent: none is after it.
    failure: Option<Failure>,
}

impl ToParent {
    pub(super) fn new(
        function: &'static str,
        window: u32,
        max_message: usize,
        cancelled: Arc<AtomicBool>,
    ) -> ToParent {
        let state = State { credit: window, buffer: Vec::new(), failure: None };
        ToParent { function, max_message, cancelled, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Why an item could not be sent, if one could not.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }
}

impl Outlet for ToParent {
    fn function(&self) -> &'static str {
        self.function
    }

    fn send(&self, write_item: Write<'_>) -> bool {
        let mut state = self.lock();
        while state.credit == 0 && state.failure.is_none() {
            let Some(more) = hear_more() else { return false };
            state.credit = state.credit.saturating_add(more);
        }
        if state.failure.is_some() || self.cancelled.load(Ordering::Acquire) {
            return false;
        }
        let buffer = mem::take(&mut state.buffer);
        // What writes an item is foreign, and may panic. Only the body sends.
        drop(state);
        let mut message = Outgoing::reuse(buffer, Kind::Item as u8, self.max_message);
        message = message.with_blobs(send_blob);
        let mut ahead = Ahead { is_lost: true };
        let written = write_item(&mut message).map(|()| message.finish());
        match written {
            Ok(Ok(item)) => {
                ahead.is_lost = false;
                let is_sent = write(&item, Then::Continue);
                let mut state = self.lock();
                state.credit -= 1;
                state.buffer = item;
                return is_sent;
            }
            Ok(Err(TooLarge { bytes, .. })) => {
                self.lock().failure = Some(Failure::ItemTooLarge(bytes))
            }
            Err(reason) => self.lock().failure = Some(Failure::Item(cut(reason))),
        }
        false
    }
}

/// What was sent ahead of an item, as it was written.
struct Ahead {
    /// The item does not come.
    is_lost: bool,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if self.is_lost {
            // Or it would belong to the next message.
            write(&blobs::FORGET_FRAME, Then::Continue);
        }
    }
}
