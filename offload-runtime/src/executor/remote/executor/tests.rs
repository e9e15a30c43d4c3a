use std::sync::{Arc, mpsc};

use super::super::served::{self, Counted};
use super::*;
use crate::error::Error;
use crate::task::context::Captured;
use crate::task::loan::Loans;
use crate::task::maker;
use crate::task::meta::{Deadlines, Meta};
use crate::wire::registry::{Entry as Body, Place};

static POOL: Remotes = Remotes::new("of a test");

static ABOUT: About = About::new("function of a test", "remote");

/// It has no body.
struct Function;

impl Callable for Function {
    fn about(&'static self) -> &'static About {
        &ABOUT
    }

    fn place(&self) -> Option<Place> {
        None
    }

    fn entry(&self) -> Option<Body> {
        None
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        Ok(Loans::NONE)
    }

    fn drop_lent(&self) {}

    fn attempts(&self) -> u32 {
        1
    }

    fn make_known(&'static self) {}

    fn host(&self) -> Option<&'static dyn Host> {
        None
    }
}

fn task() -> Awaited {
    POOL.check().unwrap();
    let owner = served::as_served(POOL.body_site(), &ABOUT, Counted::Elsewhere);
    let deadlines = Deadlines::new(None, None, false);
    let slots = [Slot::default(), Slot::default()];
    maker()(Meta::new(owner, false, deadlines, None, slots), Captured::NOTHING, || ())
}

fn parcel(pack: impl FnOnce() + Send + 'static) -> Arc<parcel::Parcel> {
    parcel::Parcel::new(&Function, Box::new(|_| pack()))
}

fn in_flight(task: &Awaited) -> Arc<InFlight> {
    let carried = Carried::here("function of a test").unwrap();
    Arc::new(InFlight::new(parcel(|| {}), place(&**task), carried))
}

#[test]
fn a_call_that_is_found_to_be_cancelled_as_a_worker_begins_it_does_not_stay() {
    let (task, calls) = (task(), Calls::default());
    // Who cancels it looks for it before it is there.
    completion::cancel(&task);
    let call = in_flight(&task);
    calls.add(Arc::clone(&call));
    assert!(call.wait(Queued::new(Arc::clone(&task)), Permits::NONE));
    assert!(!calls.begin(&call));
    assert!(calls.find(call.place).is_none());
}

#[test]
fn a_call_of_a_body_is_sent_that_is_where_one_was_that_is_over_and_not_removed_yet() {
    let task = task();
    let before = in_flight(&task);
    before.forget();
    POOL.calls().add(before);
    let (tell, told) = mpsc::channel();
    let parcel = parcel(move || tell.send(()).unwrap());
    parcel.submitted(|| POOL.submit_ahead(Queued::new(task)));
    told.recv().expect("its arguments are written");
}

#[test]
fn a_call_that_was_forgotten_before_it_was_known_is_not_sent() {
    let task = task();
    completion::cancel(&task);
    POOL.submit_ahead(Queued::new(task));
}
