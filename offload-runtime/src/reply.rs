//! How a call ends, as its two ends agree on it: whether somebody waits for
//! the result, whether it is there, and who is woken then.
//!
//! The result itself is not kept here. Exactly one side ends up with it: the
//! one that waits, if [`Reply::end`] came first, or else the thread that ran
//! the body.

use std::fmt;
use std::mem;
use std::task::Waker;

use tokio::runtime::Handle;

use crate::outcome::Failure;
use crate::sync::{AtomicUsize, Mutex, Ordering, lock};

/// Somebody waits.
const OPEN: usize = 0;
/// It has ended, with a result.
const RESULT: usize = 1;
/// It has ended without.
const FAILURE: usize = 2;
/// Nobody waits, but it is to run.
const DETACHED: usize = 3;
/// Nobody waits, and it is not to start.
const GONE: usize = 4;

/// See the [module](self).
pub(crate) struct Reply {
    state: AtomicUsize,
    told: Mutex<Told>,
}

/// What one side leaves for the other.
#[derive(Default)]
struct Told {
    waker: Option<Waker>,
    failure: Option<Failure>,
    /// That of the caller: the destructor of a result may need it, say to spawn.
    runtime: Option<Handle>,
}

/// What nobody waits for.
type Left = (Option<Failure>, Option<Handle>);

/// How far it is, for the side that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Not,
    Result,
    Failure,
}

impl Reply {
    /// Somebody waits, and is woken by this.
    pub(crate) fn new(waker: Option<Waker>) -> Reply {
        let told = Told { waker, ..Told::default() };
        Reply { state: AtomicUsize::new(OPEN), told: Mutex::new(told) }
    }

    pub(crate) fn ended(&self) -> Ended {
        match self.state.load(Ordering::Acquire) {
            RESULT => Ended::Result,
            FAILURE => Ended::Failure,
            _ => Ended::Not,
        }
    }

    /// Nobody waits, so it is not to start.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) == GONE
    }

    /// The same as [`ended`](Self::ended); and if it has not, this waker is woken when it does.
    pub(crate) fn poll(&self, waker: &Waker) -> Ended {
        let ended = self.ended();
        if ended != Ended::Not || lock(&self.told).knows(waker) {
            return ended;
        }
        // A waker is foreign code: cloned and dropped while nothing is locked.
        let mut waker = Some(waker.clone());
        mem::swap(&mut lock(&self.told).waker, &mut waker);
        drop(waker);
        // Once more: whoever ends it looks for a waker after it has said so.
        self.ended()
    }

    /// Nobody waits any more: it runs all the same. False: it has ended.
    pub(crate) fn detach(&self) -> bool {
        self.leave(DETACHED)
    }

    /// Nobody waits any more: if it has not started, it will not. False: it has ended.
    pub(crate) fn cancel(&self) -> bool {
        self.leave(GONE)
    }

    fn leave(&self, state: usize) -> bool {
        self.state.compare_exchange(OPEN, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// It has ended, with a result unless there is a failure. Whom to wake; or,
    /// if nobody waits, what was given: it is left to the caller of this, as
    /// the result is.
    pub(crate) fn end(
        &self,
        failure: Option<Failure>,
        runtime: Option<Handle>,
    ) -> Result<Option<Waker>, Left> {
        let state = if failure.is_some() { FAILURE } else { RESULT };
        if failure.is_some() || runtime.is_some() {
            let mut told = lock(&self.told);
            told.failure = failure;
            told.runtime = runtime;
        }
        if self.leave(state) {
            return Ok(lock(&self.told).waker.take());
        }
        let mut told = lock(&self.told);
        Err((told.failure.take(), told.runtime.take()))
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        lock(&self.told).failure.take()
    }

    pub(crate) fn take_runtime(&self) -> Option<Handle> {
        lock(&self.told).runtime.take()
    }
}

impl Told {
    fn knows(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|known| known.will_wake(waker))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("ended", &self.ended()).finish_non_exhaustive()
    }
}
