//! The end of all pools, for the whole process and for good.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::function::Function;
use crate::perform;
use crate::pool::Pool;
use crate::timer::Alarm;

/// How often a shutdown looks whether the calls have ended.
const LOOK: Duration = Duration::from_millis(2);

/// Takes no more calls, waits until those that were taken have ended, and
/// reports.
///
/// From the first poll on, a new call gets an error of the kind
/// [`ShuttingDown`](crate::ErrorKind::ShuttingDown), or, where the result
/// cannot carry one, panics with a message that says so. Calls that wait or run
/// have `grace`; so have the calls that their bodies make. After that, those
/// that still wait end with that error too, and the bodies that still run are
/// told so by [`is_cancelled`](crate::is_cancelled). A body that does not ask
/// goes on until it ends or the process does; one in another process is killed.
/// Worker processes end.
///
/// It is for the whole process, and cannot be undone. With axum, it comes after
/// the server:
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
    Pool::close_all();
    #[cfg(feature = "axum")]
    crate::axum::close_dashboard();
    let under_way = under_way();
    let end = Instant::now().checked_add(grace);
    Drained { end, alarm: None }.await;
    let abandoned = self::under_way();
    if abandoned > 0 {
        abandon();
    }
    Pool::dismiss_all();
    Report { finished: under_way.saturating_sub(abandoned), abandoned }
}

/// What became of the calls that were under way when a [`shutdown`] began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Calls that ended in time.
    pub finished: usize,
    /// Calls that did not: they were not started, or their bodies still run.
    pub abandoned: usize,
}

/// Calls that wait or run.
fn under_way() -> usize {
    let limited = Function::known();
    let mut limiters: Vec<_> = limited.iter().filter_map(|function| function.limiter()).collect();
    limiters.sort_by_key(|limiter| std::ptr::from_ref(*limiter).addr());
    limiters.dedup_by_key(|limiter| std::ptr::from_ref(*limiter).addr());
    let in_line: usize = limiters.iter().map(|limiter| limiter.waiting()).sum();
    let in_pools = |pool: &'static Pool| {
        let now = pool.snapshot();
        now.running + now.queued
    };
    Pool::all().into_iter().map(in_pools).sum::<usize>() + in_line
}

/// Ends the calls that wait, and tells the bodies that run.
fn abandon() {
    // Twice, as one may have gone from a queue to a line that was empty by then.
    for _ in 0..2 {
        let limiters = Function::known().into_iter().filter_map(Function::limiter);
        let mut jobs: Vec<_> = limiters.flat_map(|limiter| limiter.drain()).collect();
        jobs.extend(Pool::all().into_iter().flat_map(Pool::abandon));
        for job in jobs {
            let error = Error::shutting_down(job.meta().function.name());
            perform::refuse(job, error);
        }
    }
}

/// Ready when nothing is under way, or at the end of the grace.
struct Drained {
    /// `None`: beyond the clock.
    end: Option<Instant>,
    alarm: Option<Alarm>,
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if under_way() == 0 || self.end.is_some_and(|end| end <= now) {
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
