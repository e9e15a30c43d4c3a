//! Whether an executor takes calls, as one word.
//!
//! | it | new calls | those that wait |
//! | --- | --- | --- |
//! | is open | taken | run |
//! | is closed | rejected | run |
//! | is drained | rejected | end without having run |
//!
//! One that was closed alone can be opened again, at any moment of its end: whether its end or its opening
//! comes first is decided by this word. With all others at a shutdown it is closed for good.
//!
//! It guards nothing else. Whether it is closed has one order with the [counts](crate::task::under_way) of calls under
//! way. Whether it is drained is ordered against what is queued by fences, or by the lock that guards that: who queues a
//! call has one before it looks here, and who drains has one before it looks there.

use crate::sync::{AtomicU8, Ordering, fence};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Intake(AtomicU8);

const CLOSED: u8 = 1;
const DRAINED: u8 = 2;
const FOR_GOOD: u8 = 4;

impl Intake {
    /// Open.
    pub(crate) fn new() -> Intake {
        Intake(AtomicU8::new(0))
    }

    /// No more calls are taken, and none ever, if that is `for_good`.
    pub(crate) fn close(&self, for_good: bool) {
        let bits = if for_good { CLOSED | FOR_GOOD } else { CLOSED };
        self.0.fetch_or(bits, Ordering::SeqCst);
    }

    /// None of the calls that wait is started any more. False: it was opened meanwhile, and they are.
    ///
    /// Who queues a call and asks then whether it [is drained](Self::is_drained), or who drains it and looks
    /// then at what is queued, sees the other.
    pub(crate) fn drain(&self) -> bool {
        let drained = |now: u8| (now & CLOSED != 0).then_some(now | DRAINED);
        let is_drained = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, drained).is_ok();
        fence(Ordering::SeqCst);
        is_drained
    }

    /// Calls are taken again, unless it was closed for good.
    pub(crate) fn open(&self) {
        let open = |now: u8| (now & FOR_GOOD == 0).then_some(0);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, open);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }

    #[cfg(feature = "process")]
    pub(crate) fn is_closed_for_good(&self) -> bool {
        self.0.load(Ordering::Relaxed) & FOR_GOOD != 0
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DRAINED != 0
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn shows(intake: &Intake, [is_closed, is_drained, is_for_good]: [bool; 3]) {
        assert_eq!((intake.is_closed(), intake.is_drained()), (is_closed, is_drained));
        #[cfg(feature = "process")]
        assert_eq!(intake.is_closed_for_good(), is_for_good);
        #[cfg(not(feature = "process"))]
        let _ = is_for_good;
    }

    #[test]
    fn one_that_was_closed_alone_can_be_opened_at_any_moment_of_its_end() {
        let intake = Intake::new();
        shows(&intake, [false; 3]);
        assert!(!intake.drain(), "it is open");
        shows(&intake, [false; 3]);
        for is_drained in [false, true] {
            intake.close(false);
            shows(&intake, [true, false, false]);
            if is_drained {
                assert!(intake.drain());
                shows(&intake, [true, true, false]);
            }
            intake.open();
            shows(&intake, [false; 3]);
        }
    }

    #[test]
    fn one_that_was_closed_for_good_is_not_opened() {
        let intake = Intake::new();
        intake.close(false);
        intake.close(true);
        intake.open();
        shows(&intake, [true, false, true]);
        assert!(intake.drain());
        intake.open();
        shows(&intake, [true; 3]);
    }
}
