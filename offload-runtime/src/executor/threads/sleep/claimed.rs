//! An idle thread that is claimed by who has something for it that is in no queue.

use super::{Sleep, WorkerState};
use crate::sync::lock;

/// A thread that was idle, and is woken when this is dropped, or was given what it was claimed for.
pub(in crate::executor::threads) struct Claimed<'sleep, G> {
    sleep: &'sleep Sleep<G>,
    pub(in crate::executor::threads) state: &'sleep WorkerState<G>,
    is_given: bool,
}

impl<G> Sleep<G> {
    /// Claims an idle thread, if there is one.
    pub(in crate::executor::threads) fn claim(&self) -> Option<Claimed<'_, G>> {
        let state = self.take_idle()?;
        Some(Claimed { sleep: self, state, is_given: false })
    }
}

impl<G> Claimed<'_, G> {
    /// Gives it this, and wakes it.
    pub(in crate::executor::threads) fn give(mut self, given: G) {
        *lock(&self.state.0.given) = Some(given);
        self.is_given = true;
        self.state.wake();
    }
}

impl<G> Drop for Claimed<'_, G> {
    fn drop(&mut self) {
        if !self.is_given {
            self.sleep.wake(self.state);
        }
    }
}
