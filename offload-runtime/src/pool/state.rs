//! What is known of a pool's threads and calls, and what is to be done about it: all of
//! it under the lock of the [`Core`](super::core::Core), whose protocol this is.

use std::time::{Duration, Instant};

use super::calls::{Calls, Queued};
use super::quick::Quick;
use super::search::Search;
use super::seat::Seat;
use crate::streak;
use crate::sync::Arc;

/// After this long without a call taken or ended, a pool counts as stuck.
pub(super) const STUCK: Duration = Duration::from_millis(1);

/// A call waits so long for a thread whose body seemed quick and is not.
pub(super) const QUICK_STUCK: Duration = Duration::from_millis(4);

/// If calls wait, and none was taken for so long, the thread in a quick body may have lost its
/// core. A quick body may take as long.
pub(super) const LOST: Duration = streak::QUICK;

/// After the system refused a thread, the pool asks again this much later.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// After so many calls that came alone, the next is expected to.
const LONE: u32 = 16;

/// A call that waited so long in a pool that moves shows that it is too small.
const BEHIND: Duration = Duration::from_millis(10);

/// What a pool may do, fixed when it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The most threads.
    pub(crate) max: usize,
    /// So many are started without waiting for the pool to be stuck.
    pub(crate) base: usize,
    /// An idle thread ends after this; `None`: never.
    pub(crate) keep_alive: Option<Duration>,
    /// A thread that has run out of calls searches for the next.
    pub(crate) searches: bool,
    /// Its threads may run while their callers do: there is more than one core.
    pub(crate) parallel: bool,
}

/// What is left to do after the lock is released.
#[must_use = "a wake-up that is dropped is lost"]
pub(crate) enum Next {
    Nothing,
    /// Call this thread.
    Call(Arc<Seat>),
    /// Start a thread; if that fails, report it by `Core::start_failed`.
    Start,
    /// Look again by `Core::look`, after this time.
    Watch(Watch, Duration),
}

/// For what the timer looks at the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Whether more threads are needed.
    Growth,
    /// Whether calls wait for a body that only seemed quick.
    Quick,
}

/// What the pool was doing at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) threads: usize,
    pub(crate) idle: usize,
    pub(crate) running: usize,
    pub(crate) queued: usize,
}

/// See the [module](self).
pub(super) struct State<J> {
    pub(super) calls: Calls<J>,
    /// Every thread that has arrived once, by its number.
    pub(super) seats: Vec<Option<Arc<Seat>>>,
    /// The idle ones, the most recent last.
    pub(super) idle: Vec<usize>,
    /// Threads on their way to the queue.
    pub(super) coming: usize,
    pub(super) quick: Quick,
    /// Somebody asks how many calls wait, since there is a bound on them: then
    /// none waits while a thread is idle.
    pub(super) bounded: bool,
    pub(super) search: Search,
    /// So many calls were taken, one after the other, while no other waited.
    pub(super) lone: u32,
    /// Some call was rationed. Until then none is asked, as its memory is in
    /// the cache of its caller's core.
    pub(super) rationed: bool,
    /// All threads, those being started included.
    pub(super) threads: usize,
    /// When a thread last took or ended a call, or came because it was called.
    pub(super) moved: Instant,
    /// The watches that are set.
    pub(super) watched: [bool; 2],
    /// The system refused the last thread that was asked for.
    pub(super) refused: bool,
    pub(super) closed: bool,
}

impl Rules {
    /// How long a call waits for a thread in a quick body before another is called. If there is
    /// one core, it is the caller that has it.
    pub(super) fn patience(&self) -> Duration {
        if self.parallel { LOST } else { Duration::MAX }
    }
}

impl<J: Queued> State<J> {
    pub(super) fn new(now: Instant) -> State<J> {
        State {
            calls: Calls::new(),
            seats: Vec::new(),
            idle: Vec::new(),
            coming: 0,
            quick: Quick::new(),
            bounded: false,
            search: Search::new(now),
            lone: 0,
            rationed: false,
            threads: 0,
            moved: now,
            watched: [false; 2],
            refused: false,
            closed: false,
        }
    }

    /// How many calls wait for a thread; `None`: a thread is free for one more.
    ///
    /// A thread that is idle, on its way, or may be started is as good as
    /// there, so calls are not counted that one of these will take.
    pub(super) fn waiting(&self, rules: &Rules) -> Option<usize> {
        let startable = if self.refused { 0 } else { rules.max - self.threads };
        let spare = self.idle.len() + self.coming + startable;
        self.calls.queued().checked_sub(spare)
    }

    /// For how many calls a thread comes without being called.
    pub(super) fn room(&self, rules: &Rules) -> usize {
        if self.closed || self.bounded {
            return 0;
        }
        // One is on its way, or there is none that could be called.
        if self.coming > 0 || self.threads >= rules.max && self.idle.is_empty() {
            return usize::MAX;
        }
        // See `summon`. Without the watch, the next call has to set it.
        match self.watched[Watch::Quick as usize] {
            true => self.quick.room().saturating_sub(self.calls.queued()),
            false => 0,
        }
    }

    /// A thread takes or ends a call. What it says of the time may be old.
    pub(super) fn moves(&mut self, now: Instant) {
        self.moved = self.moved.max(now);
    }

    /// Whether who calls alone has an answer at once: a thread searches, on another core.
    pub(super) fn is_sought(&self, rules: &Rules) -> bool {
        rules.parallel && self.search.is_on() && self.lone >= LONE
    }

    /// The next call of the queue, if both it and the one before it are quick: then
    /// nothing else changes, and what is in the inbox has time.
    pub(super) fn next_quick(&mut self, number: usize, now: Instant) -> Option<J> {
        let is_quick = self.quick.is(number) && self.calls.oldest().is_some_and(J::is_quick);
        if !is_quick || self.rationed {
            return None;
        }
        self.lone = 0;
        self.calls.leave(number);
        self.moves(now);
        self.seats[number].as_ref().expect("seated").set_cancelled(false);
        self.calls.start(number)
    }

    /// Sees to it that a waiting call is not forgotten.
    pub(super) fn summon(&mut self, rules: &Rules, now: Instant, watch_looks: bool) -> Next {
        if self.coming > 0 {
            return Next::Nothing;
        }
        if self.calls.queued() == 0 {
            return Next::Nothing;
        }
        let stuck = now.saturating_duration_since(self.moved) >= STUCK;
        if stuck && self.quick.is_any() {
            self.quick.distrust();
        }
        // A thread that is about to be done takes them sooner than one that has
        // to be woken.
        let lost = now.saturating_duration_since(self.moved) >= rules.patience();
        if self.calls.queued() <= self.quick.room() && !lost {
            return self.watch(Watch::Quick, QUICK_STUCK);
        }
        if let next @ Next::Call(_) = self.call_idle() {
            return next;
        }
        if self.threads >= rules.max {
            return Next::Nothing;
        }
        let behind = |oldest: &J| now.saturating_duration_since(oldest.since()) >= BEHIND;
        let behind = watch_looks && self.calls.oldest().is_some_and(behind);
        if self.threads < rules.base || stuck || behind {
            self.threads += 1;
            self.coming += 1;
            return Next::Start;
        }
        self.watch(Watch::Growth, STUCK)
    }

    /// Sets a watch, unless it is set.
    pub(super) fn watch(&mut self, watch: Watch, pause: Duration) -> Next {
        let is_set = std::mem::replace(&mut self.watched[watch as usize], true);
        if is_set { Next::Nothing } else { Next::Watch(watch, pause) }
    }

    /// How many calls wait for a thread, asked since there is a bound on them.
    pub(super) fn look_at_bound(&mut self, rules: &Rules) -> Option<usize> {
        if !std::mem::replace(&mut self.bounded, true) {
            self.quick.distrust();
        }
        self.waiting(rules)
    }

    /// Calls the thread that became idle last, if calls wait.
    pub(super) fn call_idle(&mut self) -> Next {
        if self.calls.queued() == 0 {
            return Next::Nothing;
        }
        match self.idle.pop() {
            Some(number) => {
                self.coming += 1;
                Next::Call(self.seats[number].clone().expect("seated"))
            }
            None => Next::Nothing,
        }
    }

    pub(super) fn leave(&mut self, number: usize) {
        self.seats[number] = None;
        self.threads -= 1;
    }
}
