//! Whether a thread of a `cpu` pool is blocked in a body: in a call that does not come from
//! where the runtime sees it, by way of a task, another thread or parallel parts. Its pool may
//! be what it waits for, so another thread stands in for it.

use std::time::Instant;

use super::Pool;

/// What was seen of the threads of a pool while calls waited.
#[derive(Default)]
pub(super) struct Blocked {
    last: Option<(Instant, u64)>,
}

impl Blocked {
    /// Looks at the threads of a pool whose calls wait.
    pub(super) fn look(&mut self, _pool: &'static Pool, now: Instant, progress: u64) {
        self.last = Some((now, progress));
    }
}
