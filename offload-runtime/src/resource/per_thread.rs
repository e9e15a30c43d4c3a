//! One instance of something for each thread whose bodies borrow it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::making::{self, Make};
use super::{AnyResource, Counts, Numbers};
use crate::error::Error;
use crate::gate::{Gate, Of, Size};
use crate::sync::foreign::drop_quietly;
use crate::task::loan::{Lender, Loan, Thing};

/// An instance for each thread, which its bodies borrow: a parser or an engine that is not `Send`.
///
/// A function says so with `#[resource(…)]` on an argument of the type `&mut T` or `&T`, which its
/// callers do not give. It is made by each thread of a pool when the first of its bodies needs it, and
/// dropped by that thread when it ends. Nothing waits for it.
///
/// ```
/// use std::rc::Rc;
///
/// use offload_runtime::{ThreadResource, offload};
///
/// struct Parser(Rc<str>); // not `Send`
///
/// static PARSER: ThreadResource<Parser> =
///     ThreadResource::new("parser", || Ok(Parser(Rc::from(","))));
///
/// #[offload(cpu)]
/// fn fields(line: String, #[resource(PARSER)] parser: &mut Parser) -> usize {
///     line.split(&*parser.0).count()
/// }
///
/// # assert_eq!(futures::executor::block_on(fields("a,b".to_owned())), 2);
/// ```
///
/// A thread of a `thread` pool ends when it was idle for the pool's `keep_alive`, and its instances
/// with it; those of a `cpu` pool stay.
///
/// # Errors
///
/// If it cannot be made, the call ends with an [`Error`](crate::Error) of the kind
/// [`Unavailable`](crate::ErrorKind::Unavailable), as with a [`Resource`](crate::Resource), and the next call
/// tries again.
///
/// # Panics
///
/// After a panic of the body, the instance is dropped, and not lent again.
///
/// # Processes
///
/// For functions of the kind `process` there is one in each worker process.
///
/// # Shutdown
///
/// After [`shutdown`](crate::shutdown) the threads of pools end, and drop their instances.
pub struct ThreadResource<T: 'static> {
    name: &'static str,
    make: Make<T>,
    in_use: AtomicUsize,
    counts: Counts,
}

thread_local! {
    /// By the place of their resource; `None`: a body has it.
    static INSTANCES: RefCell<HashMap<usize, Option<Local>>> = RefCell::default();
}

/// An instance of this thread.
struct Local {
    /// There until it is dropped.
    instance: Option<Box<dyn Any>>,
    counts: &'static Counts,
}

/// Drops those of this thread, which may end without its own destructors.
#[cfg(feature = "process")]
pub(crate) fn drop_here() {
    drop(INSTANCES.take());
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.counts.count_dropped();
            drop_quietly(instance);
        }
    }
}

impl<T: 'static> ThreadResource<T> {
    /// A resource with this name, which [`stats`](crate::stats), metrics, the dashboard and errors show.
    /// `make` makes an instance, on the thread that needs it, where it may block, in the context of no call.
    pub const fn new(
        name: &'static str,
        make: fn() -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> ThreadResource<T> {
        ThreadResource { name, make, in_use: AtomicUsize::new(0), counts: Counts::new() }
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: 'static> Lender for ThreadResource<T> {
    fn lend(&'static self, function: &str, is_gated: bool) -> Result<Loan, Error> {
        let found = INSTANCES.with_borrow_mut(|all| match all.get_mut(&self.place()) {
            // A body on this thread waits for this one, and has it.
            Some(None) => {
                Err(Gate::new(Of::Resource(self.name), Size::Known(1)).deadlock(function))
            }
            Some(found) => Ok(found.take()),
            None => Ok(None),
        })?;
        let instance: Box<dyn Any> = match found.and_then(|mut local| local.instance.take()) {
            Some(instance) => instance,
            None => Box::new(making::make(self.make, self.name, function, &self.counts)?),
        };
        INSTANCES.with_borrow_mut(|all| all.insert(self.place(), None));
        self.in_use.fetch_add(1, Ordering::Relaxed);
        Ok(Loan::new(self, Thing::Local(instance), is_gated))
    }

    fn take_back(&'static self, thing: Thing, _: bool, is_broken: bool) {
        let Thing::Local(instance) = thing else { return };
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        let local = Local { instance: Some(instance), counts: &self.counts };
        let before = INSTANCES.with_borrow_mut(|all| match is_broken {
            true => {
                all.remove(&self.place());
                Some(local)
            }
            false => all.insert(self.place(), Some(local)).flatten(),
        });
        drop(before);
    }
}

impl<T: 'static> AnyResource for ThreadResource<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> &'static str {
        "thread"
    }

    fn gate(&'static self, _: bool) -> Option<&'static Gate> {
        None
    }

    fn numbers(&self) -> Numbers {
        let in_use = self.in_use.load(Ordering::Relaxed);
        Numbers { in_use, ..self.counts.numbers(None, None) }
    }

    fn close(&'static self) -> Vec<Box<dyn Any + Send>> {
        Vec::new()
    }
}

impl<T> fmt::Debug for ThreadResource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_use = self.in_use.load(Ordering::Relaxed);
        let numbers = Numbers { in_use, ..self.counts.numbers(None, None) };
        super::debug(f, "ThreadResource", self.name, &numbers)
    }
}
