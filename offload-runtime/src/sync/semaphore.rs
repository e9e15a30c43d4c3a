//! Permits for bodies that run, and who waits for one, without a lock that a caller's thread
//! and a pool's share.
//!
//! # The protocol
//!
//! A permit belongs to a body that runs. A thread that meets a call asks for one; if there
//! is none, the call waits here, in order, and the thread goes on to the next. So no
//! thread ever waits for a permit.
//!
//! `free` is what nobody has: neither a body nor a reservation. A permit that is given back
//! is *reserved* for the call that waits longest, which goes to the front of its pool's queue;
//! the thread that meets it there turns a reservation into a permit. Reservations are not
//! those of one call: a call that blocks a body (its permit must not depend on a thread of a
//! pool that is full of such bodies) may take any of them, and the call that finds none left
//! goes back to the front of the line. Of a call that is cancelled meanwhile the reservation
//! is given up by whoever takes it from the call first: the side that cancels, or the thread
//! that meets the shell.
//!
//! *Nobody is forgotten.* Who joins the line does so first and then looks whether a permit is
//! free; who gives one back makes it free first and then looks whether somebody waits; with a
//! fence between in both cases, so at least one of them sees the other, and it hands out what
//! there is ([`hand_out`](Semaphore::hand_out)). That holds for who changes the limit, and for who sweeps
//! the [line](super::line) of the shells of cancelled calls, too.
//!
//! *A body sees what those before it did*, whose permit it has: who gives one back releases, and who takes one, or a
//! reservation, acquires. In between, the numbers are changed by read-modify-write operations alone, which may be relaxed, as
//! they go on with the release sequence; a plain store would end it.
//!
//! *Calls that block bodies* are few, and their list has a lock, which no other call takes as
//! long as the list is empty. They are served first.

use std::collections::VecDeque;
use std::mem;

use super::line::{Line, SHELLS, Taking};
use super::{AtomicBool, AtomicIsize, AtomicUsize, Mutex, Ordering, fence, lock};

/// What waits for a permit.
pub(crate) trait Waiter {
    /// From now on it waits here. False: it was cancelled.
    fn set_waiting(&self) -> bool;

    /// A permit is reserved for it, and it waits here no more. False: it was cancelled, and
    /// the reservation is not its own.
    fn set_reserved(&self) -> bool;

    /// Brings it to a thread that turns its reservation into a permit.
    fn resume(self);

    /// Of one that waits here: it was not cancelled.
    fn is_awaited(&self) -> bool;
}

/// Whether a permit is reserved for a waiter. It is set before the state of the waiter leaves *waiting*, and that change
/// publishes it to whoever runs or cancels the waiter: so it needs no order of its own.
#[derive(Debug)]
pub(crate) struct Reservation(AtomicBool);

/// See the [module](self).
pub(crate) struct Semaphore<W> {
    limit: AtomicUsize,
    /// Below zero after the limit was lowered.
    free: AtomicIsize,
    reserved: AtomicUsize,
    /// How many wait; not those that were cancelled.
    waiting: AtomicUsize,
    line: Line<W>,
    blocking: Mutex<VecDeque<W>>,
    /// As the length of that list, to be read without its lock.
    blocked: AtomicUsize,
}

/// A permit, which is given back when this is dropped.
pub(crate) struct Permit<W: Waiter + 'static>(&'static Semaphore<W>);

/// The permits of one body, most often one.
pub(crate) struct Permits<W: Waiter + 'static> {
    first: Option<Permit<W>>,
    rest: Vec<Permit<W>>,
}

/// What a call gets that asks for a permit.
pub(crate) enum Acquired<W: Waiter + 'static> {
    Permit(W, Permit<W>),
    /// It waits here; who gives a permit back brings it to a thread.
    Waits,
    /// It was cancelled.
    Cancelled,
}

impl<W: Waiter + 'static> Semaphore<W> {
    pub(crate) fn new(limit: usize) -> Semaphore<W> {
        Semaphore {
            limit: AtomicUsize::new(limit),
            free: AtomicIsize::new(signed(limit)),
            reserved: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Line::new(),
            blocking: Mutex::new(VecDeque::new()),
            blocked: AtomicUsize::new(0),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many permits bodies have, at about this time.
    pub(crate) fn in_use(&self) -> usize {
        let taken = signed(self.limit()) - self.free.load(Ordering::Relaxed);
        let reserved = signed(self.reserved.load(Ordering::Relaxed));
        (taken - reserved).max(0).unsigned_abs()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Changes the limit. Raised, calls that wait get permits at once; lowered below what is
    /// in use, none does before enough were given back.
    pub(crate) fn set_limit(&self, limit: usize) {
        let before = self.limit.swap(limit, Ordering::Relaxed);
        self.free.fetch_add(signed(limit) - signed(before), Ordering::Relaxed);
        self.hand_out();
    }

    /// A permit, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&'static self) -> Option<Permit<W>> {
        (self.waiting() == 0 && self.take_free()).then(|| Permit(self))
    }

    /// A call that a thread is ready to run asks for a permit. `is_reserved`: it had a
    /// reservation, which is used up by this.
    pub(crate) fn acquire(&'static self, waiter: W, is_reserved: bool) -> Acquired<W> {
        if is_reserved && self.take_reservation() {
            return Acquired::Permit(waiter, Permit(self));
        }
        // Nobody overtakes the line: a permit that is free while calls wait is about to be
        // reserved for the first of them.
        if let Some(permit) = self.try_acquire() {
            return Acquired::Permit(waiter, permit);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if !waiter.set_waiting() {
            self.leave();
            return Acquired::Cancelled;
        }
        match is_reserved {
            true => self.line.push_front(waiter),
            false => self.line.push(waiter),
        }
        self.hand_out();
        Acquired::Waits
    }

    /// The same for a call that blocks a body.
    pub(crate) fn acquire_blocking(&'static self, waiter: W, is_reserved: bool) -> Acquired<W> {
        let is_used_up = is_reserved && self.take_reservation();
        if is_used_up || self.take_free() || self.take_reservation() {
            return Acquired::Permit(waiter, Permit(self));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if !waiter.set_waiting() {
            self.leave();
            return Acquired::Cancelled;
        }
        let mut shells = VecDeque::new();
        let mut blocking = lock(&self.blocking);
        match is_reserved {
            true => blocking.push_front(waiter),
            false => blocking.push_back(waiter),
        }
        // Not each time: a step is to be as short where many wait.
        if blocking.len() > 2 * self.waiting() + SHELLS {
            (*blocking, shells) = mem::take(&mut *blocking).into_iter().partition(W::is_awaited);
        }
        self.blocked.store(blocking.len(), Ordering::Relaxed);
        drop(blocking);
        drop(shells);
        self.hand_out();
        Acquired::Waits
    }

    /// A waiter was started, cancelled or rejected: it is not counted as waiting any more.
    pub(crate) fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// One that waited here was cancelled.
    pub(crate) fn leave_shell(&self) {
        self.leave();
        if self.line.sweep(self.waiting(), W::is_awaited) {
            self.hand_out();
        }
    }

    /// A reservation was given up: its call was cancelled.
    pub(crate) fn give_up(&self) {
        // Unless a call that blocks a body has taken it.
        if self.take_reservation() {
            self.make_free();
        }
    }

    /// Takes out those of them that wait and are meant.
    pub(crate) fn take_if(&self, is_meant: impl Fn(&W) -> bool) -> Vec<W> {
        let mut blocking = lock(&self.blocking);
        let (mut taken, kept): (Vec<_>, Vec<_>) = blocking.drain(..).partition(&is_meant);
        *blocking = kept.into();
        self.blocked.store(blocking.len(), Ordering::Relaxed);
        drop(blocking);
        taken.extend(self.line.take_if(is_meant));
        // A permit may have been given back while nobody seemed to wait.
        self.hand_out();
        taken
    }

    fn take_out(&self, line: &Taking<'_, W>) -> Option<W> {
        let blocking = (self.blocked.load(Ordering::Relaxed) > 0).then(|| self.pop_blocking());
        blocking.flatten().or_else(|| line.pop())
    }

    fn has_waiters(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) > 0 || !self.line.is_empty()
    }

    fn make_free(&self) {
        self.free.fetch_add(1, Ordering::Release);
        self.hand_out();
    }

    /// Reserves what is free for those that wait.
    fn hand_out(&self) {
        fence(Ordering::SeqCst);
        while self.has_waiters() && self.take_free() {
            let waiter = match self.line.taking() {
                Ok(line) => self.take_out(&line),
                Err(barred) => {
                    self.free.fetch_add(1, Ordering::Relaxed);
                    // Who sweeps does this when it is done, unless it was just now.
                    if barred.leave() {
                        return;
                    }
                    fence(Ordering::SeqCst);
                    continue;
                }
            };
            if let Some(waiter) = waiter {
                self.reserved.fetch_add(1, Ordering::Release);
                if waiter.set_reserved() {
                    // Nobody overtakes it until it is queued.
                    waiter.resume();
                    self.leave();
                    continue;
                }
                // It was cancelled. A call that blocks a body may have the reservation.
                if !self.take_reservation() {
                    continue;
                }
            }
            self.free.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    fn pop_blocking(&self) -> Option<W> {
        let mut blocking = lock(&self.blocking);
        let first = blocking.pop_front();
        self.blocked.store(blocking.len(), Ordering::Relaxed);
        first
    }

    fn take_free(&self) -> bool {
        let less = |free: isize| (free > 0).then_some(free - 1);
        self.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, less).is_ok()
    }

    fn take_reservation(&self) -> bool {
        let less = |reserved: usize| reserved.checked_sub(1);
        self.reserved.fetch_update(Ordering::Acquire, Ordering::Relaxed, less).is_ok()
    }
}

impl Reservation {
    /// None.
    pub(crate) fn new() -> Reservation {
        Reservation(AtomicBool::new(false))
    }

    /// There is one, for a waiter that is about to come out of the line. Who has cancelled it there does not ask.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether there was one. Who is told so uses it, or gives it up.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

impl<W: Waiter + 'static> Permits<W> {
    pub(crate) const NONE: Permits<W> = Permits { first: None, rest: Vec::new() };

    pub(crate) fn push(&mut self, permit: Permit<W>) {
        match self.first {
            None => self.first = Some(permit),
            Some(_) => self.rest.push(permit),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<W: Waiter> Drop for Permit<W> {
    fn drop(&mut self) {
        self.0.make_free();
    }
}

fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

#[cfg(all(test, not(offload_loom)))]
mod tests;

#[cfg(all(test, offload_loom))]
mod models;
