//! Durations, counted by size, for percentiles: lock-free and of fixed size,
//! so that keeping one costs a body two additions.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::thread_number;

/// Steps in each power of two: a percentile is at most an eighth too high.
const STEPS: usize = 8;

/// Up to 2^40 ns, which is 18 minutes; what is longer counts as that.
const POWERS: usize = 38;

/// Buckets of a histogram.
const BUCKETS: usize = POWERS * STEPS;

/// See the [module](self). Threads that record at the same time most often do so in shards of their
/// own: two that write one cache line wait for each other.
#[derive(Default)]
pub(crate) struct Histogram {
    shards: [OnceLock<Box<Shard>>; SHARDS],
}

/// How many shards there may be; each is made when a thread records there.
const SHARDS: usize = 4;

#[repr(align(128))]
struct Shard {
    counts: [AtomicU64; BUCKETS],
    max: AtomicU64,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard { counts: [const { AtomicU64::new(0) }; BUCKETS], max: AtomicU64::new(0) }
    }
}

impl Histogram {
    #[cfg(feature = "axum")]
    pub(crate) const BUCKETS: usize = BUCKETS;

    /// One more. Returns how many of about that size there were before in this thread's shard.
    pub(crate) fn record(&self, time: Duration) -> u64 {
        if cfg!(offload_uncounted) {
            return u64::MAX;
        }
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let shard = self.shards[thread_number() % SHARDS].get_or_init(Box::default);
        // What was counted before is seen by who sees this.
        let before = shard.counts[bucket(nanos)].fetch_add(1, Ordering::Release);
        if nanos > shard.max.load(Ordering::Relaxed) {
            shard.max.fetch_max(nanos, Ordering::Relaxed);
        }
        before
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(|shard| shard.get().map(|shard| &**shard))
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        let counts = self.shards().flat_map(|shard| &shard.counts);
        counts.map(|count| count.load(Ordering::Acquire)).sum()
    }

    /// The times that these shares of all did not exceed, in the order of
    /// `shares`, which has to be ascending; and the longest.
    pub(crate) fn percentiles<const N: usize>(
        &self,
        shares: [f64; N],
    ) -> ([Duration; N], Duration) {
        let max = self.shards().map(|shard| shard.max.load(Ordering::Relaxed)).max();
        let max = Duration::from_nanos(max.unwrap_or(0));
        (percentiles(&self.read(), shares).map(|time| time.min(max)), max)
    }

    /// How many times of each size there were.
    pub(crate) fn read(&self) -> Vec<u64> {
        let mut all = vec![0; BUCKETS];
        for shard in self.shards() {
            for (sum, count) in all.iter_mut().zip(&shard.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        all
    }
}

/// As [`Histogram::percentiles`], of counts that were [read](Histogram::read).
pub(crate) fn percentiles<const N: usize>(counts: &[u64], shares: [f64; N]) -> [Duration; N] {
    let all: u64 = counts.iter().sum();
    shares.map(|share| {
        let rank = ((all as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        Duration::from_nanos(bucket.map_or(0, upper))
    })
}

/// Of equal width below `STEPS`, then `STEPS` to each power of two.
fn bucket(nanos: u64) -> usize {
    let steps = STEPS as u64;
    if nanos < steps {
        return nanos as usize;
    }
    let power = (nanos.ilog2() - steps.ilog2()) as usize;
    let step = (nanos >> power) as usize - STEPS;
    ((power + 1) * STEPS + step).min(BUCKETS - 1)
}

/// The longest time of a bucket.
#[cfg(feature = "metrics")]
pub(crate) fn upper_end(bucket: usize) -> Duration {
    Duration::from_nanos(upper(bucket))
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let power = bucket / STEPS - 1;
    let step = bucket % STEPS;
    (((STEPS + step + 1) as u64) << power) - 1
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_a_bucket_that_ends_at_most_an_eighth_above_it() {
        let mut value = 1_u64;
        while value < 1 << 40 {
            for near in [value - 1, value, value + 1, value + value / 3] {
                let upper = upper(bucket(near));
                assert!(upper >= near, "{near} is above its bucket's end {upper}");
                assert!(upper <= near + near / 8, "{near} in a bucket up to {upper}");
            }
            value *= 2;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_a_known_set() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let ([half, most, nearly_all], max) = histogram.percentiles([0.5, 0.9, 0.99]);
        for (measured, exact) in [(half, 500), (most, 900), (nearly_all, 990)] {
            let exact = Duration::from_micros(exact);
            assert!(measured >= exact && measured <= exact * 9 / 8, "{measured:?} for {exact:?}");
        }
        assert_eq!(max, Duration::from_millis(1));
    }

    #[test]
    fn nothing_recorded_is_zero() {
        let ([half], max) = Histogram::default().percentiles([0.5]);
        assert_eq!((half, max), (Duration::ZERO, Duration::ZERO));
    }
}
