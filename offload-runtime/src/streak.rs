//! Whether the bodies of a function end in no time, as far as one knows from those
//! that have ended.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A body that takes no longer does not hold up others for long.
const QUICK: Duration = Duration::from_micros(50);

/// One that takes no longer may be quick, and have lost its core for a moment: on a thread
/// with low priority that happens whenever it wakes a caller, or another thread does.
const INTERRUPTED: Duration = Duration::from_micros(200);

/// After so many quick ones the next is expected to be.
const ENOUGH: u32 = 32;

/// More than that are not counted.
const MOST: u32 = 64;

/// See the [module](self).
pub(crate) struct Streak(AtomicU32);

impl Streak {
    pub(crate) const fn new() -> Streak {
        Streak(AtomicU32::new(0))
    }

    /// A body took so long. Where several end at once, one may not be counted.
    pub(crate) fn add(&self, took: Duration) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match took {
            _ if took <= QUICK => (before + 1).min(MOST),
            _ if took <= INTERRUPTED => before.saturating_sub(1),
            _ => 0,
        };
        // Most often nothing changes, and callers read it.
        if after != before {
            self.0.store(after, Ordering::Relaxed);
        }
    }

    /// Whether the next body is likely to end in no time.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ENOUGH
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn after(bodies: impl IntoIterator<Item = Duration>) -> bool {
        let streak = Streak::new();
        bodies.into_iter().for_each(|took| streak.add(took));
        streak.is_on()
    }

    #[test]
    fn many_quick_bodies_are_a_streak_and_one_that_takes_long_ends_it() {
        let quick = |bodies: u32| (0..bodies).map(|_| QUICK);
        assert!(!after(quick(ENOUGH - 1)));
        assert!(after(quick(ENOUGH)));
        let long = INTERRUPTED + Duration::from_nanos(1);
        assert!(!after(quick(1000).chain([long])));
        assert!(!after(quick(1000).chain([long]).chain(quick(ENOUGH - 1))));
    }

    /// They were not taken for quick, so each woke its caller at once, whose loop
    /// interrupted the next: and so that one did not seem quick either.
    #[test]
    fn quick_bodies_of_which_some_are_interrupted_are_a_streak() {
        let one_in =
            |many: u32| (0..1000).map(move |n| if n % many == 0 { INTERRUPTED } else { QUICK });
        assert!(after(one_in(3)));
        assert!(!after(one_in(1)));
    }
}
