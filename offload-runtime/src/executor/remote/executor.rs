//! The executor of a remote pool: the calls that have not ended, each of which is on its way to a
//! worker, or back.

use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::broker::{self, Link};
use super::call_guard::CallGuard;
use super::caller::{Caller, Request};
use super::calls::{Calls, Entry};
use super::carried::Carried;
use super::embedded::Embedded;
use super::failures;
use super::in_flight::{InFlight, Stage};
use super::parcel;
use super::plan::Plan;
use super::queue::Queue;
use super::seen::Seen;
use super::sending::Outgoing;
use super::served::{Serving, Site};
use crate::error::{Error, Ran};
use crate::executor::intake::Intake;
use crate::executor::process::Processes;
use crate::executor::{self, Executor, Load, threads};
use crate::system::cores;
use crate::task::about::About;
use crate::task::meta::{Slot, StandIn};
use crate::task::state::Phase;
use crate::task::under_way::UnderWay;
use crate::task::{Admitted, Awaited, Permits, Queued, Work, completion};
use crate::wire::registry::{self, Callable, Host, Named};

/// See the [module](self).
pub(crate) struct Remotes {
    name: &'static str,
    plan: Plan,
    /// What runs the bodies on this machine, if they are isolated.
    processes: Processes,
    started: OnceLock<Result<Box<Started>, Error>>,
}

/// The default pool of `#[offload(remote)]`.
pub(crate) static REMOTE: Remotes = Remotes::new("remote");

/// What there is from the first call on.
struct Started {
    calls: Calls,
    /// If there is a server.
    link: Option<Link>,
    /// What is known of the pool at the server.
    seen: Arc<Seen>,
    /// If there is, from the first call that has its permits.
    caller: OnceLock<Caller>,
    under_way: UnderWay,
    is_known: AtomicBool,
    intake: Intake,
}

impl Remotes {
    pub(crate) const fn new(name: &'static str) -> Remotes {
        let processes = Processes::new(name);
        Remotes { name, plan: Plan::DEFAULT, processes, started: OnceLock::new() }
    }

    pub(crate) const fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) const fn set_max_message(&mut self, bytes: usize) {
        self.plan.max_message = bytes;
        self.processes.plan().max_message = bytes;
    }

    /// Its bodies run in processes, as many as the `cpu` pool has threads.
    pub(crate) const fn isolate(&mut self) {
        self.plan.is_isolated = true;
        self.processes.settings().threads_with = Some(|| threads::CPU.load().limit);
    }

    /// What is seen of it at the server, after its first check.
    pub(super) fn seen(&'static self) -> Arc<Seen> {
        Arc::clone(&self.started().seen)
    }

    /// Where arguments are written and results are read: not behind bodies that compute.
    fn site(&'static self) -> Site {
        let max_message = self.plan.max_message;
        Site { executor: &threads::THREAD, host: self, max_message, is_isolated: false }
    }

    /// Where its bodies run on this machine.
    pub(super) fn body_site(&'static self) -> Site {
        match self.plan.is_isolated {
            true => Site { executor: &self.processes, is_isolated: true, ..self.site() },
            false => Site { executor: &threads::CPU, ..self.site() },
        }
    }

    /// Its label.
    pub(crate) fn label(&self) -> &'static str {
        self.name
    }

    /// After its first check.
    fn started(&'static self) -> &'static Started {
        match self.started.get() {
            Some(Ok(started)) => started,
            _ => unreachable!("a pool has calls only when it has started"),
        }
    }

    /// Tells what sends calls out, if anything was sent.
    fn ask(&'static self, request: Request) {
        if let Some(caller) = self.started().caller.get() {
            caller.ask(request);
        }
    }

    fn calls(&'static self) -> &'static Calls {
        &self.started().calls
    }

    /// Over there a function is found by its name.
    fn check_name(&'static self, function: &'static dyn Callable) -> Result<(), Error> {
        let name = function.about().name;
        match registry::named(self, name) {
            Named::Ambiguous if self.started().link.is_some() => {
                Err(failures::ambiguous(name, self.name))
            }
            _ => Ok(()),
        }
    }

    /// What sends calls out, if there is a server.
    fn caller(&'static self) -> Option<&'static Caller> {
        let started = self.started();
        let link = started.link.as_ref()?;
        Some(started.caller.get_or_init(|| {
            let queue = Queue { link: link.clone(), pool: self.name, bound: self.plan.queue };
            let seen = Arc::clone(&started.seen);
            Caller::start(queue, self.site(), seen, self.plan.ack_wait)
        }))
    }

    /// Has a call made that has all that it needs: here, or over there. What is done for it here.
    fn start(
        &'static self,
        about: &'static About,
        call: &Arc<InFlight>,
        answer_by: Option<Instant>,
    ) -> Serving {
        let call = CallGuard::new(Arc::clone(call), self.calls());
        match self.caller() {
            None => Embedded { site: self.body_site(), about, call, answer_by }.start(),
            Some(caller) => Outgoing { site: self.site(), about, call, answer_by, caller }.start(),
        }
    }

    /// Starts a call, if it has its permits; otherwise it waits for them in line.
    fn admit(&'static self, task: Queued) {
        let started = self.started();
        let meta = task.meta();
        let (owner, now) = (meta.owner, Instant::now());
        // Looked up while there is the task: its address may be another's afterwards. It may have
        // been forgotten just now; a permit that is kept for it is given up below.
        let call = self.calls().find(place(&*task)).map(|entry| entry.call);
        let forget = || drop(call.as_ref().and_then(|call| self.calls().remove(call)));
        let reject = |task: Queued, error: Error| {
            forget();
            completion::reject(task, error);
        };
        if started.intake.is_drained() {
            let error = Error::shutting_down(meta.about().name);
            return reject(task, error);
        }
        if meta.start_by().is_some_and(|start_by| start_by <= now) {
            let error = completion::expired_in_queue(&*task, now);
            return reject(task, error);
        }
        let admitted =
            if meta.is_gated { owner.admit(task) } else { Admitted::Start(task, Permits::NONE) };
        match admitted {
            Admitted::Start(task, permits) => {
                let (about, answer_by) = (task.meta().about(), task.meta().answer_by());
                let Some(call) = call else { return task.discard() };
                if !call.wait(task, permits) {
                    return;
                }
                let here = self.start(about, &call, answer_by);
                self.calls().set_here(&call, &here);
                // It may have been cancelled before this was there to be.
                if call.stage() == Stage::Over {
                    here.cancel();
                }
                // It may have come after all were ended.
                if started.intake.is_drained() {
                    self.drain();
                }
            }
            Admitted::Waits => {
                if started.intake.is_drained() {
                    owner.reject_lines();
                }
            }
            Admitted::Cancelled => forget(),
            Admitted::Rejected(task, error) => reject(task, error),
        }
    }
}

impl Host for Remotes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn on_start(&self) -> Option<fn()> {
        None
    }

    fn place(&self) -> usize {
        self.processes.host().place()
    }

    fn as_remote(&'static self) -> Option<&'static dyn Any> {
        Some(self)
    }
}

impl Executor for Remotes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> &'static str {
        "remote"
    }

    fn check(&'static self) -> Result<(), Error> {
        let started = self.started.get_or_init(|| {
            self.site().executor.check()?;
            threads::CPU.check()?;
            let link = broker::link()?;
            if link.is_none() {
                self.body_site().executor.check()?;
            }
            Ok(Box::new(Started {
                calls: Calls::default(),
                link,
                seen: Arc::default(),
                caller: OnceLock::new(),
                under_way: UnderWay::new(cores::count()),
                is_known: AtomicBool::new(false),
                intake: Intake::new(),
            }))
        });
        if let Ok(started) = started {
            executor::make_known(self, &started.is_known);
        }
        started.as_ref().map(drop).map_err(Clone::clone)
    }

    fn slot(&'static self) -> Result<Slot, usize> {
        Ok(Slot::default())
    }

    fn room_for(&'static self, running: usize) -> usize {
        let is_here = self.started().link.is_none();
        let executor = if is_here { self.body_site().executor } else { &threads::CPU };
        executor.room_for(running)
    }

    fn submit(&'static self, task: Queued) {
        let parcel = parcel::take().expect("a call of a remote function has a parcel");
        if self.started().intake.is_closed() && !task.meta().is_of_body {
            let error = Error::shutting_down(task.meta().about().name);
            completion::reject(task, error);
            return;
        }
        if let Err(error) = self.check_name(parcel.function()) {
            completion::reject(task, error);
            return;
        }
        let carried = match Carried::here(task.meta().about().name) {
            Ok(carried) => carried,
            Err(error) => {
                completion::reject(task, error);
                return;
            }
        };
        let place = place(&*task);
        let call = Arc::new(InFlight::new(parcel, place, carried));
        self.calls().add(call);
        self.admit(task);
    }

    fn submit_ahead(&'static self, task: Queued) {
        // It was here before, or a body waits for it; and there is no queue of which this is. One that is
        // over and still here is another, whose task is gone, and was in this place.
        let is_waiting = |Entry { call, .. }: Entry| call.stage() == Stage::Waiting;
        let is_known = self.calls().find(place(&*task)).is_some_and(is_waiting);
        // One that was here before may have been forgotten just now. It has no parcel to be submitted with.
        let is_known = is_known || task.meta().state.is_cancelled();
        if is_known { self.admit(task) } else { self.submit(task) }
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        // No thread of its own runs a body.
        None
    }

    fn forget(&'static self, task: &Awaited, _: Phase) {
        let Some(Entry { call, here }) = self.calls().find(place(&**task)) else { return };
        drop(self.calls().remove(&call));
        call.forget();
        self.ask(Request::Forget(call.number));
        if let Some(here) = here {
            here.cancel();
        }
    }

    fn cancel(&'static self, task: &Awaited) {
        let Some(Entry { call, here }) = self.calls().find(place(&**task)) else { return };
        self.ask(Request::Cancel(call.number));
        if let Some(here) = here {
            here.cancel();
        }
    }

    fn ran(&'static self, task: &Awaited) -> Ran {
        // One that is not there any more has been answered.
        self.calls().find(place(&**task)).map_or(Ran::Yes, |entry| entry.call.ran())
    }

    fn is_tended(&'static self) -> bool {
        true
    }

    fn is_denied(&'static self) -> bool {
        false
    }

    fn load(&'static self) -> Load {
        let calls = self.calls();
        let (running, queued) = (calls.count(Stage::Begun), calls.count(Stage::Waiting));
        let started = self.started();
        let remote = started.link.as_ref().map(|_| started.seen.numbers());
        Load { running, queued, queue_limit: self.plan.queue, remote, ..Load::default() }
    }

    fn queued(&'static self) -> usize {
        self.calls().count(Stage::Waiting)
    }

    fn under_way(&'static self) -> &'static UnderWay {
        &self.started().under_way
    }

    fn bodies(&'static self, see: &mut dyn FnMut(&'static About, Instant)) {
        for Entry { call, .. } in self.calls().all() {
            if let Some(began) = call.began() {
                see(call.about(), began);
            }
        }
    }

    fn close(&'static self, _: Option<Instant>) {
        self.started().intake.close(executor::is_closed());
    }

    fn drain(&'static self) -> bool {
        if !self.started().intake.drain() {
            return false;
        }
        for Entry { call, here } in self.calls().all() {
            if self.calls().reject(&call, Error::shutting_down(call.name())) {
                self.ask(Request::Forget(call.number));
            } else {
                self.ask(Request::Cancel(call.number));
            }
            if let Some(here) = here {
                here.cancel();
            }
        }
        true
    }

    fn dismiss(&'static self) {}
}

/// What tells a call from others.
fn place(task: &dyn Work) -> usize {
    std::ptr::from_ref(task.meta()).addr()
}

impl fmt::Debug for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remotes").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
