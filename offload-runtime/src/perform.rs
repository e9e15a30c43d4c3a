//! What a thread does with a job: runs its body in the context of its caller,
//! or ends the call in another way, if it is too late for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "process")]
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::context::{self, Captured};
use crate::counts::count;
use crate::courier::{self, Haste};
use crate::current::{Frame, Hired};
use crate::error::{Error, ErrorKind, Ran};
use crate::function::Function;
use crate::job::{self, Awaited, Job, Work};
use crate::limiter::Limiter;
use crate::outcome::{Failure, drop_quietly, quietly};
use crate::pool::Pool;
use crate::pool::seat::Seat;
#[cfg(feature = "process")]
use crate::process::exchange::Ending;
#[cfg(feature = "process")]
use crate::process::leash::End;
#[cfg(feature = "process")]
use crate::process::workers::NoWorker;
use crate::sync;

/// What a thread has done with a job.
pub(crate) struct Done {
    /// What the body took; no time, if there was none to run.
    pub(crate) took: Duration,
    /// What is done next takes its time from here.
    pub(crate) now: Instant,
}

impl Done {
    /// The job was ended or dropped without its body.
    fn without_body() -> Done {
        Done { took: Duration::ZERO, now: Instant::now() }
    }
}

/// Runs a job on this thread, or, if it is too late for that, ends or drops it.
pub(crate) fn run(pool: &'static Pool, job: Job, now: Instant) -> Done {
    let meta = job.meta();
    let function = meta.function;
    let waited = now.saturating_duration_since(meta.since);
    if meta.is_gone() {
        discard(job);
        return Done::without_body();
    }
    if meta.is_overloaded() {
        let error = Error::overloaded(function.name(), function.queue_bound().unwrap_or(0));
        return refuse_here(pool, job, error);
    }
    if meta.start_by().is_some_and(|start_by| start_by <= now) {
        let error = Error::expired_in_queue(function.name(), waited, Ran::No);
        return refuse_here(pool, job, error);
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
fn run_remote(pool: &'static Pool, job: Job) -> Done {
    let meta = job.meta();
    let function = meta.function;
    let leash = Arc::clone(meta.leash.as_ref().expect("a call to a process has a leash"));
    let hired = pool.processes().workers.hire(pool, &leash, meta.start_by());
    let now = Instant::now();
    let lease = match hired {
        Ok(lease) => lease,
        Err(NoWorker::Late) if meta.is_gone() => {
            discard(job);
            return Done::without_body();
        }
        Err(NoWorker::Late) => {
            let error = match leash.why_ended() {
                Some(End::Shutdown) => Error::shutting_down(function.name()),
                _ => {
                    let waited = now.saturating_duration_since(meta.since);
                    Error::expired_in_queue(function.name(), waited, Ran::No)
                }
            };
            return refuse_here(pool, job, error);
        }
        Err(NoWorker::Unavailable(reason)) => {
            let error = Error::no_worker(function.name(), &reason);
            return refuse_here(pool, job, error);
        }
    };
    let hired = Box::new(Hired { lease: Some(lease), ending: None });
    perform(pool, job, Some(hired), now)
}

/// Runs a job that blocks a body. It has its permit, if it needs one. `seat` is
/// that of its thread, if it has one to itself.
pub(crate) fn run_aside(pool: &'static Pool, job: Job, seat: Option<sync::Arc<Seat>>) {
    let meta = job.meta();
    meta.give_permit();
    if let Some(seat) = seat {
        meta.sit_aside(seat);
    }
    run_here(pool, job);
}

/// Runs a job on a thread that asks for no other. It may run in a body, which
/// may have entered what it likes.
pub(crate) fn run_here(pool: &'static Pool, job: Job) {
    context::stay(|| run(pool, job, Instant::now()));
    courier::send();
}

/// Ends a job without its body.
pub(crate) fn refuse(job: Job, error: Error) {
    // What is dropped here is foreign, and may take long.
    courier::send();
    give_up_reservation(&job);
    let work = job.begin();
    let meta = work.meta();
    meta.leave_queue();
    if error.kind() == ErrorKind::TimedOut {
        count(&meta.function.counts().cancelled);
    }
    job::drop_body(&*work);
    let permit = meta.take_permit();
    let pool = meta.function.pool();
    let haste = || if pool.has_waiting() { Haste::Together } else { Haste::Now };
    end(work, Some(Failure::Refusal(error)), haste);
    release(permit);
}

/// The same on a thread of the pool: the destructor of an argument may call as
/// the body would have.
fn refuse_here(pool: &'static Pool, job: Job, error: Error) -> Done {
    let meta = job.meta();
    let frame = Frame {
        pool,
        function: meta.function,
        permit: None,
        answer_by: None,
        callers: meta.callers.clone(),
        hired: None,
    };
    frame.enter(|| refuse(job, error));
    Done::without_body()
}

/// Drops a job whose caller has gone.
pub(crate) fn discard(job: Job) {
    courier::send();
    give_up_reservation(&job);
    let permit = job.meta().take_permit();
    job.meta().leave_queue();
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
    let pool = job.meta().function.pool();
    pool.resume(job);
}

fn give_up_reservation(job: &Job) {
    let limiter = job.meta().function.limiter();
    if let Some(next) = limiter.and_then(|limiter| limiter.give_up(job)) {
        resume(next);
    }
}

/// Runs the body of a call that is not too late, on this thread.
fn perform(pool: &'static Pool, job: Job, hired: Option<Box<Hired>>, now: Instant) -> Done {
    let work = job.begin();
    let meta = work.meta();
    meta.leave_queue();
    let function = meta.function;
    let waited = now.saturating_duration_since(meta.since);
    let answer_by = meta.answer_by().filter(|_| !function.is_detached());
    let frame = Frame {
        pool,
        function,
        permit: meta.take_permit(),
        answer_by,
        callers: meta.callers.clone(),
        hired,
    };
    let number = function.counts().wait.record(waited);
    #[cfg(feature = "watch")]
    let sample = function.sample(number);
    #[cfg(not(feature = "watch"))]
    let _ = number;
    // What is dropped at the end is as foreign as the body, and may call as it did.
    let (done, frame) = frame.enter(|| {
        let mut panic = None;
        work.call(&mut |captured: Captured, body| {
            // Unwind safety: the payload goes to the caller, who unwinds on, so
            // nobody sees what the body left half done, unless it shared that.
            let enter = || captured.enter(work.meta(), waited, body);
            panic = catch_unwind(AssertUnwindSafe(enter)).err();
        });
        let ended = Instant::now();
        let took = ended.saturating_duration_since(now);
        let (permit, other) = Frame::with(|frame| {
            let other = other_end(function, panic.is_some(), frame.hired.as_deref());
            (frame.permit.take(), other)
        });
        // In this order: see `Counts::finished`.
        if let Some(other) = other {
            count(other);
        }
        function.counts().run.record(took);
        function.learn(took);
        // What follows is not the next body's time.
        let mut takes_a_while = permit.is_some();
        #[cfg(feature = "watch")]
        if let Some(sample) = sample {
            takes_a_while = true;
            // It may tell a subscriber, which is foreign.
            quietly(|| function.judge(&sample));
        }
        // Before the caller is woken: who awaits this call and makes the next
        // finds the permit free.
        release(permit);
        let mut failure = panic.map(Failure::Panic);
        if failure.is_some() {
            takes_a_while = true;
            courier::send();
            // One that panicked as it was left has its result already.
            drop_result(&*work, None);
        }
        if answer_by.is_some_and(|answer_by| answer_by <= ended) {
            // A body that was told of its deadline may have stopped half way.
            count(&function.counts().abandoned);
            takes_a_while = true;
            courier::send();
            drop_result(&*work, failure.take());
            let error = Error::expired_running(function.name(), waited + took);
            failure = Some(Failure::Refusal(error));
        }
        let until = ended + courier::hold(waited + took);
        let haste = || match pool.has_waiting() {
            true if function.expected().is_some() => {
                Haste::Soon { until, often: function.is_quick() }
            }
            true => Haste::Together,
            false => Haste::Now,
        };
        takes_a_while |= end(work, failure, haste);
        Done { took, now: if takes_a_while { Instant::now() } else { ended } }
    });
    // A worker that is left over, since the caller has gone, is given back.
    drop(frame.hired);
    done
}

/// What counts a body that did not finish. One that returned here may have come
/// to another end in its process.
fn other_end(
    function: &'static Function,
    panicked: bool,
    hired: Option<&Hired>,
) -> Option<&'static AtomicU64> {
    let counts = function.counts();
    #[cfg(feature = "process")]
    if let Some(ending) = hired.and_then(|hired| hired.ending) {
        return Some(match ending {
            Ending::Panicked => &counts.panicked,
            Ending::Died => &counts.died,
            Ending::Killed => &counts.killed,
            Ending::Failed => &counts.failed,
        });
    }
    let _ = hired;
    panicked.then_some(&counts.panicked)
}

/// Tells the caller that its call has ended; if nobody waits for it any more, what it came to
/// is dropped. Returns whether that may have taken a while.
fn end(work: Awaited, failure: Option<Failure>, haste: impl FnOnce() -> Haste) -> bool {
    let meta = work.meta();
    match meta.reply.end(failure) {
        Ok(Some(waker)) => {
            let runtime = meta.runtime;
            // Before the caller is woken, so that the rest is dropped there.
            drop(work);
            courier::wake(waker, runtime, haste())
        }
        Ok(None) => false,
        Err(failure) => {
            // Who waits for another call does not wait for this.
            courier::send();
            let counts = meta.function.counts();
            match &failure {
                // Counted when it was made.
                Some(Failure::Refusal(error)) if error.kind() == ErrorKind::TimedOut => {}
                Some(Failure::Refusal(_)) => count(&counts.cancelled),
                _ if meta.function.is_detached() => {}
                _ => count(&counts.abandoned),
            }
            drop_result(&*work, failure);
            true
        }
    }
}

/// Drops what a call came to where its caller would have been.
fn drop_result(work: &dyn Work, failure: Option<Failure>) {
    let _runtime = work.meta().enter_runtime();
    quietly(|| work.drop_result());
    drop_quietly(failure);
}
