//! What a process pool does with its workers: the settings beyond those that
//! every pool has.

use std::time::Duration;

use super::environment::Environment;
use crate::system::priority::Priority;

/// No message is larger, unless set: 64 MiB.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// So many workers in a row may be of no use before no other is started for a while, unless set.
const MAX_RESTARTS: u32 = 5;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// A worker is replaced after so many calls.
    pub(crate) max_jobs: Option<u64>,
    /// What a worker may allocate, in bytes.
    pub(crate) max_memory: Option<u64>,
    /// A worker that holds more than this after a call is replaced, in bytes.
    pub(crate) recycle_above: Option<u64>,
    /// The least number of workers that are kept ready.
    pub(crate) min_workers: usize,
    /// So many in a row may end before they have run a call.
    pub(crate) max_restarts: u32,
    /// No argument list and no result is larger, in bytes.
    pub(crate) max_message: usize,
    /// Run once in each worker.
    pub(crate) on_start: Option<fn()>,
    pub(crate) priority: Priority,
    pub(crate) environment: Environment,
    /// A body that nobody waits for has so long to end by itself.
    pub(crate) grace: Duration,
}

impl Plan {
    /// Nothing set.
    pub(crate) const DEFAULT: Plan = Plan {
        max_jobs: None,
        max_memory: None,
        recycle_above: None,
        min_workers: 0,
        max_restarts: MAX_RESTARTS,
        max_message: MAX_MESSAGE,
        on_start: None,
        priority: Priority::Low,
        environment: Environment::INHERITED,
        grace: Duration::ZERO,
    };

    /// Why a worker is to be replaced that has run so many calls and holds so much memory, if it is.
    pub(super) fn spent(&self, calls: u64, memory: impl FnOnce() -> Option<u64>) -> Option<String> {
        if self.max_jobs.is_some_and(|jobs| calls >= jobs) {
            return Some(format!("it has run {calls} calls"));
        }
        // What one call left behind must not count against the next.
        let most = self.recycle_above.or(self.max_memory.map(|most| most / 2))?;
        let memory = memory().filter(|memory| *memory > most)?;
        Some(format!("it holds {memory} bytes of memory after a call, more than {most}"))
    }
}
