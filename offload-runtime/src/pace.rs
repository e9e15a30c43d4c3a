//! How long something takes that is done again and again: what four in five of the last times
//! took at most. So a few that lost their core do not count, and many that take long do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One that takes longer makes the pace slower by this part of it.
const SLOWER: u32 = 8;

/// One that does not makes it faster by this part: a fourth of that.
const FASTER: u32 = 32;

/// See the [module](self).
pub(crate) struct Pace {
    nanos: AtomicU32,
    least: u32,
    most: u32,
}

impl Pace {
    /// It is never less than `least` nor, as long as nothing is known, other than `most`.
    pub(crate) const fn new(least: Duration, most: Duration) -> Pace {
        assert!(most.as_secs() == 0 && least.as_nanos() <= most.as_nanos());
        let (least, most) = (least.subsec_nanos(), most.subsec_nanos());
        Pace { nanos: AtomicU32::new(most), least, most }
    }

    /// It took so long this time. Where several end at once, one may not be counted.
    pub(crate) fn add(&self, took: Duration) {
        let before = self.nanos.load(Ordering::Relaxed);
        let is_slower = took > Duration::from_nanos(before.into());
        let after = if is_slower { before + before / SLOWER } else { before - before / FASTER };
        let after = after.clamp(self.least, self.most);
        // Where all are fast nothing changes, and many threads read it.
        if after != before {
            self.nanos.store(after, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed).into())
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_micros(16);
    const MOST: Duration = Duration::from_millis(2);

    /// The pace where one in so many takes 0.9 ms, and the others 0.1 ms.
    fn with_one_slow_in(many: usize) -> Duration {
        let pace = Pace::new(LEAST, MOST);
        for n in 0..10_000 {
            pace.add(Duration::from_micros(if n % many == 0 { 900 } else { 100 }));
        }
        pace.get()
    }

    #[test]
    fn it_is_what_four_in_five_take_at_most() {
        assert!((90..130).contains(&with_one_slow_in(7).as_micros()));
        assert!((790..1030).contains(&with_one_slow_in(4).as_micros()));
    }

    #[test]
    fn it_begins_with_the_most_and_has_bounds() {
        let pace = Pace::new(LEAST, MOST);
        assert_eq!(pace.get(), MOST);
        pace.add(Duration::from_secs(3));
        assert_eq!(pace.get(), MOST);
        (0..1000).for_each(|_| pace.add(Duration::ZERO));
        assert_eq!(pace.get(), LEAST);
    }
}
