//! How long a thread that has run out of calls looks for the next one before it
//! parks: as long as it takes, if the last one came soon, and else for a moment.
//!
//! To wake a thread takes some microseconds, and where the cores are virtual ones
//! that have gone to sleep, some ten; a caller that makes one call after the
//! other makes the next one sooner.

use std::time::{Duration, Instant};

/// So many times a thread lets others run and looks again: some ten
/// microseconds, if nobody else wants the core.
const TURNS: u32 = 32;

/// The same, where the last call came [`SOON`].
const MANY_TURNS: u32 = 320;

/// A call that comes so soon after the last one ended would have been found.
const SOON: Duration = Duration::from_micros(100);

/// See the [module](self).
pub(crate) struct Search {
    /// A thread searches.
    is_on: bool,
    /// The last call came soon.
    is_worth_it: bool,
    began: Instant,
}

impl Search {
    pub(crate) fn new(now: Instant) -> Search {
        Search { is_on: false, is_worth_it: false, began: now }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// A thread begins: how many turns it has.
    pub(crate) fn begin(&mut self, now: Instant) -> u32 {
        self.is_on = true;
        self.began = now;
        if self.is_worth_it { MANY_TURNS } else { TURNS }
    }

    /// It has ended: there is a call, or there is none.
    pub(crate) fn end(&mut self, found: bool) {
        self.is_on = false;
        self.is_worth_it &= found;
    }

    /// A thread had to be called, for a call that was made at this time.
    pub(crate) fn missed(&mut self, since: Instant) {
        self.is_worth_it = since.saturating_duration_since(self.began) < SOON;
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_long_while_calls_come_soon() {
        let now = Instant::now();
        let mut search = Search::new(now);
        assert_eq!(search.begin(now), TURNS);
        search.end(false);
        search.missed(now + SOON / 2);
        for _ in 0..3 {
            assert_eq!(search.begin(now), MANY_TURNS);
            search.end(true);
        }
        // It was in vain, and the call came long after.
        search.begin(now);
        search.end(false);
        search.missed(now + SOON);
        assert_eq!(search.begin(now), TURNS);
    }
}
