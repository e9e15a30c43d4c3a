//! What is known of an offloaded function: its options, fixed at compile time,
//! and what it has done so far. One `static` each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};
use std::time::Duration;

use crate::error::Error;
use crate::executor::Executor;
use crate::executor::threads::THREAD;
use crate::gate::{self, Gate};
use crate::limiter::Limiter;
use crate::resource::{self, Lends};
use crate::system::abort::Unpoisoned;
use crate::task::about::About;
use crate::task::context::Captured;
use crate::task::loan::Loans;
use crate::task::meta::{Deadlines, Meta, Slot, StandIn};
use crate::task::under_way::UnderWay;
use crate::task::{self, Admitted, Awaited, Owner, Queued};
#[cfg(feature = "process")]
use crate::wire::registry::{Host, Offered};

/// How workers know a pool.
#[cfg(feature = "process")]
type Workers = &'static dyn Host;

/// Without the feature no other process runs anything.
#[cfg(not(feature = "process"))]
type Offered = std::convert::Infallible;
#[cfg(not(feature = "process"))]
type Workers = Offered;

/// One offloaded function.
pub struct Function {
    about: About,
    runs: Runs,
    limit: Option<fn() -> &'static Limiter>,
    /// What its bodies borrow, in the order of the arguments.
    resources: Option<fn() -> Vec<Lends>>,
    /// Made at the first call.
    needs: OnceLock<Needs>,
    /// So many of its calls may wait.
    queue: Option<usize>,
    timeout: Option<fn() -> Duration>,
    queue_timeout: Option<fn() -> Duration>,
    /// A panic of its body is an error.
    catches_panics: bool,
    /// Calls that were accepted and have not ended, if there is a bound on those that wait.
    accepted: AtomicUsize,
    known: AtomicBool,
    /// How another process runs it, if one does.
    offered: Option<Offered>,
}

/// Where the calls of a function run.
enum Runs {
    On(&'static dyn Executor),
    /// On what this is asked for at the first call.
    OnPool(&'static dyn Pool, OnceLock<Chosen>),
}

/// What the option `pool` names: it may have to be made first.
pub trait Pool: Sync {
    /// Where calls run on it.
    fn chosen(&'static self) -> Chosen;
}

/// A pool as its calls know it.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    pub(crate) executor: &'static dyn Executor,
    /// The same, as its workers know it.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there are none"))]
    pub(crate) host: Option<Workers>,
}

impl Chosen {
    /// One whose bodies run in this process.
    pub(crate) fn here(executor: &'static dyn Executor) -> Chosen {
        Chosen { executor, host: None }
    }
}

/// What a body has to have.
struct Needs {
    /// Its limiter, then what its resources ask for, by address.
    gates: Vec<&'static Gate>,
    /// What it borrows in this process.
    lenders: Vec<Lends>,
    /// A resource that it names twice, by two paths: it would wait for itself.
    twice: Option<&'static str>,
}

/// Every function that was called.
static KNOWN: Mutex<Vec<&'static Function>> = Mutex::new(Vec::new());

/// What stands for closures, by the place of their executor and their label.
static CLOSURES: RwLock<BTreeMap<(usize, &str), &Function>> = RwLock::new(BTreeMap::new());

impl Function {
    /// What stands for the closures with this label that run there: made when it is asked for
    /// first, for good.
    pub(crate) fn of_closures(
        label: &'static str,
        executor: &'static dyn Executor,
    ) -> &'static Function {
        let key = (std::ptr::from_ref(executor).addr(), label);
        if let Some(known) = CLOSURES.read().unpoisoned().get(&key) {
            return known;
        }
        let mut closures = CLOSURES.write().unpoisoned();
        let make = || -> &'static Function {
            Box::leak(Box::new(Function::new(label, executor.kind(), executor)))
        };
        closures.entry(key).or_insert_with(make)
    }

    /// A function of this kind, whose calls run there.
    pub(crate) const fn new(
        name: &'static str,
        kind: &'static str,
        executor: &'static dyn Executor,
    ) -> Function {
        Function::of(name, kind, Runs::On(executor))
    }

    /// A function of this kind, whose calls run on this pool.
    pub(crate) const fn on_pool(
        name: &'static str,
        kind: &'static str,
        pool: &'static dyn Pool,
    ) -> Function {
        Function::of(name, kind, Runs::OnPool(pool, OnceLock::new()))
    }

    const fn of(name: &'static str, kind: &'static str, runs: Runs) -> Function {
        Function {
            about: About::new(name, kind),
            runs,
            limit: None,
            resources: None,
            needs: OnceLock::new(),
            queue: None,
            timeout: None,
            queue_timeout: None,
            catches_panics: false,
            accepted: AtomicUsize::new(0),
            known: AtomicBool::new(false),
            offered: None,
        }
    }

    /// Another process runs its bodies.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there are none"))]
    pub(crate) const fn offer(mut self, offered: Offered) -> Function {
        self.offered = Some(offered);
        self
    }

    /// How another process runs it, if one does.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there are none"))]
    pub(crate) const fn offered(&self) -> Option<Offered> {
        self.offered
    }

    /// It stands for many: nobody asks whether its kind is the right one.
    pub(crate) const fn mixed(mut self) -> Function {
        self.about.is_mixed = true;
        self
    }

    /// The option `limit`.
    pub const fn limit(mut self, limit: fn() -> &'static Limiter) -> Function {
        self.limit = Some(limit);
        self
    }

    /// Its arguments with `#[resource]`.
    pub const fn resources(mut self, resources: fn() -> Vec<Lends>) -> Function {
        self.resources = Some(resources);
        self
    }

    /// The option `queue`: how many calls may wait.
    pub const fn queue(mut self, calls: usize) -> Function {
        self.queue = Some(calls);
        self
    }

    /// The option `timeout`.
    pub const fn timeout(mut self, timeout: fn() -> Duration) -> Function {
        self.timeout = Some(timeout);
        self
    }

    /// The option `queue_timeout`.
    pub const fn queue_timeout(mut self, timeout: fn() -> Duration) -> Function {
        self.queue_timeout = Some(timeout);
        self
    }

    /// The option `panic = "error"`.
    pub const fn catch_panics(mut self) -> Function {
        self.catches_panics = true;
        self
    }

    pub(crate) fn catches_panics(&self) -> bool {
        self.catches_panics
    }

    /// The option `detach`.
    pub const fn detach(mut self) -> Function {
        self.about.is_detached = true;
        self
    }

    /// Its label: the option `name`, or its path.
    pub const fn name(&self) -> &'static str {
        self.about.name
    }

    pub(crate) fn executor(&self) -> &'static dyn Executor {
        match &self.runs {
            Runs::On(executor) => *executor,
            Runs::OnPool(pool, chosen) => chosen.get_or_init(|| pool.chosen()).executor,
        }
    }

    /// Its pool, as workers know it.
    #[cfg(feature = "process")]
    pub(crate) fn host(&self) -> Option<&'static dyn Host> {
        match &self.runs {
            Runs::On(_) => None,
            Runs::OnPool(pool, chosen) => chosen.get_or_init(|| pool.chosen()).host,
        }
    }

    pub(crate) fn limiter(&self) -> Option<&'static Limiter> {
        self.limit.map(|limit| limit())
    }

    fn needs(&self) -> &Needs {
        self.needs.get_or_init(|| {
            let lenders = self.resources.map_or_else(Vec::new, |resources| resources());
            let is_here = self.offered.is_none();
            let mut of_resources: Vec<_> =
                lenders.iter().filter_map(|lends| lends.0.gate(is_here)).collect();
            of_resources.sort_by_key(|gate| gate.place());
            let limiter = self.limiter().map(Limiter::gate);
            let gates = limiter.into_iter().chain(of_resources).collect();
            lenders.iter().for_each(|lends| resource::make_known(*lends));
            let is_again = |at: &usize| {
                lenders[..*at].iter().any(|lends| std::ptr::addr_eq(lends.0, lenders[*at].0))
            };
            let twice = (1..lenders.len()).find(is_again).map(|at| lenders[at].0.name());
            Needs { gates, lenders, twice }
        })
    }

    /// What its bodies have permits of, in the order in which a call asks for them.
    pub(crate) fn gates(&self) -> &[&'static Gate] {
        if self.limit.is_none() && self.resources.is_none() {
            return &[];
        }
        &self.needs().gates
    }

    /// Whether calls may ask for what its bodies need.
    pub(crate) fn check_needs(&self) -> Result<(), Error> {
        self.gates().iter().try_for_each(|gate| gate.check())?;
        match self.resources.and_then(|_| self.needs().twice) {
            Some(name) => Err(Error::config(format!(
                "the resource `{name}` is borrowed twice: borrow it once"
            ))),
            None => Ok(()),
        }
    }

    /// Whether its bodies borrow something in this process.
    pub(crate) fn lends_here(&self) -> bool {
        self.resources.is_some() && self.offered.is_none()
    }

    /// What a body of it borrows that is about to start on this thread.
    pub(crate) fn borrow(&self, is_gated: bool) -> Result<Loans, Error> {
        let mut loans = Loans::NONE;
        for lends in &self.needs().lenders {
            loans.push(lends.0.lend(self.name(), is_gated)?);
        }
        Ok(loans)
    }

    pub(crate) fn queue_bound(&self) -> Option<usize> {
        self.queue
    }

    /// Its deadlines, for a call that is made now. The expressions are foreign code.
    pub(crate) fn deadlines(&self) -> Deadlines {
        Deadlines::new(
            self.timeout.map(|timeout| timeout()),
            self.queue_timeout.map(|timeout| timeout()),
            self.about.is_detached,
        )
    }

    /// A place for one more call, if there is a bound on those that wait, which the error says.
    ///
    /// Calls that free threads and permits are there for do not wait. That is not counted call
    /// by call, as it would have to be at the very moment at which a thread takes one: so
    /// many calls may be accepted and not have ended as may wait, and as may run beside those
    /// of other functions.
    pub(crate) fn slot(&'static self) -> Result<Slot, usize> {
        let Some(bound) = self.queue else { return Ok(Slot::default()) };
        let accepted = self.accepted.fetch_add(1, Ordering::AcqRel);
        let slot = Slot::of(&self.accepted);
        if accepted < bound || accepted < bound.saturating_add(self.room(accepted)) {
            Ok(slot)
        } else {
            Err(bound)
        }
    }

    /// How many of its calls could run at once, of which so many were accepted. Never less than run now, as queued
    /// calls and permits may be those of other functions.
    fn room(&self, accepted: usize) -> usize {
        let (gates, running) = (self.gates(), self.running());
        let outside = accepted.saturating_sub(gates.iter().map(|gate| gate.waiting()).sum());
        let room = gates.iter().map(|gate| {
            let own = outside.saturating_sub(self.executor().queued()).max(running);
            gate.limit().saturating_sub(gate.in_use().saturating_sub(own))
        });
        room.fold(self.executor().room_for(outside), usize::min).max(running)
    }

    /// Calls that wait, of those that its `queue` bounds.
    pub(crate) fn waiting(&self) -> usize {
        self.accepted.load(Ordering::Relaxed).saturating_sub(self.running())
    }

    /// Bodies of it that have begun, and are on a thread.
    fn running(&self) -> usize {
        let counts = self.about.counts();
        let begun = counts.started().saturating_sub(counts.run.total());
        begun.saturating_sub(counts.suspended.load(Ordering::Relaxed)) as usize
    }

    /// From now on it is seen in [`stats`](crate::stats).
    pub(crate) fn make_known(&'static self) {
        if !self.known.load(Ordering::Relaxed) && !self.known.swap(true, Ordering::Relaxed) {
            KNOWN.lock().unpoisoned().push(self);
        }
    }

    /// Every function that was called so far.
    pub(crate) fn known() -> Vec<&'static Function> {
        KNOWN.lock().unpoisoned().clone()
    }

    /// Those of them whose calls run there.
    pub(crate) fn known_of(executor: &'static dyn Executor) -> Vec<&'static Function> {
        let is_of = |one: &&Function| std::ptr::addr_eq(one.executor(), executor);
        Function::known().into_iter().filter(is_of).collect()
    }

    /// Where calls wait, each once.
    pub(crate) fn all_gates() -> Vec<&'static Gate> {
        let known = Function::known();
        let mut gates: Vec<_> = known.iter().flat_map(|one| one.gates()).copied().collect();
        gates.sort_by_key(|gate| gate.place());
        gates.dedup_by_key(|gate| gate.place());
        gates
    }
}

impl Owner for Function {
    fn about(&self) -> &About {
        &self.about
    }

    fn admit(&'static self, task: Queued) -> Admitted {
        gate::admit(self.gates(), task)
    }

    fn resume(&'static self, task: Queued) {
        task.meta().pool_slot.take_again();
        self.executor().submit_ahead(task);
    }

    fn is_gated_by(&self, gate: usize) -> bool {
        self.gates().iter().any(|own| own.place() == gate)
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        self.borrow(true)
    }

    fn executor_place(&self) -> usize {
        std::ptr::from_ref(self.executor()).addr()
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        self.executor().stand_in()
    }

    fn under_way(&self) -> &'static UnderWay {
        self.executor().under_way()
    }

    fn leave_line(&'static self, gate: usize) {
        self.gates()[gate].leave();
    }

    fn reject_lines(&'static self) {
        reject_lines(self.executor(), self.gates());
    }

    fn give_up_reservation(&'static self, gate: usize) {
        self.gates()[gate].give_up();
    }
}

/// Something that a thread of the `thread` pool is to drop, as it does with what is left of a call.
pub(crate) fn leftover(label: &'static str, left: impl Send + 'static) -> Awaited {
    let function = Function::of_closures(label, &THREAD);
    let slots = [Slot::default(), Slot::default()];
    let meta = Meta::new(function, false, Deadlines::default(), None, slots);
    task::maker()(meta, Captured::NOTHING, move || drop(left))
}

/// Ends the calls of an executor that is closed, as they wait for permits there.
pub(crate) fn reject_lines(executor: &'static dyn Executor, gates: &[&'static Gate]) {
    let place = std::ptr::from_ref(executor).addr();
    for gate in gates {
        gate.reject(Some(place), |function| executor.rejection(function));
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name()).finish_non_exhaustive()
    }
}
