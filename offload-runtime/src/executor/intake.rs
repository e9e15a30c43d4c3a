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

use crate::sync::{AtomicU8, Ordering};

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
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, drained).is_ok()
    }

    /// Calls are taken again, unless it was closed for good.
    pub(crate) fn open(&self) {
        let open = |now: u8| (now & FOR_GOOD == 0).then_some(0);
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, open);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }

    #[cfg(feature = "process")]
    pub(crate) fn is_closed_for_good(&self) -> bool {
        self.0.load(Ordering::SeqCst) & FOR_GOOD != 0
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.0.load(Ordering::SeqCst) & DRAINED != 0
    }
}
