//! Pools of threads: what a call is handed to.
//!
//! A call goes into a queue without a lock, and at most one thread is woken for it. The files:
//!
//! | file | what it knows |
//! | --- | --- |
//! | `pool` | a pool: its rules, its queue, when it is closed |
//! | `sleep` | which threads have nothing to do, and how one is woken |
//! | `claim` | a thread for the rest of a call that begins elsewhere |
//! | `worker` | what a thread does from its start to its end |
//! | `growth` | when a thread is added, and what is done where the system denies one |
//! | `blocked` | whether a thread is blocked in a body, as the system sees it |
//! | `rayon` | threads that are rayon's |

mod blocked;
#[cfg(feature = "process")]
mod claim;
mod growth;
pub(crate) mod pool;
mod rayon;
mod sleep;
mod worker;

use std::sync::atomic::Ordering;
use std::time::Instant;

use self::pool::{Item, Rules};
pub(crate) use self::pool::{Kind, Pool};
use self::sleep::WorkerState;
use super::settings::DefaultPool;
use super::{Executor, Load};
use crate::error::Error;
use crate::task::about::About;
use crate::task::meta::{Slot, StandIn};
use crate::task::state::Phase;
use crate::task::under_way::UnderWay;
use crate::task::{Awaited, Queued, completion};

/// What `#[offload(thread)]` uses.
pub(crate) static THREAD: Pool = Pool::new("thread", Kind::Thread).default(DefaultPool::Thread);

/// What `#[offload(cpu)]` uses.
pub(crate) static CPU: Pool = Pool::new("cpu", Kind::Cpu).default(DefaultPool::Cpu);

impl Executor for Pool {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Thread => "thread",
            Kind::Cpu => "cpu",
            Kind::Process => "process",
        }
    }

    fn check(&'static self) -> Result<(), Error> {
        self.start(self, None)
    }

    fn slot(&'static self) -> Result<Slot, usize> {
        let Rules { queue: Some(bound), max, .. } = self.started().rules else {
            return Ok(Slot::default());
        };
        let before = self.inside.fetch_add(1, Ordering::AcqRel);
        let slot = Slot::of(&self.inside);
        if before < max.saturating_add(bound) { Ok(slot) } else { Err(bound) }
    }

    fn room_for(&'static self, accepted: usize) -> usize {
        let others = (self.running() + self.queued()).saturating_sub(accepted);
        self.limit().saturating_sub(others)
    }

    fn submit(&'static self, task: Queued) {
        let started = self.started();
        // At the end of all, what bodies start has the grace that they have. Of one pool that is
        // closed, only a call that blocks one of its bodies has: it is submitted ahead.
        let has_grace = |task: &Queued| task.meta().is_of_body && super::is_closed();
        if started.intake.is_closed() && !has_grace(&task) && !task.meta().state.has_begun() {
            let error = self.rejection(task.meta().about().name);
            completion::reject(task, error);
            return;
        }
        started.queue.push(Item::Call(task));
        self.tend();
        // It may have come after all were taken out.
        if started.intake.is_drained() {
            self.drain_queue();
        }
    }

    fn submit_ahead(&'static self, task: Queued) {
        let started = self.started();
        started.queue.push_front(Item::Call(task));
        self.tend();
        if started.intake.is_drained() {
            self.drain_queue();
        }
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        let started = self.started();
        let is_full = !started.sleep.is_searching()
            && started.sleep.idle() == 0
            && started.threads.load(Ordering::Acquire)
                >= started.rules.max + started.extra.load(Ordering::Acquire);
        is_full.then(|| self.add_stand_in())
    }

    fn stand_in_later(&'static self) -> Option<StandIn> {
        Some(self.allow_one_more())
    }

    fn forget(&'static self, _: &Awaited, phase: Phase) {
        if phase == Phase::Queued {
            self.started().others.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn cancel(&'static self, _: &Awaited) {
        // The body asks its task's state.
    }

    fn is_tended(&'static self) -> bool {
        self.is_grown()
    }

    fn is_denied(&'static self) -> bool {
        self.started().growth.is_denied()
    }

    fn load(&'static self) -> Load {
        let started = self.started();
        let threads = self.threads();
        let (idle, running) = (started.sleep.idle(), self.running());
        let load = Load {
            threads,
            idle,
            running,
            queued: self.queued(),
            limit: started.rules.max,
            queue_limit: started.rules.queue,
            ..Load::default()
        };
        // Those of rayon that take no turn are there, too.
        match started.rayon.count() {
            Some(count) => Load { threads: count, idle: count.saturating_sub(threads), ..load },
            None => load,
        }
    }

    fn queued(&'static self) -> usize {
        self.queued()
    }

    fn under_way(&'static self) -> &'static UnderWay {
        &self.started().under_way
    }

    fn bodies(&'static self, see: &mut dyn FnMut(&'static About, Instant)) {
        let started = self.started();
        for (about, after) in started.sleep.states().filter_map(WorkerState::body) {
            see(about, started.at + after);
        }
    }

    fn close(&'static self, _: Option<Instant>) {
        let started = self.started();
        started.intake.close(super::is_closed());
        started.sleep.wake_all();
    }

    fn drain(&'static self) -> bool {
        let started = self.started();
        let is_drained = started.intake.drain();
        if is_drained {
            started.stops.fetch_add(1, Ordering::SeqCst);
            self.drain_queue();
        }
        is_drained
    }

    fn dismiss(&'static self) {
        self.started().rayon.end();
    }

    fn open(&'static self) {
        self.started().intake.open();
    }

    fn is_closed(&'static self) -> bool {
        self.started().intake.is_closed()
    }

    fn rejection(&self, function: &str) -> Error {
        match super::is_closed() {
            true => Error::shutting_down(function),
            false => Error::pool_closed(function, self.label()),
        }
    }
}

#[cfg(all(test, offload_loom))]
mod models;
#[cfg(all(test, not(offload_loom)))]
mod tests;
