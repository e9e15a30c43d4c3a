//! So many instances of something, each lent to one body at a time.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::making::{self, Make};
use super::{AnyResource, Counts, Numbers, dropping, is_closed};
use crate::error::Error;
use crate::gate::{Gate, Of, Size};
use crate::sync::foreign::{drop_payload, drop_quietly};
use crate::sync::timer;
use crate::system::abort::Unpoisoned;
use crate::task::loan::{Lender, Loan, Thing};

/// Instances that bodies borrow one at a time and do not own: connections to a database, parsers, an
/// index writer.
///
/// A function says so with `#[resource(…)]` on an argument of the type `&mut T`, which its callers do
/// not give. It is made when a call needs it, by the thread that runs the body; lent to that body; and
/// kept for the next.
///
/// ```
/// use std::collections::HashMap;
///
/// use offload_runtime::{Error, Resource, offload};
///
/// type Connection = HashMap<u64, String>; // of a driver without async, say
///
/// static DB: Resource<Connection> = Resource::new("db", || Ok(Connection::new())).size(4);
///
/// #[offload(thread)]
/// fn store(id: u64, row: String, #[resource(DB)] connection: &mut Connection) -> Result<(), Error> {
///     connection.insert(id, row);
///     Ok(())
/// }
///
/// # futures::executor::block_on(async {
/// store(1, "first".to_owned()).await?;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// # Waiting
///
/// If all instances are lent, a call waits for one, in the order of a [`Limiter`](crate::Limiter), and
/// uses no thread meanwhile. A call that is dropped while it waits gives up its place at once. A function
/// may have a `limit` and several resources: a call gets the permit of the limit first, then the resources,
/// always in the same order, and keeps what it has while it waits for the rest. A body that waits
/// for a call that borrows what that body alone holds would wait for ever; that call ends with
/// [`Deadlock`](crate::ErrorKind::Deadlock). So does the last of several bodies that wait for what the others hold,
/// instances or permits.
///
/// The instance belongs to the body: it is given back when the body has ended, also if the call's
/// future was dropped long before.
///
/// # Errors
///
/// If an instance cannot be made, the call ends with an [`Error`](crate::Error) of the kind
/// [`Unavailable`](crate::ErrorKind::Unavailable), whose [`ran`](crate::Error::ran) is `No` and whose
/// [`source`](std::error::Error::source) says why, or with a panic where the result cannot carry an
/// error. The next call tries again.
///
/// # Panics
///
/// After a panic of the body, the instance is dropped, and not lent again. A panic of what makes it
/// is an error as above, one of `check` is a `false`.
///
/// # Processes
///
/// For functions of the kind `process` there is one instance in each worker process, made there at the
/// first call that needs it. It need not be a `serde` type. `size` bounds, in the parent, how many workers
/// use one at once. Threads of one worker borrow it one after the other. A worker that ends in good order, as at
/// [`shutdown`](crate::shutdown), drops it, for which it has the rest of the grace, and a second at least; one that is
/// killed does not.
///
/// # Shutdown
///
/// [`shutdown`](crate::shutdown) has the instances that no body holds dropped by a thread of a pool;
/// the others are dropped by the threads that have them, when their bodies end. Without it, instances
/// are not dropped at the end of the program, as a `static` never is.
pub struct Resource<T: 'static> {
    name: &'static str,
    make: Make<T>,
    check: Option<fn(&mut T) -> bool>,
    keep_alive: Option<Duration>,
    gate: Gate,
    /// The last one was used last.
    idle: Mutex<Vec<Idle>>,
    /// The timer will look for idle ones.
    is_watched: AtomicBool,
    /// On this thread a body has one without a permit, as in a worker process, where one is all that there is.
    lent_ungated: Mutex<Option<ThreadId>>,
    /// That one was given back.
    given_back: Condvar,
    counts: Counts,
}

/// An instance that nobody uses.
struct Idle {
    instance: Box<dyn Any + Send>,
    since: Instant,
}

impl<T: Send + 'static> Resource<T> {
    /// A resource of which there is one instance, unless [`size`](Self::size) says more. The name is
    /// shown in [`stats`](crate::stats), metrics, the dashboard and errors. `make` makes an instance.
    ///
    /// `make` and `check` run on a thread of a pool, where they may block, in the context of no call: without its
    /// span and its propagated values.
    pub const fn new(
        name: &'static str,
        make: fn() -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Resource<T> {
        Resource {
            name,
            make,
            check: None,
            keep_alive: None,
            gate: Gate::new(Of::Resource(name), Size::Known(1)),
            idle: Mutex::new(Vec::new()),
            is_watched: AtomicBool::new(false),
            lent_ungated: Mutex::new(None),
            given_back: Condvar::new(),
            counts: Counts::new(),
        }
    }

    /// The most instances that there are at once; 1 unless set.
    ///
    /// # Panics
    ///
    /// If `size` is 0; in a `static`, that is a compile error.
    pub const fn size(mut self, size: usize) -> Resource<T> {
        assert!(size > 0, "a resource has a size of at least 1");
        self.gate.resize(Size::Known(size));
        self
    }

    /// The most instances, as [`size`](Self::size), where the number is known when the program runs: it is
    /// asked for once, at the first call. If it gives 0 or panics, each call fails, with [`Config`](crate::ErrorKind::Config), or
    /// panics where its result cannot carry an error.
    pub const fn size_with(mut self, size: fn() -> usize) -> Resource<T> {
        self.gate.resize(Size::With(size));
        self
    }

    /// How long an instance stays idle before it is dropped, by a thread of the `thread` pool. Unless
    /// set, they are kept.
    pub const fn keep_alive(mut self, time: Duration) -> Resource<T> {
        self.keep_alive = Some(time);
        self
    }

    /// A function that is called with an instance before each loan but the first. `false`: it is dropped, and another
    /// one is made in its place.
    pub const fn check(mut self, check: fn(&mut T) -> bool) -> Resource<T> {
        self.check = Some(check);
        self
    }

    /// One that is there already, and of use.
    fn reuse(&self) -> Option<Box<dyn Any + Send>> {
        loop {
            let Idle { mut instance, .. } = self.idle().pop()?;
            let is_good = match (self.check, instance.downcast_mut::<T>()) {
                (Some(check), Some(instance)) => catch_unwind(AssertUnwindSafe(|| check(instance)))
                    .unwrap_or_else(|payload| {
                        drop_payload(payload);
                        false
                    }),
                _ => true,
            };
            if is_good {
                return Some(instance);
            }
            self.counts.count_dropped();
            drop_quietly(instance);
        }
    }
}

impl<T> Resource<T> {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unpoisoned()
    }

    /// A body on this thread is to have the only one. It waits for one on another thread, whose calls run in
    /// place, too; for one below it on its own it would wait for ever.
    fn lend_ungated(&self, function: &str) -> Result<(), Error> {
        let here = thread::current().id();
        let mut lent = self.lent_ungated.lock().unpoisoned();
        while let Some(thread) = *lent {
            if thread == here {
                return Err(self.gate.deadlock(function));
            }
            lent = self.given_back.wait(lent).unpoisoned();
        }
        *lent = Some(here);
        Ok(())
    }

    fn take_back_ungated(&self) {
        *self.lent_ungated.lock().unpoisoned() = None;
        self.given_back.notify_one();
    }
}

impl<T: Send + 'static> Resource<T> {
    /// Has the timer look when the one that is idle longest has been so long enough, unless it does
    /// so already.
    fn watch(&'static self) {
        let Some(keep_alive) = self.keep_alive else { return };
        while !self.is_watched.swap(true, Ordering::AcqRel) {
            let oldest = self.idle().first().map(|idle| idle.since);
            let due = oldest.and_then(|since| since.checked_add(keep_alive));
            let is_set = due.is_some_and(|due| {
                timer::wake_at(due, Waker::from(Arc::new(Sweeper(self)))).is_ok()
            });
            if is_set {
                return;
            }
            self.is_watched.store(false, Ordering::Release);
            // One that was given back in between was left to this look.
            if oldest.is_some() || self.idle().is_empty() {
                return;
            }
        }
    }

    /// Has those dropped that were idle for long enough.
    fn sweep(&'static self) {
        self.is_watched.store(false, Ordering::Release);
        let Some(keep_alive) = self.keep_alive else { return };
        let now = Instant::now();
        let mut expired: Vec<Box<dyn Any + Send>> = Vec::new();
        let mut idle = self.idle();
        let count = idle.iter().take_while(|idle| now - idle.since >= keep_alive).count();
        expired.extend(idle.drain(..count).map(|idle| idle.instance));
        let is_any = !idle.is_empty();
        drop(idle);
        expired.iter().for_each(|_| self.counts.count_dropped());
        dropping::on_pool(expired);
        if is_any {
            self.watch();
        }
    }
}

/// Looks at a resource, on the timer's thread.
struct Sweeper<T: 'static>(&'static Resource<T>);

impl<T: Send + 'static> Wake for Sweeper<T> {
    fn wake(self: Arc<Self>) {
        self.0.sweep();
    }
}

impl<T: Send + 'static> Lender for Resource<T> {
    fn lend(&'static self, function: &str, is_gated: bool) -> Result<Loan, Error> {
        if !is_gated {
            self.lend_ungated(function)?;
        }
        let instance = self.reuse().map_or_else(
            || -> Result<Box<dyn Any + Send>, Error> {
                Ok(Box::new(making::make(self.make, self.name, function, &self.counts)?))
            },
            Ok,
        );
        match instance {
            Ok(instance) => Ok(Loan::new(self, Thing::Own(instance), is_gated)),
            Err(error) => {
                if !is_gated {
                    self.take_back_ungated();
                }
                Err(error)
            }
        }
    }

    fn take_back(&'static self, thing: Thing, is_gated: bool, is_broken: bool) {
        if let Thing::Own(instance) = thing {
            let mut idle = self.idle();
            // Under the lock: who closes it takes out what is there after that.
            if is_broken || is_closed() {
                drop(idle);
                self.counts.count_dropped();
                drop_quietly(instance);
            } else {
                // Even if it was not used: what it was made for is to come.
                idle.push(Idle { instance, since: Instant::now() });
                drop(idle);
                self.watch();
            }
        }
        if !is_gated {
            self.take_back_ungated();
        }
    }
}

impl<T: Send + 'static> AnyResource for Resource<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> &'static str {
        "exclusive"
    }

    fn gate(&'static self, _: bool) -> Option<&'static Gate> {
        Some(&self.gate)
    }

    fn numbers(&self) -> Numbers {
        self.counts.numbers(Some(&self.gate), Some(self.gate.limit()))
    }

    fn close(&'static self) -> Vec<Box<dyn Any + Send>> {
        let idle = std::mem::take(&mut *self.idle());
        idle.iter().for_each(|_| self.counts.count_dropped());
        idle.into_iter().map(|idle| idle.instance).collect()
    }
}

impl<T> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.counts.numbers(Some(&self.gate), Some(self.gate.limit()));
        super::debug(f, "Resource", self.name, &numbers)
    }
}
