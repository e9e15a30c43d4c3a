//! At most so many bodies at once, over any number of functions and pools.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, OnceLock};

use crate::gate::{Gate, Of, Size};
use crate::sync::foreign::drop_payload;

/// A limit of bodies that run at once, shared by several functions.
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
/// dropped long before. A call that is dropped while it waits gives up its place at once. An
/// empty shell of it, of some hundred bytes and the size of its arguments, may stay in memory for a
/// while: of as many calls as wait and some dozens more, also if no permit ever comes back.
///
/// A body that itself waits for a call with the same limit, all of whose permits belong to bodies that
/// wait so, would wait for ever; that call ends with [`Deadlock`](crate::ErrorKind::Deadlock), or,
/// where its result cannot carry an [`Error`](crate::Error), a panic that says so. So does the last of several
/// bodies that wait for each other's permits, of several limits and [resources](crate::Resource). A body is known to wait
/// for a call that it polls on its own thread; one that waits for a task, or for a
/// [started](crate::Started) call, is taken for one that goes on.
pub struct Limiter {
    gate: Gate,
}

impl Limiter {
    /// A limiter of at most `limit` bodies at once.
    ///
    /// # Panics
    ///
    /// If `limit` is 0; in a `static`, that is a compile error.
    pub const fn new(limit: usize) -> Limiter {
        assert!(limit > 0, "a limit has to be at least 1");
        Limiter { gate: Gate::new(Of::Limiter, Size::Known(limit)) }
    }

    /// A limiter of a number that is known when the program runs: it is asked for once, at the first
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
        Limiter { gate: Gate::new(Of::Limiter, Size::With(limit)) }
    }

    /// A limiter that is made when the program runs, and is there for good: a `static` for functions, and what
    /// else holds the reference may look at it and change it.
    ///
    /// ```
    /// use std::sync::LazyLock;
    ///
    /// use offload_runtime::{Limiter, offload};
    ///
    /// static DATABASE: LazyLock<&'static Limiter> = LazyLock::new(|| Limiter::new(8).leak());
    ///
    /// #[offload(thread, limit = DATABASE)]
    /// fn load(id: u64) -> String {
    ///     format!("row {id}")
    /// }
    /// # assert_eq!(futures::executor::block_on(load(1)), "row 1");
    /// let limiter: &'static Limiter = *DATABASE;
    /// limiter.set_limit(4);
    /// ```
    pub fn leak(self) -> &'static Limiter {
        Box::leak(Box::new(self))
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How many bodies may run at once.
    pub fn limit(&self) -> usize {
        self.gate.limit()
    }

    /// How many bodies run now. Those whose futures were dropped count until they end.
    pub fn in_use(&self) -> usize {
        self.gate.in_use()
    }

    /// How many calls wait for a permit.
    pub fn waiting(&self) -> usize {
        self.gate.waiting()
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
        self.gate.set_limit(limit);
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

/// The limiter of a function whose `limit` is a number.
#[derive(Debug)]
pub struct OwnLimiter(OnceLock<Limiter>);

impl OwnLimiter {
    /// Not made yet.
    #[expect(clippy::new_without_default, reason = "made by expanded code only")]
    pub const fn new() -> OwnLimiter {
        OwnLimiter(OnceLock::new())
    }

    /// The limiter that this makes, or has made. One that has panicked is not asked again.
    fn made_by(&'static self, make: impl FnOnce() -> &'static Limiter) -> &'static Limiter {
        let made = || catch_unwind(AssertUnwindSafe(make));
        self.0.get().or_else(|| made().map_err(drop_payload).ok()).unwrap_or_else(|| {
            self.0.get_or_init(|| Limiter::with(|| panic!("the `LazyLock` of the limit panicked")))
        })
    }
}

/// What `limit` takes: a number, or a `static` [`Limiter`] for several functions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no limit",
    label = "expected a number (`usize`), or a `static` of type `Limiter` or `LazyLock<Limiter>`"
)]
pub trait Limit {
    /// The limiter to use.
    fn limiter(&'static self, own: &'static OwnLimiter) -> &'static Limiter;
}

impl Limit for Limiter {
    fn limiter(&'static self, _: &'static OwnLimiter) -> &'static Limiter {
        self
    }
}

/// If it panics, each call fails, with [`Config`](crate::ErrorKind::Config).
impl Limit for LazyLock<Limiter> {
    fn limiter(&'static self, own: &'static OwnLimiter) -> &'static Limiter {
        own.made_by(|| LazyLock::force(self))
    }
}

/// The same of one that is [leaked](Limiter::leak).
impl Limit for LazyLock<&'static Limiter> {
    fn limiter(&'static self, own: &'static OwnLimiter) -> &'static Limiter {
        own.made_by(|| *LazyLock::force(self))
    }
}

impl Limit for usize {
    fn limiter(&'static self, own: &'static OwnLimiter) -> &'static Limiter {
        own.0.get_or_init(|| Limiter::new(*self))
    }
}
