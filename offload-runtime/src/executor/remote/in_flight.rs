//! One call that has not ended: waiting, begun, ended.
//!
//! # The protocol
//!
//! A call *waits* until a worker asks whether it may begin. Only here that is decided, by the state
//! of the task and its deadline: a call that was cancelled, or is late, does not begin, and a second worker
//! that has got the same call is told no. One that is late ends also if nobody asks, and nobody awaits it. So what this side says of a call that has ended, whether its body was
//! started, is true whatever the network does to messages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;

use super::carried::Carried;
use super::parcel::{Answer, Parcel};
use crate::error::{Error, Ran};
use crate::system::abort::Unpoisoned;
use crate::task::about::About;
use crate::task::{Awaited, Permits, Queued, completion};

/// See the [module](self).
pub(super) struct InFlight {
    pub(super) parcel: Arc<Parcel>,
    /// The address of its task, which tells it from others while it has not ended.
    pub(super) place: usize,
    /// No other call of this process has it.
    pub(super) number: u64,
    /// The caller's context that is sent in headers.
    pub(super) carried: Carried,
    state: Mutex<State>,
    /// A worker was told that the body may start.
    is_granted: AtomicBool,
    /// It is known that the body has started.
    has_started: AtomicBool,
}

enum State {
    /// For permits, or for what follows.
    New,
    Waiting(Queued, Permits),
    Begun {
        task: Awaited,
        permits: Permits,
        began: Instant,
    },
    Over,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Begun,
    Over,
}

impl InFlight {
    pub(super) fn new(parcel: Arc<Parcel>, place: usize, carried: Carried) -> InFlight {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State::New);
        let (is_granted, has_started) = (AtomicBool::new(false), AtomicBool::new(false));
        InFlight { parcel, place, number, carried, state, is_granted, has_started }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    fn replace(&self, state: State) -> State {
        std::mem::replace(&mut *self.lock(), state)
    }

    pub(super) fn about(&self) -> &'static About {
        self.parcel.function().about()
    }

    pub(super) fn name(&self) -> &'static str {
        self.about().name
    }

    /// The arguments, as they are sent. It runs foreign code: `Serialize`.
    pub(super) fn pack(&self, max_message: usize) -> Result<Bytes, Error> {
        let pack = || self.parcel.pack(max_message, self.carried.bytes());
        catch_unwind(AssertUnwindSafe(pack))
            .unwrap_or_else(|payload| Err(Error::panicked_before(self.name(), payload)))
    }

    /// It has all that it needs, and waits for a worker. False: it was cancelled meanwhile.
    pub(super) fn wait(&self, task: Queued, permits: Permits) -> bool {
        let mut state = self.lock();
        if matches!(*state, State::Over) {
            drop(state);
            task.discard();
            drop(permits);
            return false;
        }
        *state = State::Waiting(task, permits);
        true
    }

    pub(super) fn stage(&self) -> Stage {
        match &*self.lock() {
            State::New | State::Waiting(..) => Stage::Waiting,
            State::Begun { .. } => Stage::Begun,
            State::Over => Stage::Over,
        }
    }

    /// When it began, if it has and has not ended.
    pub(super) fn began(&self) -> Option<Instant> {
        match &*self.lock() {
            State::Begun { began, .. } => Some(*began),
            _ => None,
        }
    }

    /// A worker may begin it. False: it was cancelled, or another has begun it.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.lock();
        let (task, permits) = match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(task, permits) => (task, permits),
            other => {
                *state = other;
                return false;
            }
        };
        let began = Instant::now();
        let Some(task) = completion::begin_elsewhere(task, began) else {
            drop(state);
            // Another call may be waiting for it.
            drop(permits);
            return false;
        };
        *state = State::Begun { task, permits, began };
        true
    }

    /// From now on the body of a call that has begun may start. False: it has ended, or nobody awaits
    /// it any more, and its caller was told that it did not run.
    pub(super) fn grant(&self) -> bool {
        let state = self.lock();
        let is_awaited = match &*state {
            State::Begun { task, .. } => !task.meta().state.is_cancelled(),
            _ => false,
        };
        if is_awaited {
            self.is_granted.store(true, Ordering::Release);
        }
        is_awaited
    }

    /// The worker has started the body.
    pub(super) fn set_started(&self) {
        self.has_started.store(true, Ordering::Release);
    }

    /// Whether the body of a call that has begun was started, as far as that is known here. One that nobody
    /// awaits any more, and of which this says no, is not started later.
    pub(super) fn ran(&self) -> Ran {
        // Who gives a grant looks whether the call was cancelled, and does so under this lock; who asks
        // has cancelled it before.
        let _state = self.lock();
        match (self.has_started.load(Ordering::Acquire), self.is_granted.load(Ordering::Acquire)) {
            (true, _) => Ran::Yes,
            (false, true) => Ran::Maybe,
            (false, false) => Ran::No,
        }
    }

    /// Whether it has begun, and nobody awaits it any more.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(&*self.lock(), State::Begun { task, .. } if task.meta().state.is_cancelled())
    }

    /// Ends it, if it has not begun and is too late to.
    pub(super) fn expire(&self, now: Instant) -> bool {
        let error = match &*self.lock() {
            State::Waiting(task, _) if task.meta().start_by().is_some_and(|by| by <= now) => {
                completion::expired_in_queue(&**task, now)
            }
            _ => return false,
        };
        self.reject(error)
    }

    /// Ends it, if no worker has begun it.
    pub(super) fn reject(&self, error: Error) -> bool {
        let mut state = self.lock();
        if !matches!(*state, State::Waiting(..)) {
            return false;
        }
        let waiting = std::mem::replace(&mut *state, State::Over);
        drop(state);
        let State::Waiting(task, permits) = waiting else {
            unreachable!("it was so under the lock")
        };
        // Who is told of this makes the next call, and finds all free.
        drop(permits);
        completion::reject(task, error)
    }

    /// Ends it, if it has begun: this is its answer. False: it had ended before.
    pub(super) fn end(&self, answer: Answer) -> bool {
        let mut state = self.lock();
        if !matches!(*state, State::Begun { .. }) {
            return false;
        }
        let begun = std::mem::replace(&mut *state, State::Over);
        drop(state);
        let State::Begun { task, permits, began } = begun else {
            unreachable!("it was so under the lock")
        };
        self.parcel.set_answer(answer);
        completion::end_elsewhere(task, permits, None, began);
        true
    }

    /// It was cancelled before it began.
    pub(super) fn forget(&self) {
        if let State::Waiting(task, permits) = self.replace(State::Over) {
            task.discard();
            drop(permits);
        }
    }
}
