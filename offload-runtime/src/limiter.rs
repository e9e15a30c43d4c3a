//! At most so many bodies at once, over any number of functions and pools.

use std::sync::OnceLock;

use crate::error::Error;
use crate::executor::settings;
use crate::sync::semaphore::{Acquired, Semaphore};
use crate::task::meta::Caller;
use crate::task::{Admitted, Queued, completion};

/// Lets at most so many bodies run at once, shared by several functions.
///
/// ```
/// use offload_runtime::{Limiter, offload};
///
/// static DATABASE: Limiter = Limiter::new(8);
///
/// #[offload(thread, limit = DATABASE)]
/// fn load(id: u64) -> String {
///     format!("row {id}")
/// }
///
/// #[offload(thread, limit = DATABASE)]
/// fn store(id: u64, row: String) {
///     drop((id, row));
/// }
/// # futures::executor::block_on(async { store(1, load(1).await).await });
/// ```
///
/// Calls that wait get their permits first come, first served, in the order in which threads of
/// their pools meet them: two that are first polled close together may change places. A call that
/// waits uses no thread. One that blocks a body is served before others.
///
/// The permit belongs to the body: it is given back when the body has ended, also if its future was
/// dropped long before. A call that is dropped while it waits gives up its place at once.
///
/// A body that itself waits for a call with the same limit, all of whose permits belong to bodies that
/// wait so, would wait for ever; that call ends with [`Deadlock`](crate::ErrorKind::Deadlock), or,
/// where its result cannot carry an [`Error`](crate::Error), a panic that says so. Bodies that wait for
/// each other's permits of two limits are not found out.
pub struct Limiter {
    limit: Size,
    /// Made at its first use; an error, if the limit makes no sense.
    semaphore: OnceLock<Result<Semaphore<Queued>, Error>>,
}

enum Size {
    Known(usize),
    /// Says it at the first use.
    With(fn() -> usize),
}

impl Limiter {
    /// At most `limit` bodies at once.
    ///
    /// # Panics
    ///
    /// If `limit` is 0; in a `static`, that is a compile error.
    pub const fn new(limit: usize) -> Limiter {
        assert!(limit > 0, "a limit has to be at least 1");
        Limiter { limit: Size::Known(limit), semaphore: OnceLock::new() }
    }

    /// The same of a number that is known when the program runs: it is asked for once, at the first
    /// use, and must not use this limiter.
    ///
    /// If it gives 0 or panics, each call fails, with [`Config`](crate::ErrorKind::Config), or
    /// panics where its result cannot carry an error; and all numbers of the limiter are 0.
    ///
    /// ```
    /// use offload_runtime::{Limiter, offload};
    ///
    /// static DATABASE: Limiter = Limiter::with(|| {
    ///     std::env::var("CONNECTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
    /// });
    ///
    /// #[offload(thread, limit = DATABASE)]
    /// fn load(id: u64) -> String {
    ///     format!("row {id}")
    /// }
    /// # assert_eq!(futures::executor::block_on(load(1)), "row 1");
    /// # assert_eq!(DATABASE.limit(), 8);
    /// ```
    pub const fn with(limit: fn() -> usize) -> Limiter {
        Limiter { limit: Size::With(limit), semaphore: OnceLock::new() }
    }

    /// A limiter that is made when the program runs, and is there for good.
    pub fn leak(self) -> &'static Limiter {
        Box::leak(Box::new(self))
    }

    fn made(&self) -> &Result<Semaphore<Queued>, Error> {
        self.semaphore.get_or_init(|| match self.limit {
            Size::Known(limit) => Ok(Semaphore::new(limit)),
            Size::With(limit) => {
                settings::size(limit, || "`Limiter::with`".to_owned()).map(Semaphore::new)
            }
        })
    }

    /// Whether its limit makes sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.made().as_ref().map(drop).map_err(Clone::clone)
    }

    fn semaphore(&self) -> &Semaphore<Queued> {
        self.made()
            .as_ref()
            .unwrap_or_else(|_| unreachable!("whoever waits here has asked `check`"))
    }

    /// One of its numbers.
    fn number(&self, read: fn(&Semaphore<Queued>) -> usize) -> usize {
        self.made().as_ref().map_or(0, read)
    }

    /// How many bodies may run at once.
    pub fn limit(&self) -> usize {
        self.number(Semaphore::limit)
    }

    /// How many do. Those whose futures were dropped count until they end.
    pub fn in_use(&self) -> usize {
        self.number(Semaphore::in_use)
    }

    /// How many calls wait for a permit.
    pub fn waiting(&self) -> usize {
        self.number(Semaphore::waiting)
    }

    /// Changes the limit, while it is in use as well. Raised, waiting calls
    /// start at once; lowered below what is in use, no call starts until
    /// enough bodies have ended. One that makes no sense, by [`with`](Self::with), stays so.
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    pub fn set_limit(&self, limit: usize) {
        assert!(limit > 0, "a limit has to be at least 1");
        if let Ok(semaphore) = self.made() {
            semaphore.set_limit(limit);
        }
    }

    /// What tells it from others.
    pub(crate) fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// A permit for a call that a thread is ready to run.
    pub(crate) fn admit(&'static self, task: Queued) -> Admitted {
        let is_reserved = task.meta().take_reservation();
        let semaphore = self.semaphore();
        let acquired = match &task.meta().callers {
            None => semaphore.acquire(task, is_reserved),
            Some(callers) => {
                let holds = |caller: &&Caller| {
                    caller.has_permit() && caller.owner().limiter_place() == Some(self.place())
                };
                let holders = callers.chain().filter(holds);
                let holders = holders.map(|caller| std::ptr::from_ref(caller).addr()).collect();
                semaphore.acquire_blocking(task, holders, is_reserved)
            }
        };
        match acquired {
            Acquired::Permit(task, permit) => Admitted::Start(task, Some(permit)),
            Acquired::Waits => Admitted::Waits,
            Acquired::Cancelled => Admitted::Cancelled,
            Acquired::Deadlock(task) => {
                let error = Error::deadlock(task.meta().about().name);
                Admitted::Refused(task, error)
            }
        }
    }

    /// A call that waited here was cancelled.
    pub(crate) fn leave(&self) {
        self.semaphore().leave();
    }

    /// A call that had a reservation was cancelled.
    pub(crate) fn give_up(&'static self) {
        self.semaphore().give_up();
    }

    /// Ends all calls that wait here.
    pub(crate) fn refuse_all(&self, why: fn(&str) -> Error) {
        let Ok(semaphore) = self.made() else { return };
        while let Some(task) = semaphore.drain() {
            if task.meta().state.requeue() {
                self.leave();
                let error = why(task.meta().about().name);
                completion::refuse(task, error);
            } else {
                task.discard();
            }
        }
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("waiting", &self.waiting())
            .finish()
    }
}
