//! A body that runs on this machine, for whoever called it: on a thread of the `cpu` pool, or in a worker
//! process that a thread waits for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::failures::unstarted;
use super::parcel::Answer;
use crate::error::{Error, Ran};
use crate::executor::process::messages::{Failure, cut};
use crate::executor::process::{exchange, failures, panics};
use crate::executor::{Executor, threads};
use crate::sync::foreign::{drop_payload, drop_quietly, quietly};
use crate::system::abort::Unpoisoned;
use crate::task::about::About;
use crate::task::context::Captured;
use crate::task::counts::Ending;
use crate::task::loan::Loans;
use crate::task::meta::{Deadlines, Meta, Slot, StandIn};
use crate::task::state::Phase;
use crate::task::under_way::UnderWay;
use crate::task::{self, Admitted, Awaited, Owner, Permits, Queued, Work, completion, current};
use crate::wire::arguments::Arguments;
use crate::wire::codec::Decoder;
use crate::wire::frames::{HEADER, Outgoing};
use crate::wire::registry::{Callable, Host};

/// A function, as the pool on whose threads its bodies run knows it. Its limits are its caller's affair.
pub(super) struct Served {
    about: &'static About,
    executor: &'static dyn Executor,
}

/// Whether what is done for a function is one of its calls here, and counts as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Here,
    /// In the program that called it.
    Elsewhere,
}

/// Functions that were served so far; none is ever removed.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

struct Known {
    about: &'static About,
    counted: Counted,
    served: &'static Served,
}

/// A function as it is served, one for each.
pub(super) fn as_served(site: Site, about: &'static About, counted: Counted) -> &'static Served {
    let mut known = KNOWN.lock().unpoisoned();
    let is_it = |known: &&Known| ptr::eq(known.about, about) && known.counted == counted;
    if let Some(found) = known.iter().find(is_it) {
        return found.served;
    }
    let shown = match counted {
        Counted::Here => about,
        // It has the name, and numbers that nobody sees.
        Counted::Elsewhere => Box::leak(Box::new(About::new(about.name, about.kind))),
    };
    let served = Box::leak(Box::new(Served { about: shown, executor: site.executor }));
    known.push(Known { about, counted, served });
    served
}

impl Owner for Served {
    fn about(&self) -> &About {
        self.about
    }

    fn admit(&'static self, task: Queued) -> Admitted {
        Admitted::Start(task, Permits::NONE)
    }

    fn resume(&'static self, task: Queued) {
        self.executor.submit_ahead(task);
    }

    fn is_gated_by(&self, _: usize) -> bool {
        false
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        Ok(Loans::NONE)
    }

    fn executor_place(&self) -> usize {
        std::ptr::from_ref(self.executor).addr()
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        self.executor.stand_in()
    }

    fn under_way(&self) -> &'static UnderWay {
        self.executor.under_way()
    }

    fn leave_line(&'static self, _: usize) {}

    fn reject_lines(&'static self) {}

    fn give_up_reservation(&'static self, _: usize) {}
}

/// A call that is served.
#[derive(Clone)]
pub(super) struct Serving {
    task: Awaited,
    executor: &'static dyn Executor,
}

/// Where the bodies of a pool run on this machine.
#[derive(Clone, Copy)]
pub(super) struct Site {
    pub(super) executor: &'static dyn Executor,
    /// The pool.
    pub(super) host: &'static dyn Host,
    /// No argument list and no result is larger, in bytes.
    pub(super) max_message: usize,
    /// Each runs in a process of its own.
    pub(super) is_isolated: bool,
}

/// What is to be done on a thread of a pool. It is called there, or elsewhere with the reason why it is not to
/// be done; if nobody awaits it any more, it is dropped.
struct Handed<W> {
    work: Mutex<Option<(W, Captured)>>,
    meta: Meta,
}

impl<W> Handed<W> {
    fn take_work(&self) -> Option<(W, Captured)> {
        self.work.lock().unpoisoned().take()
    }
}

impl<W: FnOnce(Result<(), Error>) + Send> Work for Handed<W> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut())) {
        let Some((work, captured)) = self.take_work() else { return };
        let mut work = Some(work);
        enter(captured, &mut || {
            if let Some(work) = work.take() {
                work(Ok(()));
            }
        });
        // Its context could not be entered.
        if let Some(work) = work {
            quietly(|| work(Err(unstarted(self.meta.about().name))));
        }
    }

    fn fail(&self, failure: task::Failure) {
        let Some((work, captured)) = self.take_work() else { return drop_quietly(failure) };
        drop_quietly(captured);
        let error = match failure {
            task::Failure::Error(error) => error,
            task::Failure::Panic(payload, _) => {
                drop_payload(payload);
                unstarted(self.meta.about().name)
            }
        };
        quietly(|| work(Err(error)));
    }

    fn take(&self, _: &mut dyn Any) -> Option<task::Failure> {
        None
    }

    fn clear(&self) {
        drop(self.take_work());
    }

    fn error(&self) -> Option<Error> {
        None
    }

    fn has_drop_glue(&self) -> bool {
        self.work.lock().unpoisoned().is_some()
    }
}

/// Has `work` done on a thread on which [`call`] may be called. If it is not to be done, it is called
/// with the reason, on any thread.
pub(super) fn submit(
    served: &'static Served,
    timeout: Option<Duration>,
    captured: Captured,
    work: impl FnOnce(Result<(), Error>) + Send + 'static,
) -> Serving {
    let executor = served.executor;
    let deadlines = Deadlines::new(timeout, None, false);
    let mut meta = Meta::new(served, false, deadlines, None, [Slot::default(), Slot::default()]);
    // Also when no further calls are taken.
    meta.is_of_body = true;
    let task: Awaited = Arc::new(Handed { work: Mutex::new(Some((work, captured))), meta });
    executor.submit(Queued::new(Arc::clone(&task)));
    Serving { task, executor }
}

impl Serving {
    /// Nobody awaits it any more.
    pub(super) fn cancel(&self) {
        let left = completion::cancel(&self.task);
        match left.phase {
            Phase::Queued | Phase::Waiting => self.executor.forget(&self.task, left.phase),
            Phase::Running => self.executor.cancel(&self.task),
            Phase::Suspended | Phase::Done => {}
        }
        if let Some(leftover) = left.leftover {
            threads::THREAD.clear(leftover);
        }
    }
}

/// Runs the body of `function` with these arguments, on the thread of the work that was submitted, which is
/// in the surroundings that were `carried` here; or in the process that this thread has checked out.
pub(super) fn call(
    site: Site,
    function: &'static dyn Callable,
    carried: &[(String, String)],
    arguments: &Bytes,
) -> Answer {
    let answer = match site.is_isolated {
        true => exchange::relay(function, carried, arguments).map(Bytes::from),
        false => call_on_thread(function, arguments, site.max_message),
    };
    if let Err((error, ending)) = &answer {
        current::set_ending(*ending, error.ran());
    }
    answer
}

fn call_on_thread(function: &'static dyn Callable, bytes: &Bytes, max_message: usize) -> Answer {
    let name = function.about().name;
    let failed = |failure: &Failure| -> (Error, Ending) {
        (failures::failed(name, failure, max_message), Ending::Failed)
    };
    let Some(entry) = function.entry() else {
        return Err(failed(&Failure::Arguments("there is no such function".to_owned())));
    };
    let mut arguments = Arguments::new(Decoder::new(bytes), Outgoing::new(0, max_message));
    // Its arguments come first.
    current::set_ran(Ran::No);
    match function.lend() {
        Ok(loans) => current::set_loans(loans),
        Err(error) => return Err((error, Ending::Failed)),
    }
    // Unwind safety: what the body shared is its own affair, as it is for the bodies of threads.
    match catch_unwind(AssertUnwindSafe(|| entry(&mut arguments))) {
        Ok(Ok(())) => match arguments.into_answer() {
            Ok(Ok(message)) => Ok(Bytes::from(message).slice(HEADER..)),
            Ok(Err(large)) => Err(failed(&Failure::TooLarge(large.bytes))),
            Err(reason) => Err(failed(&Failure::Result(cut(reason)))),
        },
        Ok(Err(malformed)) => Err(failed(&Failure::Arguments(cut(malformed.into_reason())))),
        Err(payload) => {
            let panic = panics::take(&*payload, current::ran());
            drop_payload(payload);
            Err((failures::panicked(name, panic, None), Ending::Panicked))
        }
    }
}
