//! A worker that a call has, until the call is over.

use std::sync::Arc;
use std::time::Instant;

use super::kill_handle::{End, KillHandle, Leave};
use super::plan::Plan;
use super::worker::{Dead, Worker};
use super::workers::{Gone, Workers};
use crate::error::Error;
use crate::executor;
use crate::task::current;
use crate::wire::registry::Host as _;

/// See the [module](self).
///
/// Dropped, as when foreign code panics on the way, it is returned if it has
/// not begun with the call; otherwise nobody knows what it will say next, and it
/// is killed.
pub(crate) struct CheckedOut {
    workers: &'static Workers,
    handle: Arc<KillHandle>,
    /// There until the call is over.
    worker: Option<Worker>,
    /// With the call: it has got a part of it, or is about to.
    has_begun: bool,
}

const THERE: &str = "it is there until the call is over";

impl CheckedOut {
    pub(super) fn new(
        workers: &'static Workers,
        handle: Arc<KillHandle>,
        worker: Worker,
    ) -> CheckedOut {
        CheckedOut { workers, handle, worker: Some(worker), has_begun: false }
    }

    pub(crate) fn process(&mut self) -> &mut Worker {
        self.worker.as_mut().expect(THERE)
    }

    /// The worker is about to get the call with this number. False: it must not,
    /// since nobody waits for it any more.
    pub(crate) fn begin(&mut self, number: u64) -> bool {
        let held = self.process().begin(number);
        self.has_begun = self.handle.hold(held);
        self.has_begun
    }

    /// The same, on a thread that may wait for who reads what the worker prints: what it has printed before is not the
    /// call's.
    pub(crate) fn begin_afresh(&mut self, number: u64) -> bool {
        self.process().forget_printed();
        self.begin(number)
    }

    /// Whether the worker has got a part of the call, or is about to.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The thread of the call finds by itself that nobody waits: its deadline has passed, or its
    /// consumer is gone, or all bodies were told to stop, of which it may learn before the shutdown has
    /// come to this worker.
    pub(crate) fn end(&self) {
        let why = if current::is_stopped() { End::Shutdown } else { End::Cancelled };
        if self.handle.end(why) {
            self.workers.give_up(&self.handle);
        }
    }

    /// From here on nobody else kills the worker. Why it was killed, if it was.
    pub(crate) fn let_go(&self) -> Option<End> {
        self.handle.let_go()
    }

    /// The worker has answered. If it goes on, nobody knows what it will say to the next call.
    pub(crate) fn put_back(mut self) {
        if !self.process().is_quiet() {
            drop(self.kill(None));
        } else if let Some(mut worker) = self.worker.take() {
            worker.count_call();
            self.workers.put_back(&self.handle, worker);
        }
    }

    /// The worker has to die: it is killed, and another takes its place. It was ended for its
    /// call, or is of no use.
    pub(crate) fn kill(mut self, ended: Option<End>) -> Dead {
        let dead = self.process().reap();
        self.worker = None;
        let gone = match ended {
            Some(End::Cancelled) => Gone::Ended("nobody waits for its call any more"),
            Some(End::Told) => Gone::Ended("its call was cancelled"),
            Some(End::Shutdown) => Gone::Ended("its pool is closed"),
            None => Gone::Discarded("it sent what no worker sends"),
        };
        self.workers.replace(&self.handle, &dead, &gone);
        dead
    }

    /// The worker is dead, as it seems: it is reaped, and another takes its place.
    pub(crate) fn reap(mut self) -> Dead {
        let dead = self.process().reap_closed();
        self.worker = None;
        self.workers.replace(&self.handle, &dead, &Gone::Died);
        dead
    }

    /// The worker died before it had read the call: it is reaped, and the call has another, at
    /// the latest at `until`. The error is what died, if there is no other.
    pub(crate) fn reap_for_another(mut self, until: Option<Instant>) -> Result<CheckedOut, Dead> {
        let worker = self.worker.take().expect(THERE);
        let dead = self.workers.lose(worker);
        let Some(another) = self.workers.check_out_another(&self.handle, until) else {
            self.workers.forget(&self.handle);
            return Err(dead);
        };
        self.worker = Some(another);
        self.has_begun = false;
        Ok(self)
    }

    /// For foreign code, which may not come back.
    pub(crate) fn foreign(&self) -> Foreign {
        Foreign { workers: self.workers, handle: Arc::clone(&self.handle) }
    }

    /// The call of this function has to end, and the worker has not got it.
    pub(crate) fn ended_before_start(&self, function: &str) -> Error {
        match self.handle.end_reason() {
            Some(End::Shutdown) if executor::is_closed() => Error::shutting_down(function),
            Some(End::Shutdown) => Error::pool_closed(function, self.workers.name()),
            Some(End::Cancelled | End::Told) | None => Error::cancelled(function),
        }
    }

    pub(crate) fn plan(&self) -> &'static Plan {
        self.workers.plan()
    }
}

/// What foreign code is run with, on the thread of a call that has a worker: the code of the types of its
/// arguments and its result.
pub(crate) struct Foreign {
    workers: &'static Workers,
    handle: Arc<KillHandle>,
}

impl Foreign {
    /// Runs it, unless the call has ended, and nobody takes what that would make.
    pub(crate) fn run<R>(&self, foreign: impl FnOnce() -> R) -> Option<R> {
        /// Comes back when dropped, so also when `foreign` panics.
        struct Back<'a>(&'a KillHandle);

        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.come_back();
            }
        }

        match self.handle.leave() {
            Leave::Watched => {}
            Leave::GivenUp => self.workers.give_up(&self.handle),
            Leave::InVain => return None,
        }
        let _back = Back(&self.handle);
        Some(foreign())
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        if self.has_begun {
            self.handle.let_go();
            let dead = worker.reap();
            let gone = Gone::Ended("its parent has lost its call by a panic");
            self.workers.replace(&self.handle, &dead, &gone);
        } else {
            self.workers.put_back(&self.handle, worker);
        }
    }
}
