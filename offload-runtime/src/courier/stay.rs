//! How long a courier stays with a runtime that has nothing else to do: as long as
//! many callers come.
//!
//! To go to sleep and be woken takes a runtime as long as dozens of bodies that do
//! nothing. But where bodies do something, to stay would take the core from them.

use std::time::{Duration, Instant};

/// About what it takes to go to sleep and be woken.
const SPELL: Duration = Duration::from_micros(20);

/// If fewer callers come in a spell, it sleeps meanwhile.
const MANY: usize = 8;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Stay {
    /// Since when, and how many callers came since; none, if it does not stay.
    spell: Option<(Instant, usize)>,
}

impl Stay {
    /// The courier looks for callers, `now`. Whether it may stay after that.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        match self.spell {
            Some((since, _)) if now.saturating_duration_since(since) < SPELL => true,
            Some((_, came)) if came < MANY => false,
            Some(_) | None => {
                self.spell = Some((now, 0));
                true
            }
        }
    }

    /// It found so many, and stays or not.
    pub(super) fn found(&mut self, callers: usize, stays: bool) {
        self.spell = self.spell.filter(|_| stays).map(|(since, came)| (since, came + callers));
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_stays_as_long_as_many_come() {
        let (mut stay, mut now) = (Stay::default(), Instant::now());
        for _ in 0..3 {
            for callers in [MANY, 0] {
                assert!(stay.look(now));
                stay.found(callers, true);
                now += SPELL / 2;
            }
        }
        assert!(stay.look(now));
        stay.found(MANY - 1, true);
        now += SPELL;
        assert!(!stay.look(now), "few have come");
        stay.found(0, false);
        assert!(stay.look(now), "it was woken again");
    }
}
