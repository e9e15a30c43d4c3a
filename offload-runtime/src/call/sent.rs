//! A call that is on its way to a thread and back, as its caller's end holds it; of which types
//! is not known here.

use std::any::Any;
use std::convert::identity;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::admission;
use crate::error::{Error, ErrorKind, Ran};
use crate::executor::Written;
use crate::executor::threads;
use crate::function::Function;
use crate::sync::timer::{self, Alarm};
use crate::task::completion::{self, Left};
use crate::task::large::poll_result;
use crate::task::state::Phase;
use crate::task::{Awaited, Failure, Owner, Permits, Queued, current, incidents};

/// See the [module](self).
pub(super) struct Sent {
    function: &'static Function,
    task: Awaited,
    alarm: Option<Alarm>,
    /// The waker was registered when the call was submitted, in its first poll, which need not do so again.
    has_waker: bool,
    answered: bool,
    /// It goes on when this is dropped.
    is_started: bool,
}

/// A deadline has passed.
enum Late {
    Expired(Error),
    /// But the call has ended just now.
    Done,
}

pub(super) fn polled_again() -> ! {
    panic!("a call was polled after it gave its answer")
}

/// What a poll of a call comes to. One that has not ended is given to `keep`.
pub(super) fn answer<T: Send + 'static>(
    mut sent: Sent,
    cx: &mut Context<'_>,
    fail: Option<fn(Error) -> T>,
    keep: impl FnOnce(Sent),
) -> Poll<T> {
    let function = sent.function;
    let poll = move |place: &mut dyn Any| {
        let polled = sent.poll(cx, place);
        if polled.is_pending() {
            keep(sent);
        }
        polled
    };
    poll_result(poll, identity, |failure| answer_failure(function, fail, failure))
}

/// The answer of a call that was not made.
pub(super) fn answer_rejected<T>(
    function: &'static Function,
    fail: Option<fn(Error) -> T>,
    failure: Failure,
) -> Poll<T> {
    count_rejected(function, &failure);
    Poll::Ready(answer_failure(function, fail, failure))
}

fn answer_failure<T>(function: &Function, fail: Option<fn(Error) -> T>, failure: Failure) -> T {
    match failure {
        Failure::Error(error) => answer_error(fail, error),
        Failure::Panic(payload, ran) => match fail {
            Some(fail) if function.catches_panics() => {
                fail(Error::panicked(function.name(), payload, ran))
            }
            _ => resume_unwind(payload),
        },
    }
}

/// The answer in place of a result; `fail` makes one, where it can carry an error.
fn answer_error<T>(fail: Option<fn(Error) -> T>, error: Error) -> T {
    match fail {
        Some(fail) => fail(error),
        None => panic_infallible(&error),
    }
}

/// The last item of a stream, where it is one of a failure: a panic, too, where items can carry it.
pub(super) fn last<T>(function: &Function, fail: Option<fn(Error) -> T>, failure: Failure) -> T {
    match (failure, fail) {
        (Failure::Error(error), fail) => answer_error(fail, error),
        (Failure::Panic(payload, ran), Some(fail)) => {
            fail(Error::panicked(function.name(), payload, ran))
        }
        (Failure::Panic(payload, _), None) => resume_unwind(payload),
    }
}

/// A call whose result cannot carry an error.
fn panic_infallible(error: &Error) -> ! {
    panic!("{error}")
}

/// A call was answered by an error.
pub(super) fn count(function: &'static Function, error: &Error) {
    completion::count_error(Owner::about(function), error);
}

/// A call was not made.
pub(super) fn count_rejected(function: &'static Function, failure: &Failure) {
    match failure {
        Failure::Error(error) => count(function, error),
        Failure::Panic(payload, _) => {
            // No body of it has started, of which it would be the panic.
            Owner::about(function).count(|counts| &counts.rejected);
            incidents::note_panic(function.name(), payload);
        }
    }
}

impl Sent {
    /// At the first poll: the task is submitted, with its request if that was written already. It fails if the system denies
    /// the timer its thread.
    pub(super) fn new(
        function: &'static Function,
        task: Awaited,
        written: Option<&Written>,
        cx: &mut Context<'_>,
    ) -> Result<Sent, Error> {
        let alarm = admission::alarm(&task, cx.waker())?;
        task.meta().waker.register(cx.waker());
        let sent =
            Sent { function, task, alarm, has_waker: true, answered: false, is_started: false };
        Owner::about(function).count(|counts| &counts.submitted);
        sent.task.meta().set_under_way();
        admission::submit(function, &sent.task, written);
        Ok(sent)
    }

    /// The same of a call that is woken for each item.
    pub(super) fn of_items(mut self) -> Sent {
        self.has_waker = false;
        self
    }

    /// Queues the next part of a body that runs in several.
    pub(super) fn submit_again(&self) {
        admission::submit(self.function, &self.task, None);
    }

    /// Whether the call has ended, and was not only answered.
    pub(super) fn has_ended(&self) -> bool {
        self.task.meta().state.is_done()
    }

    /// The task is submitted, and nobody waits for it yet.
    pub(super) fn start(function: &'static Function, task: Awaited) -> Sent {
        let sent = Sent {
            function,
            task,
            alarm: None,
            has_waker: false,
            answered: false,
            is_started: true,
        };
        Owner::about(function).count(|counts| &counts.submitted);
        sent.task.meta().set_spawned();
        sent.task.meta().set_under_way();
        function.executor().submit(Queued::new(Arc::clone(&sent.task)));
        sent
    }

    /// Ready when the call has ended: its result is moved to `result`, an
    /// `Option`, or there is a failure.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        result: &mut dyn Any,
    ) -> Poll<Option<Failure>> {
        let failure = if self.is_done(cx) {
            self.task.take(result)
        } else if let Some(late) = self.look_at_the_clock(cx) {
            match late {
                Late::Expired(error) => Some(Failure::Error(error)),
                Late::Done => self.task.take(result),
            }
        } else {
            // A call that was made in a body had its thread from the start.
            if !self.is_started && self.task.meta().callers.is_none() {
                if let Some(error) = self.wait_in_body() {
                    return Poll::Ready(Some(Failure::Error(error)));
                }
            }
            self.see_to_threads(cx);
            return Poll::Pending;
        };
        self.answered = true;
        if let Some(Failure::Error(error)) = &failure {
            count(self.function, error);
        }
        Poll::Ready(failure)
    }

    /// The same of a call that was started. A panic of the body is an error.
    pub(super) fn poll_started(
        &mut self,
        cx: &mut Context<'_>,
        result: &mut dyn Any,
    ) -> Poll<Option<Error>> {
        let name = self.function.name();
        if !self.task.meta().state.is_over() {
            if let Some(error) = self.wait_in_body() {
                return Poll::Ready(Some(error));
            }
        }
        if self.task.meta().state.is_cancelled_unstarted() {
            self.answered = true;
            return Poll::Ready(Some(Error::cancelled(name)));
        }
        if self.alarm.is_none() {
            // The timer's thread is there, since the call was started.
            let due = [self.start_by(), self.task.meta().answer_by()].into_iter().flatten().min();
            self.alarm = due.and_then(|due| Alarm::new(due, cx.waker()).ok());
        }
        let failure = ready!(self.poll(cx, result));
        Poll::Ready(failure.map(|failure| match failure {
            Failure::Error(error) => error,
            Failure::Panic(payload, ran) => Error::panicked(name, payload, ran),
        }))
    }

    /// If a body waits for it, another thread takes that body's place. An error: it would wait for
    /// ever.
    fn wait_in_body(&mut self) -> Option<Error> {
        let callers = current::caller()?;
        let Some(gate) = admission::waits_for_ever(self.function, &callers) else {
            admission::stand_in(self.function, &callers);
            let meta = self.task.meta();
            if meta.is_gated && meta.state.is_unstarted() {
                // As where a call that blocks a body waits at a gate.
                callers.stand_in_for_all();
            }
            return None;
        };
        let left = completion::cancel_unstarted(&self.task)?;
        self.answered = true;
        self.clean_up(left, true);
        let error = gate.deadlock(self.function.name());
        count(self.function, &error);
        Some(error)
    }

    /// What the call has made and nobody takes is dropped by a thread of a pool.
    pub(super) fn leave(&self) {
        if self.task.has_drop_glue() {
            threads::THREAD.clear(Arc::clone(&self.task));
        }
    }

    /// If it has not started, it will not; if it runs, its body is told so.
    pub(super) fn cancel(&self) {
        match completion::cancel_started(&self.task) {
            Some(left) => self.clean_up(left, true),
            None => self.function.executor().cancel(&self.task),
        }
    }

    /// The label of its function.
    pub(super) fn name(&self) -> &'static str {
        self.function.name()
    }

    /// Whether its answer is there.
    pub(super) fn is_finished(&self) -> bool {
        let meta = self.task.meta();
        let is_past = |by: Option<Instant>| by.is_some_and(|by| by <= Instant::now());
        meta.state.is_over() || is_past(meta.answer_by()) || is_past(self.start_by())
    }

    /// It is not started after this, if it has not been.
    fn start_by(&self) -> Option<Instant> {
        let meta = self.task.meta();
        meta.start_by().filter(|_| meta.state.is_unstarted())
    }

    /// Whether the call has ended. If not, this waker is woken when it does.
    fn is_done(&mut self, cx: &mut Context<'_>) -> bool {
        let meta = self.task.meta();
        if meta.state.is_done() {
            return true;
        }
        if mem::take(&mut self.has_waker) {
            return false;
        }
        meta.waker.register(cx.waker());
        // Once more: whoever ends it takes the waker after it has said so.
        meta.state.is_done()
    }

    /// If the system denies threads, the pool asks for them again. If it denies those that
    /// see to that, too, this task is all that moves.
    fn see_to_threads(&mut self, cx: &mut Context<'_>) {
        let executor = self.function.executor();
        let is_tended = executor.is_tended() && (self.alarm.is_none() || timer::is_running());
        // The body that waits for this call may have the pool's only thread, and the system starts no other: then
        // the call is run here, on the body's thread.
        let meta = self.task.meta();
        let is_in_body = meta.callers.is_some() || (self.is_started && current::is_in_body());
        if is_in_body && !meta.is_gated && executor.is_denied() {
            let task = Queued::new(Arc::clone(&self.task));
            if completion::run(task, Permits::NONE, None, Instant::now()).is_some() {
                // What is left in the queue is a shell.
                executor.forget(&self.task, Phase::Queued);
            }
            cx.waker().wake_by_ref();
        }
        if !is_tended {
            cx.waker().wake_by_ref();
        }
    }

    /// Whether a deadline has passed.
    fn look_at_the_clock(&mut self, cx: &mut Context<'_>) -> Option<Late> {
        let alarm = self.alarm.take()?;
        let now = Instant::now();
        if now < alarm.at() {
            if !alarm.set_waker(cx.waker()) {
                cx.waker().wake_by_ref();
            }
            self.alarm = Some(alarm);
            return None;
        }
        let (meta, name) = (self.task.meta(), self.function.name());
        let waited = now.saturating_duration_since(meta.since);
        if meta.start_by().is_some_and(|start_by| start_by <= now) {
            if let Some(left) = completion::cancel_unstarted(&self.task) {
                self.clean_up(left, true);
                return Some(Late::Expired(Error::expired_in_queue(name, waited, Ran::No)));
            }
        }
        let answer_by = meta.answer_by()?;
        if answer_by > now {
            // It started in time.
            self.alarm = Alarm::new(answer_by, cx.waker()).ok();
            return None;
        }
        let left = self.let_go();
        if left.phase == Phase::Done {
            return Some(Late::Done);
        }
        let ran = self.function.executor().ran(&self.task);
        self.clean_up(left, !self.task.meta().about().is_detached);
        Some(Late::Expired(match self.task.meta().about().is_detached {
            true => Error::expired_detached(name, waited),
            false => Error::expired_running(name, waited, ran),
        }))
    }

    /// Nobody awaits it any more.
    fn let_go(&self) -> Left {
        match self.task.meta().about().is_detached {
            true => completion::detach(&self.task),
            false => completion::cancel(&self.task),
        }
    }

    /// What was let go is forgotten, stopped or dropped where it is.
    fn clean_up(&self, left: Left, is_cancelled: bool) {
        let executor = self.function.executor();
        if is_cancelled {
            match left.phase {
                Phase::Queued | Phase::Waiting => executor.forget(&self.task, left.phase),
                Phase::Running => executor.cancel(&self.task),
                Phase::Suspended | Phase::Done => {}
            }
        }
        // A destructor is foreign code, and this may be the thread of an event loop.
        if let Some(leftover) = left.leftover {
            threads::THREAD.clear(leftover);
        }
    }
}

impl Drop for Sent {
    /// Drop is cancel, but of what was started.
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let (about, is_started) = (self.task.meta().about(), self.is_started);
        let left = if is_started { completion::detach(&self.task) } else { self.let_go() };
        // It is looked at when it is this end's.
        let error = (left.phase == Phase::Done).then(|| self.task.error()).flatten();
        if let Some(error) = error {
            // A rejection that nobody looks at. How far one was that expired is counted already.
            match error.kind() {
                _ if is_started => count(self.function, &error),
                ErrorKind::TimedOut => {}
                _ => about.count(|counts| &counts.cancelled),
            }
        }
        self.clean_up(left, !is_started && !about.is_detached);
    }
}
