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
//! there is ([`hand_out`](Semaphore::hand_out)). That holds for who changes the limit, too.
//!
//! *Calls that block bodies* are few, and their list has a lock, which no other call takes as
//! long as the list is empty. They are served first. If all permits belong to bodies that are
//! blocked so, the last to ask is told that this is a deadlock.

use std::collections::HashSet;

use super::queue::Queue;
use super::{AtomicIsize, AtomicUsize, Mutex, Ordering, fence, lock};

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

/// See the [module](self).
pub(crate) struct Semaphore<W> {
    limit: AtomicUsize,
    /// Below zero after the limit was lowered.
    free: AtomicIsize,
    reserved: AtomicUsize,
    /// How many wait; not those that were cancelled.
    waiting: AtomicUsize,
    line: Queue<W>,
    blocking: Mutex<Vec<Blocking<W>>>,
    /// As the length of that list, to be read without its lock.
    blocked: AtomicUsize,
}

/// A call that blocks a body.
struct Blocking<W> {
    waiter: W,
    /// The bodies that wait for it and hold permits, by what tells them apart.
    holders: Vec<usize>,
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
    /// All permits belong to bodies that wait for such calls.
    Deadlock(W),
}

impl<W: Waiter + 'static> Semaphore<W> {
    pub(crate) fn new(limit: usize) -> Semaphore<W> {
        Semaphore {
            limit: AtomicUsize::new(limit),
            free: AtomicIsize::new(signed(limit)),
            reserved: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Queue::new(),
            blocking: Mutex::new(Vec::new()),
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
        self.waiting.load(Ordering::Acquire)
    }

    /// Changes the limit. Raised, calls that wait get permits at once; lowered below what is
    /// in use, none does before enough were given back.
    pub(crate) fn set_limit(&self, limit: usize) {
        let before = self.limit.swap(limit, Ordering::AcqRel);
        self.free.fetch_add(signed(limit) - signed(before), Ordering::SeqCst);
        self.hand_out();
    }

    /// A permit, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&'static self) -> Option<Permit<W>> {
        let nobody_waits = self.line.is_empty() && self.blocked.load(Ordering::SeqCst) == 0;
        (nobody_waits && self.take_free()).then(|| Permit(self))
    }

    /// A call that a thread is ready to run asks for a permit. `is_reserved`: it had a
    /// reservation, which is used up by this.
    pub(crate) fn acquire(&'static self, waiter: W, is_reserved: bool) -> Acquired<W> {
        if is_reserved && self.take_reservation() {
            return Acquired::Permit(waiter, Permit(self));
        }
        // Nobody overtakes the line: a permit that is free while calls wait is about to be
        // reserved for the first of them.
        if !is_reserved {
            if let Some(permit) = self.try_acquire() {
                return Acquired::Permit(waiter, permit);
            }
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
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

    /// The same for a call that blocks a body: of those bodies that wait for it, `holders` are
    /// those that have a permit of this semaphore.
    pub(crate) fn acquire_blocking(
        &'static self,
        waiter: W,
        holders: Vec<usize>,
        is_reserved: bool,
    ) -> Acquired<W> {
        if is_reserved && self.take_reservation() {
            return Acquired::Permit(waiter, Permit(self));
        }
        let mut blocking = lock(&self.blocking);
        // A body whose call was cancelled goes on.
        let others = blocking.iter().filter(|blocked| blocked.waiter.is_awaited());
        let others = others.flat_map(|blocked| &blocked.holders);
        let all: HashSet<usize> = others.chain(&holders).copied().collect();
        loop {
            if self.take_free() || self.take_reservation() {
                return Acquired::Permit(waiter, Permit(self));
            }
            let free = self.free.load(Ordering::SeqCst);
            if free > 0 || self.reserved.load(Ordering::SeqCst) > 0 {
                // One has come back just now.
                continue;
            }
            // At the moment of that look, so many bodies had permits.
            let used = signed(self.limit()).saturating_sub(free).unsigned_abs();
            if !holders.is_empty() && all.len() >= used {
                return Acquired::Deadlock(waiter);
            }
            break;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if !waiter.set_waiting() {
            drop(blocking);
            self.leave();
            return Acquired::Cancelled;
        }
        blocking.push(Blocking { waiter, holders });
        self.blocked.store(blocking.len(), Ordering::SeqCst);
        drop(blocking);
        self.hand_out();
        Acquired::Waits
    }

    /// One that waited here was cancelled.
    pub(crate) fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
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
        let (mut taken, kept): (Vec<_>, Vec<_>) =
            blocking.drain(..).partition(|blocked| is_meant(&blocked.waiter));
        *blocking = kept;
        self.blocked.store(blocking.len(), Ordering::SeqCst);
        drop(blocking);
        let mut taken: Vec<_> = taken.drain(..).map(|blocked| blocked.waiter).collect();
        let mut kept = Vec::new();
        // Those that come meanwhile came too late to be meant.
        for _ in 0..self.line.len() {
            let Some(waiter) = self.line.pop() else { break };
            if is_meant(&waiter) { &mut taken } else { &mut kept }.push(waiter);
        }
        kept.into_iter().for_each(|waiter| self.line.push_front(waiter));
        // A permit may have been given back while nobody seemed to wait.
        self.hand_out();
        taken
    }

    /// Takes out one that waits, if any do.
    fn drain(&self) -> Option<W> {
        if self.blocked.load(Ordering::SeqCst) > 0 {
            self.pop_blocking().or_else(|| self.line.pop())
        } else {
            self.line.pop()
        }
    }

    fn make_free(&self) {
        self.free.fetch_add(1, Ordering::SeqCst);
        self.hand_out();
    }

    /// Reserves what is free for those that wait.
    fn hand_out(&self) {
        fence(Ordering::SeqCst);
        while (self.blocked.load(Ordering::SeqCst) > 0 || !self.line.is_empty()) && self.take_free()
        {
            if let Some(waiter) = self.drain() {
                self.reserved.fetch_add(1, Ordering::AcqRel);
                if waiter.set_reserved() {
                    // Counted here until it is queued: a shutdown must find it somewhere.
                    waiter.resume();
                    self.leave();
                    continue;
                }
                // It was cancelled. A call that blocks a body may have the reservation.
                if !self.take_reservation() {
                    continue;
                }
            }
            self.free.fetch_add(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
        }
    }

    fn pop_blocking(&self) -> Option<W> {
        let mut blocking = lock(&self.blocking);
        let first = (!blocking.is_empty()).then(|| blocking.remove(0));
        self.blocked.store(blocking.len(), Ordering::SeqCst);
        first.map(|blocking| blocking.waiter)
    }

    fn take_free(&self) -> bool {
        let less = |free: isize| (free > 0).then_some(free - 1);
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    fn take_reservation(&self) -> bool {
        let less = |reserved: usize| reserved.checked_sub(1);
        self.reserved.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
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

/// Every order of the steps of a few threads.
#[cfg(all(test, offload_loom))]
mod models {
    mod reservations;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::AtomicBool;
    use crate::task::state::{Phase, State};

    /// A call, and where it goes when there is a permit.
    struct Call {
        state: State,
        reserved: AtomicBool,
        ready: Arc<Queue<Arc<Call>>>,
    }

    impl Call {
        fn new(ready: &Arc<Queue<Arc<Call>>>) -> Arc<Call> {
            let (state, reserved) = (State::new(), AtomicBool::new(false));
            Arc::new(Call { state, reserved, ready: Arc::clone(ready) })
        }

        /// As the side that awaits it does.
        fn cancel(&self, semaphore: &Semaphore<Arc<Call>>) {
            match self.state.cancel() {
                Phase::Waiting => semaphore.leave(),
                Phase::Queued if self.reserved.swap(false, Ordering::AcqRel) => semaphore.give_up(),
                _ => {}
            }
        }
    }

    impl Waiter for Arc<Call> {
        fn set_waiting(&self) -> bool {
            self.state.set_waiting()
        }

        fn set_reserved(&self) -> bool {
            self.reserved.store(true, Ordering::Release);
            self.state.requeue() || {
                self.reserved.store(false, Ordering::Release);
                false
            }
        }

        fn resume(self) {
            let ready = Arc::clone(&self.ready);
            ready.push(self);
        }

        fn is_awaited(&self) -> bool {
            self.state.is_unstarted()
        }
    }

    fn semaphore(limit: usize) -> &'static Semaphore<Arc<Call>> {
        Box::leak(Box::new(Semaphore::new(limit)))
    }

    /// A thread meets a call: it runs if there is a permit. Whether it has run.
    fn meet(semaphore: &'static Semaphore<Arc<Call>>, call: Arc<Call>) -> bool {
        let is_reserved = call.reserved.swap(false, Ordering::AcqRel);
        match semaphore.acquire(call, is_reserved) {
            Acquired::Permit(call, permit) => {
                let runs = call.state.begin();
                if runs {
                    let _ = call.state.finish();
                }
                drop(permit);
                runs
            }
            Acquired::Waits | Acquired::Cancelled => false,
            Acquired::Deadlock(_) => unreachable!("it blocks no body"),
        }
    }

    /// Meets all that is ready, until there is none. How many have run.
    fn meet_ready(semaphore: &'static Semaphore<Arc<Call>>, ready: &Queue<Arc<Call>>) -> usize {
        let mut ran = 0;
        while let Some(call) = ready.pop() {
            ran += usize::from(meet(semaphore, call));
        }
        ran
    }

    fn assert_all_given_back(semaphore: &Semaphore<Arc<Call>>) {
        assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
        assert_eq!(semaphore.reserved.load(Ordering::Relaxed), 0);
        assert_eq!(semaphore.free.load(Ordering::Relaxed), signed(semaphore.limit()));
    }

    #[test]
    fn a_call_that_comes_to_wait_as_the_permit_is_given_back_is_not_forgotten() {
        loom::model(|| {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (first, second) = (Call::new(&ready), Call::new(&ready));
            let theirs = thread::spawn(move || usize::from(meet(semaphore, first)));
            let mine = usize::from(meet(semaphore, second));
            let ran = mine + theirs.join().unwrap() + meet_ready(semaphore, &ready);
            assert_eq!(ran, 2);
            assert_all_given_back(semaphore);
        });
    }

    #[test]
    fn the_permit_of_a_call_that_is_cancelled_at_any_moment_comes_back() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (first, second) = (Call::new(&ready), Call::new(&ready));
            let Acquired::Permit(_, permit) = semaphore.acquire(first, false) else {
                unreachable!("it is free")
            };
            let waits = Arc::clone(&second);
            let releases = thread::spawn(move || drop(permit));
            let cancels = Arc::clone(&second);
            let cancelled = thread::spawn(move || cancels.cancel(semaphore));
            let mut ran = usize::from(meet(semaphore, waits));
            releases.join().unwrap();
            cancelled.join().unwrap();
            ran += meet_ready(semaphore, &ready);
            assert!(ran <= 1);
            assert_all_given_back(semaphore);
        });
    }

    /// A call that blocks a body may take the reservation of another, which then waits again, in
    /// front.
    #[test]
    fn a_reservation_that_was_taken_is_given_to_its_call_again() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (holder, waits, blocks) = (Call::new(&ready), Call::new(&ready), Call::new(&ready));
            let Acquired::Permit(_, permit) = semaphore.acquire(holder, false) else {
                unreachable!("it is free")
            };
            assert!(!meet(semaphore, waits));
            let releases = thread::spawn({
                let ready = Arc::clone(&ready);
                move || {
                    drop(permit);
                    meet_ready(semaphore, &ready)
                }
            });
            // It holds nothing itself, and has what it needs, or waits first in the line.
            let mut ran = 0;
            match semaphore.acquire_blocking(blocks, Vec::new(), false) {
                Acquired::Permit(call, permit) => {
                    assert!(call.state.begin());
                    ran += 1;
                    drop(permit);
                }
                Acquired::Waits => {}
                _ => unreachable!("it is awaited, and holds nothing"),
            }
            ran += releases.join().unwrap();
            ran += meet_ready(semaphore, &ready);
            assert_eq!(ran, 2);
            assert_all_given_back(semaphore);
        });
    }

    #[test]
    fn a_limit_that_is_raised_as_a_call_comes_to_wait_lets_it_run() {
        loom::model(|| {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (holder, second) = (Call::new(&ready), Call::new(&ready));
            let Acquired::Permit(_, permit) = semaphore.acquire(holder, false) else {
                unreachable!("it is free")
            };
            let raises = thread::spawn(move || semaphore.set_limit(2));
            let mut ran = usize::from(meet(semaphore, second));
            raises.join().unwrap();
            ran += meet_ready(semaphore, &ready);
            assert_eq!(ran, 1);
            drop(permit);
            assert_all_given_back(semaphore);
        });
    }

    /// At a shutdown all that wait are taken out while permits come back.
    #[test]
    fn a_call_that_waits_is_handed_a_permit_or_taken_out_and_not_both() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (holder, waits) = (Call::new(&ready), Call::new(&ready));
            let Acquired::Permit(_, permit) = semaphore.acquire(holder, false) else {
                unreachable!("it is free")
            };
            assert!(!meet(semaphore, waits));
            let releases = thread::spawn(move || drop(permit));
            let mut ended = 0;
            while let Some(call) = semaphore.drain() {
                if call.state.requeue() {
                    semaphore.leave();
                    ended += usize::from(call.state.begin());
                }
            }
            releases.join().unwrap();
            let ran = meet_ready(semaphore, &ready);
            assert_eq!(ended + ran, 1);
            assert_all_given_back(semaphore);
        });
    }
}
