//! The calls of a pool that have not ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::in_flight::{InFlight, Stage};
use super::parcel::Answer;
use super::served::Serving;
use crate::error::Error;
use crate::system::abort::Unpoisoned;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Calls {
    /// By the address of their tasks.
    calls: Mutex<HashMap<usize, Entry>>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) call: Arc<InFlight>,
    /// What is done for it on this machine.
    pub(super) here: Option<Serving>,
}

// What an entry has is foreign: it is never dropped under the lock.
impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Entry>> {
        self.calls.lock().unpoisoned()
    }

    pub(super) fn add(&self, call: Arc<InFlight>) {
        let before = self.lock().insert(call.place, Entry { call, here: None });
        drop(before);
    }

    /// The call of a task that has not ended.
    pub(super) fn find(&self, place: usize) -> Option<Entry> {
        self.lock().get(&place).cloned()
    }

    /// This call has ended. Its task may be gone, and another one be in its place.
    pub(super) fn remove(&self, call: &Arc<InFlight>) -> Option<Entry> {
        match self.lock().entry(call.place) {
            Slot::Occupied(slot) if Arc::ptr_eq(&slot.get().call, call) => Some(slot.remove()),
            _ => None,
        }
    }

    /// A worker may begin this call. False: it was cancelled, is late, or another has begun it.
    pub(super) fn begin(&self, call: &Arc<InFlight>) -> bool {
        if self.expire(call, Instant::now()) {
            return false;
        }
        let has_begun = call.begin();
        // Who has cancelled it may have looked for it before it was here.
        let is_over = !has_begun && call.stage() == Stage::Over;
        self.remove_ended(call, is_over);
        has_begun
    }

    /// Ends this call, if no worker has begun it.
    pub(super) fn reject(&self, call: &Arc<InFlight>, error: Error) -> bool {
        let has_ended = call.reject(error);
        self.remove_ended(call, has_ended)
    }

    /// Ends this call, if it has not begun and is too late to.
    pub(super) fn expire(&self, call: &Arc<InFlight>, now: Instant) -> bool {
        let has_ended = call.expire(now);
        self.remove_ended(call, has_ended)
    }

    /// Ends this call, if it has begun: this is its answer.
    pub(super) fn end(&self, call: &Arc<InFlight>, answer: Answer) -> bool {
        let has_ended = call.end(answer);
        self.remove_ended(call, has_ended)
    }

    // Not before: a call that is not here is taken for one that has been answered.
    fn remove_ended(&self, call: &Arc<InFlight>, has_ended: bool) -> bool {
        if has_ended {
            drop(self.remove(call));
        }
        has_ended
    }

    /// This is done for a call.
    pub(super) fn set_here(&self, call: &Arc<InFlight>, here: &Serving) {
        if let Some(entry) = entry(&mut self.lock(), call) {
            entry.here = Some(here.clone());
        }
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn count(&self, stage: Stage) -> usize {
        self.lock().values().filter(|entry| entry.call.stage() == stage).count()
    }
}

/// The entry of this call, if it has not been removed.
fn entry<'a>(calls: &'a mut HashMap<usize, Entry>, call: &Arc<InFlight>) -> Option<&'a mut Entry> {
    calls.get_mut(&call.place).filter(|entry| Arc::ptr_eq(&entry.call, call))
}
