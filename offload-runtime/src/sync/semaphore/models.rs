//! Every order of the steps of a few threads.

mod reservations;
mod sweeping;

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::sync::model::check;
use crate::sync::queue::Queue;
use crate::task::state::{Phase, State};

/// A call, and where it goes when there is a permit.
struct Call {
    state: State,
    reservation: Reservation,
    ready: Arc<Queue<Arc<Call>>>,
}

impl Call {
    fn new(ready: &Arc<Queue<Arc<Call>>>) -> Arc<Call> {
        let (state, reservation) = (State::new(), Reservation::new());
        Arc::new(Call { state, reservation, ready: Arc::clone(ready) })
    }

    /// As the side that awaits it does.
    fn cancel(&self, semaphore: &Semaphore<Arc<Call>>) {
        match self.state.cancel() {
            Phase::Waiting => semaphore.leave_shell(),
            Phase::Queued if self.reservation.take() => semaphore.give_up(),
            _ => {}
        }
    }
}

impl Waiter for Arc<Call> {
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
        let ready = Arc::clone(&self.ready);
        ready.push(self);
    }
}

fn semaphore(limit: usize) -> &'static Semaphore<Arc<Call>> {
    Box::leak(Box::new(Semaphore::new(limit)))
}

/// The permit, which is free.
fn held(semaphore: &'static Semaphore<Arc<Call>>) -> Permit<Arc<Call>> {
    match semaphore.acquire(Call::new(&Arc::new(Queue::new())), false) {
        Acquired::Permit(_, permit) => permit,
        _ => unreachable!("it is free"),
    }
}

/// A thread meets a call: it runs if there is a permit. Whether it has run.
fn meet(semaphore: &'static Semaphore<Arc<Call>>, call: Arc<Call>) -> bool {
    let is_reserved = call.reservation.take();
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

/// A call that blocks a body asks for the permit that another thread gives back. How many have run at once.
fn ask_as_it_is_given_back(
    semaphore: &'static Semaphore<Arc<Call>>,
    blocks: Arc<Call>,
    permit: Permit<Arc<Call>>,
) -> usize {
    let releases = thread::spawn(move || drop(permit));
    let ran = match semaphore.acquire_blocking(blocks, false) {
        Acquired::Permit(_, permit) => {
            drop(permit);
            1
        }
        Acquired::Waits => 0,
        Acquired::Cancelled => unreachable!("it is awaited"),
    };
    releases.join().unwrap();
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
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let second = Call::new(&ready);
        let permit = held(semaphore);
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
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let (waits, blocks) = (Call::new(&ready), Call::new(&ready));
        let permit = held(semaphore);
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
        match semaphore.acquire_blocking(blocks, false) {
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

/// Nobody else waits, who would look once more.
#[test]
fn a_call_that_blocks_a_body_as_the_permit_is_given_back_is_not_forgotten() {
    loom::model(|| {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let blocks = Call::new(&ready);
        let permit = held(semaphore);
        let mut ran = ask_as_it_is_given_back(semaphore, blocks, permit);
        ran += meet_ready(semaphore, &ready);
        assert_eq!(ran, 1);
        assert_all_given_back(semaphore);
    });
}

/// As behind a lock: with a limit of one, bodies may share what is not ordered otherwise.
#[test]
fn what_a_body_did_is_seen_by_the_next_that_has_its_permit() {
    for is_blocking in [false, true] {
        loom::model(move || {
            let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
            let (waits, next) = (Call::new(&ready), Call::new(&ready));
            let permit = held(semaphore);
            if is_blocking {
                // Then it is handed on as a reservation of this one.
                assert!(!meet(semaphore, waits));
            }
            let [has_run, is_back] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let asks = thread::spawn({
                let (has_run, is_back) = (Arc::clone(&has_run), Arc::clone(&is_back));
                move || {
                    // It comes late, and sees no more for that.
                    if !is_back.load(Ordering::Relaxed) {
                        return;
                    }
                    let acquired = match is_blocking {
                        true => semaphore.acquire_blocking(next, false),
                        false => semaphore.acquire(next, false),
                    };
                    if let Acquired::Permit(..) = &acquired {
                        assert!(has_run.load(Ordering::Relaxed), "not seen");
                    }
                }
            });
            has_run.store(true, Ordering::Relaxed);
            drop(permit);
            is_back.store(true, Ordering::Relaxed);
            asks.join().unwrap();
            meet_ready(semaphore, &ready);
            assert_all_given_back(semaphore);
        });
    }
}

#[test]
fn a_limit_that_is_raised_as_a_call_comes_to_wait_lets_it_run() {
    loom::model(|| {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let second = Call::new(&ready);
        let permit = held(semaphore);
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
    check(3, || hand_on_or_take_out(|semaphore, waits| assert!(!meet(semaphore, waits))));
}

#[test]
fn a_call_that_blocks_a_body_is_handed_a_permit_or_taken_out_and_not_both() {
    check(2, || {
        hand_on_or_take_out(|semaphore, blocks| {
            assert!(matches!(semaphore.acquire_blocking(blocks, false), Acquired::Waits));
        });
    });
}

fn hand_on_or_take_out(wait: impl Fn(&'static Semaphore<Arc<Call>>, Arc<Call>)) {
    let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
    let waits = Call::new(&ready);
    let permit = held(semaphore);
    wait(semaphore, waits);
    let releases = thread::spawn(move || drop(permit));
    let mut ended = 0;
    for call in semaphore.take_if(|_| true) {
        if call.state.requeue() {
            semaphore.leave();
            ended += usize::from(call.state.begin());
        }
    }
    releases.join().unwrap();
    let ran = meet_ready(semaphore, &ready);
    assert_eq!(ended + ran, 1);
    assert_all_given_back(semaphore);
}
