//! The executor of a remote pool: the calls that have not ended, each of which is on its way to a
//! worker, or back.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::calls::{Calls, Entry};
use super::here::Here;
use super::in_flight::{InFlight, Stage};
use super::parcel;
use super::plan::Plan;
use super::served::Site;
use crate::error::{Error, Ran};
use crate::executor::{self, Executor, Load, StandIn, threads};
use crate::task::about::About;
use crate::task::meta::Slot;
use crate::task::state::Phase;
use crate::task::{Admitted, Awaited, Permits, Queued, Work, completion};
use crate::wire::registry::Host;

/// See the [module](self).
pub(crate) struct Remotes {
    name: &'static str,
    plan: Plan,
    started: OnceLock<Result<Started, Error>>,
}

/// The default pool of `#[offload(remote)]`.
pub(crate) static REMOTE: Remotes = Remotes::new("remote");

/// What there is from the first call on.
struct Started {
    calls: Calls,
    closed: AtomicBool,
    drained: AtomicBool,
}

impl Remotes {
    pub(crate) const fn new(name: &'static str) -> Remotes {
        Remotes { name, plan: Plan::DEFAULT, started: OnceLock::new() }
    }

    pub(crate) const fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    fn site(&'static self) -> Site {
        Site { executor: &threads::CPU, max_message: self.plan.max_message }
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

    fn calls(&'static self) -> &'static Calls {
        &self.started().calls
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
        let refuse = |task: Queued, error: Error| {
            forget();
            completion::refuse(task, error);
        };
        if started.drained.load(Ordering::SeqCst) {
            let error = Error::shutting_down(meta.about().name);
            return refuse(task, error);
        }
        if meta.start_by().is_some_and(|start_by| start_by <= now) {
            let error = completion::expired_in_queue(&*task, now);
            return refuse(task, error);
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
                let (calls, site) = (self.calls(), self.site());
                let here = Here { calls, site, about, call: Arc::clone(&call), answer_by }.start();
                calls.offer_here(&call, &here);
                // It may have been cancelled before this was there to be.
                if call.stage() == Stage::Over {
                    here.cancel();
                }
                // It may have come after all were ended.
                if started.drained.load(Ordering::SeqCst) {
                    self.drain();
                }
            }
            Admitted::Waits => {
                if started.drained.load(Ordering::SeqCst) {
                    owner.refuse_lines();
                }
            }
            Admitted::Cancelled => forget(),
            Admitted::Refused(task, error) => refuse(task, error),
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
        std::ptr::from_ref(self).addr()
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
        let mut is_new = false;
        let started = self.started.get_or_init(|| {
            is_new = true;
            self.site().executor.check()?;
            Ok(Started {
                calls: Calls::default(),
                closed: AtomicBool::new(false),
                drained: AtomicBool::new(false),
            })
        });
        if is_new && started.is_ok() {
            executor::started(self);
        }
        started.as_ref().map(drop).map_err(Clone::clone)
    }

    fn slot(&'static self) -> Result<Slot, usize> {
        Ok(Slot::default())
    }

    fn room_for(&'static self, running: usize) -> usize {
        self.site().executor.room_for(running)
    }

    fn submit(&'static self, task: Queued) {
        let parcel = parcel::take().expect("a call of a remote function has a parcel");
        if self.started().closed.load(Ordering::Acquire) && !task.meta().is_of_body {
            let error = Error::shutting_down(task.meta().about().name);
            completion::refuse(task, error);
            return;
        }
        let place = place(&*task);
        let call = Arc::new(InFlight::new(parcel, place));
        self.calls().add(call);
        self.admit(task);
    }

    fn submit_ahead(&'static self, task: Queued) {
        // It was here before, or a body waits for it; and there is no queue of which this is.
        let is_known = self.calls().find(place(&*task)).is_some();
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
        if let Some(here) = here {
            here.cancel();
        }
    }

    fn cancel(&'static self, task: &Awaited) {
        if let Some(here) = self.calls().find(place(&**task)).and_then(|entry| entry.here) {
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

    fn is_refused(&'static self) -> bool {
        false
    }

    fn load(&'static self) -> Load {
        let calls = self.calls();
        let (running, queued) = (calls.count(Stage::Begun), calls.count(Stage::Waiting));
        Load { running, queued, ..Load::default() }
    }

    fn bodies(&'static self, see: &mut dyn FnMut(&'static About, Instant)) {
        for Entry { call, .. } in self.calls().all() {
            if let Some(began) = call.began() {
                see(call.about(), began);
            }
        }
    }

    fn close(&'static self) {
        self.started().closed.store(true, Ordering::SeqCst);
    }

    fn drain(&'static self) {
        self.started().drained.store(true, Ordering::SeqCst);
        for Entry { call, here } in self.calls().all() {
            if call.refuse(Error::shutting_down(call.name())) {
                drop(self.calls().remove(&call));
            }
            if let Some(here) = here {
                here.cancel();
            }
        }
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
