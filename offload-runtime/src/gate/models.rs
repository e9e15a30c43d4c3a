//! A call that takes several permits one after the other, and is cancelled meanwhile: in every order of the steps of
//! the thread that has it and of who cancels it, by the code itself.

use std::sync::Arc;

use loom::thread;

use super::*;
use crate::sync::model::check;
use crate::task::about::About;
use crate::task::context::Captured;
use crate::task::loan::Loans;
use crate::task::meta::{Deadlines, Meta, Slot, StandIn};
use crate::task::under_way::UnderWay;
use crate::task::{Owner, maker};

static ABOUT: About = About::new("of a model", "thread");

/// Its calls need a permit from each of these.
struct Function(&'static [&'static Gate]);

impl Owner for Function {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn admit(&'static self, task: Queued) -> Admitted {
        admit(self.0, task)
    }

    fn resume(&'static self, _: Queued) {
        unreachable!("nobody else gets a permit, so none is resumed")
    }

    fn is_gated_by(&self, gate: usize) -> bool {
        self.0.iter().any(|own| own.place() == gate)
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        Ok(Loans::NONE)
    }

    fn executor_place(&self) -> usize {
        0
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        None
    }

    fn under_way(&self) -> &'static UnderWay {
        unreachable!("its calls are counted nowhere")
    }

    fn leave_line(&'static self, gate: usize) {
        self.0[gate].leave();
    }

    fn reject_lines(&'static self) {}

    fn give_up_reservation(&'static self, gate: usize) {
        self.0[gate].give_up();
    }
}

/// Of one permit.
fn gate() -> &'static Gate {
    let gate = Box::leak(Box::new(Gate::new(Of::Limiter, Size::Known(1))));
    gate.check().unwrap();
    gate
}

/// Its handle is kept meanwhile: the drop of the task must not be what gives the permit back.
#[test]
fn a_call_that_is_cancelled_between_two_permits_keeps_none() {
    check(3, || {
        let [first, second] = [gate(), gate()];
        let gates: &'static [&'static Gate] = Box::leak(Box::new([first, second]));
        let function: &'static Function = Box::leak(Box::new(Function(gates)));
        let anothers = second.semaphore().try_acquire().unwrap();
        let slots = [Slot::default(), Slot::default()];
        let meta = Meta::new(function, true, Deadlines::default(), None, slots);
        let call = maker()(meta, Captured::NOTHING, || ());
        let queued = Queued::new(Arc::clone(&call));
        let thread = thread::spawn(move || match function.admit(queued) {
            Admitted::Waits | Admitted::Cancelled => {}
            _ => unreachable!("there is no second permit"),
        });
        completion::cancel(&call);
        thread.join().unwrap();
        assert_eq!(first.in_use(), 0, "it keeps one");
        assert_eq!((first.waiting(), second.waiting()), (0, 0));
        drop(anothers);
        assert_eq!(second.in_use(), 0);
        drop(call);
    });
}
