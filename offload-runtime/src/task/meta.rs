//! What both ends of a task look at, the caller's and the pool's: since when it waits, until
//! when, and what it has been given.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{EnterGuard, Handle};

use super::Owner;
use super::about::About;
use super::current::Caller;
use super::state::State;
use crate::sync::AtomicWaker;

/// See the [module](self).
// In this order, so that what a pool's thread writes is in few cache lines, next to the result.
#[repr(C)]
pub(crate) struct Meta {
    pub(crate) state: State,
    /// A permit of the function's limiter is reserved for it.
    reserved: AtomicBool,
    /// It asks its owner before it starts.
    pub(crate) is_gated: bool,
    /// Of the caller.
    pub(crate) waker: AtomicWaker,
    pub(crate) owner: &'static dyn Owner,
    pub(crate) since: Instant,
    /// The runtime of its caller. It stays here until all is dropped, which most
    /// often is where the caller is: to do that elsewhere, too, changes a count
    /// that all cores share.
    pub(crate) handle: Option<Handle>,
    /// The bodies that wait for it, if it was made in one.
    pub(crate) callers: Option<Arc<Caller>>,
    deadlines: Deadlines,
    /// It is one of those that the function's `queue` bounds.
    pub(crate) function_slot: Slot,
    /// It is one of those that the pool's `queue` bounds.
    pub(crate) pool_slot: Slot,
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
    is_left: AtomicBool,
}

impl Slot {
    /// One of those that `count` counts, already.
    pub(crate) fn of(count: &'static AtomicUsize) -> Slot {
        Slot { count: Some(count), is_left: AtomicBool::new(false) }
    }

    /// Leaves the place, unless that was done.
    pub(crate) fn leave(&self) {
        if let Some(count) = self.count
            && !self.is_left.swap(true, Ordering::AcqRel)
        {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Takes a place again, if it had one.
    pub(crate) fn take_again(&self) {
        if let Some(count) = self.count
            && self.is_left.load(Ordering::Acquire)
        {
            count.fetch_add(1, Ordering::AcqRel);
            self.is_left.store(false, Ordering::Release);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
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
            reserved: AtomicBool::new(false),
            is_gated,
            waker: AtomicWaker::new(),
            owner,
            since: Instant::now(),
            handle: Handle::try_current().ok(),
            callers,
            deadlines,
            function_slot,
            pool_slot,
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

    /// Enters that runtime: a destructor may need it, say to spawn. Not on a thread that is about
    /// to end, which can enter none.
    pub(crate) fn enter_runtime(&self) -> Option<EnterGuard<'_>> {
        let can_enter =
            !Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed());
        self.handle.as_ref().filter(|_| can_enter).map(Handle::enter)
    }

    pub(crate) fn set_reservation(&self) {
        self.reserved.store(true, Ordering::Release);
    }

    /// Whether a permit was reserved for it. Who is told so uses the reservation, or gives it
    /// up.
    pub(crate) fn take_reservation(&self) -> bool {
        self.reserved.load(Ordering::Acquire) && self.reserved.swap(false, Ordering::AcqRel)
    }

    /// Its places in queues are free.
    pub(crate) fn leave_slots(&self) {
        self.function_slot.leave();
        self.pool_slot.leave();
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
