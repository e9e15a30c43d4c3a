//! A worker that was hired for a call, until the call is over.

use std::sync::Arc;

use super::leash::{End, Leash};
use super::worker::{Dead, Worker};
use super::workers::Workers;
use crate::pool::Pool;

/// See the [module](self).
///
/// Dropped, as when foreign code panics on the way, it is given back if it has
/// not begun with the call; otherwise nobody knows what it will say next, and it
/// is killed.
pub(crate) struct Lease {
    pool: &'static Pool,
    leash: Arc<Leash>,
    /// There until the lease ends.
    worker: Option<Worker>,
    has_begun: bool,
}

impl Lease {
    pub(super) fn new(pool: &'static Pool, leash: Arc<Leash>, worker: Worker) -> Lease {
        Lease { pool, leash, worker: Some(worker), has_begun: false }
    }

    pub(crate) fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("it is there until the lease ends")
    }

    /// The worker is about to get the call with this number. False: it must not,
    /// since nobody waits for it any more.
    pub(crate) fn begin(&mut self, number: u64) -> bool {
        let held = self.worker().held(number);
        self.has_begun = self.leash.hold(held);
        self.has_begun
    }

    /// The call's deadline has passed.
    pub(crate) fn end(&self) {
        self.leash.end(End::Cancelled);
    }

    /// From here on nobody else kills the worker. Why it was killed, if it was.
    pub(crate) fn let_go(&self) -> Option<End> {
        self.leash.let_go()
    }

    /// The worker has answered.
    pub(crate) fn give_back(mut self) {
        if let Some(worker) = self.worker.take() {
            self.workers().give_back(self.pool, &self.leash, worker);
        }
    }

    /// The worker is dead, or has to be: it is reaped, and another takes its
    /// place. It was `killed`, or died by itself.
    pub(crate) fn bury(mut self, killed: bool) -> Dead {
        let dead = self.worker().bury();
        self.worker = None;
        self.workers().replace(self.pool, &self.leash, killed);
        dead
    }

    fn workers(&self) -> &'static Workers {
        &self.pool.processes().workers
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        if self.has_begun {
            self.leash.let_go();
            drop(worker);
            self.workers().replace(self.pool, &self.leash, true);
        } else {
            self.workers().give_back(self.pool, &self.leash, worker);
        }
    }
}
