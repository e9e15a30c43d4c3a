//! What bodies borrow and do not own: connections, models, parsers.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `exclusive` | `Resource`: so many instances, each lent to one body at a time |
//! | `shared` | `SharedResource`: one instance for all |
//! | `per_thread` | `ThreadResource`: one for each thread |
//! | `making` | how an instance is made, which is foreign code |
//! | `borrowed` | what a body has in its hand |
//! | `dropping` | how instances are dropped by a thread of a pool |
//!
//! A call gets a permit first, from the resource's gate, without a thread. Then the thread that is to
//! run its body takes an instance, or makes one: so there are never more than permits.

pub(crate) mod borrowed;
pub(crate) mod dropping;
pub(crate) mod exclusive;
mod making;
pub(crate) mod per_thread;
pub(crate) mod shared;

use std::any::Any;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::gate::Gate;
use crate::system::abort::Unpoisoned;
use crate::task::loan::Lender;

/// A resource, whatever it lends.
pub(crate) trait AnyResource: Lender {
    fn name(&self) -> &'static str;

    /// `exclusive`, `shared` or `thread`.
    fn kind(&self) -> &'static str;

    /// Where calls wait for it. `is_here`: their bodies run in this process, and not in workers, which
    /// have their own.
    fn gate(&'static self, is_here: bool) -> Option<&'static Gate>;

    fn numbers(&self) -> Numbers;

    /// Keeps no instance from now on; those that nobody uses.
    fn close(&'static self) -> Vec<Box<dyn Any + Send>>;
}

/// A resource that a function borrows, as expanded code names it.
#[derive(Clone, Copy)]
pub struct Lends(pub(crate) &'static dyn AnyResource);

/// What a resource is and has done.
pub(crate) struct Numbers {
    /// `None`: no bound.
    pub(crate) size: Option<usize>,
    pub(crate) in_use: usize,
    pub(crate) waiting: usize,
    pub(crate) made: u64,
    pub(crate) dropped: u64,
    pub(crate) failed: u64,
}

/// What is counted.
pub(crate) struct Counts {
    made: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Every resource that a function with a call borrows.
static KNOWN: Mutex<Vec<Lends>> = Mutex::new(Vec::new());

/// No resource keeps instances any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

pub(crate) fn make_known(lends: Lends) {
    let mut known = KNOWN.lock().unpoisoned();
    if !known.iter().any(|other| std::ptr::addr_eq(other.0, lends.0)) {
        known.push(lends);
    }
}

/// All that are known.
pub(crate) fn all() -> Vec<Lends> {
    KNOWN.lock().unpoisoned().clone()
}

/// Whether an instance that comes back is dropped.
fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// The process shuts down: the instances that no body has.
pub(crate) fn close_all() -> Vec<Box<dyn Any + Send>> {
    CLOSED.store(true, Ordering::SeqCst);
    all().into_iter().flat_map(|lends| lends.0.close()).collect()
}

impl Counts {
    const fn new() -> Counts {
        Counts { made: AtomicU64::new(0), dropped: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// With what a gate knows; without one, with nothing.
    fn numbers(&self, gate: Option<&Gate>, size: Option<usize>) -> Numbers {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Numbers {
            size,
            in_use: gate.map_or(0, Gate::in_use),
            waiting: gate.map_or(0, Gate::waiting),
            made: read(&self.made),
            dropped: read(&self.dropped),
            failed: read(&self.failed),
        }
    }
}

impl fmt::Debug for Lends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lends").field(&self.0.name()).finish()
    }
}

/// As a resource shows itself.
fn debug(f: &mut fmt::Formatter<'_>, what: &str, name: &str, numbers: &Numbers) -> fmt::Result {
    f.debug_struct(what)
        .field("name", &name)
        .field("size", &numbers.size)
        .field("in_use", &numbers.in_use)
        .field("waiting", &numbers.waiting)
        .finish_non_exhaustive()
}
