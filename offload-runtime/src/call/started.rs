//! Calls that are started at once, and the handle by which one waits for them.

use std::any::Any;
use std::convert::identity;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::admission;
use super::sent::{Sent, count, polled_again};
use crate::error::Error;
use crate::function::Function;
use crate::sync::foreign::drop_quietly;
use crate::system::abort::Unpoisoned;
use crate::system::fork;
use crate::task;
use crate::task::context::Captured;
use crate::task::large::{Boxed, ended_without, is_large, poll_result};
use crate::task::meta::Meta;

/// A call that was started, as by [`spawn_thread`](crate::spawn_thread), and goes on whether
/// somebody waits for it or not.
///
/// It is a future of `Result<T, Error>`, also where `T` is a `Result` of the body's own: the
/// [`Error`] is a failure of the offload, or a panic of the body. Starting a call never panics:
/// why it was rejected, if it was, is what the handle gives.
///
/// The caller's span and [propagated](crate::propagate) values are those of the moment at which
/// the call was started. It works on any executor, and without one.
///
/// # Cancel safety
///
/// Dropped, the call goes on, and what it comes to is dropped on a thread of a pool;
/// [`cancel`](Self::cancel) ends it. In [`shutdown`](crate::shutdown) it has the grace that calls
/// have which are awaited. Those under way are counted by
/// [`FunctionStats::spawned`](crate::FunctionStats::spawned).
///
/// ```
/// use offload_runtime::spawn_cpu;
///
/// let started = spawn_cpu(|| (1..=20_u64).product::<u64>()); // it runs already
/// # futures::executor::block_on(async {
/// assert_eq!(started.await?, 2_432_902_008_176_640_000);
/// # Ok::<(), offload_runtime::Error>(())
/// # }).unwrap();
/// ```
pub struct Started<T> {
    state: State,
    result: PhantomData<fn() -> T>,
}

/// How far it is; of which types is not known here.
pub(super) enum State {
    Sent(Sent),
    /// The same of a call whose body runs elsewhere, and whose result says whether that went well.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "no body does"))]
    Apart(Sent),
    /// It ran where it was started, and this is its result.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "none does"))]
    Ran(Mutex<Box<dyn Any + Send>>),
    /// It was rejected.
    Rejected(Error),
    /// The answer was given.
    Done,
}

/// So often a thread that waits looks whether somebody is there who would wake it.
const LOOK: Duration = Duration::from_secs(1);

/// Starts a call of `function`, whose body with its arguments is `body`.
pub(crate) fn start<F, T>(function: &'static Function, body: F) -> Started<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // A branch of a constant: the other one is not compiled.
    if const { is_large::<F>() } {
        let body: Boxed<T> = Box::new(body);
        start_small(function, body)
    } else {
        start_small(function, body)
    }
}

fn start_small<F, T>(function: &'static Function, body: F) -> Started<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Started::of(submit(function, body).map_or_else(State::Rejected, State::Sent))
}

/// The same of a call whose body runs elsewhere, and whose result is an [`Error`] if that has failed.
#[cfg(feature = "process")]
pub(crate) fn start_apart<F, T>(function: &'static Function, body: F) -> Started<T>
where
    F: FnOnce() -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    Started::of(submit(function, body).map_or_else(State::Rejected, State::Apart))
}

/// A call that runs where it is started: in a process that is for such bodies.
#[cfg(feature = "process")]
pub(crate) fn run_here<T: Send + 'static>(
    function: &'static Function,
    body: impl FnOnce() -> T,
) -> Started<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Started::of(State::Ran(Mutex::new(Box::new(result)))),
        Err(payload) => {
            let ran = crate::error::Ran::Yes;
            Started::rejected(Error::panicked(function.name(), payload, ran))
        }
    }
}

/// Submits the call, or says why not.
fn submit<F, T>(function: &'static Function, body: F) -> Result<Sent, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match admit(function) {
        Ok((meta, captured)) => Ok(Sent::start(function, task::maker()(meta, captured, body))),
        Err(error) => {
            // This thread may unwind, or be that of an event loop.
            drop_quietly(body);
            Err(error)
        }
    }
}

/// Asks for room for the call.
fn admit(function: &'static Function) -> Result<(Meta, Captured), Error> {
    // It runs foreign code.
    let admit = AssertUnwindSafe(|| admission::admit_started(function));
    let admitted = catch_unwind(admit)
        .unwrap_or_else(|payload| Err(Error::panicked_before(function.name(), payload)));
    admitted.inspect_err(|error| count(function, error))
}

impl<T> Started<T> {
    /// A handle of a call with this result.
    pub(super) fn of(state: State) -> Started<T> {
        Started { state, result: PhantomData }
    }

    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// Of a call that cannot be made.
    pub(super) fn rejected(error: Error) -> Started<T> {
        Started::of(State::Rejected(error))
    }

    /// Ends the call: one that has not started never does, and gives an [`Error`] of the kind
    /// [`Cancelled`](crate::ErrorKind::Cancelled). For a body that runs,
    /// [`is_cancelled`](crate::is_cancelled) is true from now on, and what it returns then is what
    /// the handle gives. A body in another process is killed, at the end of its pool's grace if it has one,
    /// and the handle gives an error of that kind, too. After the end of the body it has no effect.
    ///
    /// ```
    /// use offload_runtime::{ErrorKind, is_cancelled, spawn_cpu};
    ///
    /// let started = spawn_cpu(|| (0_u64..).take_while(|_| !is_cancelled()).count());
    /// started.cancel();
    /// match started.wait() {
    ///     Ok(count) => println!("it got to {count}"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled), // it did not start
    /// }
    /// ```
    pub fn cancel(&self) {
        if let State::Sent(sent) | State::Apart(sent) = &self.state {
            sent.cancel();
        }
    }

    /// Whether the handle gives its answer at once.
    pub fn is_finished(&self) -> bool {
        match &self.state {
            State::Sent(sent) | State::Apart(sent) => sent.is_finished(),
            State::Ran(_) | State::Rejected(_) | State::Done => true,
        }
    }
}

impl<T: Send + 'static> Started<T> {
    /// Blocks this thread until the call has ended: for synchronous code. In async code, await the
    /// handle.
    ///
    /// # Errors
    ///
    /// If the offload failed, or the body panicked.
    ///
    /// # Panics
    ///
    /// If the handle was polled to its end before.
    ///
    /// ```
    /// let started = offload_runtime::spawn_thread(|| std::fs::metadata("/"));
    /// let metadata = started.wait()?;
    /// # drop(metadata);
    /// # Ok::<(), offload_runtime::Error>(())
    /// ```
    pub fn wait(mut self) -> Result<T, Error> {
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = Pin::new(&mut self).poll(&mut cx) {
                return answer;
            }
            let is_given = signal.wait(LOOK);
            if !is_given && fork::is_child(Instant::now()) {
                return Err(self.forked());
            }
        }
    }
}

impl<T> Started<T> {
    /// The threads that would end it are not in this process. It is left as it is: to let go of it
    /// would ask for one.
    fn forked(self) -> Error {
        let mut this = self;
        match mem::replace(&mut this.state, State::Done) {
            State::Sent(sent) | State::Apart(sent) => {
                let name = sent.name();
                mem::forget(sent);
                Error::forked(name)
            }
            State::Rejected(error) => error,
            State::Ran(_) | State::Done => polled_again(),
        }
    }
}

impl<T: Send + 'static> Future for Started<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let state = &mut self.state;
        match state {
            State::Sent(_) => answer(state, cx, Ok),
            State::Apart(_) => answer(state, cx, identity::<Result<T, Error>>),
            State::Ran(_) | State::Rejected(_) | State::Done => answer_at_once(state),
        }
    }
}

/// What a poll of a call comes to that was submitted.
fn answer<T: Send + 'static, R>(
    state: &mut State,
    cx: &mut Context<'_>,
    give: fn(T) -> Result<R, Error>,
) -> Poll<Result<R, Error>> {
    let poll = |place: &mut dyn Any| {
        let (State::Sent(sent) | State::Apart(sent)) = state else {
            unreachable!("only a call that was submitted")
        };
        let polled = sent.poll_started(cx, place);
        if polled.is_ready() {
            *state = State::Done;
        }
        polled
    };
    poll_result(poll, give, Err)
}

/// The answer of one that was not.
fn answer_at_once<T: 'static>(state: &mut State) -> Poll<Result<T, Error>> {
    Poll::Ready(match mem::replace(state, State::Done) {
        State::Ran(result) => {
            let result = result.into_inner().unpoisoned().downcast();
            Ok(*result.unwrap_or_else(|_| ended_without()))
        }
        State::Rejected(error) => Err(error),
        _ => polled_again(),
    })
}

// What a task shares has one owner at a time, and nothing of it is left half done.
impl<T> UnwindSafe for Started<T> {}
impl<T> RefUnwindSafe for Started<T> {}

impl<T> fmt::Debug for Started<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// Wakes a thread that waits. The thread's own token for `park` is left alone.
#[derive(Default)]
struct Signal {
    is_given: Mutex<bool>,
    given: Condvar,
}

impl Signal {
    /// Waits for it so long. Whether it was given.
    fn wait(&self, time: Duration) -> bool {
        let is_given = self.is_given.lock().unpoisoned();
        let waited = self.given.wait_timeout_while(is_given, time, |is_given| !*is_given);
        let (mut is_given, _) = waited.unpoisoned();
        mem::take(&mut *is_given)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_given.lock().unpoisoned() = true;
        self.given.notify_one();
    }
}
