//! When a thread is added to a pool, and what is done where the system denies one.
//!
//! Up to `base` threads, one is started for each call that finds none free. Beyond, while
//! calls wait, the pool is looked at each millisecond, on the timer's thread: if no body ended
//! from one look to the next but one, as many are added as there are, up to the queued calls; if some
//! do, and the call that waits longest has waited for ten milliseconds, one is added. That a
//! thread takes a call is no sign that the pool moves: each thread that is added does, once.
//!
//! So calls that block have a thread each in a few milliseconds, and a burst of short ones
//! starts none. Of a `cpu` pool, which has as many threads as it may, a thread whose body is
//! seen [blocked](super::blocked) has another in its place.

use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use super::blocked;
use super::pool::{Kind, Pool, Seen};
use super::sleep::WorkerState;
use crate::sync::timer;
use crate::system::abort::{Unpoisoned, abort_on_panic};
use crate::system::spawner;
use crate::task::meta::StandIn;

/// While calls wait, a pool that may grow is looked at so often.
const LOOK: Duration = Duration::from_millis(1);

/// A `cpu` pool, which may not, is looked at so often: after three looks, 5 ms, a thread may be seen
/// blocked.
const LOOK_FOR_BLOCKED: Duration = Duration::from_micros(1_670);

/// To ask the system for the threads of a large pool takes its time: between two looks there is so often as
/// much.
const REST: u32 = 20;

/// A call that waited so long in a pool that moves shows that it is too small.
const BEHIND: Duration = Duration::from_millis(10);

/// After the system denied a thread, the pool asks again this much later.
const RETRY: Duration = Duration::from_millis(20);

impl Pool {
    /// Nobody is free for what was queued: a thread is started, or the pool is watched.
    pub(super) fn grow(&'static self) {
        let started = self.started();
        let threads = started.threads.load(Ordering::Acquire);
        if threads < started.rules.base + started.extra.load(Ordering::Acquire) {
            self.add_threads(1);
        } else {
            self.watch_growth();
        }
    }

    /// Calls wait: if there may be more threads, the timer looks whether there should be.
    pub(super) fn watch_growth(&'static self) {
        if self.is_worth_a_look() {
            self.watch(Duration::ZERO);
        }
    }

    /// Whether a look at it may come to anything.
    fn is_worth_a_look(&'static self) -> bool {
        let started = self.started();
        let most = started.rules.max + started.extra.load(Ordering::Acquire);
        self.kind == Kind::Cpu || started.threads.load(Ordering::Acquire) < most
    }

    /// A thread has ended, which may have been the one that would have taken what is queued.
    pub(super) fn tend_after_end(&'static self) {
        fence(Ordering::SeqCst);
        let started = self.started();
        if started.leftovers.load(Ordering::SeqCst) > 0 && !started.sleep.notify() {
            self.add_cleaner();
        }
        if !started.queue.is_empty() {
            self.tend();
        }
    }

    /// Lets the timer look, not before so long, unless it will.
    fn watch(&'static self, at_least: Duration) {
        let growth = &self.started().growth;
        let pause = match self.kind {
            Kind::Thread | Kind::Process => LOOK,
            Kind::Cpu => LOOK_FOR_BLOCKED,
        };
        self.look_in(if growth.is_denied() { RETRY } else { pause.max(at_least) });
    }

    fn look_in(&'static self, pause: Duration) {
        let growth = &self.started().growth;
        if growth.is_watched.load(Ordering::Relaxed)
            || growth.is_watched.swap(true, Ordering::SeqCst)
        {
            return;
        }
        if timer::wake_at(Instant::now() + pause, growth.looker.clone()).is_err() {
            growth.is_watched.store(false, Ordering::SeqCst);
            growth.untended.store(true, Ordering::SeqCst);
        }
    }

    /// The timer looks.
    pub(super) fn look(&'static self, now: Instant) {
        let started = self.started();
        let growth = &started.growth;
        growth.is_watched.store(false, Ordering::SeqCst);
        // Who queues a call does so first, and then asks whether the pool is watched.
        fence(Ordering::SeqCst);
        let mut seen = growth.seen.lock().unpoisoned();
        if started.queue.is_empty() {
            *seen = Seen::default();
            return;
        }
        let threads = started.threads.load(Ordering::Acquire);
        let (mut blocked, mut rest) = (Vec::new(), Duration::ZERO);
        let wanted = match self.kind {
            _ if threads < started.rules.base => 1,
            Kind::Thread => self.wanted(&mut seen, now, threads),
            Kind::Cpu => {
                let (popped, ended) = self.progress();
                let extra = started.extra.load(Ordering::Acquire);
                let bounds = [extra, started.rules.max];
                let stand_in = |state| self.stand_in_for(state);
                let start = Instant::now();
                blocked = seen.blocked.look(&started.sleep, popped + ended, bounds, &stand_in);
                rest = REST * start.elapsed();
                0
            }
            Kind::Process => 0,
        };
        drop(seen);
        if started.leftovers.load(Ordering::SeqCst) > 0 {
            self.add_cleaner();
        }
        if wanted > 0 {
            self.add_threads(wanted);
        }
        if self.is_worth_a_look() || growth.is_denied() {
            self.watch(rest);
        }
        blocked::tell(self.label(), &blocked);
    }

    /// How many threads are wanted, beyond `base`.
    pub(super) fn wanted(&'static self, seen: &mut Seen, now: Instant, threads: usize) -> usize {
        let (popped, ended) = self.progress();
        let queued = self.started().queue.len();
        if seen.last.is_some_and(|(then, _)| now.saturating_duration_since(then) < LOOK / 2) {
            return 0;
        }
        let is_stuck = seen.last.is_some_and(|(_, before)| before == ended);
        let was_stuck = std::mem::replace(&mut seen.was_stuck, is_stuck);
        let is_behind = || {
            seen.pushed.front().is_some_and(|(then, pushed)| {
                now.saturating_duration_since(*then) >= BEHIND && popped < *pushed
            })
        };
        let wanted = match is_stuck {
            // Twice in a row: a machine that stood still for a moment looks the same once.
            true if was_stuck => threads.max(1).min(queued),
            true => 0,
            false => usize::from(is_behind()),
        };
        seen.last = Some((now, ended));
        seen.pushed.push_back((now, popped + queued as u64));
        while seen.pushed.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= BEHIND) {
            seen.pushed.pop_front();
        }
        wanted
    }

    /// How much was taken out of the queue, and how many bodies have ended.
    fn progress(&'static self) -> (u64, u64) {
        let states = self.started().sleep.states();
        states
            .fold((0, 0), |(popped, ended), state| (popped + state.popped(), ended + state.ended()))
    }

    /// Adds so many threads, as far as there may be more.
    fn add_threads(&'static self, wanted: usize) {
        for _ in 0..wanted {
            let started = self.started();
            let most = started.rules.max + started.extra.load(Ordering::Acquire);
            let more = |threads: usize| (threads < most).then(|| threads + 1);
            if started.threads.fetch_update(Ordering::SeqCst, Ordering::Acquire, more).is_err() {
                return;
            }
            self.start_thread();
        }
    }

    /// Adds a thread that drops what is left of calls, whatever the limit; unless one is on its
    /// way.
    pub(super) fn add_cleaner(&'static self) {
        let started = self.started();
        if started.growth.cleaners.fetch_add(1, Ordering::SeqCst) > 0 {
            return;
        }
        started.threads.fetch_add(1, Ordering::SeqCst);
        self.start_thread();
    }

    /// A thread takes the place of one whose body waits.
    pub(super) fn add_stand_in(&'static self) -> StandIn {
        let stand_in = self.count_stand_in();
        self.add_threads(1);
        stand_in
    }

    /// The same, as seen from the timer's thread. That body may end at any time, above all as soon
    /// as there is the thread: who ends it has to find what stands in for it, or one thread too many
    /// would be left, with nobody awake to see it.
    fn stand_in_for<G>(&'static self, state: &WorkerState<G>) {
        state.set_stand_in(self.count_stand_in());
        if state.running().is_none() {
            state.dismiss_stand_in();
        }
        self.add_threads(1);
    }

    /// There may be one thread more, until this is dropped, by a thread of the pool that sees then whether it is
    /// one too many.
    fn count_stand_in(&'static self) -> StandIn {
        let extra = &self.started().extra;
        extra.fetch_add(1, Ordering::SeqCst);
        StandIn(Box::new(|| {
            extra.fetch_sub(1, Ordering::SeqCst);
        }))
    }

    /// The same in the place of one that does not come back, or not before somebody else goes on. It is started
    /// when there is a call for it; and dropped by anybody.
    pub(crate) fn allow_one_more(&'static self) -> StandIn {
        let started = self.started();
        started.extra.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !started.queue.is_empty() {
            self.tend();
        }
        StandIn(Box::new(|| {
            started.extra.fetch_sub(1, Ordering::SeqCst);
            self.wake_surplus();
        }))
    }

    /// If there are more threads than there may be, one that is idle learns it.
    pub(super) fn wake_surplus(&'static self) {
        if self.has_surplus() {
            self.started().sleep.notify();
        }
    }

    /// Whether there are more threads than there may be.
    pub(super) fn has_surplus(&'static self) -> bool {
        let started = self.started();
        let threads = started.threads.load(Ordering::Relaxed);
        threads > started.rules.max
            && threads > started.rules.max + started.extra.load(Ordering::Acquire)
    }

    /// Takes one of those off. False: there are none.
    pub(super) fn give_up_surplus(&'static self) -> bool {
        let started = self.started();
        let most = started.rules.max + started.extra.load(Ordering::Acquire);
        let less = |threads: usize| (threads > most).then(|| threads - 1);
        started.threads.fetch_update(Ordering::SeqCst, Ordering::Acquire, less).is_ok()
    }

    /// Has a thread started, which is counted already.
    fn start_thread(&'static self) {
        if self.has_turns() && self.started().rayon.take_turn(self) {
            return;
        }
        if spawner::request(Box::new(|| self.spawn())).is_err() {
            self.start_failed();
        }
    }

    /// Whether a thread of rayon's is free to take a turn, where there are any: the new thread is counted
    /// already, and what is beyond the limit stands in for bodies that have theirs.
    fn has_turns(&'static self) -> bool {
        let started = self.started();
        started.threads.load(Ordering::Acquire) <= started.rules.max
    }

    /// On the spawner's thread.
    fn spawn(&'static self) {
        // The timer is to be as normal as the threads are.
        let _ = timer::start();
        let started = self.started();
        if self.has_turns() && started.rayon.start(self) {
            return;
        }
        let rules = started.rules;
        let run = move || {
            abort_on_panic("a thread of a pool", || {
                rules.prepare_thread();
                self.work();
            });
        };
        let mut thread = thread::Builder::new().name(self.thread_name());
        if let Some(bytes) = rules.stack_size {
            thread = thread.stack_size(bytes);
        }
        if thread.spawn(run).is_err() {
            self.start_failed();
        }
    }

    /// A thread that was asked for is there.
    pub(super) fn thread_arrived(&'static self) {
        let growth = &self.started().growth;
        growth.cleaners.store(0, Ordering::SeqCst);
        if growth.denied.load(Ordering::Relaxed) {
            growth.denied.store(false, Ordering::Relaxed);
        }
    }

    /// The system denied a thread. Calls keep waiting, for the other threads and for another
    /// try.
    fn start_failed(&'static self) {
        let started = self.started();
        started.growth.denied.store(true, Ordering::SeqCst);
        started.growth.cleaners.store(0, Ordering::SeqCst);
        self.thread_does_not_come();
    }

    /// A thread that was asked for does not come: those at work take the next call when they are
    /// done. If none is, another is asked for later.
    pub(super) fn thread_does_not_come(&'static self) {
        let started = self.started();
        started.threads.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !started.queue.is_empty() && !started.sleep.notify() {
            self.look_in(RETRY);
        }
    }

    /// Whether somebody sees to queued calls: if the system denied all threads, who waits asks
    /// for one again, by this.
    pub(super) fn is_grown(&'static self) -> bool {
        let growth = &self.started().growth;
        if growth.untended.load(Ordering::Relaxed) && growth.untended.swap(false, Ordering::SeqCst)
        {
            self.tend();
            return !growth.untended.load(Ordering::Relaxed);
        }
        true
    }

    pub(super) fn thread_name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        match self.default {
            Some(_) => format!("offload-{}-{number}", self.name),
            // The system would deny a name with a NUL, by a panic.
            None => format!("{}-{number}", self.name.replace('\0', "")),
        }
    }
}
