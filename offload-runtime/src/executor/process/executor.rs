//! The executor of a pool of processes: a thread for each call, which checks a worker out and
//! has it run the body.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::exchange::Assigned;
use super::kill_handle::End;
use super::plan::Plan;
use super::ready::{NotThere, Ready};
use super::workers::{NoWorker, Workers};
use super::{begun, exchange, failures, way};
use crate::error::{Error, Ran};
use crate::executor::settings::{DefaultPool, Settings};
use crate::executor::threads::pool::Serve;
use crate::executor::threads::{Kind, Pool};
use crate::executor::{Executor, Load, Written};
use crate::task::about::About;
use crate::task::current::Busy;
use crate::task::meta::{Slot, StandIn};
use crate::task::state::Phase;
use crate::task::under_way::UnderWay;
use crate::task::{Awaited, Permits, Queued, completion};
use crate::wire::registry::Host;

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Processes {
    workers: Workers,
}

/// What `#[offload(process)]` uses.
pub(crate) static PROCESS: Processes = Processes {
    workers: Workers::new(
        Pool::new("process", Kind::Process).default(DefaultPool::Process),
        Some(OnceLock::new()),
    ),
};

impl Processes {
    pub(crate) const fn new(name: &'static str) -> Processes {
        Processes { workers: Workers::new(Pool::new(name, Kind::Process), None) }
    }

    pub(crate) const fn settings(&mut self) -> &mut Settings {
        &mut self.workers.threads.settings
    }

    pub(crate) const fn plan(&mut self) -> &mut Plan {
        &mut self.workers.plan
    }

    /// Its label.
    pub(crate) fn label(&self) -> &'static str {
        self.workers.threads.label()
    }

    /// The pool, as its workers know it.
    pub(crate) const fn host(&self) -> &dyn Host {
        &self.workers
    }

    /// Waits until the workers are there that are kept ready, at least one.
    pub(crate) async fn ready(&'static self) -> Result<(), Error> {
        self.check()?;
        if self.is_closed() {
            return Err(self.rejection(""));
        }
        let ready = Ready::new(&self.workers);
        ready.await.map_err(|why| match why {
            NotThere::Closed => self.rejection(""),
            NotThere::Unavailable(reason) => failures::not_ready(self.label(), &reason),
        })
    }
}

impl Serve for Processes {
    fn serve(&'static self, task: Queued, permits: Permits, busy: Busy) -> Option<Instant> {
        let worker = match self.workers.check_out(task.meta()) {
            Ok(worker) => worker,
            Err(why) => {
                // Who is told of this makes the next call, and finds all free.
                drop((permits, busy));
                let name = task.meta().about().name;
                let now = Instant::now();
                let error = match why {
                    NoWorker::Late => completion::expired_in_queue(&*task, now),
                    NoWorker::Shutdown => self.rejection(name),
                    NoWorker::Unavailable(reason) => failures::no_worker(name, &reason),
                };
                return completion::reject(task, error).then(Instant::now);
            }
        };
        let run = || completion::run(task, permits, Some(busy), Instant::now());
        exchange::with(Assigned::new(worker), run)
    }

    fn thread_ended(&'static self) {
        self.workers.shrink();
    }
}

impl Executor for Processes {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn kind(&self) -> &'static str {
        "process"
    }

    fn check(&'static self) -> Result<(), Error> {
        way::check()?;
        self.workers.threads.start(self, Some(self))
    }

    fn slot(&'static self) -> Result<Slot, usize> {
        self.workers.threads.slot()
    }

    fn room_for(&'static self, accepted: usize) -> usize {
        self.workers.threads.room_for(accepted)
    }

    fn submit(&'static self, task: Queued) {
        self.workers.threads.submit(task);
    }

    fn submit_ahead(&'static self, task: Queued) {
        self.workers.threads.submit_ahead(task);
    }

    fn begin_limit(&'static self) -> Option<usize> {
        self.workers.threads.may_begin().then(|| self.workers.plan().max_message)
    }

    fn submit_written(&'static self, task: Queued, written: &Written) {
        if let Some(task) = begun::begin(&self.workers, task, written) {
            self.submit(task);
        }
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        // A body runs in another process, and its calls in place there.
        None
    }

    fn forget(&'static self, task: &Awaited, phase: Phase) {
        self.workers.threads.forget(task, phase);
        // It may be the call for which a thread waits for a worker.
        self.workers.wake();
    }

    fn cancel(&'static self, task: &Awaited) {
        let why = if task.meta().state.is_awaited() { End::Told } else { End::Cancelled };
        self.workers.end(task.meta(), why);
    }

    fn ran(&'static self, _: &Awaited) -> Ran {
        // Its worker says what it comes to, and not when it begins.
        Ran::Maybe
    }

    fn is_tended(&'static self) -> bool {
        self.workers.threads.is_tended()
    }

    fn is_denied(&'static self) -> bool {
        // Its body does not run where it is called.
        false
    }

    fn load(&'static self) -> Load {
        Load { workers: Some(self.workers.stats()), ..self.workers.threads.load() }
    }

    fn queued(&'static self) -> usize {
        self.workers.threads.queued()
    }

    fn under_way(&'static self) -> &'static UnderWay {
        self.workers.threads.under_way()
    }

    fn bodies(&'static self, see: &mut dyn FnMut(&'static About, Instant)) {
        self.workers.threads.bodies(see);
    }

    fn close(&'static self, until: Option<Instant>) {
        self.workers.threads.close(until);
        // After it: who opens the pool forgets the grace, unless it is closed again. A grace beyond the clock is
        // a hundred years.
        self.workers.give_until(until.unwrap_or_else(|| Instant::now() + CENTURY));
    }

    fn drain(&'static self) -> bool {
        let is_drained = self.workers.threads.drain();
        if is_drained {
            self.workers.end_all();
        }
        is_drained
    }

    fn dismiss(&'static self) {
        self.workers.close();
    }

    fn is_gone(&'static self) -> bool {
        self.workers.are_gone()
    }

    fn open(&'static self) {
        // Before: a call that is taken finds them open. After: who closes it may have closed them since.
        self.workers.open();
        self.workers.threads.open();
        self.workers.open();
    }

    fn is_closed(&'static self) -> bool {
        self.workers.threads.is_closed()
    }

    fn rejection(&self, function: &str) -> Error {
        self.workers.threads.rejection(function)
    }
}
