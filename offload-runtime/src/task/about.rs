//! What a call needs to know of its function: its label, what its calls came to, what its
//! bodies do.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use super::counts::{Counts, count};
use super::cpu_time::{CpuTime, Sample};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// `thread`, `cpu` or `process`.
    pub(crate) kind: &'static str,
    /// Its calls run also when nobody awaits them.
    pub(crate) is_detached: bool,
    /// Its bodies have nothing in common but their kind: they are not sampled.
    pub(crate) is_mixed: bool,
    counts: OnceLock<Box<Counts>>,
    /// Whether its bodies compute or wait.
    pub(crate) cpu_time: CpuTime,
}

impl About {
    pub(crate) const fn new(name: &'static str, kind: &'static str) -> About {
        About {
            name,
            kind,
            is_detached: false,
            is_mixed: false,
            counts: OnceLock::new(),
            cpu_time: CpuTime::new(),
        }
    }

    /// Made at the first call: a `static` of that size would be in the program's file.
    pub(crate) fn counts(&self) -> &Counts {
        self.counts.get_or_init(Box::default)
    }

    /// A body is about to begin on this thread, the `number`th of those that waited about as
    /// long. `None`: it is not looked at.
    pub(crate) fn sample(&self, number: u64) -> Option<Sample> {
        if self.is_mixed { None } else { self.cpu_time.begin(self.kind, number) }
    }

    /// Counts one more.
    pub(crate) fn count(&self, counter: impl FnOnce(&Counts) -> &AtomicU64) {
        count(counter(self.counts()));
    }
}
