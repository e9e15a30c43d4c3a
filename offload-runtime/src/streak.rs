//! Whether the bodies of a function end in no time, as far as one knows from those
//! that have ended.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// A body that takes no longer does not hold up others for long.
pub(crate) const QUICK: Duration = Duration::from_micros(50);

/// One that takes no longer may be quick, and have lost its core for a moment: on a thread
/// with low priority that happens whenever it wakes a caller, or another thread does.
const INTERRUPTED: Duration = Duration::from_micros(200);

/// One that takes longer has not just lost its core. The next may take as long, however few do.
const TOO_LONG: Duration = Duration::from_millis(4);

/// After so many quick ones the next is expected to be.
const ENOUGH: i32 = 32;

/// More than that are not counted.
const MOST: i32 = 64;

/// After one that takes [`TOO_LONG`] nothing is expected of so many.
const PENANCE: i32 = 200;

/// See the [module](self).
pub(crate) struct Streak(AtomicI32);

impl Streak {
    pub(crate) const fn new() -> Streak {
        Streak(AtomicI32::new(0))
    }

    /// A body took so long. Where several end at once, one may not be counted, unless it took
    /// [`TOO_LONG`].
    pub(crate) fn add(&self, took: Duration) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match took {
            _ if took > TOO_LONG => return self.0.store(-PENANCE, Ordering::Relaxed),
            _ if before < 0 => before + 1,
            _ if took <= QUICK => (before + 1).min(MOST),
            _ if took <= INTERRUPTED => (before - 1).max(0),
            _ => 0,
        };
        // Most often nothing changes, and callers read it.
        if after != before {
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            let _ = self.0.compare_exchange(before, after, success, failure);
        }
    }

    /// Whether the next body is likely to end in no time.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ENOUGH
    }

    /// Whether the next one may take [`TOO_LONG`]: one has, not long ago.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 0
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
        let quick = |bodies| (0..bodies).map(|_| QUICK);
        assert!(!after(quick(ENOUGH - 1)));
        assert!(after(quick(ENOUGH)));
        let long = INTERRUPTED + Duration::from_nanos(1);
        assert!(!after(quick(1000).chain([long])));
        assert!(!after(quick(1000).chain([long]).chain(quick(ENOUGH - 1))));
        assert!(after(quick(1000).chain([long]).chain(quick(ENOUGH))));
    }

    /// Callers would be held back for the few that take longer than anybody is held back.
    #[test]
    fn one_in_a_hundred_that_takes_too_long_is_enough_to_doubt() {
        let long = TOO_LONG + Duration::from_nanos(1);
        let streak = Streak::new();
        for n in 0..10_000 {
            streak.add(if n % 100 == 0 { long } else { QUICK });
            assert!(streak.is_in_doubt() && !streak.is_on());
        }
        (0..PENANCE).for_each(|_| streak.add(INTERRUPTED));
        assert!(!streak.is_in_doubt());
        (0..ENOUGH).for_each(|_| streak.add(QUICK));
        assert!(streak.is_on());
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
