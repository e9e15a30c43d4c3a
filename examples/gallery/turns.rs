//! Turns: how much one user, or whoever claims to be one, may have under way at the same time, so
//! that nobody takes what is there for all. Who has no turn left is rejected, and does not wait.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A clone gives the same turns.
#[derive(Clone)]
pub(crate) struct Turns<K> {
    /// How many are taken, of those who have taken any.
    taken: Arc<Mutex<HashMap<K, usize>>>,
    /// The most turns of one key.
    each: usize,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    pub(crate) fn new(each: usize) -> Turns<K> {
        Turns { taken: Arc::default(), each }
    }

    /// None: all that there are for this one are taken.
    pub(crate) fn take(&self, who: K) -> Option<Turn<K>> {
        let mut taken = self.lock();
        let count = taken.entry(who.clone()).or_default();
        if *count == self.each {
            return None;
        }
        *count += 1;
        Some(Turn { turns: self.clone(), who })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is over when it is dropped. That of a handler is so when it has answered, or when its client has
/// disconnected, by which what it waits for is cancelled.
pub(crate) struct Turn<K: Clone + Eq + Hash> {
    turns: Turns<K>,
    who: K,
}

impl<K: Clone + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        match taken.get_mut(&self.who) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.who)),
        }
    }
}
