//! The threads that run a body of which it is known that it ends in no time:
//! how many calls they take before another thread would have come.

use std::time::Duration;

/// To wake a thread for calls is worth it if they would wait longer.
const WORTH_IT: Duration = Duration::from_millis(1);

/// The pace before it is known, and the slowest there is.
const SLOWEST: Duration = Duration::from_micros(20);

/// See the [module](self).
pub(crate) struct Quick {
    /// Whether a thread runs such a body, by its number.
    running: Vec<bool>,
    /// How many of them do.
    count: usize,
    /// A body only seemed quick: until the queue is empty, none is believed to be.
    distrusts: bool,
    /// Nanoseconds from one call that is taken to the next.
    pace: u64,
}

impl Quick {
    pub(crate) fn new() -> Quick {
        Quick { running: Vec::new(), count: 0, distrusts: false, pace: nanos(SLOWEST) }
    }

    /// This thread runs a body that is said to be quick, or not.
    pub(crate) fn set(&mut self, number: usize, quick: bool) {
        if self.running.len() <= number {
            self.running.resize(number + 1, false);
        }
        let quick = quick && !self.distrusts;
        let before = std::mem::replace(&mut self.running[number], quick);
        self.count = self.count + usize::from(quick) - usize::from(before);
    }

    /// Whether this thread runs one.
    pub(crate) fn is(&self, number: usize) -> bool {
        self.running[number]
    }

    /// Whether any thread does.
    pub(crate) fn is_any(&self) -> bool {
        self.count > 0
    }

    /// A thread takes the next call, so long after the one before was taken.
    pub(crate) fn keep_pace(&mut self, took: Duration) {
        self.pace = (self.pace * 7 + nanos(took.min(SLOWEST))) / 8;
    }

    /// So many calls need no other thread.
    pub(crate) fn room(&self) -> usize {
        match self.count {
            0 => 0,
            _ => (nanos(WORTH_IT) / self.pace.max(1)) as usize,
        }
    }

    /// No body is believed to be quick.
    pub(crate) fn distrust(&mut self) {
        self.distrusts = true;
        self.running.fill(false);
        self.count = 0;
    }

    /// Bodies are believed to be quick again.
    pub(crate) fn trust(&mut self) {
        self.distrusts = false;
    }
}

fn nanos(time: Duration) -> u64 {
    u64::from(time.subsec_nanos())
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_quicker_the_more_calls_wait_for_one_thread() {
        let mut quick = Quick::new();
        assert_eq!(quick.room(), 0, "nobody runs one");
        quick.set(1, true);
        assert_eq!(quick.room(), 50);
        for _ in 0..100 {
            quick.keep_pace(Duration::from_micros(1));
        }
        assert_eq!(quick.room(), 1000);
        // A thread that lost its core for long.
        quick.keep_pace(Duration::from_secs(3));
        assert!((100..1000).contains(&quick.room()));
        quick.set(1, false);
        assert_eq!(quick.room(), 0);
    }

    #[test]
    fn who_was_wrong_is_not_believed_until_it_is_told() {
        let mut quick = Quick::new();
        quick.set(0, true);
        quick.distrust();
        assert!(!quick.is(0));
        quick.set(2, true);
        assert_eq!(quick.room(), 0);
        quick.trust();
        quick.set(2, true);
        assert!(quick.is(2));
        assert_eq!(quick.room(), 50);
    }
}
