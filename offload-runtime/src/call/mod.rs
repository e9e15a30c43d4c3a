//! The future of one call: from the first poll to the answer, or to the drop.

mod admission;

use std::any::Any;
use std::future::Future;
use std::panic::{UnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use std::{fmt, mem};

use self::admission::Admitted;
use crate::error::{Error, ErrorKind, Ran};
use crate::executor::threads;
use crate::function::Function;
use crate::sync::timer::{self, Alarm};
use crate::task::completion::{self, Left};
use crate::task::state::Phase;
use crate::task::{self, Awaited, Failure, Owner, Queued};

/// One call of an offloaded function or closure, for awaiting.
///
/// It has no bounds of its own, so that a type that is not `Send` is reported
/// once, where it is written.
#[must_use = "a call does nothing unless it is awaited"]
pub struct Call<F, T> {
    function: &'static Function,
    /// Makes a result of an error, where the result can carry one.
    fail: Option<fn(Error) -> T>,
    state: State<F>,
}

enum State<F> {
    /// Not polled yet.
    Lazy(F),
    /// On its way to a thread and back.
    Sent(Sent),
    /// The answer was given.
    Done,
}

/// A call that is on its way; of which types is not known here.
struct Sent {
    function: &'static Function,
    task: Awaited,
    alarm: Option<Alarm>,
    /// The task has the waker of this poll, which is the first.
    has_waker: bool,
    answered: bool,
}

/// A deadline has passed.
enum Late {
    Expired(Error),
    /// But the call has ended just now.
    Done,
}

impl<F, T> Call<F, T> {
    /// A call of `function`, whose body with its arguments is `body`.
    pub(crate) fn new(function: &'static Function, body: F) -> Call<F, T> {
        Call { function, fail: None, state: State::Lazy(body) }
    }

    /// As [`new`](Self::new), where the result can carry an error.
    pub(crate) fn fallible(
        function: &'static Function,
        body: F,
        fail: fn(Error) -> T,
    ) -> Call<F, T> {
        Call { function, fail: Some(fail), state: State::Lazy(body) }
    }

    /// The answer in place of a result.
    fn answer(&self, error: Error) -> T {
        match self.fail {
            Some(fail) => fail(error),
            None => panic_infallible(&error),
        }
    }
}

/// A call whose result cannot carry an error.
fn panic_infallible(error: &Error) -> ! {
    panic!("{error}")
}

// Neither the body nor the result is pinned: both are moved.
impl<F, T> Unpin for Call<F, T> {}

// What a task shares has one owner at a time, and nothing of it is left half done.
impl<F: UnwindSafe, T> UnwindSafe for Call<F, T> {}

impl<F, T> Future for Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let function = self.function;
        let mut sent = match mem::replace(&mut self.state, State::Done) {
            State::Sent(sent) => sent,
            State::Lazy(body) => match admission::admit(function, cx.waker()) {
                Ok(Admitted { meta, captured, alarm }) => {
                    let task = task::task(meta, captured, body);
                    Sent::new(function, task, alarm, cx)
                }
                Err(error) => {
                    count(function, &error);
                    return Poll::Ready(self.answer(error));
                }
            },
            State::Done => polled_again(),
        };
        let mut result: Option<T> = None;
        match sent.poll(cx, &mut result) {
            Poll::Pending => {
                self.state = State::Sent(sent);
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(result.unwrap_or_else(|| ended_without())),
            Poll::Ready(Some(error)) => Poll::Ready(self.answer(error)),
        }
    }
}

fn polled_again() -> ! {
    panic!("a call was polled after it gave its answer")
}

fn ended_without() -> ! {
    unreachable!("a call that ended has a result, or says why not")
}

/// A call was answered by an error.
fn count(function: &'static Function, error: &Error) {
    let is_late = error.kind() == ErrorKind::TimedOut;
    let about = Owner::about(function);
    about.count(|counts| if is_late { &counts.timed_out } else { &counts.refused });
}

impl Sent {
    /// At the first poll: the task is submitted.
    fn new(
        function: &'static Function,
        task: Awaited,
        alarm: Option<Alarm>,
        cx: &mut Context<'_>,
    ) -> Sent {
        task.meta().waker.register(cx.waker());
        let sent = Sent { function, task, alarm, has_waker: true, answered: false };
        admission::submit(function, &sent.task);
        sent
    }

    /// Ready when the call has ended: its result is moved to `result`, an
    /// `Option`, or there is an error. A panic of the body goes on.
    fn poll(&mut self, cx: &mut Context<'_>, result: &mut dyn Any) -> Poll<Option<Error>> {
        let failure = if self.is_done(cx) {
            self.task.take(result)
        } else if let Some(late) = self.look_at_the_clock(cx) {
            match late {
                Late::Expired(error) => Some(Failure::Error(error)),
                Late::Done => self.task.take(result),
            }
        } else {
            self.see_to_threads(cx);
            return Poll::Pending;
        };
        self.answered = true;
        Poll::Ready(match failure {
            None => None,
            Some(Failure::Panic(payload)) => resume_unwind(payload),
            Some(Failure::Error(error)) => {
                count(self.function, &error);
                Some(error)
            }
        })
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

    /// If the system refuses threads, the pool asks for them again. If it refuses those that
    /// see to that, too, this task is all that moves.
    fn see_to_threads(&mut self, cx: &mut Context<'_>) {
        let executor = self.function.executor();
        let is_tended = executor.is_tended() && (self.alarm.is_none() || timer::is_running());
        // A call that blocks a body must not wait for a thread that the system refuses: the
        // body may have the only one.
        let meta = self.task.meta();
        if meta.callers.is_some() && !meta.is_gated && executor.is_refused() {
            let task = Queued::new(Arc::clone(&self.task));
            if completion::run(task, None, None, Instant::now()).is_some() {
                // What is left in the queue is a shell.
                executor.forget_one();
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
        if meta.start_by().is_some_and(|start_by| start_by <= now)
            && let Some(left) = completion::cancel_unstarted(&self.task)
        {
            self.clean_up(left);
            return Some(Late::Expired(Error::expired_in_queue(name, waited, Ran::No)));
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
        self.clean_up(left);
        Some(Late::Expired(match self.task.meta().about().is_detached {
            true => Error::expired_detached(name, waited),
            false => Error::expired_running(name, waited),
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
    fn clean_up(&self, left: Left) {
        let executor = self.function.executor();
        if !self.task.meta().about().is_detached {
            match left.phase {
                Phase::Queued => executor.forget_one(),
                Phase::Running => executor.cancel(&self.task),
                Phase::Waiting | Phase::Done => {}
            }
        }
        // A destructor is foreign code, and this may be the thread of an event loop.
        if let Some(leftover) = left.leftover {
            threads::THREAD.clear(leftover);
        }
    }
}

impl Drop for Sent {
    /// Drop is cancel.
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let left = self.let_go();
        let is_refused = |kind| kind != ErrorKind::TimedOut;
        if left.phase == Phase::Done && self.task.error().is_some_and(is_refused) {
            // A refusal that nobody looks at; one that expired was counted when it was made.
            self.task.meta().about().count(|counts| &counts.cancelled);
        }
        self.clean_up(left);
    }
}

impl<F, T> fmt::Debug for Call<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Lazy(_) => "lazy",
            State::Sent(_) => "sent",
            State::Done => "done",
        };
        f.debug_struct("Call")
            .field("function", &self.function.name())
            .field("state", &state)
            .finish()
    }
}
