//! Whether a call may be made, asked at its first poll, before it has a task (a closure is in one already); and how a
//! call that blocks a body gets through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use crate::error::{Error, Ran};
use crate::executor::{Executor, Written};
use crate::function::Function;
use crate::gate::Gate;
use crate::sync::timer::{self, Alarm};
use crate::system::fork;
use crate::task::context::Captured;
use crate::task::current;
use crate::task::meta::{Caller, Deadlines, Meta, Slot};
use crate::task::{Awaited, Failure, Queued};

/// Asks for room for a call that is made now, on this thread. What is returned, dropped, leaves
/// nothing behind. It runs foreign code: the expressions of deadlines, the clones of what is
/// captured.
pub(super) fn admit(function: &'static Function) -> Result<(Meta, Captured), Failure> {
    caught(|| Ok((admit_here(function)?, Captured::here())))
}

/// The same of a call whose surroundings were taken before.
pub(super) fn admit_captured(function: &'static Function) -> Result<Meta, Failure> {
    caught(|| admit_here(function))
}

/// What runs foreign code before a call is made: a panic of it is the call's.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Failure::Error),
        Err(payload) => Err(Failure::Panic(payload, Ran::No)),
    }
}

fn admit_here(function: &'static Function) -> Result<Meta, Error> {
    let name = function.name();
    let executor = executor(function)?;
    let callers = current::caller();
    let slots = match &callers {
        // What waits for it has a thread already.
        Some(callers) if occupies(callers, executor) => [Slot::default(), Slot::default()],
        _ => {
            let overloaded = |bound| Error::overloaded(name, bound);
            [function.slot().map_err(overloaded)?, executor.slot().map_err(overloaded)?]
        }
    };
    meta(function, function.deadlines(), callers, slots)
}

/// What wakes the caller when the first of the deadlines has passed.
pub(super) fn alarm(task: &Awaited, waker: &Waker) -> Result<Option<Alarm>, Error> {
    let alarm = task.meta().next_due().map(|due| Alarm::new(due, waker));
    alarm.transpose().map_err(|error| Error::no_timer(task.meta().about().name, &error))
}

/// The same of a call that is started: a body that starts it does not wait for it.
pub(super) fn admit_started(function: &'static Function) -> Result<(Meta, Captured), Error> {
    let name = function.name();
    let executor = executor(function)?;
    let overloaded = |bound| Error::overloaded(name, bound);
    let slots = [function.slot().map_err(overloaded)?, executor.slot().map_err(overloaded)?];
    let (deadlines, captured) = (function.deadlines(), Captured::here());
    let mut meta = meta(function, deadlines, None, slots)?;
    meta.is_of_body = current::is_in_body();
    if meta.next_due().is_some() {
        timer::start().map_err(|error| Error::no_timer(name, &error))?;
    }
    Ok((meta, captured))
}

fn meta(
    function: &'static Function,
    deadlines: Deadlines,
    callers: Option<Arc<Caller>>,
    slots: [Slot; 2],
) -> Result<Meta, Error> {
    let is_gated = !function.gates().is_empty();
    let mut meta = Meta::new(function, is_gated, deadlines, callers, slots);
    meta.borrows = function.lends_here();
    match fork::is_child(meta.since) {
        true => Err(Error::forked(function.name())),
        false => Ok(meta),
    }
}

/// Where the function runs, if what it runs on and waits for is there.
///
/// It asks for sizes, and has a pool or a limiter made: foreign code, which may ask for the numbers. Those are of what is known, and
/// would wait for what is being made: so the function is known only afterwards, also if it can make no call.
fn executor(function: &'static Function) -> Result<&'static dyn Executor, Error> {
    let executor = function.executor();
    let checked = check(function);
    function.make_known();
    checked.map(|()| executor)
}

fn check(function: &'static Function) -> Result<(), Error> {
    let of = |error: Error| error.of(function.name());
    function.executor().check().map_err(of)?;
    function.check_needs().map_err(of)
}

/// The gate of which all permits are held by bodies that wait, directly or not, for a call of this
/// function: the call could never start.
pub(super) fn waits_for_ever(
    function: &'static Function,
    callers: &Caller,
) -> Option<&'static Gate> {
    let is_held = |gate: &&&Gate| {
        gate.limit() <= callers.chain().filter(|caller| caller.holds(gate.place())).count()
    };
    function.gates().iter().find(is_held).copied()
}

/// One thread takes the place of the bodies that wait for a call of this function.
pub(super) fn stand_in(function: &'static Function, callers: &Caller) {
    let executor = function.executor();
    let _ = callers.chain().filter(|caller| is_of(caller, executor)).any(Caller::stand_in);
}

/// Whether a body on this thread, or one that waits for it, has a thread of the pool of this function.
pub(super) fn is_in_body_of_pool(function: &'static Function) -> bool {
    current::is_in_body()
        && current::caller().is_some_and(|callers| occupies(&callers, function.executor()))
}

/// Gives a call to its executor, with its request if that was written already.
pub(super) fn submit(function: &'static Function, task: &Awaited, written: Option<&Written>) {
    let executor = function.executor();
    let queued = Queued::new(Arc::clone(task));
    match &task.meta().callers {
        Some(callers) if occupies(callers, executor) => {
            executor.submit_ahead(queued);
            // One thread for each body that waits, and not for each call.
            stand_in(function, callers);
        }
        _ => match written {
            Some(written) => executor.submit_written(queued, written),
            None => executor.submit(queued),
        },
    }
}

/// Whether one of these bodies has a thread of this executor.
fn occupies(callers: &Caller, executor: &'static dyn Executor) -> bool {
    callers.chain().any(|caller| is_of(caller, executor))
}

fn is_of(caller: &Caller, executor: &'static dyn Executor) -> bool {
    caller.owner().executor_place() == std::ptr::from_ref(executor).addr()
}
