//! Which workers of a pool there are, and which functions they know: as they say themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::messages::Presence;

/// How often a worker says that it is there.
pub(super) const SAY_SO: Duration = Duration::from_secs(5);

/// One that has not said so for this long is not there.
const GONE: Duration = Duration::from_secs(16);

/// See the [module](self).
#[derive(Default)]
pub(super) struct KnownWorkers {
    workers: BTreeMap<String, Known>,
}

struct Known {
    functions: BTreeSet<String>,
    heard: Instant,
}

impl KnownWorkers {
    pub(super) fn hear(&mut self, presence: Presence, now: Instant) {
        match presence {
            Presence::Here { worker, functions } => {
                let functions = functions.into_iter().collect();
                self.workers.insert(worker, Known { functions, heard: now });
            }
            Presence::Leaving { worker } => drop(self.workers.remove(&worker)),
        }
        self.workers.retain(|_, known| now.saturating_duration_since(known.heard) < GONE);
    }

    /// How many have been heard since then, if some have, and none that is there knows this function: also none
    /// that has not answered yet.
    pub(super) fn without(&self, function: &str, since: Instant, now: Instant) -> Option<usize> {
        let is_known = self.there(now).any(|known| known.functions.contains(function));
        let heard = self.workers.values().filter(|known| known.heard >= since).count();
        (!is_known && heard > 0).then_some(heard)
    }

    /// How many there are.
    pub(super) fn alive(&self, now: Instant) -> u64 {
        self.there(now).count() as u64
    }

    fn there(&self, now: Instant) -> impl Iterator<Item = &Known> {
        let is_there = move |known: &&Known| now.saturating_duration_since(known.heard) < GONE;
        self.workers.values().filter(is_there)
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn here(worker: &str, functions: &[&str]) -> Presence {
        let functions = functions.iter().map(|name| (*name).to_owned()).collect();
        Presence::Here { worker: worker.to_owned(), functions }
    }

    #[test]
    fn a_function_is_unknown_if_some_were_heard_since_and_none_that_is_there_has_it() {
        let mut workers = KnownWorkers::default();
        let before = Instant::now();
        assert_eq!(workers.without("draw", before, before), None);
        workers.hear(here("a", &["draw"]), before);
        workers.hear(here("b", &[]), before);
        assert_eq!(workers.without("draw", before, before), None);
        assert_eq!(workers.without("paint", before, before), Some(2));
        let since = before + SAY_SO;
        assert_eq!(workers.without("paint", since, since), None);
        workers.hear(here("b", &["paint"]), since);
        // `a` may be too busy to answer.
        assert_eq!(workers.without("draw", since, since), None);
        assert_eq!(workers.without("draw", since, before + GONE), Some(1));
        assert_eq!(workers.alive(since), 2);
        workers.hear(Presence::Leaving { worker: "b".to_owned() }, since);
        assert_eq!((workers.alive(since), workers.alive(before + GONE)), (1, 0));
    }
}
