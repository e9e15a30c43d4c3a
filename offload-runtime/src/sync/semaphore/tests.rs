//! In which order calls get permits, where they come one after the other.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// A call, which is put down when there is a permit for it.
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
        true
    }
}

fn semaphore() -> &'static Semaphore<Call> {
    Box::leak(Box::new(Semaphore::new(1)))
}

fn permit(acquired: Acquired<Call>) -> Permit<Call> {
    match acquired {
        Acquired::Permit(_, permit) => permit,
        _ => panic!("there is one"),
    }
}

fn waits(acquired: Acquired<Call>) {
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
