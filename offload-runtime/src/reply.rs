//! How a call ends, as its two ends agree on it: whether somebody waits for
//! the result, whether it is there, and who is woken then.
//!
//! The result itself is not kept here. Exactly one side ends up with it: the
//! one that waits, if [`Reply::end`] came first, or else the thread that ran
//! the body.

use std::fmt;
use std::mem;
use std::task::Waker;

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
    /// Apart, since most calls have none.
    failure: Option<Box<Failure>>,
}

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
        self.leave_for_good(DETACHED)
    }

    /// Nobody waits any more: if it has not started, it will not. False: it has ended.
    pub(crate) fn cancel(&self) -> bool {
        self.leave_for_good(GONE)
    }

    fn leave_for_good(&self, state: usize) -> bool {
        let left = self.leave(state);
        if left {
            // Here, and not where the body runs: to drop it may be to drop a task.
            let waker = lock(&self.told).waker.take();
            drop(waker);
        }
        left
    }

    fn leave(&self, state: usize) -> bool {
        self.state.compare_exchange(OPEN, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// It has ended, with a result unless there is a failure. Whom to wake; or,
    /// if nobody waits, what was given: it is left to the caller of this, as
    /// the result is.
    pub(crate) fn end(&self, failure: Option<Failure>) -> Result<Option<Waker>, Option<Failure>> {
        let state = if failure.is_some() { FAILURE } else { RESULT };
        if failure.is_some() {
            lock(&self.told).failure = failure.map(Box::new);
        }
        if self.leave(state) {
            return Ok(lock(&self.told).waker.take());
        }
        Err(self.take_failure())
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        lock(&self.told).failure.take().map(|failure| *failure)
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

/// Every order of the steps of both sides.
#[cfg(all(test, offload_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::Condvar;
    use loom::thread;

    use super::*;

    /// A task that is woken.
    struct Sleeper {
        is_woken: Mutex<bool>,
        woken: Condvar,
    }

    impl Sleeper {
        fn new() -> Arc<Sleeper> {
            Arc::new(Sleeper { is_woken: Mutex::new(false), woken: Condvar::new() })
        }

        fn sleep(&self) {
            let mut is_woken = lock(&self.is_woken);
            while !*is_woken {
                is_woken = self.woken.wait(is_woken).unwrap();
            }
        }
    }

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            *lock(&self.is_woken) = true;
            self.woken.notify_one();
        }
    }

    fn end(reply: &Reply) -> bool {
        let ended = reply.end(None);
        if let Ok(Some(waker)) = &ended {
            waker.wake_by_ref();
        }
        ended.is_ok()
    }

    /// A wake-up that is lost is a deadlock here.
    #[test]
    fn who_waits_is_woken_by_the_waker_that_it_showed_last() {
        loom::model(|| {
            let (first, last) = (Sleeper::new(), Sleeper::new());
            let reply = Arc::new(Reply::new(Some(first.into())));
            let theirs = Arc::clone(&reply);
            let pool = thread::spawn(move || assert!(end(&theirs)));
            if reply.poll(&Arc::clone(&last).into()) == Ended::Not {
                last.sleep();
            }
            assert_eq!(reply.ended(), Ended::Result);
            pool.join().unwrap();
        });
    }

    /// It comes with a waker when the call may have ended.
    #[test]
    fn who_lingered_in_vain_is_woken() {
        loom::model(|| {
            let sleeper = Sleeper::new();
            let reply = Arc::new(Reply::new(None));
            let theirs = Arc::clone(&reply);
            let pool = thread::spawn(move || assert!(end(&theirs)));
            if reply.ended() == Ended::Not && reply.poll(&Arc::clone(&sleeper).into()) == Ended::Not
            {
                sleeper.sleep();
            }
            assert_eq!(reply.ended(), Ended::Result);
            pool.join().unwrap();
        });
    }

    #[test]
    fn what_a_call_came_to_is_left_to_exactly_one_side() {
        for leave in [Reply::cancel, Reply::detach] {
            loom::model(move || {
                let reply = Arc::new(Reply::new(None));
                let theirs = Arc::clone(&reply);
                let pool = thread::spawn(move || end(&theirs));
                let left = leave(&reply);
                let is_taken = !left && reply.ended() == Ended::Result;
                assert_ne!(is_taken, !pool.join().unwrap());
            });
        }
    }

    #[test]
    fn a_failure_is_there_for_the_side_that_it_is_left_to() {
        loom::model(|| {
            let reply = Arc::new(Reply::new(None));
            let theirs = Arc::clone(&reply);
            let failure = || Some(Failure::Panic(Box::new(7)));
            let pool = thread::spawn(move || match theirs.end(failure()) {
                Ok(_) => 0,
                Err(failure) => usize::from(failure.is_some()),
            });
            let mine = match reply.cancel() {
                true => 0,
                false => usize::from(reply.take_failure().is_some()),
            };
            assert_eq!(mine + pool.join().unwrap(), 1);
        });
    }
}
