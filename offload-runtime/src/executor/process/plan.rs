//! What a process pool does with its workers: the settings beyond those that
//! every pool has.

use std::time::Duration;

use crate::system::priority::Priority;

/// No message is larger, unless set: 64 MiB.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// A worker is replaced after so many calls.
    pub(crate) max_jobs: Option<u64>,
    /// What a worker may allocate, in bytes.
    pub(crate) max_memory: Option<u64>,
    /// No argument list and no result is larger, in bytes.
    pub(crate) max_message: usize,
    /// Run once in each worker.
    pub(crate) on_start: Option<fn()>,
    pub(crate) priority: Priority,
    /// Added to the environment of the workers.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// A body that nobody waits for has so long to end by itself.
    pub(crate) grace: Duration,
}

impl Plan {
    /// Nothing set.
    pub(crate) const DEFAULT: Plan = Plan {
        max_jobs: None,
        max_memory: None,
        max_message: MAX_MESSAGE,
        on_start: None,
        priority: Priority::Low,
        environment: &[],
        grace: Duration::ZERO,
    };
}
