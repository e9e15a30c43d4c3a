//! Whether a call may wait, and where: asked before anything is allocated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::thread;

use crate::counts::count;
use crate::courier;
use crate::current::Caller;
use crate::error::Error;
use crate::function::Function;
use crate::job::Job;
use crate::limiter::{Blocked, Blocking};
use crate::meta::Meta;
use crate::perform;
use crate::pool::core::Refused;
use crate::timer::Alarm;

/// The way of a call to a thread.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Through the queue of its pool.
    Queue,
    /// It blocks a body that has what it needs, a thread of its pool or a
    /// permit, and there may be no other: it runs beside the pool, on a thread
    /// of its own, in the place of that body.
    Aside,
}

/// What is known of a call that may wait.
pub(crate) struct Admitted {
    /// The bodies that wait for it, if it is made in one.
    pub(crate) callers: Option<Arc<Caller>>,
    /// It is one of those that the function's `queue` bounds.
    pub(crate) is_counted: bool,
    pub(crate) way: Way,
}

/// Asks for room for a call that is made now, on this thread.
pub(crate) fn admit(function: &'static Function) -> Result<Admitted, Error> {
    function.make_known();
    let pool = function.pool();
    pool.check().map_err(|error| error.of(function.name()))?;
    let callers = Caller::here();
    let limiter = function.limiter();
    if callers.as_ref().is_some_and(|callers| {
        callers.occupies(pool) && (limiter.is_some() || pool.waiting().is_some())
            || limiter.is_some_and(|limiter| callers.holds(limiter) > 0)
    }) {
        return Ok(Admitted { callers, is_counted: false, way: Way::Aside });
    }
    let mut is_counted = false;
    let bounded = function.queue_bound().is_some() || pool.queue_bound().is_some();
    if bounded {
        let behind = pool.waiting();
        if behind.zip(pool.queue_bound()).is_some_and(|(waiting, bound)| waiting >= bound) {
            return Err(overloaded(function, pool.queue_bound()));
        }
        if behind.is_some() || limiter.is_some_and(|limiter| limiter.would_wait()) {
            if !function.enter_queue() {
                return Err(overloaded(function, function.queue_bound()));
            }
            is_counted = true;
        }
    }
    Ok(Admitted { callers, is_counted, way: Way::Queue })
}

fn overloaded(function: &'static Function, waiting: Option<usize>) -> Error {
    count(&function.counts().refused);
    Error::overloaded(function.name(), waiting.unwrap_or(0))
}

/// Wakes the caller when the first of its deadlines has passed.
pub(crate) fn alarm(meta: &Meta, waker: &Waker) -> Result<Option<Alarm>, Error> {
    let Some(due) = meta.next_due() else {
        return Ok(None);
    };
    match Alarm::new(due, waker) {
        Ok(alarm) => Ok(Some(alarm)),
        Err(refusal) => {
            meta.leave_queue();
            count(&meta.function.counts().refused);
            Err(Error::no_timer(meta.function.name(), &refusal))
        }
    }
}

/// Gives a job to its pool. What changed since [`admit`] is found here, and
/// then ends the job with an error.
pub(crate) fn send(job: Job) {
    let function = job.meta().function;
    let pool = function.pool();
    let mut job = job;
    let (job, error) = loop {
        let may_wait = job.meta().is_counted() || function.queue_bound().is_none();
        let room = if may_wait { pool.queue_bound().unwrap_or(usize::MAX) } else { 0 };
        match pool.submit(job, room) {
            Ok(()) => return,
            Err(Refused::Gone(job)) => return perform::discard(job),
            Err(Refused::Closed(back)) => break (back, Error::shutting_down(function.name())),
            Err(Refused::Full(back)) if !may_wait && function.enter_queue() => {
                back.meta().set_counted();
                job = back;
            }
            Err(Refused::Full(back)) => {
                let bound = if may_wait { pool.queue_bound() } else { function.queue_bound() };
                break (back, Error::overloaded(function.name(), bound.unwrap_or(0)));
            }
        }
    };
    perform::refuse(job, error);
    // This thread may never have to do with couriers again.
    courier::forget();
}

/// A number that no other call which blocks a body has.
pub(crate) fn blocking_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether a job that runs aside has its permit, if it needs one.
pub(crate) fn permit_aside(job: &Job, number: u64, waker: &Waker) -> Result<bool, Error> {
    let meta = job.meta();
    let Some(limiter) = meta.function.limiter() else {
        return Ok(true);
    };
    let holds = meta.callers().map_or(0, |callers| callers.holds(limiter));
    let thread = thread::current().id();
    let call = Blocking { number, thread, holds, waker: waker.clone() };
    match limiter.acquire_blocking(call) {
        Blocked::Permit => Ok(true),
        Blocked::Waits => Ok(false),
        Blocked::Deadlock => Err(Error::deadlock(meta.function.name())),
    }
}

/// A job that waits for [`permit_aside`] is dropped.
pub(crate) fn forget_blocking(job: &Job, number: u64) {
    if let Some(limiter) = job.meta().function.limiter() {
        limiter.forget_blocking(number);
    }
}
