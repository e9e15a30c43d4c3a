//! What a thread does with a task, and the one way out: each call ends by
//! [`complete`], whatever came of it, which counts, releases, and wakes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::about::About;
use super::context::Captured;
use super::counts::Ending;
use super::current::{self, Busy, Frame};
use super::incidents;
use super::kept::{Kept, Suspended};
use super::meta::Meta;
use super::state::Phase;
use super::{Awaited, Failure, Permits, Queued, Work};
use crate::error::{Error, ErrorKind, Ran};
use crate::sync::foreign::{Payload, drop_payload, drop_quietly, panic_of, quietly};
use crate::sync::outer::Outer;

/// How a call ends.
enum Outcome {
    /// Its body ran, from `began` on, and left its result, or panicked.
    Ran { ending: Ending, failure: Option<Failure>, began: Instant },
    /// Its body was not started.
    Rejected(Error),
    /// It was cancelled, so far on its way, while its body was on no thread.
    Cancelled { phase: Phase, is_awaited: bool },
}

/// Runs a task on this thread, which has entered the caller's runtime; `now` counts as its start.
/// Returns when it ended; `None`: it was cancelled before.
pub(crate) fn run(
    task: Queued,
    permits: Permits,
    busy: Option<Busy>,
    now: Instant,
) -> Option<Instant> {
    let frame = Frame::new(task.awaited(), permits, busy);
    // What is dropped at the end is as foreign as the body, and may call as it did.
    frame.enter(|| {
        let mut now = now;
        if task.meta().borrows {
            let lent = {
                // What makes it, or is asked whether it is fine, may leave a span entered.
                let _outer = Outer::here();
                task.meta().owner.lend()
            };
            match lent {
                Ok(loans) => current::set_loans(loans),
                Err(error) => return reject_here(task, error),
            }
            // To make what it borrows may have taken long.
            now = Instant::now();
            if task.meta().start_by().is_some_and(|start_by| start_by <= now) {
                let error = expired_in_queue(&*task, now);
                return reject_here(task, error);
            }
        }
        let Some(task) = task.begin() else {
            // In the frame: a destructor of what was borrowed may make calls.
            current::end_body();
            return None;
        };
        let meta = task.meta();
        let about = meta.about();
        let waited = now.saturating_duration_since(meta.since);
        let sample = match meta.state.has_begun() {
            false => about.sample(about.counts().wait.record(waited)),
            true => None,
        };
        let mut panic = None;
        let call = |panic: &mut Option<Payload>| call_body(&task, about, waited, panic);
        call(&mut panic);
        if let Some(kept) = task.kept() {
            while panic.is_none() && kept.has_rest() {
                match suspend(kept, &*task, now) {
                    Suspended::Left => return Some(Instant::now()),
                    Suspended::Again => call(&mut panic),
                    Suspended::Cancelled => {
                        // Before the permits are given back: the items may be what they are for.
                        quietly(|| task.clear());
                        break;
                    }
                }
            }
            now = kept.began(now);
        }
        if let Some(sample) = sample {
            // It may tell a subscriber, which is foreign.
            quietly(|| about.cpu_time.end(about.name, about.kind, &sample));
        }
        let ending = if panic.is_some() { Ending::Panicked } else { current::ending() };
        let failure = panic.map(|payload| Failure::Panic(payload, current::ran()));
        Some(complete(task, Outcome::Ran { ending, failure, began: now }))
    })
}

/// Calls the body, or a part of it, in its frame.
fn call_body(task: &Awaited, about: &'static About, waited: Duration, panic: &mut Option<Payload>) {
    task.call(&mut |captured: Captured, body| {
        let mut run = || {
            current::set_ran(Ran::Yes);
            *panic = panic_of(&mut *body);
        };
        // What enters and leaves the context is as foreign as the body. It does not run while
        // that unwinds, where a panic of its own would be the end of the process.
        if let Some(payload) = panic_of(|| captured.enter(about, waited, &mut run)) {
            match panic {
                Some(_) => drop_payload(payload),
                None => *panic = Some(payload),
            }
        }
    });
}

/// The right to run a call whose body runs elsewhere. Its time is taken from `now`; `None`: it was
/// cancelled.
#[cfg(feature = "process")]
pub(crate) fn begin_elsewhere(task: Queued, now: Instant) -> Option<Awaited> {
    let task = task.begin()?;
    let meta = task.meta();
    meta.about().counts().wait.record(now.saturating_duration_since(meta.since));
    Some(task)
}

/// The end of such a call, whose own body reads what comes back. Returns when that was done.
#[cfg(feature = "process")]
pub(crate) fn end_elsewhere(
    task: Awaited,
    permits: Permits,
    busy: Option<Busy>,
    began: Instant,
) -> Instant {
    Frame::new(Arc::clone(&task), permits, busy).enter(|| {
        // What is done before it is read may be foreign, and panic.
        current::set_ran(Ran::Maybe);
        let meta = task.meta();
        let waited = began.saturating_duration_since(meta.since);
        let mut panic = None;
        call_body(&task, meta.about(), waited, &mut panic);
        let ending = if panic.is_some() { Ending::Panicked } else { current::ending() };
        let failure = panic.map(|payload| Failure::Panic(payload, current::ran()));
        complete(task, Outcome::Ran { ending, failure, began })
    })
}

/// The buffer is full: keeps the permits, and suspends the body. This part of it started at `now`.
fn suspend(kept: &Kept<Permits>, task: &dyn Work, now: Instant) -> Suspended {
    let (meta, suspended) = (task.meta(), &task.meta().about().counts().suspended);
    kept.keep(current::take_permits());
    let before = kept.ran();
    kept.set_ran(before + now.elapsed());
    // It waits for nobody but its consumer.
    meta.leave_slots();
    suspended.fetch_add(1, Ordering::AcqRel);
    let what = match meta.state.suspend() {
        false => Suspended::Cancelled,
        // It ends at once if its deadline has passed, which nobody might see any more.
        true if (task.wants_more() || is_late(meta, Instant::now())) && meta.state.reclaim() => {
            Suspended::Again
        }
        true => return Suspended::Left,
    };
    suspended.fetch_sub(1, Ordering::AcqRel);
    kept.set_ran(before);
    if let Some(permits) = kept.take() {
        current::set_permits(permits);
    }
    what
}

/// Ends a call that is not started, in its own frame. `None`: it was cancelled.
fn reject_here(task: Queued, error: Error) -> Option<Instant> {
    let task = task.begin()?;
    // Before the caller is woken: who is told of this and makes the next call finds all free.
    current::end_body();
    Some(complete(task, Outcome::Rejected(error)))
}

/// Ends a call that is not started. False: it was cancelled, and what was given is a shell.
pub(crate) fn reject(task: Queued, error: Error) -> bool {
    let Some(task) = task.begin() else { return false };
    if let (Some(kept), true) = (task.kept(), task.meta().state.has_begun()) {
        let error = Error::stopped(task.meta().about().name);
        end_between(&task, kept, Some(Failure::Error(error)));
        return true;
    }
    // The destructor of an argument may call as the body would have.
    Frame::new(Arc::clone(&task), Permits::NONE, None)
        .enter(|| complete(task, Outcome::Rejected(error)));
    true
}

/// Ends a call of which a part has run, and is the last: its body is on no thread.
fn end_between(task: &Awaited, kept: &Kept<Permits>, failure: Option<Failure>) {
    let frame = Frame::new(Arc::clone(task), kept.take().unwrap_or(Permits::NONE), None);
    let began = kept.began(Instant::now());
    let ending = Ending::Returned;
    // Not one of its pool's threads, perhaps, and so not in that runtime.
    task.meta().in_runtime(|| {
        frame.enter(|| complete(Arc::clone(task), Outcome::Ran { ending, failure, began }));
    });
}

/// Whether its caller is answered without it.
fn is_late(meta: &Meta, now: Instant) -> bool {
    !meta.about().is_detached && meta.answer_by().is_some_and(|by| by <= now)
}

/// This was the answer of a call, or would have been.
pub(crate) fn count_error(about: &About, error: &Error) {
    let is_late = error.kind() == ErrorKind::TimedOut;
    about.count(|counts| if is_late { &counts.timed_out } else { &counts.rejected });
    incidents::note_error(about.name, error);
}

/// The end of a call: counts it, gives back what it had, and wakes who awaits it. If nobody does,
/// what it came to is dropped; what a cancelled one leaves is for who cancelled it. Returns when that
/// was done.
fn complete(task: Awaited, outcome: Outcome) -> Instant {
    let ended = Instant::now();
    let meta = task.meta();
    let about = meta.about();
    let (mut is_expired, mut cancelled) = (false, None);
    let (failure, began) = match outcome {
        Outcome::Ran { ending, failure, began } => {
            let took = ended.saturating_duration_since(began);
            // In this order: see `Counts::finished`.
            match ending {
                Ending::Returned => {}
                Ending::Panicked => {
                    about.count(|counts| &counts.panicked);
                    if let Some(Failure::Panic(payload, _)) = &failure {
                        incidents::note_panic(about.name, payload);
                    }
                }
                Ending::Died => about.count(|counts| &counts.died),
                Ending::Killed => about.count(|counts| &counts.killed),
                Ending::Failed => about.count(|counts| &counts.failed),
            }
            about.counts().run.record(took);
            let failure = match failure {
                // A body that was told of its deadline may have stopped half way.
                _ if is_late(meta, ended) => {
                    is_expired = true;
                    about.count(|counts| &counts.abandoned);
                    drop_quietly(failure);
                    let after = ended.saturating_duration_since(meta.since);
                    Some(Failure::Error(Error::expired_running(about.name, after, current::ran())))
                }
                other => other,
            };
            (failure, Some(began))
        }
        Outcome::Rejected(error) => {
            // One that expired is counted as timed out by its caller, too.
            about.count(|counts| &counts.unstarted);
            is_expired = error.kind() == ErrorKind::TimedOut;
            if is_expired {
                about.count(|counts| &counts.cancelled);
            }
            leave_line(meta, false);
            (Some(Failure::Error(error)), None)
        }
        Outcome::Cancelled { phase, is_awaited } => {
            cancelled = Some(is_awaited);
            match task.kept().filter(|_| meta.state.has_begun()) {
                Some(kept) => abandon(&task, kept, phase),
                None => {
                    about.count(|counts| &counts.cancelled);
                    about.count(|counts| &counts.unstarted);
                    leave_line(meta, phase == Phase::Waiting);
                }
            }
            (None, None)
        }
    };
    let mut is_foreign = failure.is_some();
    if let Some(failure) = failure {
        match began {
            Some(_) => task.fail(failure),
            None => meta.in_runtime(|| task.fail(failure)),
        }
    }
    // Before the caller is woken: who awaits this call and makes the next finds all free.
    if began.is_some() {
        current::end_body();
    }
    let is_spawned = meta.is_spawned();
    meta.set_ended();
    if cancelled.unwrap_or_else(|| meta.state.finish()) {
        let waker = meta.waker.take();
        // Before the caller is woken, so that the rest is dropped there.
        drop(task);
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
        is_foreign = true;
    } else if cancelled.is_some() {
        // A waker may be the last that holds a task: it is dropped here, and not by who meets the shell.
        drop_quietly(meta.waker.take());
    } else {
        is_foreign |= task.has_drop_glue();
        if is_spawned && meta.state.is_detached() {
            // It was started for its own sake, nobody has cancelled it, and its handle is not there to count this.
            if let Some(error) = task.error() {
                count_error(about, &error);
            }
        } else if !is_expired {
            match began {
                Some(_) if about.is_detached => {}
                Some(_) => about.count(|counts| &counts.abandoned),
                None => about.count(|counts| &counts.cancelled),
            }
        }
        quietly(|| task.clear());
    }
    // What follows is not the next body's time, but a look at the clock takes its own.
    if is_foreign { Instant::now() } else { ended }
}

/// A call that has begun is cancelled while its body is on no thread.
fn abandon(task: &Awaited, kept: &Kept<Permits>, phase: Phase) {
    let about = task.meta().about();
    if phase == Phase::Suspended {
        about.counts().suspended.fetch_sub(1, Ordering::AcqRel);
    }
    about.count(|counts| &counts.abandoned);
    about.counts().run.record(kept.ran());
    // Else they are given back when the rest of it has been dropped.
    if !task.has_drop_glue() {
        drop(kept.take());
    }
}

/// A call does not begin: nobody keeps a permit for it, and it keeps none.
fn leave_line(meta: &Meta, is_waiting: bool) {
    if is_waiting {
        meta.owner.leave_line(meta.line.gate());
    } else if meta.reservation.take() {
        meta.owner.give_up_reservation(meta.line.gate());
    }
    drop(meta.line.take());
}

/// How far a call was that its caller does not await any more, and what is left of it to drop,
/// if its destructors make a difference.
pub(crate) struct Left {
    pub(crate) phase: Phase,
    pub(crate) leftover: Option<Awaited>,
}

/// The caller does not await the call any more: if it has not started, it will not.
pub(crate) fn cancel(task: &Awaited) -> Left {
    let phase = task.meta().state.cancel();
    left(task, phase, false)
}

/// The call is too late to start. `None`: it has started, or was cancelled before.
pub(crate) fn cancel_unstarted(task: &Awaited) -> Option<Left> {
    let phase = task.meta().state.cancel_unstarted()?;
    Some(left(task, phase, false))
}

/// A call that was started is cancelled, and may be awaited all the same. If it has not started, it
/// will not, and who awaits it is woken; if it has (`None`), the body is told to stop.
pub(crate) fn cancel_started(task: &Awaited) -> Option<Left> {
    let meta = task.meta();
    let Some(phase) = meta.state.cancel_unstarted() else {
        meta.state.tell_to_stop();
        return None;
    };
    Some(left(task, phase, true))
}

/// As [`cancel`], of a call that runs all the same.
pub(crate) fn detach(task: &Awaited) -> Left {
    let phase = task.meta().state.detach();
    drop_quietly(task.meta().waker.take());
    let is_ours = phase == Phase::Done && task.has_drop_glue();
    Left { phase, leftover: is_ours.then(|| Arc::clone(task)) }
}

fn left(task: &Awaited, phase: Phase, is_awaited: bool) -> Left {
    // Before who awaits it is woken, who may look at it as well.
    let is_ours = phase != Phase::Running && task.has_drop_glue();
    let leftover = is_ours.then(|| Arc::clone(task));
    match phase {
        Phase::Queued | Phase::Waiting | Phase::Suspended => {
            complete(Arc::clone(task), Outcome::Cancelled { phase, is_awaited });
        }
        // It ends on its thread, or has. A waker may be the last that holds a task: it is dropped
        // here, and not there.
        Phase::Running | Phase::Done => drop_quietly(task.meta().waker.take()),
    }
    Left { phase, leftover }
}

/// Drops what is left of a call, in its caller's runtime. A destructor may call as the body
/// would have. One that its deadline has found suspended ends by that.
pub(crate) fn clear(task: &Awaited) {
    if let (Some(kept), true) = (task.kept(), task.meta().state.is_running()) {
        return end_between(task, kept, None);
    }
    task.meta().in_runtime(|| {
        Frame::new(Arc::clone(task), Permits::NONE, None).enter(|| quietly(|| task.clear()));
    });
}

/// Why a call did not start in time.
pub(crate) fn expired_in_queue(task: &dyn Work, now: Instant) -> Error {
    let meta = task.meta();
    let waited = now.saturating_duration_since(meta.since);
    Error::expired_in_queue(meta.about().name, waited, Ran::No)
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
