//! Whether the bodies of a function end soon, as far as one knows from those that
//! have ended.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A body that takes longer than it should by no more than this factor may have lost its
/// core for a moment: on a thread with low priority that happens whenever it wakes a
/// caller, or another thread does.
const INTERRUPTED: u32 = 4;

/// After so many in time the next is expected to be.
const ENOUGH: u32 = 32;

/// More than that are not counted.
const MOST: u32 = 64;

/// See the [module](self).
pub(crate) struct Streak {
    /// What is in time.
    within: Duration,
    bodies: AtomicU32,
}

impl Streak {
    /// Of bodies that take no longer than this.
    pub(crate) const fn of(within: Duration) -> Streak {
        Streak { within, bodies: AtomicU32::new(0) }
    }

    /// A body took so long. Where several end at once, one may not be counted.
    pub(crate) fn add(&self, took: Duration) {
        let before = self.bodies.load(Ordering::Relaxed);
        let after = match took {
            _ if took <= self.within => (before + 1).min(MOST),
            _ if took <= self.within * INTERRUPTED => before.saturating_sub(1),
            _ => 0,
        };
        // Most often nothing changes, and callers read it.
        if after != before {
            self.bodies.store(after, Ordering::Relaxed);
        }
    }

    /// Whether the next body is likely to end in time.
    pub(crate) fn is_on(&self) -> bool {
        self.bodies.load(Ordering::Relaxed) >= ENOUGH
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    const IN_TIME: Duration = Duration::from_micros(50);
    const LATE: Duration = Duration::from_micros(200);

    fn after(bodies: impl IntoIterator<Item = Duration>) -> bool {
        let streak = Streak::of(IN_TIME);
        bodies.into_iter().for_each(|took| streak.add(took));
        streak.is_on()
    }

    #[test]
    fn many_bodies_in_time_are_a_streak_and_one_that_takes_long_ends_it() {
        let quick = |bodies: u32| (0..bodies).map(|_| IN_TIME);
        assert!(!after(quick(ENOUGH - 1)));
        assert!(after(quick(ENOUGH)));
        let long = LATE + Duration::from_nanos(1);
        assert!(!after(quick(1000).chain([long])));
        assert!(!after(quick(1000).chain([long]).chain(quick(ENOUGH - 1))));
    }

    /// They were not taken for quick, so each woke its caller at once, whose loop
    /// interrupted the next: and so that one did not seem quick either.
    #[test]
    fn quick_bodies_of_which_some_are_interrupted_are_a_streak() {
        let one_in = |many: u32| (0..1000).map(move |n| if n % many == 0 { LATE } else { IN_TIME });
        assert!(after(one_in(3)));
        assert!(!after(one_in(1)));
    }
}
