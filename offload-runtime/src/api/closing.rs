//! The end of one pool, while others go on; and its opening.

use std::time::{Duration, Instant};

use super::pools::{CpuPool, ThreadPool};
#[cfg(feature = "process")]
use super::process_pool::ProcessPool;
use super::shutdown::{Drained, Report};
use crate::executor::Executor;
use crate::function::{self, Function};

/// The same for all kinds of pools.
async fn close(executor: &'static dyn Executor, grace: Duration) -> Report {
    if executor.check().is_err() {
        // It has never taken a call, and will not.
        return Report { finished: 0, abandoned: 0 };
    }
    let end = Instant::now().checked_add(grace);
    executor.close(end);
    let under_way = executor.under_way();
    let before = under_way.count();
    // What is under way goes on.
    let opened_meanwhile = || {
        let finished = before.saturating_sub(under_way.count());
        Report { finished, abandoned: 0 }
    };
    let abandoned = loop {
        let is_over = || under_way.count() == 0 || !executor.is_closed();
        Drained::new(is_over, end).await;
        if !executor.is_closed() {
            return opened_meanwhile();
        }
        // Once more, as in a shutdown.
        let left = under_way.count();
        if left == 0 || end.is_some_and(|end| end <= Instant::now()) {
            break left;
        }
    };
    // Also if none is left: who has asked before whether calls are taken, and makes one just now, is told.
    if !abandon(executor) {
        return opened_meanwhile();
    }
    executor.dismiss();
    let has_ended = || executor.load().threads == 0 && executor.is_gone();
    let is_over = || abandoned > 0 || has_ended() || !executor.is_closed();
    Drained::new(is_over, end).await;
    Report { finished: before.saturating_sub(abandoned), abandoned }
}

/// Ends the calls that wait there, and tells the bodies that run. False: it was opened, and they go on.
fn abandon(executor: &'static dyn Executor) -> bool {
    // First: a call that is met from now on does not get into a line.
    if !executor.drain() {
        return false;
    }
    crate::call::stream::wake_blocked();
    for one in Function::known_of(executor) {
        function::reject_lines(executor, one.gates());
    }
    true
}

fn open(executor: &'static dyn Executor) {
    if executor.check().is_ok() {
        executor.open();
    }
}

impl ThreadPool {
    /// Takes no more calls on this pool, waits until those that it has taken have ended, ends its threads,
    /// and reports. Other pools go on.
    ///
    /// From the first poll on, a new call gets an error of the kind
    /// [`ShuttingDown`](crate::ErrorKind::ShuttingDown) that names the pool, or, where the result cannot carry
    /// one, panics with a message that says so. Calls that are queued or run have `grace`, and so have calls
    /// for which a body of the pool waits on its own thread. After that, those that are still queued end with
    /// that error too, and the bodies that still run are told so by [`is_cancelled`](crate::is_cancelled); their
    /// threads end with them.
    ///
    /// [`open`](Self::open) makes it take calls again. Opened while this waits, the pool keeps what is under
    /// way, and this ends.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the pool stays closed, and nothing is abandoned.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offload_runtime::{Error, ErrorKind, ThreadPool, offload};
    ///
    /// static REPORTS: ThreadPool = ThreadPool::new("reports");
    ///
    /// #[offload(thread, pool = REPORTS)]
    /// fn report(year: u16) -> Result<String, Error> {
    ///     Ok(format!("all of {year}"))
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// report(1999).await?;
    /// assert_eq!(REPORTS.close(Duration::from_secs(10)).await.abandoned, 0);
    /// assert_eq!(report(1999).await.unwrap_err().kind(), ErrorKind::ShuttingDown);
    /// REPORTS.open();
    /// report(1999).await?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn close(&'static self, grace: Duration) -> Report {
        close(self.pool(), grace).await
    }

    /// Takes calls again after [`close`](Self::close): the next one starts the pool anew. A body that was
    /// abandoned stays so, and has its thread until it ends. Without effect on a pool that is open, and after a
    /// [`shutdown`](crate::shutdown).
    pub fn open(&'static self) {
        open(self.pool());
    }
}

impl CpuPool {
    /// Takes no more calls on this pool, waits until those that it has taken have ended, ends its threads,
    /// and reports: as [`ThreadPool::close`] does.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the pool stays closed, and nothing is abandoned.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offload_runtime::CpuPool;
    ///
    /// static IMAGES: CpuPool = CpuPool::new("images");
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(IMAGES.run(|| 6 * 7).await, 42);
    /// IMAGES.close(Duration::from_secs(10)).await;
    /// IMAGES.open();
    /// assert_eq!(IMAGES.run(|| 6 * 7).await, 42);
    /// # });
    /// ```
    pub async fn close(&'static self, grace: Duration) -> Report {
        close(self.pool(), grace).await
    }

    /// Takes calls again after [`close`](Self::close), as [`ThreadPool::open`] says.
    pub fn open(&'static self) {
        open(self.pool());
    }
}

#[cfg(feature = "process")]
impl ProcessPool {
    /// Takes no more calls on this pool, waits until those that it has taken have ended, ends its workers,
    /// and reports: as [`ThreadPool::close`] does, but that the bodies that still run after `grace` are killed,
    /// with their workers. A worker that drops what it has made has the rest of `grace` for it, and a second at least.
    /// Workers that are still starting are killed.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the pool stays closed, and nothing is killed.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use offload_runtime::{Error, ProcessPool};
    ///
    /// static SCRIPTS: ProcessPool = ProcessPool::new("scripts").min_workers(2);
    ///
    /// # async fn load_again() -> Result<(), Error> {
    /// let report = SCRIPTS.close(Duration::from_secs(10)).await;
    /// if report.abandoned > 0 {
    ///     eprintln!("{} scripts were killed", report.abandoned);
    /// }
    /// SCRIPTS.open();
    /// SCRIPTS.ready().await
    /// # }
    /// ```
    pub async fn close(&'static self, grace: Duration) -> Report {
        close(self.processes(), grace).await
    }

    /// Takes calls again after [`close`](Self::close): the next one, or [`ready`](Self::ready), starts
    /// workers anew, also where too many had been of no use ([`max_restarts`](Self::max_restarts)). Without
    /// effect on a pool that is open, and after a [`shutdown`](crate::shutdown).
    pub fn open(&'static self) {
        open(self.processes());
    }
}
