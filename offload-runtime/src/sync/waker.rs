//! Where one who waits leaves its waker for who has something for it.

use std::mem;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::AtomicWaker;
use super::foreign::{drop_quietly, panic_of};

/// An [`AtomicWaker`] whose wakers are foreign: one that panics as it is cloned, or as another takes its place, would
/// leave it locked, and nobody would be woken any more.
pub(crate) struct WakerCell {
    waker: AtomicWaker,
    /// It is locked for good. Only who registers looks.
    is_stuck: AtomicBool,
}

impl WakerCell {
    pub(crate) fn new() -> WakerCell {
        WakerCell { waker: AtomicWaker::new(), is_stuck: AtomicBool::new(false) }
    }

    /// This one is woken next. Once a panic has come out of here, it is so at once: who waits then asks again and
    /// again.
    pub(crate) fn register(&self, waker: &Waker) {
        if self.is_stuck.load(Ordering::Relaxed) {
            return waker.wake_by_ref();
        }
        if let Some(panic) = panic_of(|| self.waker.register(waker)) {
            self.is_stuck.store(true, Ordering::Relaxed);
            resume_unwind(panic);
        }
    }

    pub(crate) fn take(&self) -> Option<Waker> {
        self.waker.take()
    }
}

impl Drop for WakerCell {
    /// The last waker is in it, where it is stuck, and this may be a thread of a pool.
    fn drop(&mut self) {
        if *self.is_stuck.get_mut() {
            drop_quietly(mem::replace(&mut self.waker, AtomicWaker::new()));
        }
    }
}
