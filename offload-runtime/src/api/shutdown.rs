//! The end of all pools, for the whole process and for good.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::executor;
use crate::function::Function;
use crate::resource::{self, dropping};
use crate::sync::timer::Alarm;
use crate::system::abort::Unpoisoned;
use crate::task::current;

/// How often a shutdown looks whether the calls have ended.
const LOOK: Duration = Duration::from_millis(2);

/// Takes no more calls, waits until those that were taken have ended, and
/// reports.
///
/// From the first poll on, a new call gets an error of the kind
/// [`ShuttingDown`](crate::ErrorKind::ShuttingDown), or, where the result
/// cannot carry one, panics with a message that says so. Calls that are queued or run
/// have `grace`; so have the calls that their bodies make. After that, those
/// that are still queued end with that error too, and the bodies that still run are
/// told so by [`is_cancelled`](crate::is_cancelled). A body that does not ask
/// goes on until it ends or the process does; one in another process is killed.
/// Worker processes end, within `grace` if they can: one that drops what it has made has the rest of it, and a second at
/// least, before it is killed. [Resources](crate::Resource) that no body has are dropped by a
/// thread of a pool, within `grace` if they can; those that a body still has, by its thread when it ends.
///
/// From the first poll on, the arguments of a queued call whose future is dropped, and a result that
/// was ready, are dropped where that future is, and not by a thread of a pool. The arguments of calls
/// that are still queued after `grace` are dropped where the shutdown is awaited, or by a thread
/// that meets them. A result of a body that nobody awaits any more is dropped by its thread, as ever.
///
/// It is for the whole process, and cannot be undone; one pool is closed by
/// [`ThreadPool::close`](crate::ThreadPool::close). With axum, it comes after the server:
///
/// ```no_run
/// # async fn example(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
/// # async fn ctrl_c() {}
/// axum::serve(listener, app).with_graceful_shutdown(ctrl_c()).await?;
/// let report = offload_runtime::shutdown(std::time::Duration::from_secs(10)).await;
/// if report.abandoned > 0 {
///     eprintln!("{} calls had to be abandoned", report.abandoned);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropped early, the pools stay closed, and nothing is abandoned.
pub async fn shutdown(grace: Duration) -> Report {
    let end = Instant::now().checked_add(grace);
    executor::close_all(end);
    tell_listeners();
    let before = executor::under_way();
    let abandoned = loop {
        Drained::new(|| executor::under_way() == 0, end).await;
        // Once more: a call that comes too late is counted until it has looked whether calls are taken.
        let left = executor::under_way();
        if left == 0 || end.is_some_and(|end| end <= Instant::now()) {
            break left;
        }
    };
    // Also if none is left: who has asked before the end whether calls are taken, and makes one just
    // now, is told, and does not wait for a pool that has no workers any more.
    abandon();
    dropping::on_pool(resource::close_all());
    Drained::new(dropping::is_done, end).await;
    executor::all().into_iter().for_each(|executor| executor.dismiss());
    // Workers drop what they have made.
    let are_gone = || executor::all().into_iter().all(|executor| executor.is_gone());
    Drained::new(are_gone, end).await;
    Report { finished: before.saturating_sub(abandoned), abandoned }
}

/// The outcome of the calls that were under way when a [`shutdown`] began, or when
/// [a pool was closed](crate::ThreadPool::close).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Calls that ended in time.
    pub finished: usize,
    /// Calls that did not: they were not started, or their bodies still run.
    pub abandoned: usize,
}

/// Who is told when a shutdown begins.
static LISTENERS: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// From now on this is called when a shutdown begins; at once, if one has begun.
#[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "the dashboard listens"))]
pub(crate) fn on_shutdown(listener: fn()) {
    LISTENERS.lock().unpoisoned().push(listener);
    if executor::is_closed() {
        tell_listeners();
    }
}

fn tell_listeners() {
    let listeners = std::mem::take(&mut *LISTENERS.lock().unpoisoned());
    listeners.into_iter().for_each(|listener| listener());
}

/// Ends the calls that wait, and tells the bodies that run.
fn abandon() {
    // The executors first: a call that is met from now on does not get into a line, and a body that is told and ends makes no room
    // for the next one.
    for executor in executor::all() {
        executor.drain();
    }
    current::stop_all();
    crate::call::stream::wake_blocked();
    for gate in Function::all_gates() {
        gate.reject(None, Error::shutting_down);
    }
}

/// Ready when something is over, or at the end of the grace.
pub(super) struct Drained<F> {
    is_over: F,
    /// `None`: beyond the clock.
    end: Option<Instant>,
    alarm: Option<Alarm>,
}

impl<F: Fn() -> bool + Unpin> Drained<F> {
    pub(super) fn new(is_over: F, end: Option<Instant>) -> Drained<F> {
        Drained { is_over, end, alarm: None }
    }
}

impl<F: Fn() -> bool + Unpin> Future for Drained<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if (self.is_over)() || self.end.is_some_and(|end| end <= now) {
            return Poll::Ready(());
        }
        self.alarm = Alarm::new(now + LOOK, cx.waker()).ok();
        if self.alarm.is_none() {
            // No timer: this task is all that looks.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
