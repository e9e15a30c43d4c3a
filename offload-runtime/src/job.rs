//! One call as the pools see it: the body with the context it runs in, and
//! what came of it.
//!
//! Job, result and waker share one allocation, an [`async_task`] task whose
//! future is ready at its first poll.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
#[cfg(feature = "process")]
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Instant;

use async_task::{Runnable, Task};

use crate::context::{self, Captured};
use crate::courier;
use crate::current::{Frame, Hired};
use crate::error::{Error, ErrorKind, Ran};
use crate::function::{Function, count};
use crate::limiter::Limiter;
use crate::meta::Meta;
use crate::outcome::{Failure, Outcome, drop_quietly};
use crate::pool::Pool;
use crate::pool::seat::Seat;
use crate::pools::THREAD;
#[cfg(feature = "process")]
use crate::process::exchange::Ending;
#[cfg(feature = "process")]
use crate::process::leash::End;
#[cfg(feature = "process")]
use crate::process::workers::NoWorker;
use crate::sync;

/// A call that has not run yet.
pub(crate) type Job = Runnable<Meta>;

/// The awaiting side of a job.
pub(crate) type Handle<T> = Task<Outcome<T>, Meta>;

/// Drops what is left of calls.
static CLEANER: Function = Function::thread("drop", &THREAD).mixed();

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
pub(crate) fn new<F, T>(mut meta: Meta, body: F) -> (Job, Handle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let function = meta.function;
    let captured = Captured::here();
    meta.runtime = captured.runtime_id();
    let body = Body { function, body: Some(body), captured };
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
    if meta.is_overloaded() {
        let error = Error::overloaded(function.name(), function.queue_bound().unwrap_or(0));
        return refuse(job, error, now);
    }
    if meta.start_by.is_some_and(|start_by| start_by <= now) {
        return refuse(job, Error::expired_in_queue(function.name(), waited, Ran::No), now);
    }
    #[cfg(feature = "process")]
    // What is left of a call is dropped here, also on a pool of processes.
    if meta.leash.is_some() {
        return run_remote(pool, job);
    }
    perform(pool, job, None, now)
}

/// Hires a worker for a job, and runs it, or ends or drops it if it is too late
/// for that by then.
#[cfg(feature = "process")]
fn run_remote(pool: &'static Pool, job: Job) -> Instant {
    let meta = job.metadata();
    let function = meta.function;
    let leash = Arc::clone(meta.leash.as_ref().expect("a call to a process has a leash"));
    let hired = pool.processes().workers.hire(pool, &leash, meta.start_by);
    let now = Instant::now();
    let lease = match hired {
        Ok(lease) => lease,
        Err(NoWorker::Late) if meta.is_gone() => {
            discard(job);
            return now;
        }
        Err(NoWorker::Late) => {
            let error = match leash.why_ended() {
                Some(End::Shutdown) => Error::shutting_down(function.name()),
                _ => {
                    let waited = now.saturating_duration_since(meta.since);
                    Error::expired_in_queue(function.name(), waited, Ran::No)
                }
            };
            return refuse(job, error, now);
        }
        Err(NoWorker::Unavailable(reason)) => {
            return refuse(job, Error::no_worker(function.name(), &reason), now);
        }
    };
    let hired = Box::new(Hired { lease: Some(lease), ending: None });
    perform_with(pool, job, None, Some(hired), now)
}

/// Runs a job that blocks a body. It has its permit, if it needs one. `seat` is
/// that of its thread, if it has one to itself.
pub(crate) fn run_aside(pool: &'static Pool, job: Job, seat: Option<sync::Arc<Seat>>) {
    let meta = job.metadata();
    meta.give_permit();
    if let Some(seat) = seat {
        meta.sit_aside(seat);
    }
    // It may run in a body, which may have entered what it likes.
    context::stay(|| run(pool, job, Instant::now()));
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
    perform_with(pool, job, refusal, None, now)
}

fn perform_with(
    pool: &'static Pool,
    job: Job,
    refusal: Option<Error>,
    hired: Option<Box<Hired>>,
    now: Instant,
) -> Instant {
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
        hired,
    };
    let (waker, runtime) = (meta.take_waker(), meta.runtime);
    let (_, frame) = frame.enter(|| job.run());
    // Before what else is left to do: the caller can go on.
    if let Some(waker) = waker {
        courier::wake(waker, runtime, pool.has_waiting());
    }
    // A worker that is left over, since the caller has gone, is given back.
    drop(frame.hired);
    release(frame.permit);
    frame.clock
}

/// What counts a body that returned here: in another process it may have come
/// to another end.
fn returned(function: &'static Function) -> &'static AtomicU64 {
    let counts = &function.counts;
    #[cfg(feature = "process")]
    if let Some(ending) = Frame::with(|frame| frame.hired.as_ref().and_then(|hired| hired.ending)) {
        return match ending {
            Ending::Panicked => &counts.panicked,
            Ending::Died => &counts.died,
            Ending::Killed => &counts.killed,
            Ending::Failed => &counts.failed,
        };
    }
    &counts.finished
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
        #[cfg(feature = "watch")]
        let sample = function.sample();
        // Unwind safety: the payload goes to the caller, who unwinds on, so
        // nobody sees what the body left half done, unless it shared that.
        let enter = || self.captured.enter(function, waited, body);
        let result = catch_unwind(AssertUnwindSafe(enter));
        let ended = Instant::now();
        let runtime = self.captured.take_runtime();
        function.counts.run.record(ended.saturating_duration_since(started));
        #[cfg(feature = "watch")]
        if let Some(sample) = sample {
            function.judge(&sample);
        }
        count(match result {
            Ok(_) => returned(function),
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
