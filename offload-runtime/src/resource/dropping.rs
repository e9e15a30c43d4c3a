//! How instances are dropped by a thread of the `thread` pool, and not by the timer's or by the one on
//! which a shutdown is awaited: their destructors are foreign code.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::executor::threads::THREAD;
use crate::function;
use crate::sync::foreign::drop_quietly;

/// Those that are to be dropped.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Instances, and one place in `LEFT`.
struct Doomed(Vec<Box<dyn Any + Send>>);

impl Drop for Doomed {
    fn drop(&mut self) {
        self.0.drain(..).for_each(drop_quietly);
        LEFT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has them dropped soon.
pub(crate) fn on_pool(instances: Vec<Box<dyn Any + Send>>) {
    if instances.is_empty() {
        return;
    }
    LEFT.fetch_add(1, Ordering::SeqCst);
    let doomed = Doomed(instances);
    THREAD.clear_at_end(function::leftover("dropped resources", doomed));
}

/// Whether all were.
pub(crate) fn is_done() -> bool {
    LEFT.load(Ordering::SeqCst) == 0
}
