//! One call as the pools see it: the body with the context it runs in, and
//! what came of it.
//!
//! Job, result and waker share one allocation, an [`async_task`] task whose
//! future is ready at its first poll.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use async_task::{Runnable, Task};

use crate::context::Captured;
use crate::current::{Caller, Frame};
use crate::error::{Error, ErrorKind, Ran};
use crate::function::{Function, count};
use crate::limiter::{Acquired, Limiter};
use crate::pool::calls::Ticket;
use crate::pool::core::Queued;
use crate::pool::seat::Seat;
use crate::pool::{Pool, THREAD};
use crate::sync;

/// A call that has not run yet.
pub(crate) type Job = Runnable<Meta>;

/// The awaiting side of a job.
pub(crate) type Handle<T> = Task<Outcome<T>, Meta>;

/// What both sides of a job look at.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) function: &'static Function,
    pub(crate) since: Instant,
    /// It is not started after this.
    pub(crate) start_by: Option<Instant>,
    /// It is answered at this, by its result or without.
    pub(crate) answer_by: Option<Instant>,
    /// The bodies that wait for it, if it was made in one.
    callers: Option<Arc<Caller>>,
    /// It is one of those that the function's `queue` bounds.
    counted: AtomicBool,
    /// Its caller has gone, so it need not be queued again.
    gone: AtomicBool,
    /// A permit of the function's limiter is reserved for it.
    reserved: AtomicBool,
    /// It has a permit.
    has_permit: AtomicBool,
    /// Where it runs, if that is beside the pool.
    aside: OnceLock<sync::Arc<Seat>>,
    /// It came to wait for a permit when as many did as may.
    overloaded: AtomicBool,
    /// The [`Ticket`] it had last in the queue of its pool, or 0.
    pool_ticket: AtomicU64,
    /// The [`Ticket`] it had last in the line of its limiter, or 0.
    limit_ticket: AtomicU64,
}

impl Meta {
    /// For a call that is made now, on this thread.
    pub(crate) fn new(function: &'static Function, callers: Option<Arc<Caller>>) -> Meta {
        let since = Instant::now();
        let deadlines = function.deadlines();
        // What is beyond the clock is no deadline.
        let answer_by = deadlines.answer.and_then(|time| since.checked_add(time));
        let start_by = deadlines.start.and_then(|time| since.checked_add(time));
        // A detached call runs also after it was answered.
        let start_by = match answer_by {
            Some(answer) if !function.is_detached() => {
                Some(start_by.map_or(answer, |start| start.min(answer)))
            }
            _ => start_by,
        };
        Meta {
            function,
            since,
            start_by,
            answer_by,
            callers,
            counted: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            reserved: AtomicBool::new(false),
            has_permit: AtomicBool::new(false),
            aside: OnceLock::new(),
            overloaded: AtomicBool::new(false),
            pool_ticket: AtomicU64::new(0),
            limit_ticket: AtomicU64::new(0),
        }
    }

    /// The next moment at which something is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match (self.start_by, self.answer_by) {
            (Some(start), Some(answer)) => Some(start.min(answer)),
            (start, answer) => start.or(answer),
        }
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
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn set_reservation(&self) {
        self.reserved.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_reservation(&self) -> bool {
        self.reserved.swap(false, Ordering::Relaxed)
    }

    /// The limiter, if it has a permit of it.
    fn take_permit(&self) -> Option<&'static Limiter> {
        self.function.limiter().filter(|_| self.has_permit.swap(false, Ordering::Relaxed))
    }

    /// It waits no more.
    pub(crate) fn leave_queue(&self) {
        if self.counted.swap(false, Ordering::Relaxed) {
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
    pub(crate) fn cancel(&self) -> Option<Job> {
        // First, so that a thread that moves it from one place to the other
        // sees this, if the places do not have it.
        self.gone.store(true, Ordering::Release);
        if let Some(seat) = self.aside.get() {
            seat.set_cancelled(true);
        }
        self.withdraw_from(Pool::cancel)
    }

    fn withdraw_from(&self, queue: fn(&'static Pool, Ticket) -> Option<Job>) -> Option<Job> {
        let ticket = |bits: &AtomicU64| Ticket::from_bits(bits.load(Ordering::Acquire));
        let from_line = || self.function.limiter()?.withdraw(ticket(&self.limit_ticket)?);
        let from_queue = || queue(self.function.pool(), ticket(&self.pool_ticket)?);
        // Once more in the line: a thread may have put it there in between,
        // under the lock that the queue was looked at with.
        from_line().or_else(from_queue).or_else(from_line)
    }
}

impl Queued for Job {
    fn admit(self) -> Option<Job> {
        let meta = self.metadata();
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
                job.metadata().has_permit.store(true, Ordering::Relaxed);
                Some(job)
            }
            Acquired::Full(job) if function.enter_queue() => {
                job.metadata().set_counted();
                job.admit()
            }
            Acquired::Full(job) => {
                job.metadata().overloaded.store(true, Ordering::Relaxed);
                Some(job)
            }
        }
    }

    fn place(&self, ticket: Ticket) {
        self.metadata().pool_ticket.store(ticket.to_bits(), Ordering::Release);
    }

    fn since(&self) -> Instant {
        self.metadata().since
    }

    fn is_gone(&self) -> bool {
        self.metadata().is_gone()
    }

    fn is_inner(&self) -> bool {
        self.metadata().callers.is_some()
    }
}

/// Drops what is left of calls.
static CLEANER: Function = Function::thread("drop", &THREAD);

/// A job that drops a value, in this runtime.
pub(crate) fn cleaner<T: Send + 'static>(
    value: T,
    runtime: Option<tokio::runtime::Handle>,
) -> (Job, Handle<()>) {
    new(Meta::new(&CLEANER, None), move || {
        let _runtime = runtime.as_ref().map(|runtime| runtime.enter());
        drop(value);
    })
}

/// Makes a job of a body.
pub(crate) fn new<F, T>(meta: Meta, body: F) -> (Job, Handle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let function = meta.function;
    let body = Body { function, body: Some(body), captured: Captured::here() };
    // A job is scheduled once, by whoever made it: its future never waits.
    async_task::Builder::new().metadata(meta).spawn(move |_| body, |job: Job| drop(job))
}

/// Runs a job on this thread, or, if it is too late for that, ends or drops
/// it. Returns when that was done.
pub(crate) fn run(pool: &'static Pool, job: Job, now: Instant) -> Instant {
    let meta = job.metadata();
    let function = meta.function;
    let waited = now.saturating_duration_since(meta.since);
    if meta.is_gone() {
        discard(job);
        return now;
    }
    if meta.overloaded.load(Ordering::Relaxed) {
        let error = Error::overloaded(function.name(), function.queue_bound().unwrap_or(0));
        return refuse(job, error, now);
    }
    if meta.start_by.is_some_and(|start_by| start_by <= now) {
        return refuse(job, Error::expired_in_queue(function.name(), waited, Ran::No), now);
    }
    perform(pool, job, None, now)
}

/// Runs a job that blocks a body. It has its permit, if it needs one. `seat` is
/// that of its thread, if it has one to itself.
pub(crate) fn run_aside(pool: &'static Pool, job: Job, seat: Option<sync::Arc<Seat>>) {
    let meta = job.metadata();
    meta.has_permit.store(meta.function.limiter().is_some(), Ordering::Relaxed);
    if let Some(seat) = seat {
        // Set before the look: who cancels now either finds the seat, or has
        // set what is seen there.
        meta.aside.get_or_init(|| seat);
    }
    run(pool, job, Instant::now());
}

/// Ends a job without its body.
pub(crate) fn refuse(job: Job, error: Error, now: Instant) -> Instant {
    give_up_reservation(&job);
    perform(job.metadata().function.pool(), job, Some(error), now)
}

/// Drops a job whose caller has gone.
pub(crate) fn discard(job: Job) {
    give_up_reservation(&job);
    let permit = job.metadata().take_permit();
    job.metadata().leave_queue();
    drop(job);
    release(permit);
}

/// Gives a permit back, and brings the job to a thread that gets it.
fn release(permit: Option<&'static Limiter>) {
    if let Some(next) = permit.and_then(Limiter::release) {
        resume(next);
    }
}

/// Brings a job with a reserved permit back to a thread of its pool.
pub(crate) fn resume(job: Job) {
    let pool = job.metadata().function.pool();
    pool.resume(job);
}

fn give_up_reservation(job: &Job) {
    let limiter = job.metadata().function.limiter();
    if let Some(next) = limiter.and_then(|limiter| limiter.give_up(job)) {
        resume(next);
    }
}

fn perform(pool: &'static Pool, job: Job, refusal: Option<Error>, now: Instant) -> Instant {
    let meta = job.metadata();
    meta.leave_queue();
    let function = meta.function;
    let frame = Frame {
        pool,
        function,
        clock: now,
        waited: now.saturating_duration_since(meta.since),
        permit: meta.take_permit(),
        answer_by: meta.answer_by.filter(|_| !function.is_detached()),
        callers: meta.callers.clone(),
        refusal,
    };
    let (_, frame) = frame.enter(|| job.run());
    // Left over where the body was not to run, since its caller has gone.
    release(frame.permit);
    frame.clock
}

/// A payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Why there is no result.
pub(crate) enum Failure {
    Panic(Payload),
    /// The body was not started.
    Refusal(Error),
}

/// What a call came to. Nobody may be left to take it, so it is dropped with
/// care: a destructor that panics must not take the pool's thread down.
pub(crate) struct Outcome<T> {
    function: &'static Function,
    /// That of the caller: a destructor may need it, say to spawn.
    runtime: Option<tokio::runtime::Handle>,
    result: Option<Result<T, Failure>>,
}

impl<T> Outcome<T> {
    pub(crate) fn into_result(mut self) -> Result<T, Failure> {
        self.result.take().expect("taken once")
    }

    pub(crate) fn take_runtime(&mut self) -> Option<tokio::runtime::Handle> {
        self.runtime.take()
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let Some(result) = self.result.take() else {
            return;
        };
        let counts = &self.function.counts;
        match &result {
            // Counted when it was made.
            Err(Failure::Refusal(error)) if error.kind() == ErrorKind::TimedOut => {}
            Err(Failure::Refusal(_)) => count(&counts.cancelled),
            _ if self.function.is_detached() => {}
            _ => count(&counts.abandoned),
        }
        let _runtime = self.runtime.as_ref().map(|runtime| runtime.enter());
        drop_quietly(result);
    }
}

/// A body in the context of its caller.
struct Body<F> {
    function: &'static Function,
    body: Option<F>,
    captured: Captured,
}

// The body is moved out before it is called; nothing is pinned.
impl<F> Unpin for Body<F> {}

impl<F, T> Future for Body<F>
where
    F: FnOnce() -> T,
{
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome<T>> {
        let function = self.function;
        let body = self.body.take().expect("a job runs once");
        if let Some(error) = Frame::with(|frame| frame.refusal.take()) {
            if error.kind() == ErrorKind::TimedOut {
                count(&function.counts.cancelled);
            }
            let runtime = self.captured.take_runtime();
            {
                let _runtime = runtime.as_ref().map(|runtime| runtime.enter());
                drop_quietly(body);
            }
            let result = Some(Err(Failure::Refusal(error)));
            return Poll::Ready(Outcome { function, runtime, result });
        }
        let (started, waited, answer_by) =
            Frame::with(|frame| (frame.clock, frame.waited, frame.answer_by));
        count(&function.counts.started);
        function.counts.wait.record(waited);
        // Unwind safety: the payload goes to the caller, who unwinds on, so
        // nobody sees what the body left half done, unless it shared that.
        let enter = || self.captured.enter(function, waited, body);
        let result = catch_unwind(AssertUnwindSafe(enter));
        let ended = Instant::now();
        let runtime = self.captured.take_runtime();
        function.counts.run.record(ended.saturating_duration_since(started));
        count(match result {
            Ok(_) => &function.counts.finished,
            Err(_) => &function.counts.panicked,
        });
        // Before the caller is woken: who awaits this call and makes the next
        // finds the permit free.
        let permit = Frame::with(|frame| {
            frame.clock = ended;
            frame.permit.take()
        });
        release(permit);
        // A body that was told of its deadline may have stopped half way.
        if answer_by.is_some_and(|answer_by| answer_by <= ended) {
            count(&function.counts.abandoned);
            {
                let _runtime = runtime.as_ref().map(|runtime| runtime.enter());
                drop_quietly(result);
            }
            let taken = waited + ended.saturating_duration_since(started);
            let error = Error::expired_running(function.name(), taken);
            let result = Some(Err(Failure::Refusal(error)));
            return Poll::Ready(Outcome { function, runtime, result });
        }
        let result = Some(result.map_err(Failure::Panic));
        Poll::Ready(Outcome { function, runtime, result })
    }
}

impl<F> Drop for Body<F> {
    fn drop(&mut self) {
        if self.body.is_some() {
            count(&self.function.counts.cancelled);
            let runtime = self.captured.take_runtime();
            let _runtime = runtime.as_ref().map(|runtime| runtime.enter());
            drop_quietly(self.body.take());
        }
        self.captured.drop_quietly();
    }
}

/// Drops what nobody waits for. The panic hook has reported a panic by then.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Calls foreign code that must not unwind into ours.
pub(crate) fn quietly(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // The payload's own destructor may panic too; that one's is leaked.
        if let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(last);
        }
    }
}
