//! The future of one call: from the first poll to the answer, or to the drop.

use std::any::Any;
use std::future::Future;
use std::panic::{UnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use std::{fmt, mem};

use crate::admission::{self, Admitted, Way};
use crate::counts::count;
use crate::error::{Error, ErrorKind, Ran};
use crate::function::Function;
use crate::job::{self, Awaited, Job};
use crate::linger::{self, Waiting};
use crate::outcome::Failure;
use crate::perform;
use crate::pools::{CPU, THREAD};
use crate::reply::Ended;
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
    work: Awaited,
    /// The job, if it blocks a body on this thread and waits for its permit.
    blocking: Option<Box<Blocked>>,
    alarm: Option<Alarm>,
    /// There from when it was pending first.
    waiting: Option<Waiting>,
    /// The job has the waker of this poll, which is the first.
    has_waker: bool,
    answered: bool,
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
            None => refuse_infallible(&error),
        }
    }
}

/// Only a shutdown and a deadlock end an infallible call so, and a setting that
/// makes no sense.
fn refuse_infallible(error: &Error) -> ! {
    panic!("{error}")
}

// Neither the body nor the result is pinned: both are moved.
impl<F, T> Unpin for Call<F, T> {}

// What a job shares it keeps under locks, and nothing of it is left half done.
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
            State::Lazy(body) => {
                let sent = set_out(function, cx.waker()).and_then(|(admitted, waker)| {
                    let (way, lingers) = (admitted.way, waker.is_none());
                    let (job, work) = Job::new(function, admitted, waker, body);
                    Sent::new(job, work, way, lingers, cx.waker())
                });
                match sent {
                    Ok(sent) => sent,
                    Err(error) => return Poll::Ready(self.answer(error)),
                }
            }
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

/// What is known of a call that is made now, and who is to be woken when it has
/// ended: nobody, if it is waited for on the spot.
fn set_out(function: &'static Function, waker: &Waker) -> Result<(Admitted, Option<Waker>), Error> {
    let admitted = admission::admit(function)?;
    let lingers = matches!(admitted.way, Way::Queue) && linger::may_linger(function);
    Ok((admitted, (!lingers).then(|| waker.clone())))
}

fn polled_again() -> ! {
    panic!("a call was polled after it gave its answer")
}

fn ended_without() -> ! {
    unreachable!("a call that ended has a result, or says why not")
}

/// How a call ends.
enum End {
    /// With a result, or a failure.
    Ended(Ended),
    /// Without an answer in time.
    Expired(Error),
}

impl Sent {
    /// At the first poll: the job is sent.
    fn new(job: Job, work: Awaited, way: Way, lingers: bool, waker: &Waker) -> Result<Sent, Error> {
        let alarm = match admission::alarm(work.meta(), waker) {
            Ok(alarm) => alarm,
            Err(error) => {
                job::drop_body(&*job.begin());
                return Err(error);
            }
        };
        let mut sent = Sent {
            work,
            blocking: None,
            alarm,
            waiting: None,
            has_waker: !lingers,
            answered: false,
        };
        match way {
            Way::Queue => admission::send(job),
            Way::Aside => {
                let number = admission::blocking_number();
                sent.blocking = Some(Box::new(Blocked { job, number }));
            }
        }
        if lingers {
            linger::linger(sent.work.meta());
        }
        Ok(sent)
    }

    /// Ready when the call has ended: its result is moved to `result`, an
    /// `Option`, or there is an error. A panic of the body goes on.
    fn poll(&mut self, cx: &mut Context<'_>, result: &mut dyn Any) -> Poll<Option<Error>> {
        let Poll::Ready(end) = self.poll_end(cx) else {
            if self.waiting.is_none() {
                self.waiting = linger::begin_to_wait();
            }
            return Poll::Pending;
        };
        let failure = match end {
            End::Ended(ended) => self.take(ended, result),
            // The last moment to take a result that has come just now.
            End::Expired(error) => match self.let_go() {
                Ended::Not => Some(Failure::Refusal(error)),
                ended => self.take(ended, result),
            },
        };
        self.answered = true;
        Poll::Ready(match failure {
            None => None,
            Some(Failure::Panic(payload)) => resume_unwind(payload),
            Some(Failure::Refusal(error)) => {
                let counts = self.work.meta().function.counts();
                let timed_out = error.kind() == ErrorKind::TimedOut;
                count(if timed_out { &counts.timed_out } else { &counts.refused });
                Some(error)
            }
        })
    }

    fn take(&self, ended: Ended, result: &mut dyn Any) -> Option<Failure> {
        if ended == Ended::Failure {
            return self.work.meta().reply.take_failure();
        }
        self.work.take_result(result);
        None
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Some(blocked) = self.blocking.take() {
            match admission::permit_aside(&blocked.job, blocked.number, cx.waker()) {
                Ok(true) => blocked.job.meta().function.pool().run_aside(blocked.job),
                Ok(false) => self.blocking = Some(blocked),
                Err(error) => perform::refuse(blocked.job, error),
            }
        }
        let reply = &self.work.meta().reply;
        let ended = match mem::take(&mut self.has_waker) {
            true => reply.ended(),
            false => reply.poll(cx.waker()),
        };
        if ended != Ended::Not {
            return Poll::Ready(End::Ended(ended));
        }
        if let Some(error) = self.look_at_the_clock(cx) {
            return Poll::Ready(End::Expired(error));
        }
        // If the system refuses threads, the timer asks for them again. If it
        // refuses the timer its own, this task is all that moves.
        if !timer::is_running() {
            cx.waker().wake_by_ref();
        }
        self.work.meta().function.pool().look_if_forsaken();
        self.step_aside(cx);
        Poll::Pending
    }

    /// A call that blocks a body must not wait for a thread that the system
    /// refuses: the body may have the only one.
    fn step_aside(&mut self, cx: &mut Context<'_>) {
        let meta = self.work.meta();
        let function = meta.function;
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
    fn look_at_the_clock(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let alarm = self.alarm.take()?;
        let now = Instant::now();
        if now < alarm.at() {
            if !alarm.set_waker(cx.waker()) {
                cx.waker().wake_by_ref();
            }
            self.alarm = Some(alarm);
            return None;
        }
        let meta = self.work.meta();
        let (function, answer_by) = (meta.function, meta.answer_by());
        let waited = now.saturating_duration_since(meta.since);
        if meta.start_by().is_some_and(|start_by| start_by <= now) && self.is_unstarted() {
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
        let withdrawn = withdrawn || self.work.meta().forbid_remote();
        withdrawn
    }

    /// Drops the job, if it waits somewhere.
    fn withdraw(&mut self) -> bool {
        if let Some(blocked) = self.blocking.take() {
            admission::forget_blocking(&blocked.job, blocked.number);
            perform::discard(blocked.job);
            return true;
        }
        self.work.meta().withdraw().map(perform::discard).is_some()
    }

    /// Nobody waits any more, unless it has ended already.
    fn let_go(&mut self) -> Ended {
        let meta = self.work.meta();
        if meta.function.is_detached() && self.blocking.is_none() {
            meta.reply.detach();
            return meta.reply.ended();
        }
        // A call that blocks a body cannot go on without it.
        if self.blocking.is_some() {
            self.withdraw();
        }
        // Its body will not start, or its result be dropped by the thread that
        // runs it.
        if let Some(job) = self.work.meta().cancel() {
            perform::discard(job);
        }
        self.work.meta().reply.ended()
    }
}

impl Drop for Sent {
    /// Drop is cancel.
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        match self.let_go() {
            Ended::Not => {}
            Ended::Failure => match self.work.meta().reply.take_failure() {
                Some(Failure::Panic(payload)) => self.drop_there(payload),
                // Counted as cancelled or abandoned when it was made.
                Some(Failure::Refusal(error)) if error.kind() == ErrorKind::TimedOut => {}
                Some(Failure::Refusal(_)) => count(&self.work.meta().function.counts().cancelled),
                None => {}
            },
            Ended::Result if self.work.minds_its_drop() => {
                self.drop_there(Leftover(Arc::clone(&self.work)));
            }
            Ended::Result => {}
        }
    }
}

impl Sent {
    /// What nobody awaits is dropped where it was made: its destructor may
    /// block or compute as the body did.
    fn drop_there(&self, left: impl Send + 'static) {
        let meta = self.work.meta();
        meta.function.pool().drop_there(left, meta.handle.clone());
    }
}

/// A result that nobody took.
struct Leftover(Awaited);

impl Drop for Leftover {
    fn drop(&mut self) {
        self.0.drop_result();
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
