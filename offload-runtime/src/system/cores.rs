//! How many cores this process may use.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;

use super::{priority, spawner};

/// What affinity and the cgroup's quota leave to the main thread of the process: the thread that
/// asks first may be pinned to one of its cores. Asked once, since the system takes its time to say
/// it.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| match priority::has_processors_of_the_main_thread() {
        true => here(),
        false => on_the_spawner().unwrap_or_else(here),
    })
}

/// As this thread has them.
fn here() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// As the threads of pools will have them. `None`: the system denies the spawner its thread.
fn on_the_spawner() -> Option<usize> {
    let (tell, told) = mpsc::channel();
    // Nobody is left to hear it only if this thread is gone.
    spawner::request(Box::new(move || {
        let _ = tell.send(here());
    }))
    .ok()?;
    told.recv().ok()
}
