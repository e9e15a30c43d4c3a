//! What is told to the recorder in one go. It is collected first: of what has the same name and the
//! same labels there is one number, and the recorder, whose code is foreign, is called when nothing of
//! ours is locked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use metrics::{Label, counter, gauge, histogram};

/// A metric of one name and one set of labels.
type Metric = (&'static str, Vec<Label>);

/// Seconds, and how often they came.
pub(super) type Times = Vec<(f64, usize)>;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Publication {
    counters: BTreeMap<Metric, u64>,
    gauges: BTreeMap<Metric, f64>,
    histograms: BTreeMap<Metric, Times>,
}

impl Publication {
    /// So many more of a counter.
    pub(super) fn count(&mut self, name: &'static str, labels: Vec<Label>, value: u64) {
        *self.counters.entry((name, labels)).or_default() += value;
    }

    /// Adds to a gauge.
    pub(super) fn add(&mut self, name: &'static str, labels: &[Label], value: usize) {
        *self.gauges.entry((name, labels.to_vec())).or_default() += value as f64;
    }

    /// A gauge that cannot be added up: it is the largest of all that have these labels.
    pub(super) fn largest(&mut self, name: &'static str, labels: &[Label], value: f64) {
        match self.gauges.entry((name, labels.to_vec())) {
            Entry::Vacant(gauge) => drop(gauge.insert(value)),
            Entry::Occupied(mut gauge) => *gauge.get_mut() = gauge.get().max(value),
        }
    }

    /// Adds durations to a histogram.
    pub(super) fn record(&mut self, name: &'static str, labels: &[Label], new: Times) {
        self.histograms.entry((name, labels.to_vec())).or_default().extend(new);
    }

    /// Tells the recorder of this thread, or else the global one.
    pub(super) fn tell(self) {
        for ((name, labels), value) in self.counters {
            counter!(name, labels).absolute(value);
        }
        for ((name, labels), value) in self.gauges {
            gauge!(name, labels).set(value);
        }
        for ((name, labels), times) in self.histograms {
            let histogram = histogram!(name, labels);
            times.into_iter().for_each(|(time, count)| histogram.record_many(time, count));
        }
    }
}
