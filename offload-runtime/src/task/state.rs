//! How far a call is, in one word that both its ends change: the one that awaits it, and the
//! thread that runs it.
//!
//! # The protocol
//!
//! A call is *queued*, or *waiting* for a permit, then *running*, then *done*. Two flags say
//! that nobody awaits it any more: *cancelled* (if it has not started, it will not) and
//! *detached* (it runs all the same). A third, *told*, says that the body is to stop, and what it
//! comes to is awaited all the same.
//!
//! The body of a stream may be *suspended*: it runs on no thread until somebody wants more of it, and
//! is then queued again, as one that has *begun*.
//!
//! Who changes the word owns what the call holds. The body belongs to the thread that takes
//! the call from queued to running, or to the side that cancels it before that. The result
//! belongs to the side that awaits the call, once that is done; if there was a flag before, to
//! the thread that ran it. What is left of a cancelled call in a queue is a shell, which the
//! thread that meets it throws away.
//!
//! A change orders what its own side has done or will do with that: [`finish`](State::finish) releases the
//! result, [`cancel`](State::cancel) acquires it. Loads are relaxed, since who only looks touches nothing of it; but for
//! [`is_done`](State::is_done), after which the result may be taken, and [`is_cancelled`](State::is_cancelled), after
//! which the body sees what was done before it was told to stop.

use crate::sync::{AtomicU8, Ordering};

/// In the queue of its pool.
const QUEUED: u8 = 0;
/// Waiting until there is a permit.
const WAITING: u8 = 1;
const RUNNING: u8 = 2;
const DONE: u8 = 3;
/// How far it is, without the flags.
const PHASE: u8 = 3;
/// Nobody awaits it: if it has not started, it will not.
const CANCELLED: u8 = 4;
/// Nobody awaits it: it runs all the same.
const DETACHED: u8 = 8;
/// The body is to stop; what it comes to is awaited.
const TOLD: u8 = 16;
/// Beside running: it is on no thread.
const SUSPENDED: u8 = 32;
/// It has run before.
const BEGUN: u8 = 64;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct State(AtomicU8);

/// How far a call was when somebody stopped awaiting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the queue of its pool.
    Queued,
    /// Waiting until there is a permit.
    Waiting,
    Running,
    /// A part of its body has run, and it is on no thread.
    Suspended,
    /// Its result, or its failure, is the caller's.
    Done,
}

impl State {
    pub(crate) fn new() -> State {
        State(AtomicU8::new(QUEUED))
    }

    /// Claims the call. True: the caller owns the body, and must run or end it. False: it was
    /// cancelled, or another thread has claimed it.
    #[must_use]
    pub(crate) fn begin(&self) -> bool {
        self.go(QUEUED, RUNNING)
    }

    /// It waits for a permit. False: it was cancelled.
    #[must_use]
    pub(crate) fn set_waiting(&self) -> bool {
        self.go(QUEUED, WAITING)
    }

    /// There is a permit, and it is about to be queued again. False: it was cancelled.
    #[must_use]
    pub(crate) fn requeue(&self) -> bool {
        self.go(WAITING, QUEUED)
    }

    fn go(&self, from: u8, to: u8) -> bool {
        let next = |word| (word & (PHASE | CANCELLED) == from).then_some(word ^ from ^ to);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next).is_ok()
    }

    /// A part of the body has run: what is left belongs to who takes it from here. False: nobody
    /// awaits it any more, and it still is with who calls this.
    #[must_use]
    pub(crate) fn suspend(&self) -> bool {
        let next = |word| {
            (word & (PHASE | CANCELLED | DETACHED) == RUNNING).then_some(word | SUSPENDED | BEGUN)
        };
        self.0.fetch_update(Ordering::Release, Ordering::Relaxed, next).is_ok()
    }

    /// It is about to be queued again. False: it is not suspended, or was cancelled.
    #[must_use]
    pub(crate) fn resume(&self) -> bool {
        self.leave_suspension(SUSPENDED | RUNNING)
    }

    /// It goes on, on the thread that suspended it. False: somebody else was faster.
    #[must_use]
    pub(crate) fn reclaim(&self) -> bool {
        self.leave_suspension(SUSPENDED)
    }

    fn leave_suspension(&self, bits: u8) -> bool {
        let next = |word| (word & (SUSPENDED | CANCELLED) == SUSPENDED).then_some(word ^ bits);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).is_ok()
    }

    /// Whether a part of the body has run before.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed) & BEGUN != 0
    }

    /// It has ended. True: the caller takes what it came to. False: that is left to who
    /// calls this.
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // From running, whose bit is one of those of done.
        self.0.fetch_or(DONE, Ordering::Release) & (CANCELLED | DETACHED) == 0
    }

    /// Nobody awaits it any more. How far it was: queued or waiting, the body is left to
    /// who calls this; done, the result is.
    pub(crate) fn cancel(&self) -> Phase {
        phase(self.0.fetch_or(CANCELLED, Ordering::AcqRel))
    }

    /// It is not to start any more. How far it was; `None`: it has started, or was cancelled
    /// before.
    pub(crate) fn cancel_unstarted(&self) -> Option<Phase> {
        let next = |word| {
            (word & PHASE < RUNNING && word & (CANCELLED | BEGUN) == 0).then_some(word | CANCELLED)
        };
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).ok().map(phase)
    }

    /// Nobody awaits it any more, and it runs all the same. How far it was: done, the result
    /// is left to who calls this.
    pub(crate) fn detach(&self) -> Phase {
        phase(self.0.fetch_or(DETACHED, Ordering::Acquire))
    }

    /// The body is to stop; what it comes to is awaited.
    pub(crate) fn tell_to_stop(&self) {
        self.0.fetch_or(TOLD, Ordering::Release);
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DETACHED != 0
    }

    /// It was cancelled before it started.
    pub(crate) fn is_cancelled_unstarted(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word & PHASE < RUNNING && word & (CANCELLED | BEGUN) == CANCELLED
    }

    /// It has ended, or never starts.
    pub(crate) fn is_over(&self) -> bool {
        self.is_done() || self.is_cancelled_unstarted()
    }

    /// Somebody takes what it comes to, though its body may be told to stop.
    #[cfg(feature = "process")]
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (CANCELLED | DETACHED) == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & PHASE == DONE
    }

    /// Somebody has its body, and is to end it.
    pub(crate) fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (PHASE | SUSPENDED) == RUNNING
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) & (CANCELLED | TOLD) != 0
    }

    /// Its body has not been started, and may be.
    pub(crate) fn is_unstarted(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word & PHASE < RUNNING && word & CANCELLED == 0
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (PHASE | CANCELLED) == QUEUED
    }
}

fn phase(word: u8) -> Phase {
    match word & PHASE {
        QUEUED => Phase::Queued,
        WAITING => Phase::Waiting,
        RUNNING if word & SUSPENDED != 0 => Phase::Suspended,
        RUNNING => Phase::Running,
        _ => Phase::Done,
    }
}

#[cfg(all(test, offload_loom))]
mod models;
#[cfg(all(test, not(offload_loom)))]
mod tests;
