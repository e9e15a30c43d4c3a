//! In which order calls get permits, where they come one after the other.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::*;

/// A call, which is put down when there is a permit for it. Those from 100 on were cancelled when they waited.
#[derive(Clone)]
struct Call(u8, Rc<RefCell<Vec<u8>>>);

impl Waiter for Call {
    fn set_waiting(&self) -> bool {
        true
    }

    fn set_reserved(&self) -> bool {
        self.is_awaited()
    }

    fn resume(self) {
        self.1.borrow_mut().push(self.0);
    }

    fn is_awaited(&self) -> bool {
        self.0 < 100
    }
}

fn semaphore<W: Waiter + 'static>() -> &'static Semaphore<W> {
    Box::leak(Box::new(Semaphore::new(1)))
}

fn permit<W: Waiter + 'static>(acquired: Acquired<W>) -> Permit<W> {
    match acquired {
        Acquired::Permit(_, permit) => permit,
        _ => panic!("there is one"),
    }
}

fn waits<W: Waiter + 'static>(acquired: Acquired<W>) {
    assert!(matches!(acquired, Acquired::Waits));
}

fn assert_all_given_back<W: Waiter + 'static>(semaphore: &Semaphore<W>) {
    let numbers = [&semaphore.waiting, &semaphore.reserved, &semaphore.blocked];
    assert_eq!(numbers.map(|number| number.load(Ordering::Relaxed)), [0; 3]);
    assert_eq!(semaphore.free.load(Ordering::Relaxed), signed(semaphore.limit()));
}

#[test]
fn a_call_that_comes_later_does_not_take_what_is_reserved_for_another() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire(call(2), false));
    drop(first);
    assert_eq!(*ready.borrow(), [2]);
    waits(semaphore.acquire(call(3), false));
    drop(permit(semaphore.acquire(call(2), true)));
    assert_eq!(*ready.borrow(), [2, 3]);
}

#[test]
fn a_call_whose_reservation_was_taken_is_the_next_one_again() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire(call(2), false));
    waits(semaphore.acquire(call(3), false));
    drop(first);
    let blocks = permit(semaphore.acquire_blocking(call(4), false));
    waits(semaphore.acquire(call(2), true));
    drop(blocks);
    assert_eq!(*ready.borrow(), [2, 2]);
}

#[test]
fn a_call_that_blocks_a_body_is_served_before_others() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire(call(2), false));
    waits(semaphore.acquire_blocking(call(3), false));
    drop(first);
    drop(permit(semaphore.acquire_blocking(call(3), true)));
    assert_eq!(*ready.borrow(), [3, 2]);
    drop(permit(semaphore.acquire(call(2), true)));
    assert_all_given_back(semaphore);
}

#[test]
fn a_call_that_blocks_a_body_has_a_permit_that_is_free() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    drop(permit(semaphore.acquire_blocking(Call(1, ready), false)));
    assert_all_given_back(semaphore);
}

#[test]
fn a_call_that_blocks_a_body_and_whose_reservation_was_taken_is_the_next_one_again() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire_blocking(call(2), false));
    waits(semaphore.acquire_blocking(call(3), false));
    drop(first);
    let blocks = permit(semaphore.acquire_blocking(call(4), false));
    waits(semaphore.acquire_blocking(call(2), true));
    drop(blocks);
    assert_eq!(*ready.borrow(), [2, 2]);
    drop(permit(semaphore.acquire_blocking(call(2), true)));
    drop(permit(semaphore.acquire_blocking(call(3), true)));
    assert_all_given_back(semaphore);
}

#[test]
fn calls_that_block_bodies_and_are_not_meant_stay_in_line() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire_blocking(call(2), false));
    waits(semaphore.acquire_blocking(call(3), false));
    let taken = semaphore.take_if(|call| call.0 == 2);
    assert!(matches!(&taken[..], [Call(2, _)]));
    assert_eq!(semaphore.blocked.load(Ordering::Relaxed), 1);
    semaphore.leave();
    drop(first);
    assert_eq!(*ready.borrow(), [3]);
    drop(permit(semaphore.acquire_blocking(call(3), true)));
    assert_all_given_back(semaphore);
}

/// Was cancelled just now.
struct Cancelled;

impl Waiter for Cancelled {
    fn set_waiting(&self) -> bool {
        false
    }

    fn set_reserved(&self) -> bool {
        unreachable!("it does not wait")
    }

    fn resume(self) {
        unreachable!("it does not wait")
    }

    fn is_awaited(&self) -> bool {
        false
    }
}

#[test]
fn a_call_that_is_cancelled_on_its_way_to_the_line_does_not_count() {
    let semaphore = semaphore();
    let held = permit(semaphore.acquire(Cancelled, false));
    assert!(matches!(semaphore.acquire(Cancelled, false), Acquired::Cancelled));
    assert!(matches!(semaphore.acquire_blocking(Cancelled, false), Acquired::Cancelled));
    assert_eq!(semaphore.waiting(), 0);
    drop(held);
    assert_all_given_back(semaphore);
}

#[test]
fn a_reservation_is_taken_once() {
    let reservation = Reservation::new();
    assert!(!reservation.take());
    reservation.set();
    assert!(reservation.take() && !reservation.take());
}

/// Of a call that needs several.
#[test]
fn all_permits_of_a_body_come_back() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    semaphore.set_limit(3);
    let mut permits = Permits::NONE;
    for number in 1..=3 {
        assert_eq!(
            (permits.is_empty(), semaphore.in_use()),
            (number == 1, usize::from(number) - 1)
        );
        permits.push(permit(semaphore.acquire(Call(number, Rc::clone(&ready)), false)));
    }
    assert!(!permits.is_empty());
    waits(semaphore.acquire(Call(4, Rc::clone(&ready)), false));
    drop(permits);
    drop(permit(semaphore.acquire(Call(4, ready), true)));
    assert_all_given_back(semaphore);
}

/// It is on a thread, so it need not wait for another.
#[test]
fn a_call_whose_reservation_was_taken_has_a_permit_that_is_free() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire(call(2), false));
    drop(first);
    drop(permit(semaphore.acquire_blocking(call(3), false)));
    drop(permit(semaphore.acquire(call(2), true)));
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
}

/// A queue of calls for a permit that is taken is gone through call by call, and holds up nobody by a lock: by one that
/// is poisoned, whoever enters it panics.
#[test]
fn calls_that_block_no_body_wait_and_are_served_without_a_lock() {
    const CALLS: usize = 50_000;

    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let held = permit(semaphore.acquire(call(0), false));
    let poison = AssertUnwindSafe(|| {
        let _locked = lock(&semaphore.blocking);
        panic!("it is poisoned");
    });
    assert!(catch_unwind(poison).is_err());
    for _ in 0..CALLS {
        waits(semaphore.acquire(call(1), false));
        waits(semaphore.acquire(call(100), false));
        semaphore.leave_shell();
    }
    assert_eq!(semaphore.waiting(), CALLS);
    drop(held);
    for served in 1..=CALLS {
        assert_eq!(ready.borrow().len(), served);
        drop(permit(semaphore.acquire(call(1), true)));
    }
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
}

#[test]
fn shells_of_calls_that_block_bodies_do_not_add_up() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let held = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire_blocking(call(2), false));
    for _ in 0..1000 {
        waits(semaphore.acquire_blocking(call(100), false));
        semaphore.leave_shell();
    }
    assert!(lock(&semaphore.blocking).len() <= SHELLS + 4);
    drop(held);
    assert_eq!(ready.borrow()[0], 2);
}

/// Tells how many wait as it is queued.
struct Looks(&'static OnceCell<&'static Semaphore<Looks>>, Rc<Cell<usize>>);

impl Waiter for Looks {
    fn set_waiting(&self) -> bool {
        true
    }

    fn set_reserved(&self) -> bool {
        true
    }

    fn resume(self) {
        self.1.set(self.0.get().unwrap().waiting());
    }

    fn is_awaited(&self) -> bool {
        true
    }
}

#[test]
fn a_call_counts_among_those_that_wait_until_it_is_queued() {
    let place: &'static OnceCell<_> = Box::leak(Box::default());
    let seen = Rc::new(Cell::new(0));
    let semaphore = *place.get_or_init(semaphore);
    let look = || Looks(place, Rc::clone(&seen));
    let first = permit(semaphore.acquire(look(), false));
    waits(semaphore.acquire(look(), false));
    drop(first);
    assert_eq!((seen.get(), semaphore.waiting()), (1, 0));
}
