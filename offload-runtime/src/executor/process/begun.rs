//! A call that begins on the thread of its caller: where the pool is at rest, and the request is a small one that was
//! written when the call was made, that thread sends it. So the worker and the thread that reads its answer wake at the same
//! time, not one after the other.
//!
//! The thread of the caller may be that of an event loop. So nothing waits there: a thread of the pool is claimed, a free
//! worker is checked out if nobody holds its lock or that of what it prints, and what has no room in its channel is left to
//! the thread of the pool. Once it has begun, the call is as any other that has a thread and a worker. The `tracing` level
//! that its worker is told is that of the subscriber where the call is made.

use std::time::Instant;

use tokio::runtime::Handle;

use super::exchange::{self, Assigned};
use super::workers::Workers;
use crate::executor::Written;
use crate::executor::threads::pool::Continuation;
use crate::task::current::Busy;
use crate::task::{Awaited, Permits, Queued, completion};

/// See the [module](self).
struct Begun {
    task: Awaited,
    worker: Assigned,
    busy: Busy,
    at: Instant,
    workers: &'static Workers,
}

/// Has a call begin here, if a thread and a worker are free, and nobody waits for either. Else it comes back, and is
/// queued.
pub(super) fn begin(workers: &'static Workers, task: Queued, written: &Written) -> Option<Queued> {
    let (meta, now) = (task.meta(), Instant::now());
    // Where it may wait it gets its permits, and ends if it is too late.
    let is_late = meta.start_by().is_some_and(|start_by| start_by <= now);
    if meta.is_gated || is_late {
        return Some(task);
    }
    let Some(thread) = workers.threads.claim() else { return Some(task) };
    let Some(worker) = workers.check_out_free(meta) else { return Some(task) };
    // Nobody else has it yet, so nobody has cancelled it.
    let task = completion::begin_elsewhere(task, now)?;
    let busy = thread.busy(task.meta().about(), now);
    let worker = Assigned::sent(worker, written);
    thread.give(Box::new(Begun { task, worker, busy, at: now, workers }));
    None
}

impl Continuation for Begun {
    fn runtime(&self) -> Option<&Handle> {
        self.task.meta().handle.as_ref()
    }

    fn run(self: Box<Self>) -> Instant {
        let Begun { task, worker, busy, at, workers } = *self;
        workers.start_ahead();
        exchange::with(worker, || completion::end_elsewhere(task, Permits::NONE, Some(busy), at))
    }
}
