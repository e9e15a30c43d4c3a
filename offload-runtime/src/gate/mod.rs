//! What a call has to have before its body starts, and waits for without a thread: permits of a limiter,
//! and of resources.
//!
//! A call that needs several takes one after the other, always in the same order, and keeps those that
//! it has while it waits for the next: so calls never wait for each other, unless bodies wait for them.

mod cycle;

use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::executor::settings;
use crate::sync::semaphore::{Acquired, Semaphore};
use crate::task::{Admitted, Queued, completion};

/// Lets so many bodies through at once.
pub(crate) struct Gate {
    of: Of,
    size: Size,
    /// Made at its first use; an error, if the size makes no sense.
    semaphore: OnceLock<Result<Semaphore<Queued>, Error>>,
}

/// How many.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Known(usize),
    /// Says it at the first use.
    With(fn() -> usize),
}

/// What the permits stand for.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Limiter,
    /// With this name.
    Resource(&'static str),
}

impl Gate {
    pub(crate) const fn new(of: Of, size: Size) -> Gate {
        Gate { of, size, semaphore: OnceLock::new() }
    }

    /// The same, of another size. For a gate that is not used yet.
    pub(crate) const fn resize(&mut self, size: Size) {
        self.size = size;
    }

    fn made(&self) -> &Result<Semaphore<Queued>, Error> {
        self.semaphore.get_or_init(|| match self.size {
            Size::Known(size) => Ok(Semaphore::new(size)),
            Size::With(size) => {
                let what = || match self.of {
                    Of::Limiter => "`Limiter::with`".to_owned(),
                    Of::Resource(name) => format!("`size_with` of the resource `{name}`"),
                };
                settings::size(size, what).map(Semaphore::new)
            }
        })
    }

    /// Whether its size makes sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.made().as_ref().map(drop).map_err(Clone::clone)
    }

    fn semaphore(&self) -> &Semaphore<Queued> {
        self.made()
            .as_ref()
            .unwrap_or_else(|_| unreachable!("whoever waits here has asked `check`"))
    }

    /// One of its numbers; 0, if its size makes no sense.
    fn number(&self, read: fn(&Semaphore<Queued>) -> usize) -> usize {
        self.made().as_ref().map_or(0, read)
    }

    /// How many bodies may have permits at once.
    pub(crate) fn limit(&self) -> usize {
        self.number(Semaphore::limit)
    }

    /// How many have.
    pub(crate) fn in_use(&self) -> usize {
        self.number(Semaphore::in_use)
    }

    /// How many calls wait.
    pub(crate) fn waiting(&self) -> usize {
        self.number(Semaphore::waiting)
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        if let Ok(semaphore) = self.made() {
            semaphore.set_limit(limit);
        }
    }

    /// What tells it from others.
    pub(crate) fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// A call of this function would wait here for ever.
    pub(crate) fn deadlock(&self, function: &str) -> Error {
        match self.of {
            Of::Limiter => Error::deadlock(function, "a permit of the same limit"),
            Of::Resource(name) => Error::deadlock(function, &format!("the resource `{name}`")),
        }
    }

    /// A call that waited here was cancelled.
    pub(crate) fn leave(&self) {
        self.semaphore().leave_shell();
    }

    /// A call that had a reservation was cancelled.
    pub(crate) fn give_up(&'static self) {
        self.semaphore().give_up();
    }

    /// Ends the calls that wait here, of one executor or of all.
    pub(crate) fn reject(&self, executor: Option<usize>, why: impl Fn(&str) -> Error) {
        let Ok(semaphore) = self.made() else { return };
        let is_meant = |task: &Queued| {
            executor.is_none_or(|executor| task.meta().owner.executor_place() == executor)
        };
        for task in semaphore.take_if(is_meant) {
            if task.meta().state.requeue() {
                semaphore.leave();
                let error = why(task.meta().about().name);
                completion::reject(task, error);
            } else {
                task.discard();
            }
        }
    }
}

/// Permits for a call that a thread is ready to run, from all of these, in this order. It may have
/// waited at one of them before.
pub(crate) fn admit(gates: &'static [&'static Gate], mut task: Queued) -> Admitted {
    let mut is_reserved = task.meta().reservation.take();
    let mut permits = task.meta().line.take();
    for (number, gate) in gates.iter().enumerate().skip(task.meta().line.gate()) {
        let (gate, semaphore) = (*gate, gate.semaphore());
        let is_reserved = std::mem::take(&mut is_reserved);
        if !is_reserved && task.meta().callers.is_none() {
            if let Some(permit) = semaphore.try_acquire() {
                permits.push(permit);
                continue;
            }
        }
        // Whoever brings the call back, or cancels it, finds what it has.
        let shell = (!permits.is_empty()).then(|| task.awaited());
        task.meta().line.hold(number, permits);
        let acquired = match &task.meta().callers {
            None => semaphore.acquire(task, is_reserved),
            Some(callers) => {
                let (call, callers) = (task.awaited(), Arc::clone(callers));
                if !is_reserved && cycle::closes(&call, &callers, gates, number) {
                    drop(task.meta().line.take());
                    let error = gate.deadlock(task.meta().about().name);
                    return Admitted::Rejected(task, error);
                }
                let acquired = semaphore.acquire_blocking(task, is_reserved);
                match acquired {
                    // A permit may go first to a call for the pool of one of these bodies, which is
                    // blocked until that one has ended.
                    Acquired::Waits => callers.stand_in_for_all(),
                    _ => cycle::leave(&call, &callers, gates, number),
                }
                acquired
            }
        };
        match acquired {
            Acquired::Permit(back, permit) => {
                // None, if it was cancelled just now: then it does not begin.
                permits = back.meta().line.take();
                permits.push(permit);
                task = back;
            }
            Acquired::Waits => return Admitted::Waits,
            Acquired::Cancelled => {
                // Who cancelled it may have looked before they were there.
                drop(shell.map(|shell| shell.meta().line.take()));
                return Admitted::Cancelled;
            }
        }
    }
    Admitted::Start(task, permits)
}

#[cfg(all(test, offload_loom))]
mod models;
