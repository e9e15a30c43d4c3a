//! The future of one call: from the first poll to the answer, or to the drop.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use std::{fmt, mem};

use crate::admission::{self, Way};
use crate::error::{Error, ErrorKind, Ran};
use crate::function::{Function, count};
use crate::job::{self, Handle, Job};
use crate::outcome::{Failure, Outcome};
use crate::pools::{CPU, THREAD};
use crate::timer::{self, Alarm};

static TO_THREAD: Function = Function::thread("to_thread", &THREAD).mixed();
static TO_CPU: Function = Function::cpu("to_cpu", &CPU).mixed();

/// Runs a closure that waits (for files, locks, drivers without async) on the
/// thread pool, and returns what it returns.
///
/// The same as calling a function with `#[offload(thread)]`. Nothing happens
/// before the first poll; it works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload.
///
/// # Cancel safety
///
/// Dropped while it waits for a thread, the closure never runs. Dropped while
/// the closure runs, the closure runs to its end on the pool, and its result
/// is dropped there.
///
/// ```
/// # futures::executor::block_on(async {
/// let host = offload_runtime::to_thread(|| std::fs::read_to_string("/etc/hostname")).await;
/// # let _ = host;
/// # });
/// ```
pub fn to_thread<F, T>(closure: F) -> Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Call::new(&TO_THREAD, closure)
}

/// Runs a closure that computes on the CPU pool, and returns what it returns.
///
/// The same as calling a function with `#[offload(cpu)]`. Nothing happens
/// before the first poll; it works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload.
///
/// # Cancel safety
///
/// Dropped while it waits for a thread, the closure never runs. Dropped while
/// the closure runs, the closure runs to its end on the pool, and its result
/// is dropped there.
///
/// ```
/// # futures::executor::block_on(async {
/// let sum = offload_runtime::to_cpu(|| (0..1_000_000_u64).map(u64::isqrt).sum::<u64>()).await;
/// assert_eq!(sum, 666_166_500);
/// # });
/// ```
pub fn to_cpu<F, T>(closure: F) -> Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Call::new(&TO_CPU, closure)
}

/// One call of an offloaded function or closure, for awaiting.
///
/// It has no bounds of its own, so that a type that is not `Send` is reported
/// once, where it is written.
#[must_use = "a call does nothing unless it is awaited"]
pub struct Call<F, T> {
    function: &'static Function,
    /// Makes a result of an error, where the result can carry one.
    fail: Option<fn(Error) -> T>,
    state: State<F, T>,
}

enum State<F, T> {
    /// Not polled yet.
    Lazy(F),
    /// On its way to a thread and back.
    Sent(Sent<T>),
    /// The answer was given.
    Done,
}

struct Sent<T> {
    handle: Handle<T>,
    /// The waker that the job wakes at its end; none, if it was started when
    /// there came another, which `handle` wakes.
    told: Option<(usize, usize)>,
    /// The job, if it blocks a body on this thread and waits for its permit.
    blocking: Option<Box<Blocked>>,
    alarm: Option<Alarm>,
    /// Drops a result where it was made.
    discard: fn(&'static Function, Outcome<T>),
}

/// A job that blocks a body, and is to run beside the pool.
struct Blocked {
    job: Job,
    /// See [`Blocking`](crate::limiter::Blocking).
    number: u64,
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
            // Only a shutdown and a deadlock end an infallible call so, and a
            // setting that makes no sense.
            None => panic!("{error}"),
        }
    }
}

// Neither the body nor the result is pinned: both are moved.
impl<F, T> Unpin for Call<F, T> {}

impl<F, T> Future for Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if matches!(self.state, State::Lazy(_)) {
            let State::Lazy(body) = mem::replace(&mut self.state, State::Done) else {
                unreachable!("looked at above")
            };
            match start(self.function, body, cx.waker()) {
                Ok(sent) => self.state = State::Sent(sent),
                Err(error) => return Poll::Ready(self.answer(error)),
            }
        }
        let function = self.function;
        let State::Sent(sent) = &mut self.state else {
            panic!("a call was polled after it gave its answer");
        };
        let Poll::Ready(end) = sent.poll(function, cx) else {
            return Poll::Pending;
        };
        let State::Sent(sent) = mem::replace(&mut self.state, State::Done) else {
            unreachable!("looked at above")
        };
        let answer = match end {
            End::Answer(answer) => answer,
            End::Expired(error) => {
                // The last moment to take a result that has come just now.
                let outcome = sent.let_go(function);
                outcome.map_or(Err(Failure::Refusal(error)), Outcome::into_result)
            }
        };
        Poll::Ready(match answer {
            Ok(result) => result,
            Err(Failure::Panic(payload)) => resume_unwind(payload),
            Err(Failure::Refusal(error)) => {
                let counts = &function.counts;
                let timed_out = error.kind() == ErrorKind::TimedOut;
                count(if timed_out { &counts.timed_out } else { &counts.refused });
                self.answer(error)
            }
        })
    }
}

/// The first poll: the call is admitted, and a job made and sent.
fn start<F, T>(function: &'static Function, body: F, waker: &Waker) -> Result<Sent<T>, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (mut meta, way) = admission::admit(function)?;
    meta.set_waker(waker.clone());
    let alarm = admission::alarm(&meta, waker)?;
    let (job, handle) = job::new(meta, body);
    let told = Some(identity(waker));
    let mut sent = Sent { handle, told, blocking: None, alarm, discard };
    match way {
        Way::Queue => admission::send(function, job),
        Way::Aside => {
            let number = admission::blocking_number();
            sent.blocking = Some(Box::new(Blocked { job, number }));
        }
    }
    Ok(sent)
}

/// What tells a waker from others, as long as the one or a clone of it lives.
fn identity(waker: &Waker) -> (usize, usize) {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

/// How a call ends.
enum End<T> {
    Answer(Answer<T>),
    /// Without an answer in time.
    Expired(Error),
}

impl<T> Sent<T> {
    fn poll(&mut self, function: &'static Function, cx: &mut Context<'_>) -> Poll<End<T>> {
        if let Some(blocked) = self.blocking.take() {
            match admission::permit_aside(&blocked.job, blocked.number, cx.waker()) {
                Ok(true) => function.pool().run_aside(blocked.job),
                Ok(false) => self.blocking = Some(blocked),
                Err(error) => drop(job::refuse(blocked.job, error, Instant::now())),
            }
        }
        if let Poll::Ready(outcome) = self.poll_handle(cx) {
            return Poll::Ready(End::Answer(outcome.into_result()));
        }
        if let Some(error) = self.look_at_the_clock(function, cx) {
            return Poll::Ready(End::Expired(error));
        }
        // If the system refuses threads, the timer asks for them again. If it
        // refuses the timer its own, this task is all that moves.
        if !timer::is_running() {
            cx.waker().wake_by_ref();
        }
        function.pool().look_if_forsaken();
        self.step_aside(function, cx);
        Poll::Pending
    }

    /// The outcome, or a wake-up when it is there.
    fn poll_handle(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        if let Some(told) = self.told {
            let new = identity(cx.waker());
            let is_told = told == new || self.handle.metadata().replace_waker(cx.waker());
            self.told = is_told.then_some(new);
            // In this order: a job that ends from now on wakes the right one.
            if is_told && !self.handle.is_finished() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.handle).poll(cx)
    }

    /// A call that blocks a body must not wait for a thread that the system
    /// refuses: the body may have the only one.
    fn step_aside(&mut self, function: &'static Function, cx: &mut Context<'_>) {
        let meta = self.handle.metadata();
        if meta.callers().is_some()
            && self.blocking.is_none()
            && function.limiter().is_none()
            && function.pool().is_refused()
            && let Some(job) = meta.withdraw()
        {
            function.pool().run_aside(job);
            cx.waker().wake_by_ref();
        }
    }

    /// The error, if a deadline has passed.
    fn look_at_the_clock(
        &mut self,
        function: &'static Function,
        cx: &mut Context<'_>,
    ) -> Option<Error> {
        let alarm = self.alarm.take()?;
        let now = Instant::now();
        if now < alarm.at() {
            if !alarm.set_waker(cx.waker()) {
                cx.waker().wake_by_ref();
            }
            self.alarm = Some(alarm);
            return None;
        }
        let meta = self.handle.metadata();
        let waited = now.saturating_duration_since(meta.since);
        let answer_by = meta.answer_by;
        if meta.start_by.is_some_and(|start_by| start_by <= now) && self.is_unstarted() {
            return Some(Error::expired_in_queue(function.name(), waited, Ran::No));
        }
        if answer_by? > now {
            // It started in time.
            self.alarm = Alarm::new(answer_by?, cx.waker()).ok();
            return None;
        }
        Some(if function.is_detached() {
            Error::expired_detached(function.name(), waited)
        } else {
            Error::expired_running(function.name(), waited)
        })
    }

    /// Whether its body has not started, and will not.
    fn is_unstarted(&mut self) -> bool {
        let withdrawn = self.withdraw();
        #[cfg(feature = "process")]
        let withdrawn = withdrawn || self.handle.metadata().forbid_remote();
        withdrawn
    }

    /// Drops the job, if it waits somewhere.
    fn withdraw(&mut self) -> bool {
        if let Some(blocked) = self.blocking.take() {
            admission::forget_blocking(&blocked.job, blocked.number);
            job::discard(blocked.job);
            return true;
        }
        self.handle.metadata().withdraw().map(job::discard).is_some()
    }

    /// Nobody waits any more. If the result is there already, it is returned.
    fn let_go(mut self, function: &'static Function) -> Option<Outcome<T>> {
        if function.is_detached() {
            // A call that blocks a body cannot go on without it.
            if self.blocking.is_some() {
                self.withdraw();
            }
            if !self.handle.is_finished() {
                self.handle.detach();
                return None;
            }
        }
        if self.blocking.is_some() {
            self.withdraw();
        } else if let Some(job) = self.handle.metadata().cancel() {
            job::discard(job);
        }
        // Closes the task, at the first poll: its body will not start, or its
        // result be dropped by the thread that runs it.
        let closing = pin!(self.handle.cancel());
        match closing.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => None,
        }
    }
}

type Answer<T> = Result<T, Failure>;

impl<F, T> Drop for Call<F, T> {
    /// Drop is cancel.
    fn drop(&mut self) {
        let State::Sent(sent) = mem::replace(&mut self.state, State::Done) else {
            return;
        };
        let discard = sent.discard;
        if let Some(outcome) = sent.let_go(self.function) {
            discard(self.function, outcome);
        }
    }
}

/// A result that nobody awaits is dropped where it was made: its destructor
/// may block or compute as the body did.
fn discard<T: Send + 'static>(function: &'static Function, mut outcome: Outcome<T>) {
    let runtime = outcome.take_runtime();
    let result = outcome.into_result();
    if mem::needs_drop::<T>() || result.is_err() {
        function.pool().drop_there(result, runtime);
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
