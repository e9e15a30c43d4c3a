//! Waiting on the spot: where a quick body begins at once, its caller's thread
//! does nothing else for a moment, and has the result before it would have gone to
//! sleep.
//!
//! To let a runtime's thread sleep and to wake it takes some microseconds of two
//! cores, and far more where the cores are virtual ones; a body that does
//! little has long ended by then. A caller lingers only if:
//!
//! * the function's bodies have been quick, and a thread of the pool is on a core,
//!   looking for calls;
//! * no other call that was made on this thread waits: then there is enough else to do
//!   meanwhile, and calls cost less together;
//! * it was not in vain lately, nor so often in a row that this thread's other
//!   tasks would wait for their turn.

use std::cell::Cell;
use std::hint;
use std::sync::Arc;
use std::time::Duration;

use crate::function::Function;
use crate::meta::Meta;
use crate::reply::Ended;

/// A caller lingers no longer.
const MOMENT: Duration = Duration::from_micros(5);

/// Between two looks at the clock.
const LOOKS: u32 = 16;

/// After so many calls that were answered on the spot, one has to wait as it would without:
/// then its task, and whatever combines it with others, lets go of the thread.
const IN_A_ROW: u32 = 64;

/// However often it was in vain, each so many calls one lingers.
const SELDOM: u32 = 256;

thread_local! {
    /// Shared with each call that was made on this thread and waits.
    static WAITING: Arc<()> = Arc::new(());
    static TALLY: Cell<Tally> = const { Cell::new(Tally::NEW) };
}

/// What lingering came to on one thread.
#[derive(Clone, Copy)]
struct Tally {
    /// Calls that were answered on the spot since one waited.
    in_a_row: u32,
    /// So many calls do not linger after one that did in vain.
    pause: u32,
    /// How many of them are left.
    left: u32,
}

impl Tally {
    const NEW: Tally = Tally { in_a_row: 0, pause: 0, left: 0 };

    /// Whether a call may linger.
    fn may(&mut self) -> bool {
        if self.in_a_row >= IN_A_ROW {
            return false;
        }
        let may = self.left == 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// A call lingered, and was answered on the spot or not.
    fn add(&mut self, answered: bool) {
        if answered {
            *self = Tally { in_a_row: self.in_a_row + 1, ..Tally::NEW };
        } else {
            // Once is an accident.
            self.left = self.pause;
            self.pause = (self.pause * 2 + 1).min(SELDOM);
        }
    }

    /// A call waits: its task lets others have their turn.
    fn waits(&mut self) {
        self.in_a_row = 0;
    }
}

/// Shows that a call waits, as long as this is there, to those that are made on the same thread.
pub(crate) type Waiting = Arc<()>;

/// A call that was made on this thread begins to wait.
pub(crate) fn begin_to_wait() -> Option<Waiting> {
    tally(Tally::waits);
    WAITING.try_with(Arc::clone).ok()
}

fn tally<R>(change: impl FnOnce(&mut Tally) -> R) -> R {
    let mut tally = TALLY.get();
    let result = change(&mut tally);
    TALLY.set(tally);
    result
}

/// Whether a call of this function, made on this thread now, is to [`linger`].
pub(crate) fn may_linger(function: &'static Function) -> bool {
    if !function.is_quick() || !function.pool().is_sought() {
        return false;
    }
    let is_alone = WAITING.try_with(|waiting| Arc::strong_count(waiting) == 1);
    is_alone.unwrap_or(false) && tally(Tally::may)
}

/// Waits a moment for the end of a call that was sent just now.
pub(crate) fn linger(meta: &Meta) {
    let answered = loop {
        if (0..LOOKS).any(|_| {
            hint::spin_loop();
            meta.reply.ended() != Ended::Not
        }) {
            break true;
        }
        if meta.since.elapsed() >= MOMENT {
            break false;
        }
    };
    tally(|tally| tally.add(answered));
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn after_some_calls_one_has_to_wait() {
        let mut tally = Tally::NEW;
        for _ in 0..3 {
            for _ in 0..IN_A_ROW {
                assert!(tally.may());
                tally.add(true);
            }
            assert!(!tally.may());
            assert!(!tally.may(), "it did not wait");
            tally.waits();
        }
    }

    #[test]
    fn what_is_in_vain_is_tried_seldom_and_again_when_it_is_not() {
        let mut tally = Tally::NEW;
        // How many calls do not linger before one does.
        let pause = |tally: &mut Tally| (0..).find(|_| tally.may()).unwrap();
        let pauses: Vec<u32> = (0..12)
            .map(|_| {
                let pause = pause(&mut tally);
                tally.add(false);
                pause
            })
            .collect();
        assert_eq!(pauses[..5], [0, 0, 1, 3, 7]);
        assert_eq!(pauses[11], SELDOM);
        pause(&mut tally);
        tally.add(true);
        assert_eq!(pause(&mut tally), 0);
    }
}
