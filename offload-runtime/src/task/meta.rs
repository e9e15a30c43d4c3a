//! What both ends of a task look at, the caller's and the pool's: since when it waits, until
//! when, and what it has been given.

use std::fmt;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use super::about::About;
use super::state::State;
use super::{Owner, Permits};
use crate::sync::foreign::drop_quietly;
use crate::sync::semaphore::Reservation;
use crate::sync::waker::WakerCell;
use crate::system::abort::Unpoisoned;

/// See the [module](self).
// In this order, so that what a pool's thread writes is in few cache lines, next to the result.
#[repr(C)]
pub(crate) struct Meta {
    pub(crate) state: State,
    /// A permit is reserved for it, from the gate at which it waited.
    pub(crate) reservation: Reservation,
    /// It asks its owner before it starts.
    pub(crate) is_gated: bool,
    /// Its owner lends it something when it starts.
    pub(crate) borrows: bool,
    /// A body made it, and so it has the grace that the body has.
    pub(crate) is_of_body: bool,
    /// It was started, and not awaited, and is one of those that its function counts so.
    is_spawned: AtomicBool,
    /// Of the caller.
    pub(crate) waker: WakerCell,
    pub(crate) owner: &'static dyn Owner,
    pub(crate) since: Instant,
    /// The runtime of its caller. It stays here until all is dropped, which most
    /// often is where the caller is: to do that elsewhere, too, changes a count
    /// that all cores share.
    pub(crate) handle: Option<Handle>,
    /// The bodies that wait for it, if it was made in one.
    pub(crate) callers: Option<Arc<Caller>>,
    deadlines: Deadlines,
    pub(crate) line: Line,
    /// It is one of those that the function's `queue` bounds.
    pub(crate) function_slot: Slot,
    /// It is one of those that the pool's `queue` bounds.
    pub(crate) pool_slot: Slot,
    /// It was counted as under way, by who handed it over.
    is_under_way: AtomicBool,
}

/// A time, so that to have none takes no room.
type Nanos = NonZero<u64>;

/// How long a call may take, from its first poll.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadlines {
    /// It is answered after so long, by its result or without.
    answer: Option<Nanos>,
    /// It is not started later than this.
    start: Option<Nanos>,
}

impl Deadlines {
    /// With the options `timeout` and `queue_timeout`.
    pub(crate) fn new(
        answer: Option<Duration>,
        start: Option<Duration>,
        is_detached: bool,
    ) -> Deadlines {
        let (answer, start) = (answer.and_then(nanos), start.and_then(nanos));
        // A detached call runs also after it was answered.
        let start = match answer {
            Some(answer) if !is_detached => Some(start.map_or(answer, |start| start.min(answer))),
            _ => start,
        };
        Deadlines { answer, start }
    }
}

/// A place among those that a bound counts, which is left when this is dropped, or before.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    count: Option<&'static AtomicUsize>,
    /// The state word, or the queue, says whose turn it is: so this needs no order of its own.
    is_left: AtomicBool,
}

impl Slot {
    /// One of those that `count` counts, already.
    pub(crate) fn of(count: &'static AtomicUsize) -> Slot {
        Slot { count: Some(count), is_left: AtomicBool::new(false) }
    }

    /// Leaves the place, unless that was done.
    pub(crate) fn leave(&self) {
        let Some(count) = self.count else { return };
        if !self.is_left.swap(true, Ordering::Relaxed) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes a place again, if it had one.
    pub(crate) fn take_again(&self) {
        let Some(count) = self.count else { return };
        if self.is_left.load(Ordering::Relaxed) {
            count.fetch_add(1, Ordering::Relaxed);
            self.is_left.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Where a call waits that needs several permits, one after the other, and those that it has by then.
/// Who takes these out gives them back, or starts the call with them.
#[derive(Default)]
pub(crate) struct Line {
    /// The number of the gate. Before it is more than 0, nothing is held. Set before the state says that it waits.
    gate: AtomicUsize,
    held: Mutex<Option<Box<Permits>>>,
}

impl Line {
    pub(crate) fn gate(&self) -> usize {
        self.gate.load(Ordering::Relaxed)
    }

    /// It is about to wait at this gate.
    pub(crate) fn hold(&self, gate: usize, permits: Permits) {
        if !permits.is_empty() {
            *self.held.lock().unpoisoned() = Some(Box::new(permits));
        }
        self.gate.store(gate, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Permits {
        if self.gate() == 0 {
            return Permits::NONE;
        }
        let held = self.held.lock().unpoisoned().take();
        held.map_or(Permits::NONE, |held| *held)
    }
}

impl Meta {
    /// For a call that is made now, on this thread.
    pub(crate) fn new(
        owner: &'static dyn Owner,
        is_gated: bool,
        deadlines: Deadlines,
        callers: Option<Arc<Caller>>,
        [function_slot, pool_slot]: [Slot; 2],
    ) -> Meta {
        Meta {
            state: State::new(),
            reservation: Reservation::new(),
            is_gated,
            borrows: false,
            is_of_body: callers.is_some(),
            is_spawned: AtomicBool::new(false),
            waker: WakerCell::new(),
            owner,
            since: Instant::now(),
            handle: Handle::try_current().ok(),
            callers,
            deadlines,
            line: Line::default(),
            function_slot,
            pool_slot,
            is_under_way: AtomicBool::new(false),
        }
    }

    /// It is about to be handed over: who closes its executor waits for it.
    pub(crate) fn set_under_way(&self) {
        self.is_under_way.store(true, Ordering::Relaxed);
        self.owner.under_way().take();
    }

    /// Counts the end of the call; called once.
    pub(super) fn set_ended(&self) {
        self.leave_slots();
        if self.is_under_way.load(Ordering::Relaxed) {
            self.owner.under_way().end();
        }
    }

    pub(crate) fn about(&self) -> &'static About {
        self.owner.about()
    }

    /// The next moment at which something is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let Deadlines { start, answer } = self.deadlines;
        match (start, answer) {
            (Some(start), Some(answer)) => self.after(Some(start.min(answer))),
            (start, answer) => self.after(start.or(answer)),
        }
    }

    /// It is not started after this.
    pub(crate) fn start_by(&self) -> Option<Instant> {
        if self.state.has_begun() {
            return None;
        }
        self.after(self.deadlines.start)
    }

    /// It is answered at this, by its result or without.
    pub(crate) fn answer_by(&self) -> Option<Instant> {
        self.after(self.deadlines.answer)
    }

    fn after(&self, time: Option<Nanos>) -> Option<Instant> {
        // What is beyond the clock is no deadline.
        self.since.checked_add(Duration::from_nanos(time?.get()))
    }

    /// Calls this in that runtime: a destructor may need it, say to spawn. Not on a thread that is
    /// about to end, which can enter none.
    pub(crate) fn in_runtime(&self, call: impl FnOnce()) {
        let can_enter =
            !Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed());
        let guard = self.handle.as_ref().filter(|_| can_enter).map(Handle::enter);
        call();
        // To leave it panics if the call has left one of its own entered.
        drop_quietly(guard);
    }

    /// It is about to be submitted, and nobody need wait for it.
    pub(crate) fn set_spawned(&self) {
        self.about().counts().spawned.fetch_add(1, Ordering::Relaxed);
        self.is_spawned.store(true, Ordering::Relaxed);
    }

    /// Whether it is one of those, and not over.
    pub(crate) fn is_spawned(&self) -> bool {
        self.is_spawned.load(Ordering::Relaxed)
    }

    /// It is over, or suspended: its places in queues are free.
    pub(crate) fn leave_slots(&self) {
        self.function_slot.leave();
        self.pool_slot.leave();
        if self.is_spawned() && self.is_spawned.swap(false, Ordering::Relaxed) {
            self.about().counts().spawned.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// None that is too long for a deadline.
fn nanos(time: Duration) -> Option<Nanos> {
    let nanos = u64::try_from(time.as_nanos()).ok()?;
    Some(Nanos::new(nanos).unwrap_or(Nanos::MIN))
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A body that waits for a call it made, and the bodies that wait for that body.
pub(crate) struct Caller {
    owner: &'static dyn Owner,
    /// It has all permits that its owner's bodies have.
    has_permits: AtomicBool,
    caller: Option<Arc<Caller>>,
    /// The thread of its pool that takes the place of its own, which is blocked; until the body ends.
    replaced: Mutex<Replaced>,
}

#[derive(Default)]
struct Replaced {
    by: Option<StandIn>,
    has_ended: bool,
}

/// A thread that stands in for one whose body waits. Dropped, it goes.
pub(crate) struct StandIn(pub(crate) Box<dyn Fn() + Send + Sync>);

impl Drop for StandIn {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Caller {
    pub(crate) fn new(
        owner: &'static dyn Owner,
        has_permits: bool,
        caller: Option<Arc<Caller>>,
    ) -> Caller {
        let has_permits = AtomicBool::new(has_permits);
        Caller { owner, has_permits, caller, replaced: Mutex::default() }
    }

    /// Its body gives its permits back.
    pub(crate) fn lose_permits(&self) {
        self.has_permits.store(false, Ordering::Release);
    }

    /// This one, and those that wait for it.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &Caller> {
        std::iter::successors(Some(self), |caller| caller.caller.as_deref())
    }

    pub(crate) fn owner(&self) -> &'static dyn Owner {
        self.owner
    }

    /// Whether its body has a permit from this gate.
    pub(crate) fn holds(&self, gate: usize) -> bool {
        self.has_permits.load(Ordering::Acquire) && self.owner.is_gated_by(gate)
    }

    /// If its pool is full, a thread takes its place until the body ends, unless one does already.
    /// Whether one does so now.
    pub(crate) fn stand_in(&self) -> bool {
        let mut replaced = self.replaced.lock().unpoisoned();
        if replaced.has_ended || replaced.by.is_some() {
            return false;
        }
        replaced.by = self.owner.stand_in();
        replaced.by.is_some()
    }

    /// The same for this one, and those that wait for it.
    pub(crate) fn stand_in_for_all(&self) {
        for body in self.chain() {
            body.stand_in();
        }
    }

    /// Its body has ended.
    pub(crate) fn end(&self) {
        let mut replaced = self.replaced.lock().unpoisoned();
        replaced.has_ended = true;
        let stand_in = replaced.by.take();
        drop(replaced);
        drop(stand_in);
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("function", &self.owner.about().name).finish_non_exhaustive()
    }
}

/// Which runtime this thread is in.
pub(crate) fn runtime_here() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}
