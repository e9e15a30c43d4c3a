//! In which order calls get permits, where they come one after the other.

use std::cell::{Cell, OnceCell, RefCell};
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
        true
    }

    fn resume(self) {
        self.1.borrow_mut().push(self.0);
    }

    fn is_awaited(&self) -> bool {
        self.0 < 100
    }
}

fn semaphore() -> &'static Semaphore<Call> {
    semaphore_of(1)
}

fn semaphore_of<W: Waiter + 'static>(limit: usize) -> &'static Semaphore<W> {
    Box::leak(Box::new(Semaphore::new(limit)))
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
    let blocks = permit(semaphore.acquire_blocking(call(4), Vec::new(), false));
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
    waits(semaphore.acquire_blocking(call(3), Vec::new(), false));
    drop(first);
    drop(permit(semaphore.acquire_blocking(call(3), Vec::new(), true)));
    assert_eq!(*ready.borrow(), [3, 2]);
}

/// It is on a thread, so it need not wait for another.
#[test]
fn a_call_whose_reservation_was_taken_has_a_permit_that_is_free() {
    let (semaphore, ready) = (semaphore(), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let first = permit(semaphore.acquire(call(1), false));
    waits(semaphore.acquire(call(2), false));
    drop(first);
    drop(permit(semaphore.acquire_blocking(call(3), Vec::new(), false)));
    drop(permit(semaphore.acquire(call(2), true)));
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
}

/// The body that waited for it goes on, and will give its permit back.
#[test]
fn a_cancelled_call_does_not_make_a_deadlock() {
    let (semaphore, ready) = (semaphore_of(2), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let bodies = [1, 2].map(|body| permit(semaphore.acquire(call(body), false)));
    waits(semaphore.acquire_blocking(call(100), vec![1], false));
    semaphore.leave_shell();
    waits(semaphore.acquire_blocking(call(3), vec![2], false));
    drop(bodies);
    assert_eq!(*ready.borrow(), [3]);
}

#[test]
fn the_last_of_the_bodies_that_hold_all_permits_and_wait_for_one_is_told_of_the_deadlock() {
    let (semaphore, ready) = (semaphore_of(2), Rc::default());
    let call = |number| Call(number, Rc::clone(&ready));
    let _bodies = [1, 2].map(|body| permit(semaphore.acquire(call(body), false)));
    waits(semaphore.acquire_blocking(call(3), vec![1], false));
    let told = semaphore.acquire_blocking(call(4), vec![2], false);
    assert!(matches!(told, Acquired::Deadlock(Call(4, _))));
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
    let semaphore = *place.get_or_init(|| semaphore_of(1));
    let look = || Looks(place, Rc::clone(&seen));
    let first = permit(semaphore.acquire(look(), false));
    waits(semaphore.acquire(look(), false));
    drop(first);
    assert_eq!((seen.get(), semaphore.waiting()), (1, 0));
}
