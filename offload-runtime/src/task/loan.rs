//! What a body borrows while it runs, and gives back when it has ended: a connection, say.
//!
//! It is made or taken out before the body starts, by the body's own thread; the body's frame holds it
//! until the body takes it. Who drops a loan gives it back, on every way out.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// What lends.
pub(crate) trait Lender: Sync {
    /// Something for a body that is about to start on this thread. It may have to be made, which is
    /// foreign code. `is_gated`: the body has a permit for it.
    fn lend(&'static self, function: &str, is_gated: bool) -> Result<Loan, Error>;

    /// A body has ended that had it, on this thread. `is_broken`: by a panic.
    fn take_back(&'static self, thing: Thing, is_gated: bool, is_broken: bool);
}

/// What is lent.
pub(crate) enum Thing {
    /// To one body.
    Own(Box<dyn Any + Send>),
    /// To all that want it.
    Shared(Arc<dyn Any + Send + Sync>),
    /// To the bodies of one thread.
    Local(Box<dyn Any>),
}

/// Something that was lent. Dropped, it is given back.
pub(crate) struct Loan {
    lender: &'static dyn Lender,
    /// There until it is dropped.
    thing: Option<Thing>,
    is_gated: bool,
    /// The body that had it panicked.
    is_broken: bool,
}

/// All that a body borrows, most often one.
pub(crate) struct Loans {
    first: Option<Loan>,
    rest: Vec<Option<Loan>>,
}

impl Loan {
    pub(crate) fn new(lender: &'static dyn Lender, thing: Thing, is_gated: bool) -> Loan {
        Loan { lender, thing: Some(thing), is_gated, is_broken: false }
    }

    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        match self.thing.as_ref()? {
            Thing::Own(thing) => thing.downcast_ref(),
            Thing::Shared(thing) => thing.downcast_ref(),
            Thing::Local(thing) => thing.downcast_ref(),
        }
    }

    pub(crate) fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        match self.thing.as_mut()? {
            Thing::Own(thing) => thing.downcast_mut(),
            Thing::Shared(_) => None,
            Thing::Local(thing) => thing.downcast_mut(),
        }
    }

    /// The body that has it panics.
    pub(crate) fn set_broken(&mut self) {
        self.is_broken = true;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(thing) = self.thing.take() {
            self.lender.take_back(thing, self.is_gated, self.is_broken);
        }
    }
}

impl Loans {
    pub(crate) const NONE: Loans = Loans { first: None, rest: Vec::new() };

    pub(crate) fn push(&mut self, loan: Loan) {
        match self.first {
            None => self.first = Some(loan),
            Some(_) => self.rest.push(Some(loan)),
        }
    }

    /// In the order in which they came, from 0; each once.
    pub(crate) fn take(&mut self, number: usize) -> Option<Loan> {
        match number.checked_sub(1) {
            None => self.first.take(),
            Some(number) => self.rest.get_mut(number)?.take(),
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("is_broken", &self.is_broken).finish_non_exhaustive()
    }
}
