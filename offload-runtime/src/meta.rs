//! What both sides of a job look at, the caller's and the pool's: since when
//! it waits, until when, where, and what it has been given.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::runtime::{EnterGuard, Handle, Id};

use crate::admission::Admitted;
use crate::current::Caller;
use crate::function::Function;
use crate::job::Job;
use crate::limiter::{Acquired, Limiter};
use crate::pool::Pool;
use crate::pool::calls::{Queued, Ticket};
use crate::pool::seat::Seat;
#[cfg(feature = "process")]
use crate::process::leash::{End, Leash};
use crate::reply::Reply;
use crate::sync;

/// See the [module](self).
// In this order, so that what a pool's thread writes is in few cache lines, next to the result.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Meta {
    /// How it ends.
    pub(crate) reply: Reply,
    /// It is one of those that the function's `queue` bounds.
    counted: AtomicBool,
    /// A permit of the function's limiter is reserved for it.
    reserved: AtomicBool,
    /// It has a permit.
    has_permit: AtomicBool,
    /// It came to wait for a permit when as many did as may.
    overloaded: AtomicBool,
    pub(crate) function: &'static Function,
    pub(crate) since: Instant,
    /// The runtime of its caller. It stays here until all is dropped, which most
    /// often is where the caller is: to do that elsewhere, too, changes a count
    /// that all cores share.
    pub(crate) handle: Option<Handle>,
    /// Which one that is.
    pub(crate) runtime: Option<Id>,
    /// The bodies that wait for it, if it was made in one.
    pub(crate) callers: Option<Arc<Caller>>,
    /// It is not started later than so long after that.
    start: Option<Nanos>,
    /// It is answered after so long, by its result or without.
    answer: Option<Nanos>,
    /// How it is ended where it runs, if that is another process.
    #[cfg(feature = "process")]
    pub(crate) leash: Option<Arc<Leash>>,
    /// The [`Ticket`] it had last in the queue of its pool, or 0.
    pool_ticket: AtomicU64,
    /// The [`Ticket`] it had last in the line of its limiter, or 0.
    limit_ticket: AtomicU64,
}

/// A time, so that to have none takes no room.
type Nanos = NonZero<u64>;

impl Meta {
    /// For a call that is made now, on this thread.
    pub(crate) fn new(
        function: &'static Function,
        admitted: Admitted,
        waker: Option<Waker>,
    ) -> Meta {
        let handle = Handle::try_current().ok();
        let since = Instant::now();
        let deadlines = function.deadlines();
        let (answer, start) = (deadlines.answer.and_then(nanos), deadlines.start.and_then(nanos));
        // A detached call runs also after it was answered.
        let start = match answer {
            Some(answer) if !function.is_detached() => {
                Some(start.map_or(answer, |start| start.min(answer)))
            }
            _ => start,
        };
        Meta {
            function,
            since,
            start,
            answer,
            callers: admitted.callers,
            counted: AtomicBool::new(admitted.is_counted),
            reserved: AtomicBool::new(false),
            has_permit: AtomicBool::new(false),
            overloaded: AtomicBool::new(false),
            pool_ticket: AtomicU64::new(0),
            limit_ticket: AtomicU64::new(0),
            runtime: handle.as_ref().map(Handle::id),
            handle,
            reply: Reply::new(waker),
            #[cfg(feature = "process")]
            leash: function.pool().plan().map(|plan| Arc::new(Leash::new(plan.grace))),
        }
    }

    /// The next moment at which something is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match (self.start, self.answer) {
            (Some(start), Some(answer)) => self.after(Some(start.min(answer))),
            (start, answer) => self.after(start.or(answer)),
        }
    }

    /// It is not started after this.
    pub(crate) fn start_by(&self) -> Option<Instant> {
        self.after(self.start)
    }

    /// It is answered at this, by its result or without.
    pub(crate) fn answer_by(&self) -> Option<Instant> {
        self.after(self.answer)
    }

    fn after(&self, time: Option<Nanos>) -> Option<Instant> {
        // What is beyond the clock is no deadline.
        self.since.checked_add(Duration::from_nanos(time?.get()))
    }

    /// Enters the runtime of its caller: a destructor may need it, say to spawn.
    pub(crate) fn enter_runtime(&self) -> Option<EnterGuard<'_>> {
        self.handle.as_ref().map(Handle::enter)
    }

    pub(crate) fn callers(&self) -> Option<&Caller> {
        self.callers.as_deref()
    }

    /// It waits, as one of those that the function's `queue` bounds.
    pub(crate) fn set_counted(&self) {
        self.counted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
    }

    pub(crate) fn set_limit_ticket(&self, ticket: Ticket) {
        self.limit_ticket.store(ticket.to_bits(), Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.reply.is_gone()
    }

    pub(crate) fn set_reservation(&self) {
        self.reserved.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_reservation(&self) -> bool {
        self.reserved.swap(false, Ordering::Relaxed)
    }

    /// The limiter, if it has a permit of it.
    pub(crate) fn take_permit(&self) -> Option<&'static Limiter> {
        self.function.limiter().filter(|_| self.has_permit.swap(false, Ordering::Relaxed))
    }

    /// It came to wait for a permit when as many did as may.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// It has a permit of the function's limiter, if there is one.
    pub(crate) fn give_permit(&self) {
        self.has_permit.store(self.function.limiter().is_some(), Ordering::Relaxed);
    }

    /// It runs in this seat, beside the pool, as it blocks a body.
    pub(crate) fn sit_aside(&self, seat: sync::Arc<Seat>) {
        // Who cancels it finds the seat here, or has set what is looked at next.
        if let Some(callers) = self.callers() {
            callers.sit_aside(seat);
        }
        fence(Ordering::SeqCst);
    }

    /// It waits no more.
    pub(crate) fn leave_queue(&self) {
        if self.is_counted() && self.counted.swap(false, Ordering::Relaxed) {
            self.function.leave_queue();
        }
    }

    /// Takes the job out of where it waits. `None`: it is not there. It may be
    /// on its way from one place to the other.
    pub(crate) fn withdraw(&self) -> Option<Job> {
        self.withdraw_from(Pool::withdraw)
    }

    /// As [`withdraw`](Self::withdraw), for good: a job that is on its way will
    /// not be started, and a body that runs is told that nobody waits for it.
    /// Nothing is done if the call has ended.
    pub(crate) fn cancel(&self) -> Option<Job> {
        // First, so that a thread that moves it from one place to the other
        // sees this, if the places do not have it.
        if !self.reply.cancel() {
            return None;
        }
        fence(Ordering::SeqCst);
        if let Some(seat) = self.callers().and_then(Caller::aside) {
            seat.set_cancelled(true);
        }
        let job = self.withdraw_from(Pool::cancel);
        #[cfg(feature = "process")]
        if job.is_none() {
            self.end_remote();
        }
        job
    }

    /// Ends the call where it runs, or waits for a worker to run it.
    #[cfg(feature = "process")]
    fn end_remote(&self) {
        if let Some(leash) = &self.leash {
            leash.end(End::Cancelled);
            self.function.pool().processes().workers.wake();
        }
    }

    /// Sees to it that no worker gets the call. False: one has it, or had it.
    #[cfg(feature = "process")]
    pub(crate) fn forbid_remote(&self) -> bool {
        let forbidden = self.leash.as_ref().is_some_and(|leash| leash.forbid());
        if forbidden {
            self.function.pool().processes().workers.wake();
        }
        forbidden
    }

    fn withdraw_from(&self, queue: fn(&'static Pool, Ticket) -> Option<Job>) -> Option<Job> {
        let ticket = |bits: &AtomicU64| Ticket::from_bits(bits.load(Ordering::Acquire));
        let from_line = || self.function.limiter()?.withdraw(ticket(&self.limit_ticket)?);
        let from_queue = || queue(self.function.pool(), ticket(&self.pool_ticket)?);
        // Twice, since a thread may move it from the one to the other and back
        // while this looks. It sees that the call has gone before it does so
        // once more.
        from_line().or_else(from_queue).or_else(from_line).or_else(from_queue)
    }
}

/// None that is too long for a deadline.
fn nanos(time: Duration) -> Option<Nanos> {
    let nanos = u64::try_from(time.as_nanos()).ok()?;
    Some(Nanos::new(nanos).unwrap_or(Nanos::MIN))
}

impl Queued for Job {
    fn is_rationed(&self) -> bool {
        self.meta().function.limiter().is_some()
    }

    fn admit(self) -> Option<Job> {
        let meta = self.meta();
        let function = meta.function;
        let Some(limiter) = function.limiter() else { return Some(self) };
        if meta.is_gone() {
            return Some(self);
        }
        // A call that came while there was a permit is not counted as waiting.
        let may_wait = function.queue_bound().is_none() || meta.is_counted();
        match limiter.acquire(self, may_wait) {
            Acquired::Waits => None,
            Acquired::Gone(job) => Some(job),
            Acquired::Permit(job) => {
                job.meta().give_permit();
                Some(job)
            }
            Acquired::Full(job) if function.enter_queue() => {
                job.meta().set_counted();
                job.admit()
            }
            Acquired::Full(job) => {
                job.meta().overloaded.store(true, Ordering::Relaxed);
                Some(job)
            }
        }
    }

    fn place(&self, ticket: Ticket) {
        self.meta().pool_ticket.store(ticket.to_bits(), Ordering::Release);
    }

    fn since(&self) -> Instant {
        self.meta().since
    }

    fn is_quick(&self) -> bool {
        self.is_quick()
    }

    fn is_gone(&self) -> bool {
        self.meta().is_gone()
    }

    fn is_inner(&self) -> bool {
        self.meta().callers.is_some()
    }
}
