//! All of the hand-off together, in every order of the steps of two threads: the state word, a permit
//! that is handed over, a cancel, the idle thread, and the end.

use loom::thread;

use super::sleep::{Sleep, Woken};
use crate::executor::intake::Intake;
use crate::sync::model::check;
use crate::sync::queue::Queue;
use crate::sync::semaphore::{Acquired, Permit, Reservation, Semaphore, Waiter};
use crate::sync::{AtomicUsize, Ordering};
use crate::task::state::{Phase, State};

/// A pool whose calls share a limit.
struct Pool {
    queue: Queue<&'static Call>,
    sleep: Sleep<()>,
    limiter: Semaphore<&'static Call>,
    intake: Intake,
}

struct Call {
    pool: &'static Pool,
    state: State,
    reservation: Reservation,
    /// How often it has run, or was ended in another way.
    ends: AtomicUsize,
}

impl Waiter for &'static Call {
    fn set_waiting(&self) -> bool {
        self.state.set_waiting()
    }

    fn set_reserved(&self) -> bool {
        self.reservation.set();
        self.state.requeue()
    }

    fn is_awaited(&self) -> bool {
        self.state.is_unstarted()
    }

    fn resume(self) {
        self.pool.queue.push_front(self);
        self.pool.tend();
    }
}

impl Call {
    fn new(pool: &'static Pool) -> &'static Call {
        let (state, reservation) = (State::new(), Reservation::new());
        Box::leak(Box::new(Call { pool, state, reservation, ends: AtomicUsize::new(0) }))
    }

    fn end(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }

    /// As the side that awaits it does: a call that has not started is ended here.
    fn cancel(&self) {
        match self.state.cancel() {
            Phase::Waiting => {
                self.pool.limiter.leave_shell();
                self.end();
            }
            Phase::Queued => {
                if self.reservation.take() {
                    self.pool.limiter.give_up();
                }
                self.end();
            }
            Phase::Running | Phase::Suspended | Phase::Done => {}
        }
    }

    fn run(&self) {
        if self.state.begin() {
            self.end();
            let _ = self.state.finish();
        }
    }

    /// Ends it without a body, as at a shutdown.
    fn reject(&self) {
        if self.reservation.take() {
            self.pool.limiter.give_up();
        }
        if self.state.begin() {
            self.end();
        }
    }
}

impl Pool {
    fn new() -> &'static Pool {
        let sleep = Sleep::new(1);
        // Loom does not see into std's lock in which groups are made.
        sleep.unregister(sleep.register().unwrap());
        Box::leak(Box::new(Pool {
            queue: Queue::new(),
            sleep,
            limiter: Semaphore::new(1),
            intake: Intake::new(),
        }))
    }

    fn tend(&self) {
        self.sleep.notify();
    }

    fn submit(&self, call: &'static Call) {
        if self.intake.is_closed() {
            return call.reject();
        }
        self.queue.push(call);
        self.tend();
        if self.intake.is_drained() {
            self.drain();
        }
    }

    fn end(&self) {
        self.intake.close(true);
        self.sleep.wake_all();
        self.end_queued();
        self.reject_line();
    }

    /// False: it was opened meanwhile.
    fn end_queued(&self) -> bool {
        let is_drained = self.intake.drain();
        if is_drained {
            self.drain();
        }
        is_drained
    }

    fn drain(&self) {
        while let Some(call) = self.queue.pop() {
            call.reject();
        }
    }

    fn reject_line(&self) {
        self.reject_if(|_| true);
    }

    fn reject_if(&self, is_meant: impl Fn(&&'static Call) -> bool) {
        for call in self.limiter.take_if(is_meant) {
            if call.state.requeue() {
                self.limiter.leave();
                call.reject();
            }
        }
    }

    /// A thread meets a call.
    fn meet(&'static self, call: &'static Call) {
        if !call.state.is_queued() {
            return;
        }
        if self.intake.is_drained() {
            return call.reject();
        }
        let is_reserved = call.reservation.take();
        match self.limiter.acquire(call, is_reserved) {
            Acquired::Permit(call, _permit) => call.run(),
            Acquired::Waits if self.intake.is_drained() => self.reject_line(),
            Acquired::Waits | Acquired::Cancelled => {}
        }
    }

    /// What a thread does, as in `worker`, but that it does not search.
    fn work(&'static self) {
        let number = self.sleep.register().unwrap();
        let mut is_searching = false;
        loop {
            if let Some(call) = self.queue.pop() {
                if std::mem::take(&mut is_searching) {
                    self.sleep.found();
                }
                self.meet(call);
                continue;
            }
            if self.intake.is_closed() && self.queue.is_empty() {
                if is_searching {
                    self.sleep.found();
                }
                self.sleep.unregister(number);
                return;
            }
            let has_work = || !self.queue.is_empty() || self.intake.is_closed();
            let woken = self.sleep.sleep(number, is_searching, None, has_work);
            is_searching = matches!(woken, Woken::Called);
        }
    }

    /// The permit, which is free.
    fn held(&'static self) -> Permit<&'static Call> {
        match self.limiter.acquire(Call::new(self), false) {
            Acquired::Permit(_, permit) => permit,
            _ => unreachable!("it is free"),
        }
    }

    fn assert_nothing_is_left(&self) {
        assert!(self.queue.is_empty());
        assert_eq!((self.limiter.in_use(), self.limiter.waiting()), (0, 0));
    }
}

/// The permit is another body's, and given back meanwhile.
#[test]
fn a_call_that_waits_for_a_permit_and_is_cancelled_has_one_end() {
    check(2, || {
        let pool = Pool::new();
        let permit = pool.held();
        let (stays, goes) = (Call::new(pool), Call::new(pool));
        let worker = thread::spawn(move || pool.work());
        pool.submit(goes);
        pool.submit(stays);
        drop(permit);
        goes.cancel();
        pool.end();
        worker.join().unwrap();
        // What came after all was taken out is taken out by who brought it.
        pool.drain();
        assert_eq!(goes.ends.load(Ordering::Relaxed), 1);
        assert_eq!(stays.ends.load(Ordering::Relaxed), 1);
        pool.assert_nothing_is_left();
    });
}

/// The end comes while permits are handed over.
#[test]
fn a_call_that_is_handed_a_permit_at_the_end_has_one_end() {
    check(1, || {
        let pool = Pool::new();
        let permit = pool.held();
        let (first, second) = (Call::new(pool), Call::new(pool));
        pool.meet(first);
        let releases = thread::spawn(move || drop(permit));
        let worker = thread::spawn(move || pool.work());
        pool.submit(second);
        pool.end();
        releases.join().unwrap();
        worker.join().unwrap();
        pool.drain();
        pool.reject_line();
        assert_eq!(first.ends.load(Ordering::Relaxed), 1);
        assert_eq!(second.ends.load(Ordering::Relaxed), 1);
        pool.assert_nothing_is_left();
    });
}

/// Two pools share a limit, and one is closed while a permit is given back: the call of the other one
/// has it.
#[test]
fn a_call_that_stays_in_line_while_others_are_taken_out_has_its_permit() {
    check(3, || {
        let pool = Pool::new();
        let permit = pool.held();
        let (goes, stays) = (Call::new(pool), Call::new(pool));
        pool.meet(goes);
        pool.meet(stays);
        let releases = thread::spawn(move || drop(permit));
        pool.reject_if(|call| std::ptr::eq(*call, goes));
        releases.join().unwrap();
        while let Some(call) = pool.queue.pop() {
            pool.meet(call);
        }
        assert_eq!(goes.ends.load(Ordering::Relaxed), 1);
        assert_eq!(stays.ends.load(Ordering::Relaxed), 1);
        pool.assert_nothing_is_left();
    });
}

/// It has no thread that would meet the call.
#[test]
fn a_call_that_comes_while_its_pool_is_closed_ends_or_waits_in_an_open_one() {
    check(3, || {
        let pool = Pool::new();
        let call = Call::new(pool);
        let closes = thread::spawn(move || {
            pool.intake.close(false);
            pool.end_queued();
        });
        let opens = thread::spawn(move || pool.intake.open());
        pool.submit(call);
        closes.join().unwrap();
        opens.join().unwrap();
        // An open pool runs what it takes.
        assert!(pool.intake.is_closed() || !pool.intake.is_drained());
        assert!(pool.queue.is_empty() || !pool.intake.is_drained());
        while let Some(call) = pool.queue.pop() {
            pool.meet(call);
        }
        assert_eq!(call.ends.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_pool_that_is_opened_while_all_are_closed_stays_closed() {
    check(3, || {
        let pool = Pool::new();
        let ends = thread::spawn(move || pool.end());
        pool.intake.close(false);
        pool.intake.open();
        ends.join().unwrap();
        assert!(pool.intake.is_closed() && pool.intake.is_drained());
    });
}
