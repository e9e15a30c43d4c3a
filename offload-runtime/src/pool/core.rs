//! The hand-off: how a call gets to a thread, and no call is forgotten.
//!
//! # The protocol
//!
//! Everything is decided under one lock, in a few dozen instructions without
//! foreign code; everything slow (a wake-up, the start of a thread) is
//! returned as a [`Next`], and done by the caller after the lock is released.
//!
//! A thread of the pool is in one of three states:
//!
//! * **at work**: it runs a body, or is about to ask for the next one;
//! * **idle**: its seat is on the `idle` stack; it parks, or is about to;
//! * **on its way**: it was taken off the stack, or is being started, or it
//!   searches, to look at the queue, and has not done so yet. `coming` counts
//!   these.
//!
//! *The inbox.* Calls are put in front of the queue, under a lock of their own,
//! as long as there is [`room`](State::room): a thread comes for them without being
//! called; unless one has been there for [too long](super::state::LOST). The threads move
//! all that is there to the queue when that is empty, and everybody else does who has to
//! know what waits. So callers and threads write to the same memory once for a burst. The
//! lock of the inbox is taken last.
//!
//! *Search.* A thread that ran a body and finds the queue empty does not park
//! at once: a caller that makes one call after the other sends the next in a
//! few microseconds, and to wake a thread takes as long. It lets others run,
//! looks whether a call was put in the inbox meanwhile, and after some [turns](super::search)
//! asks once more, under the lock, before it goes idle. All that time it is on
//! its way, so nobody calls another; and it is one thread at a time.
//!
//! *No wake-up is lost.* Whoever takes a seat off the stack counts it as
//! coming, under the lock, and then sets its flag and unparks it; the thread
//! looks at the flag before each park. So a thread on its way arrives at
//! [`Core::next`] even if it had not parked yet.
//!
//! *No call is forgotten.* Whenever the lock is released while calls wait, or there is
//! room in the inbox, at least one of these holds: a thread is coming; every thread is at work (and
//! asks for the next call when it is done), and no more may be started now; or
//! a watch is set, and will look again. Each place that changes the
//! queue or the threads ends with [`State::summon`], which restores this, and says
//! anew how much room there is.
//!
//! *No more wake-ups than needed.* While one thread is coming, nobody calls
//! another: the one that arrives takes the first call and, if more wait, calls
//! the next thread. So a burst of calls costs its sender one wake-up, and the
//! threads share out the rest.
//!
//! *Quick bodies.* Where bodies ended in no time so far, a thread that runs
//! one is as good as on its way, as long as [little work](super::quick) waits: to wake another
//! would take longer, and take a core from the callers. If it takes none meanwhile, it may have
//! [lost its core](super::state::LOST): the next caller that finds a call which has been in
//! the inbox for so long calls another all the same. Should a body not be quick, a watch
//! finds that out, after [`QUICK_STUCK`], and none is believed to be until the queue is
//! empty. Nor is any in a pool of whose calls somebody asks how many wait.
//!
//! The most recently idle thread is called first (its caches are warm), so the
//! least recently used one is the first to be idle for `keep_alive`, and ends.
//!
//! *Growth.* Up to `base` threads are started as soon as there is a call for
//! them. Beyond, a thread is added when the pool is stuck: no thread took or
//! ended a call for [`STUCK`](super::state::STUCK). If the pool moves but is ten milliseconds behind,
//! one thread is added at each look of the watch. So calls that block get a
//! thread each after a millisecond, and a burst of short ones gets none.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::calls::{Found, Queued, Ticket};
use super::inbox::{Inbox, Tray};
use super::seat::Seat;
use super::state::{Next, QUICK_STUCK, RETRY, Rules, Snapshot, State, Watch};
use crate::sync::{Apart, Arc, AtomicUsize, Mutex, MutexGuard, Ordering, lock};

/// What a thread of the pool is to do.
pub(crate) enum Task<J> {
    /// Run this, after doing what is next.
    Run(J, Next),
    /// [Search](Core::search) for so many turns, and ask again.
    Search(u32),
    /// Wait to be called.
    Idle,
    /// End.
    Exit,
}

/// Why a call is not queued.
pub(crate) enum Refused<J> {
    /// The pool takes no more calls.
    Closed(J),
    /// As many wait as may.
    Full(J),
    /// Its caller has gone.
    Gone(J),
}

/// See the [module](self).
pub(crate) struct Core<J> {
    rules: Rules,
    inbox: Inbox<J>,
    /// How many calls are in the queue, for those who look without the lock.
    queued: Apart<AtomicUsize>,
    state: Apart<Mutex<State<J>>>,
}

/// The whole of it: the inbox was emptied into the queue, and nobody puts anything
/// there meanwhile.
struct Open<'a, J: Queued> {
    core: &'a Core<J>,
    state: MutexGuard<'a, State<J>>,
    tray: MutexGuard<'a, Tray<J>>,
}

impl<J: Queued> Deref for Open<'_, J> {
    type Target = State<J>;

    fn deref(&self) -> &State<J> {
        &self.state
    }
}

impl<J: Queued> DerefMut for Open<'_, J> {
    fn deref_mut(&mut self) -> &mut State<J> {
        &mut self.state
    }
}

impl<J: Queued> Drop for Open<'_, J> {
    fn drop(&mut self) {
        let Open { core, state, tray } = self;
        core.publish(state);
        core.inbox.set_sought(state.is_sought(&core.rules));
        tray.close(&state.calls, state.room(&core.rules));
    }
}

impl<J: Queued> Core<J> {
    pub(crate) fn new(rules: Rules, now: Instant) -> Core<J> {
        Core {
            inbox: Inbox::new(rules.patience()),
            rules,
            queued: Apart(AtomicUsize::new(0)),
            state: Apart(Mutex::new(State::new(now))),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    fn open(&self) -> Open<'_, J> {
        self.open_from(lock(&self.state))
    }

    fn open_from<'a>(&'a self, mut state: MutexGuard<'a, State<J>>) -> Open<'a, J> {
        let mut tray = self.inbox.open();
        self.inbox.empty(&mut tray, &mut state.calls);
        Open { core: self, state, tray }
    }

    /// Queues a call, if no more than `room` then wait for a thread.
    pub(crate) fn submit(&self, job: J, room: usize) -> Result<Next, Refused<J>> {
        let mut job = job;
        if room == usize::MAX && !job.is_rationed() {
            match self.inbox.put(job) {
                Ok(()) => return Ok(Next::Nothing),
                Err(back) => job = back,
            }
        }
        let mut state = self.open();
        if state.closed && !job.is_inner() {
            return Err(Refused::Closed(job));
        }
        if room != usize::MAX && state.look_at_bound(&self.rules).is_some_and(|more| more >= room) {
            return Err(Refused::Full(job));
        }
        let now = job.since();
        state.rationed |= job.is_rationed();
        state.calls.push(|ticket| {
            job.place(ticket);
            job
        });
        Ok(state.summon(&self.rules, now, false))
    }

    /// Queues a call that was here before, ahead of the others. Also when the
    /// pool is closed: it was accepted.
    pub(crate) fn resume(&self, job: J, now: Instant) -> Result<Next, Refused<J>> {
        let mut state = self.open();
        // Read under the lock that a cancel takes: either that finds the call
        // in the queue, or it is seen here.
        if job.is_gone() {
            return Err(Refused::Gone(job));
        }
        state.rationed |= job.is_rationed();
        state.calls.push_front(|ticket| {
            job.place(ticket);
            job
        });
        Ok(state.summon(&self.rules, now, false))
    }

    fn publish(&self, state: &State<J>) {
        self.queued.store(state.calls.queued(), Ordering::Relaxed);
    }

    /// Whether calls wait, at about this time.
    pub(crate) fn has_waiting(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0 || self.inbox.is_filled()
    }

    /// Whether a thread searches, at about this time, and would take a call at once.
    pub(crate) fn is_sought(&self) -> bool {
        self.inbox.is_sought()
    }

    /// What a thread does that is to search, in this thread: returns when it is
    /// time to ask for the next call.
    pub(crate) fn search(&self, turns: u32) {
        for _ in 0..turns {
            if self.has_waiting() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// How many calls wait for a thread; `None`: a thread is free for one more.
    pub(crate) fn waiting(&self) -> Option<usize> {
        self.open().look_at_bound(&self.rules)
    }

    /// A new thread takes its seat, and counts as on its way.
    pub(crate) fn sit(&self, seat: Arc<Seat>) -> usize {
        let mut state = lock(&self.state);
        state.refused = false;
        match state.seats.iter().position(Option::is_none) {
            Some(number) => {
                state.seats[number] = Some(seat);
                number
            }
            None => {
                state.seats.push(Some(seat));
                state.seats.len() - 1
            }
        }
    }

    /// A thread asks what to do.
    pub(crate) fn next(&self, number: usize, from: From, now: Instant) -> Task<J> {
        let mut state = lock(&self.state);
        if let From::Body(took) = from {
            state.quick.ran(number, took);
            if let Some(job) = state.next_quick(number, now) {
                self.publish(&state);
                return Task::Run(job, Next::Nothing);
            }
        }
        let mut open = self.open_from(state);
        let state = &mut *open;
        match from {
            From::Start => state.coming -= 1,
            From::Wait => {
                state.coming -= 1;
                state.moves(now);
                if let Some(oldest) = state.calls.oldest() {
                    state.search.missed(oldest.since());
                }
            }
            From::Search => {
                state.coming -= 1;
                state.search.end(state.calls.queued() > 0);
            }
            From::Body(_) => {
                state.calls.leave(number);
                state.quick.set(number, false);
                state.moves(now);
            }
        }
        while let Some(job) = state.calls.start(number) {
            let admitted = if state.rationed { job.admit() } else { Some(job) };
            let Some(job) = admitted else {
                state.calls.leave(number);
                continue;
            };
            state.moves(now);
            state.lone = if state.calls.queued() == 0 { state.lone.saturating_add(1) } else { 0 };
            state.quick.set(number, job.is_quick() && !state.bounded);
            state.seats[number].as_ref().expect("seated").set_cancelled(false);
            return Task::Run(job, state.summon(&self.rules, now, false));
        }
        state.quick.trust();
        if state.closed {
            state.leave(number);
            return Task::Exit;
        }
        if matches!(from, From::Body(_)) && self.rules.searches && !state.search.is_on() {
            state.coming += 1;
            return Task::Search(state.search.begin(now));
        }
        state.idle.push(number);
        Task::Idle
    }

    /// An idle thread that nobody called wants to end. False: it was called
    /// just now, so it has to wait for that and come.
    pub(crate) fn retire(&self, number: usize) -> bool {
        let mut state = self.open();
        let Some(at) = state.idle.iter().position(|idle| *idle == number) else {
            return false;
        };
        state.idle.remove(at);
        state.leave(number);
        true
    }

    /// The system refused to start the thread that a [`Next::Start`] asked
    /// for. The calls keep waiting, for the other threads and for another try.
    pub(crate) fn start_failed(&self) -> Next {
        let mut state = self.open();
        state.coming -= 1;
        state.threads -= 1;
        state.refused = true;
        // A thread may have gone idle while this one was coming.
        if let next @ Next::Call(_) = state.call_idle() {
            return next;
        }
        if state.calls.queued() == 0 {
            return Next::Nothing;
        }
        state.watch(Watch::Growth, RETRY)
    }

    /// The thread that a [`Next::Start`] asked for does not come: those at work
    /// ask for the next call when they are done. If none is, another is asked
    /// for.
    #[cfg(feature = "rayon")]
    pub(crate) fn give_up_start(&self) -> Next {
        let mut state = self.open();
        state.coming -= 1;
        state.threads -= 1;
        // One may have gone idle while this one was coming.
        if let next @ Next::Call(_) = state.call_idle() {
            return next;
        }
        if state.threads > 0 {
            return Next::Nothing;
        }
        let now = state.moved;
        state.summon(&self.rules, now, false)
    }

    /// This watch looks.
    pub(crate) fn look(&self, watch: Watch, now: Instant) -> Next {
        let mut state = self.open();
        state.watched[watch as usize] = false;
        let is_late = |oldest: &J| now.saturating_duration_since(oldest.since()) >= QUICK_STUCK;
        if matches!(watch, Watch::Quick) && state.calls.oldest().is_some_and(is_late) {
            state.quick.distrust();
        }
        state.summon(&self.rules, now, true)
    }

    /// Whether the system refused the last thread that was asked for.
    pub(crate) fn is_refused(&self) -> bool {
        lock(&self.state).refused
    }

    /// The watch could not be set: the next call that is queued tries again.
    pub(crate) fn watch_failed(&self) {
        self.open().watched = [false; 2];
    }

    /// Takes a call out of the queue.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> Option<J> {
        self.open().calls.withdraw(ticket)
    }

    /// Takes a call out of the queue, or tells its body that nobody waits.
    pub(crate) fn cancel(&self, ticket: Ticket) -> Option<J> {
        let mut state = self.open();
        match state.calls.cancel(ticket) {
            Found::Queued(job) => Some(job),
            Found::Running(number) => {
                state.seats[number].as_ref().expect("seated").set_cancelled(true);
                None
            }
            Found::Gone => None,
        }
    }

    /// Takes no more calls; those that wait still run. The idle threads are to
    /// be called: they end.
    pub(crate) fn close(&self) -> Vec<Arc<Seat>> {
        let mut open = self.open();
        let state = &mut *open;
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        state.coming += idle.len();
        idle.iter().filter_map(|number| state.seats[*number].clone()).collect()
    }

    /// Takes out all calls that wait, and tells all bodies to stop.
    pub(crate) fn abandon(&self) -> Vec<J> {
        let mut state = self.open();
        for seat in state.seats.iter().flatten() {
            seat.set_cancelled(true);
        }
        std::iter::from_fn(|| state.calls.take()).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.open();
        Snapshot {
            threads: state.threads,
            idle: state.idle.len(),
            running: state.calls.running(),
            queued: state.calls.queued(),
        }
    }
}

/// Where a thread that asks for work comes from.
#[derive(Clone, Copy)]
pub(crate) enum From {
    /// It was just started.
    Start,
    /// It was idle, and called.
    Wait,
    /// It searched.
    Search,
    /// It ran a call, whose body took so long with what it takes to come to it; no time, if
    /// there was none to run.
    Body(Duration),
}

#[cfg(all(test, offload_loom))]
#[path = "core_models.rs"]
mod models;

#[cfg(all(test, not(offload_loom)))]
#[path = "core_tests.rs"]
mod tests;
