//! The calls of a pool that have not ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::in_flight::{InFlight, Stage};
use super::served::Serving;
use crate::system::abort::Unpoisoned;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Calls {
    /// By what tells their tasks from others.
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
        self.lock().insert(call.place, Entry { call, here: None });
    }

    pub(super) fn find(&self, place: usize) -> Option<Entry> {
        self.lock().get(&place).cloned()
    }

    pub(super) fn remove(&self, place: usize) -> Option<Entry> {
        self.lock().remove(&place)
    }

    /// This is done for a call from now on.
    pub(super) fn set_here(&self, place: usize, here: Serving) {
        let mut calls = self.lock();
        let Some(entry) = calls.get_mut(&place) else { return };
        let before = entry.here.replace(here);
        drop(calls);
        drop(before);
    }

    /// The same, unless something is done for it already.
    pub(super) fn offer_here(&self, place: usize, here: &Serving) {
        if let Some(entry) = self.lock().get_mut(&place) {
            entry.here.get_or_insert_with(|| here.clone());
        }
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn count(&self, stage: Stage) -> usize {
        self.lock().values().filter(|entry| entry.call.stage() == stage).count()
    }
}
