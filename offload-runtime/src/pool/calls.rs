//! The calls a pool knows of: those that wait, in order, and those that run.
//!
//! A [`Ticket`] is a number that grows along the queue and is never given out
//! again. So the queue, which is a ring, is sorted by ticket: a call is added
//! at its end and taken from its front without a look at its neighbours, which
//! other threads' caches hold, and one that leaves the middle is found by
//! halving. It leaves an empty place behind, until the places before it are
//! gone, or half of all are empty.

use std::collections::VecDeque;
use std::time::Instant;

/// Names one call of one pool, each time that it is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// As one word, for an atomic; never 0.
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// The reverse of [`to_bits`](Self::to_bits); 0 is no ticket.
    pub(crate) fn from_bits(bits: u64) -> Option<Ticket> {
        (bits != 0).then_some(Ticket(bits))
    }

    /// The one after it.
    pub(crate) fn after(self) -> Ticket {
        Ticket(self.0 + 1)
    }
}

/// A job that remembers where it waits and since when.
pub(crate) trait Queued: Sized {
    /// It may not be started by any thread that is ready for it: it has to be
    /// asked to be admitted.
    fn is_rationed(&self) -> bool;
    /// A thread is ready for it. `None`: it went to wait elsewhere. Called
    /// under the lock, so that calls are admitted in their order.
    fn admit(self) -> Option<Self>;
    /// It is in the queue now, under this ticket.
    fn place(&self, ticket: Ticket);
    /// Since when it waits.
    fn since(&self) -> Instant;
    /// Its body is likely to end in no time.
    fn is_quick(&self) -> bool;
    /// Its caller has gone.
    fn is_gone(&self) -> bool;
    /// A body waits for it, and has to be let finish.
    fn is_inner(&self) -> bool;
}

/// The first ticket of all: as many can be given out on either side of it as
/// centuries bring.
const MIDDLE: u64 = 1 << 63;

/// An empty queue gives back the memory of a burst beyond so many places.
const KEEP_PLACES: usize = 1024;

/// Fewer empty places than this are let be.
const FEW: usize = 32;

/// What became of a call that was to be cancelled.
pub(crate) enum Found<J> {
    /// It had not started and is out of the queue now.
    Queued(J),
    /// Its body runs, on the thread in this seat.
    Running(usize),
    /// It has ended.
    Gone,
}

/// See the [module](self).
pub(crate) struct Calls<J> {
    /// Sorted by ticket; the first place and the last are never empty.
    ring: VecDeque<(Ticket, Option<J>)>,
    /// The calls in it.
    queued: usize,
    /// The ticket of the next call that is added at the end.
    end: u64,
    /// That of the call that was last added at the front.
    front: u64,
    /// What runs, by the seat of its thread.
    running: Vec<Option<Ticket>>,
}

impl<J> Calls<J> {
    pub(crate) fn new() -> Calls<J> {
        Calls { ring: VecDeque::new(), queued: 0, end: MIDDLE, front: MIDDLE, running: Vec::new() }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn running(&self) -> usize {
        self.running.iter().flatten().count()
    }

    /// The call that waits longest.
    pub(crate) fn oldest(&self) -> Option<&J> {
        self.ring.front()?.1.as_ref()
    }

    /// Adds a call at the end of the queue; `job` is made from its ticket.
    pub(crate) fn push(&mut self, job: impl FnOnce(Ticket) -> J) -> Ticket {
        let ticket = Ticket(self.end);
        self.end += 1;
        self.ring.push_back((ticket, Some(job(ticket))));
        self.queued += 1;
        ticket
    }

    /// Adds calls at the end of the queue, which know their tickets: those from
    /// [`end`](Self::end) on.
    pub(crate) fn extend(&mut self, jobs: impl ExactSizeIterator<Item = J>) {
        self.queued += jobs.len();
        let first = self.end;
        self.end += jobs.len() as u64;
        self.ring.extend(jobs.zip(first..).map(|(job, ticket)| (Ticket(ticket), Some(job))));
    }

    /// The ticket of the next call that is added at the end.
    pub(crate) fn end(&self) -> Ticket {
        Ticket(self.end)
    }

    /// Adds a call that has waited before at the front of the queue.
    pub(crate) fn push_front(&mut self, job: impl FnOnce(Ticket) -> J) -> Ticket {
        self.front -= 1;
        let ticket = Ticket(self.front);
        self.ring.push_front((ticket, Some(job(ticket))));
        self.queued += 1;
        ticket
    }

    /// Takes the first call from the queue: it runs, in `seat`.
    pub(crate) fn start(&mut self, seat: usize) -> Option<J> {
        let (ticket, job) = self.pop()?;
        if self.running.len() <= seat {
            self.running.resize(seat + 1, None);
        }
        self.running[seat] = Some(ticket);
        Some(job)
    }

    /// Takes the first call from the queue, and forgets it.
    pub(crate) fn take(&mut self) -> Option<J> {
        self.pop().map(|(_, job)| job)
    }

    fn pop(&mut self) -> Option<(Ticket, J)> {
        let (ticket, job) = self.ring.pop_front()?;
        self.queued -= 1;
        self.tidy();
        Some((ticket, job.expect("the first place is never empty")))
    }

    /// Takes a call out of the queue if it waits there.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<J> {
        let at = self.ring.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let job = self.ring[at].1.take()?;
        self.queued -= 1;
        self.tidy();
        Some(job)
    }

    /// The body of the call that [`start`](Self::start) gave to this seat has
    /// ended.
    pub(crate) fn leave(&mut self, seat: usize) {
        self.running[seat] = None;
    }

    /// Takes a call out of the queue if it still waits.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> Found<J> {
        if let Some(job) = self.withdraw(ticket) {
            return Found::Queued(job);
        }
        let seat = self.running.iter().position(|running| *running == Some(ticket));
        seat.map_or(Found::Gone, Found::Running)
    }

    /// No empty place at either end, not too many between, and no more memory
    /// than an empty queue needs.
    fn tidy(&mut self) {
        if self.ring.len() == self.queued && self.queued > 0 {
            return;
        }
        while self.ring.front().is_some_and(|(_, job)| job.is_none()) {
            self.ring.pop_front();
        }
        while self.ring.back().is_some_and(|(_, job)| job.is_none()) {
            self.ring.pop_back();
        }
        if self.ring.len() - self.queued > FEW.max(self.ring.len() / 2) {
            self.ring.retain(|(_, job)| job.is_some());
        }
        if self.queued == 0 && self.ring.capacity() > KEEP_PLACES {
            self.ring = VecDeque::new();
        }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn drain(calls: &mut Calls<u32>) -> Vec<u32> {
        std::iter::from_fn(|| {
            let job = calls.start(0)?;
            calls.leave(0);
            Some(job)
        })
        .collect()
    }

    #[test]
    fn first_come_first_served_also_when_calls_leave_the_middle() {
        let mut calls = Calls::new();
        let tickets: Vec<_> = (0..6).map(|n| calls.push(|_| n)).collect();
        for gone in [0, 3, 5] {
            assert!(matches!(calls.cancel(tickets[gone]), Found::Queued(n) if n == gone as u32));
        }
        assert_eq!(calls.oldest(), Some(&1));
        calls.push(|_| 6);
        calls.push_front(|_| 7);
        assert_eq!(drain(&mut calls), [7, 1, 2, 4, 6]);
        assert_eq!((calls.queued(), calls.running()), (0, 0));
    }

    #[test]
    fn a_ticket_is_never_mistaken_for_a_later_call() {
        let mut calls = Calls::new();
        let first = calls.push(|_| 1);
        assert_eq!(drain(&mut calls), [1]);
        let second = calls.push(|_| 2);
        let third = calls.push_front(|_| 3);
        assert!(matches!(calls.cancel(first), Found::Gone));
        assert!(matches!(calls.cancel(second), Found::Queued(2)));
        assert!(matches!(calls.cancel(second), Found::Gone));
        assert!(matches!(calls.cancel(third), Found::Queued(3)));
        assert_ne!(calls.push_front(|_| 4), third);
    }

    #[test]
    fn a_running_call_is_found_in_its_seat() {
        let mut calls = Calls::new();
        let ticket = calls.push(|_| 1);
        assert_eq!(calls.start(7), Some(1));
        assert_eq!(calls.running(), 1);
        assert!(matches!(calls.cancel(ticket), Found::Running(7)));
        calls.leave(7);
        assert!(matches!(calls.cancel(ticket), Found::Gone));
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back_and_its_tickets_stay_dead() {
        let mut calls = Calls::new();
        let burst: Vec<_> = (0..5000).map(|n| calls.push(|_| n)).collect();
        drain(&mut calls);
        assert_eq!(calls.ring.capacity(), 0);
        calls.push(|_| 1);
        assert!(burst.iter().all(|old| matches!(calls.cancel(*old), Found::Gone)));
    }

    /// A pool is stuck, and callers come and go.
    #[test]
    fn calls_that_leave_the_middle_do_not_pile_up() {
        let mut calls = Calls::new();
        calls.push(|_| 0);
        let mut last = calls.push(|_| 0);
        for n in 1..10_000 {
            let first = calls.push(|_| n);
            let second = calls.push(|_| n);
            assert_eq!(calls.withdraw(first), Some(n));
            assert_eq!(calls.withdraw(last), Some(n - 1));
            last = second;
            assert!(calls.ring.len() <= 2 * FEW);
        }
        assert_eq!(calls.queued(), 2);
    }

    #[test]
    fn tickets_survive_as_a_word() {
        let mut calls = Calls::new();
        calls.push(|_| 0);
        let ticket = calls.push(|_| 1);
        assert_eq!(Ticket::from_bits(ticket.to_bits()), Some(ticket));
        assert_eq!(Ticket::from_bits(0), None);
    }
}
