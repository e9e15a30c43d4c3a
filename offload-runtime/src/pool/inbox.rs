//! Where calls are put: in front of the queue, so that those who make calls and
//! the threads that run them do not write to the same memory for each.
//!
//! A thread takes out all that is here at once. As long as it is known that one
//! will, a call is put here, and that is all: the pool says for how many there
//! is room so. Any other goes straight to the [queue](super::core), and
//! it is decided whether a thread is called. So does one that comes when another has waited
//! here for longer than it should.

use std::time::{Duration, Instant};

use super::calls::{Calls, Queued, Ticket};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock};

/// The most calls that are put here, so that nobody keeps others out for long to
/// take them out.
const MOST: usize = 1024;

/// See the [module](self). In cache lines of its own.
#[repr(align(128))]
pub(crate) struct Inbox<J> {
    /// Something is in it, for those who look without the lock.
    filled: AtomicBool,
    /// A thread searches: what is put here is taken out at once.
    sought: AtomicBool,
    /// No call is put here if another has been for so long.
    patience: Duration,
    tray: Mutex<Tray<J>>,
}

/// What is in the inbox.
pub(crate) struct Tray<J> {
    jobs: Vec<J>,
    /// The ticket of the next one.
    next: Ticket,
    /// As many may be here as somebody comes for without being called.
    room: usize,
    /// Since when the first of them waits.
    since: Option<Instant>,
}

impl<J: Queued> Inbox<J> {
    /// There is no room before the first [`Tray::close`].
    pub(crate) fn new(patience: Duration) -> Inbox<J> {
        let next = Calls::<J>::new().end();
        let tray = Tray { jobs: Vec::new(), next, room: 0, since: None };
        let (filled, sought) = (AtomicBool::new(false), AtomicBool::new(false));
        Inbox { filled, sought, patience, tray: Mutex::new(tray) }
    }

    /// Puts a call here, if there is room; else it comes back.
    pub(crate) fn put(&self, job: J) -> Result<(), J> {
        let mut tray = self.open();
        let now = job.since();
        let since = tray.since.unwrap_or(now);
        let waited = now.saturating_duration_since(since);
        if tray.jobs.len() >= tray.room || waited >= self.patience {
            return Err(job);
        }
        tray.since = Some(since);
        job.place(tray.next);
        tray.next = tray.next.after();
        tray.jobs.push(job);
        if tray.jobs.len() == 1 {
            self.filled.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether something is in it, at about this time.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// Whether a thread searches, at about this time.
    pub(crate) fn is_sought(&self) -> bool {
        self.sought.load(Ordering::Relaxed)
    }

    /// A thread searches, or does no longer.
    pub(crate) fn set_sought(&self, sought: bool) {
        if self.is_sought() != sought {
            self.sought.store(sought, Ordering::Relaxed);
        }
    }

    /// Nobody puts anything here as long as this is held.
    pub(crate) fn open(&self) -> MutexGuard<'_, Tray<J>> {
        lock(&self.tray)
    }

    /// Moves all to the end of the queue.
    pub(crate) fn empty(&self, tray: &mut Tray<J>, calls: &mut Calls<J>) {
        if tray.jobs.is_empty() {
            return;
        }
        self.filled.store(false, Ordering::Relaxed);
        calls.extend(tray.jobs.drain(..));
    }
}

impl<J> Tray<J> {
    /// It is empty: from now on there is room for so many, which get the
    /// tickets after those of the queue.
    pub(crate) fn close(&mut self, calls: &Calls<J>, room: usize) {
        self.next = calls.end();
        self.room = room.min(MOST);
        self.since = None;
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Instant;

    use super::*;

    /// A call that shows its ticket, and was made at this time.
    struct Call(Rc<Cell<Option<Ticket>>>, Instant);

    impl Queued for Call {
        fn is_rationed(&self) -> bool {
            false
        }

        fn admit(self) -> Option<Call> {
            Some(self)
        }

        fn place(&self, ticket: Ticket) {
            self.0.set(Some(ticket));
        }

        fn since(&self) -> Instant {
            self.1
        }

        fn is_quick(&self) -> bool {
            false
        }

        fn is_gone(&self) -> bool {
            false
        }

        fn is_inner(&self) -> bool {
            false
        }
    }

    #[test]
    fn calls_keep_their_order_and_their_tickets_when_they_are_taken_out() {
        let (inbox, mut calls, now) = (Inbox::new(Duration::MAX), Calls::new(), Instant::now());
        let mut tickets = Vec::new();
        for burst in 1..4 {
            let mut tray = inbox.open();
            inbox.empty(&mut tray, &mut calls);
            // One goes straight to the queue.
            tickets.push(calls.push(|_| Call(Rc::default(), now)));
            tray.close(&calls, burst);
            drop(tray);
            for _ in 0..burst {
                let ticket = Rc::default();
                assert!(inbox.put(Call(Rc::clone(&ticket), now)).is_ok());
                tickets.extend(ticket.get());
            }
            assert!(inbox.put(Call(Rc::default(), now)).is_err(), "there is no room");
            assert!(inbox.is_filled());
        }
        inbox.empty(&mut inbox.open(), &mut calls);
        assert!(!inbox.is_filled());
        assert_eq!(calls.queued(), tickets.len());
        assert!(tickets.is_sorted());
        assert!(tickets.into_iter().all(|ticket| calls.withdraw(ticket).is_some()));
    }

    #[test]
    fn a_call_that_finds_one_that_has_waited_too_long_comes_back() {
        let patience = Duration::from_micros(50);
        let (inbox, mut calls, now) = (Inbox::new(patience), Calls::new(), Instant::now());
        let put = |now| inbox.put(Call(Rc::default(), now)).is_ok();
        for begin in [now, now + patience] {
            let mut tray = inbox.open();
            inbox.empty(&mut tray, &mut calls);
            tray.close(&calls, 100);
            drop(tray);
            assert!(put(begin));
            assert!(put(begin + patience / 2));
            assert!(!put(begin + patience));
        }
    }
}
