//! How far a call is, in one word that both its ends change: the one that awaits it, and the
//! thread that runs it.
//!
//! # The protocol
//!
//! A call is *queued*, or *waiting* for a permit, then *running*, then *done*. Two flags say
//! that nobody awaits it any more: *cancelled* (if it has not started, it will not) and
//! *detached* (it runs all the same).
//!
//! Who changes the word owns what the call holds. The body belongs to the thread that takes
//! the call from queued to running, or to the side that cancels it before that. The result
//! belongs to the side that awaits the call, once that is done; if there was a flag before, to
//! the thread that ran it. What is left of a cancelled call in a queue is a shell, which the
//! thread that meets it throws away.

use crate::sync::{AtomicU8, Ordering};

/// In the queue of its pool.
const QUEUED: u8 = 0;
/// Set aside until there is a permit.
const WAITING: u8 = 1;
const RUNNING: u8 = 2;
const DONE: u8 = 3;
/// How far it is, without the flags.
const PHASE: u8 = 3;
/// Nobody awaits it: if it has not started, it will not.
const CANCELLED: u8 = 4;
/// Nobody awaits it: it runs all the same.
const DETACHED: u8 = 8;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct State(AtomicU8);

/// How far a call was when somebody stopped awaiting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the queue of its pool.
    Queued,
    /// Set aside until there is a permit.
    Waiting,
    Running,
    /// Its result, or its failure, is the caller's.
    Done,
}

impl State {
    pub(crate) fn new() -> State {
        State(AtomicU8::new(QUEUED))
    }

    /// It is run, or ended in another way, by who calls this: the body is theirs. False: it
    /// was cancelled, or somebody else has it.
    #[must_use]
    pub(crate) fn begin(&self) -> bool {
        self.go(QUEUED, RUNNING)
    }

    /// It waits for a permit. False: it was cancelled.
    #[must_use]
    pub(crate) fn set_aside(&self) -> bool {
        self.go(QUEUED, WAITING)
    }

    /// There is a permit, and it is about to be queued again. False: it was cancelled.
    #[must_use]
    pub(crate) fn requeue(&self) -> bool {
        self.go(WAITING, QUEUED)
    }

    fn go(&self, from: u8, to: u8) -> bool {
        let next = |word| (word & (PHASE | CANCELLED) == from).then_some(word ^ from ^ to);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// It has ended. True: the caller takes what it came to. False: that is left to who
    /// calls this.
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // From running, whose bit is one of those of done.
        self.0.fetch_or(DONE, Ordering::AcqRel) & (CANCELLED | DETACHED) == 0
    }

    /// Nobody awaits it any more. How far it was: queued or waiting, the body is left to
    /// who calls this; done, the result is.
    pub(crate) fn cancel(&self) -> Phase {
        phase(self.0.fetch_or(CANCELLED, Ordering::AcqRel))
    }

    /// It is not to start any more. How far it was; `None`: it has started.
    pub(crate) fn cancel_unstarted(&self) -> Option<Phase> {
        let next = |word| (word & PHASE < RUNNING).then_some(word | CANCELLED);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(phase)
    }

    /// Nobody awaits it any more, and it runs all the same. How far it was: done, the result
    /// is left to who calls this.
    pub(crate) fn detach(&self) -> Phase {
        phase(self.0.fetch_or(DETACHED, Ordering::AcqRel))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & PHASE == DONE
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) & CANCELLED != 0
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.0.load(Ordering::Acquire) & (PHASE | CANCELLED) == QUEUED
    }
}

fn phase(word: u8) -> Phase {
    match word & PHASE {
        QUEUED => Phase::Queued,
        WAITING => Phase::Waiting,
        RUNNING => Phase::Running,
        _ => Phase::Done,
    }
}
