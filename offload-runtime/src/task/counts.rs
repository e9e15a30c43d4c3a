//! What the calls of a function came to, counted by whoever sees it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::sync::histogram::Histogram;

/// What a body came to, for the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Returned,
    Panicked,
    /// The process that ran it died by itself.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "no process runs any"))]
    Died,
    /// The process that ran it was killed, since nobody waited any more.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "no process runs any"))]
    Killed,
    /// An argument or the result could not be sent.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "no process runs any"))]
    Failed,
}

/// See the [module](self). In cache lines of their own: the threads of a pool
/// write them, while callers read what is beside.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counts {
    pub(crate) panicked: AtomicU64,
    pub(crate) died: AtomicU64,
    pub(crate) killed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    /// Streams whose bodies are suspended now.
    pub(crate) suspended: AtomicU64,
    /// Calls that were submitted, and ended without a start.
    pub(crate) unstarted: AtomicU64,
    /// Calls that were submitted. Callers write it, and the threads of the pool the rest.
    pub(crate) submitted: CachePadded<AtomicU64>,
    /// Calls under way that were started, and not awaited.
    pub(crate) spawned: AtomicU64,
    /// Of each body that started, how long it waited.
    pub(crate) wait: Histogram,
    /// Of each body that ended, how long it ran.
    pub(crate) run: Histogram,
}

impl Counts {
    /// Bodies that started.
    pub(crate) fn started(&self) -> u64 {
        self.wait.total()
    }

    /// Bodies that run: those that have neither ended nor are suspended.
    pub(crate) fn running(&self) -> usize {
        // In this order: no more have ended than started.
        let gone = self.run.total() + self.suspended.load(Ordering::Acquire);
        count_of(self.started().saturating_sub(gone))
    }

    /// Calls that were submitted, and have neither started nor ended.
    pub(crate) fn waiting(&self) -> usize {
        // In this order: no more are gone than were submitted.
        let gone = self.unstarted.load(Ordering::Acquire) + self.started();
        count_of(self.submitted.load(Ordering::Relaxed).saturating_sub(gone))
    }

    /// Calls under way that were started, and not awaited.
    pub(crate) fn spawned(&self) -> usize {
        count_of(self.spawned.load(Ordering::Relaxed))
    }

    /// Bodies that returned: those that ended, but for what is counted as
    /// another end, which is counted before.
    pub(crate) fn finished(&self) -> u64 {
        let ended = self.run.total();
        let others = [&self.panicked, &self.died, &self.killed, &self.failed];
        let others: u64 = others.into_iter().map(|other| other.load(Ordering::Relaxed)).sum();
        ended.saturating_sub(others)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("started", &self.started()).finish_non_exhaustive()
    }
}

fn count_of(calls: u64) -> usize {
    usize::try_from(calls).unwrap_or(usize::MAX)
}

/// One more. Not so with `--cfg offload_uncounted`, by which the benches find
/// out what counting costs.
pub(crate) fn count(counter: &AtomicU64) {
    if !cfg!(offload_uncounted) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
