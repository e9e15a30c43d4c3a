//! How many cores this process may use.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread;

/// What affinity and the cgroup's quota left to the thread that asked first: the system takes
/// its time to say it.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}
