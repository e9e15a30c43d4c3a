//! What recorders have got of histograms: they are given what was counted since.

use std::collections::HashMap;

use super::publication::Times;
use crate::sync::histogram::{Histogram, upper_end};

/// For each histogram, the counts of its buckets that a recorder was given already.
#[derive(Default)]
pub(super) struct Recorded(HashMap<(&'static str, usize), Vec<u64>>);

impl Recorded {
    /// What is new. From now on it counts as given. `key` tells the histogram from those of the same name.
    pub(super) fn take(&mut self, name: &'static str, key: usize, histogram: &Histogram) -> Times {
        let now = histogram.read();
        let before = self.0.entry((name, key)).or_insert_with(|| vec![0; now.len()]);
        let mut new = Vec::new();
        for (bucket, (now, before)) in now.iter().zip(before.iter_mut()).enumerate() {
            let count = usize::try_from(now.saturating_sub(*before)).unwrap_or(usize::MAX);
            if count > 0 {
                new.push((upper_end(bucket).as_secs_f64(), count));
            }
            *before = *now;
        }
        new
    }
}
