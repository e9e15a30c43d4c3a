//! Whether this process was forked from one that had made calls: of its threads, the child has the
//! one that forked, and so nobody who would run a call.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// When the first call was made, and in which process.
static FIRST: OnceLock<(Instant, u32)> = OnceLock::new();

/// When the process was last found to be that one, in microseconds from then.
static FOUND: AtomicU64 = AtomicU64::new(0);

/// The system is asked no more often than after so many microseconds. A fork takes longer: to copy the
/// tables of the memory of a process with threads does.
const LOOK: u64 = 20;

/// Whether a call that is made now would wait for ever.
pub(crate) fn is_child(now: Instant) -> bool {
    let (first, number) = FIRST.get_or_init(|| (now, process::id()));
    // Plus one interval, so that the first call looks.
    let time = u64::try_from(now.saturating_duration_since(*first).as_micros()).unwrap_or(0) + LOOK;
    if time.saturating_sub(FOUND.load(Ordering::Relaxed)) < LOOK {
        return false;
    }
    let is_child = process::id() != *number;
    if !is_child {
        FOUND.store(time, Ordering::Relaxed);
    }
    is_child
}
