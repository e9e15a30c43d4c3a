//! Calls that are started at once, and the handle by which one waits for them.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use super::admission;
use super::sent::{Sent, count, ended_without, polled_again};
use crate::error::Error;
use crate::function::Function;
use crate::sync::foreign::drop_quietly;
use crate::system::abort::Unpoisoned;
use crate::system::fork;
use crate::task;
use crate::task::context::Captured;
use crate::task::large::{Place, is_large, to_heap};
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
/// have which are awaited.
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

enum State {
    Sent(Sent),
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
    match is_large::<F>() {
        true => start_small(function, to_heap(body)),
        false => start_small(function, body),
    }
}

fn start_small<F, T>(function: &'static Function, body: F) -> Started<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let state = match admit(function) {
        Ok((meta, captured)) => {
            State::Sent(Sent::start(function, task::maker()(meta, captured, body)))
        }
        Err(error) => {
            // This thread may unwind, or be that of an event loop.
            drop_quietly(body);
            State::Rejected(error)
        }
    };
    Started { state, result: PhantomData }
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
    /// Of a call that cannot be made.
    pub(crate) fn rejected(error: Error) -> Started<T> {
        Started { state: State::Rejected(error), result: PhantomData }
    }

    /// Ends the call: one that has not started never does, and gives an [`Error`] of the kind
    /// [`Cancelled`](crate::ErrorKind::Cancelled). For a body that runs,
    /// [`is_cancelled`](crate::is_cancelled) is true from now on, and what it returns then is what
    /// the handle gives. After the end of the body it has no effect.
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
        if let State::Sent(sent) = &self.state {
            sent.cancel();
        }
    }

    /// Whether the handle gives its answer at once.
    pub fn is_finished(&self) -> bool {
        match &self.state {
            State::Sent(sent) => sent.is_finished(),
            State::Rejected(_) | State::Done => true,
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
            State::Sent(sent) => {
                let name = sent.name();
                mem::forget(sent);
                Error::forked(name)
            }
            State::Rejected(error) => error,
            State::Done => polled_again(),
        }
    }
}

impl<T: Send + 'static> Future for Started<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let mut result = Place::<T>::new();
        let error = match &mut self.state {
            State::Sent(sent) => ready!(sent.poll_started(cx, result.as_any())),
            State::Rejected(_) => None,
            State::Done => polled_again(),
        };
        Poll::Ready(match (mem::replace(&mut self.state, State::Done), error) {
            (State::Rejected(error), _) | (_, Some(error)) => Err(error),
            (_, None) => Ok(result.result().unwrap_or_else(|| ended_without())),
        })
    }
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
