//! What the recorder's histograms have got already: they are given what was counted since.

use std::collections::HashMap;
use std::hash::Hash;

use metrics::Label;

use crate::sync::histogram::{Histogram, upper_end};

/// For each histogram, the counts of its buckets that the recorder was given already.
#[derive(Default)]
pub(super) struct Recorded<K>(HashMap<(&'static str, K), Vec<u64>>);

impl<K: Eq + Hash> Recorded<K> {
    /// Gives what is new. `key` tells it from those of the same name.
    pub(super) fn give(
        &mut self,
        name: &'static str,
        key: K,
        labels: Vec<Label>,
        histogram: &Histogram,
    ) {
        let now = histogram.read();
        let before = self.0.entry((name, key)).or_insert_with(|| vec![0; now.len()]);
        let recorder = metrics::histogram!(name, labels);
        for (bucket, (now, before)) in now.iter().zip(before.iter_mut()).enumerate() {
            let new = now.saturating_sub(*before);
            if new > 0 {
                let count = usize::try_from(new).unwrap_or(usize::MAX);
                recorder.record_many(upper_end(bucket).as_secs_f64(), count);
            }
            *before = *now;
        }
    }
}
