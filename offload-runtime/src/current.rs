//! What runs on this thread: the innermost offloaded body, and on whose behalf.

use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Ran};
use crate::function::Function;
use crate::limiter::Limiter;
use crate::pool::Pool;
use crate::pool::seat::Seat;
#[cfg(feature = "process")]
pub(crate) use crate::process::exchange::Hired;
use crate::sync;

/// No body runs in another process.
#[cfg(not(feature = "process"))]
pub(crate) type Hired = std::convert::Infallible;

thread_local! {
    /// Where this thread sits, if it belongs to a pool.
    static SEAT: OnceCell<sync::Arc<Seat>> = const { OnceCell::new() };
    /// When the body is cancelled if it still runs.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    static FRAME: RefCell<Option<Frame>> = const { RefCell::new(None) };
}

/// One body on this thread.
pub(crate) struct Frame {
    /// A thread of which it occupies.
    pub(crate) pool: &'static Pool,
    pub(crate) function: &'static Function,
    /// Of which it holds a permit.
    pub(crate) permit: Option<&'static Limiter>,
    /// When its caller is answered without it, and it is cancelled.
    pub(crate) answer_by: Option<Instant>,
    /// The bodies that wait for this one.
    pub(crate) callers: Option<Arc<Caller>>,
    /// The worker that is to run the body.
    pub(crate) hired: Option<Box<Hired>>,
}

/// A body that waits for the call it made, and the bodies that wait for it.
#[derive(Debug)]
pub(crate) struct Caller {
    pool: &'static Pool,
    limiter: Option<&'static Limiter>,
    caller: Option<Arc<Caller>>,
    /// Where the call runs, if that is beside its pool.
    aside: OnceLock<sync::Arc<Seat>>,
}

impl Caller {
    /// The body on this thread.
    pub(crate) fn here() -> Option<Arc<Caller>> {
        FRAME.with_borrow(|frame| {
            let Frame { pool, permit, callers, .. } = frame.as_ref()?;
            let caller = callers.clone();
            Some(Arc::new(Caller { pool, limiter: *permit, caller, aside: OnceLock::new() }))
        })
    }

    /// The call runs in this seat, beside its pool.
    pub(crate) fn sit_aside(&self, seat: sync::Arc<Seat>) {
        self.aside.get_or_init(|| seat);
    }

    /// Where the call runs, if that is beside its pool.
    pub(crate) fn aside(&self) -> Option<&Seat> {
        self.aside.get().map(|seat| &**seat)
    }

    fn chain(&self) -> impl Iterator<Item = &Caller> {
        std::iter::successors(Some(self), |caller| caller.caller.as_deref())
    }

    /// Whether one of them occupies a thread of `pool`.
    pub(crate) fn occupies(&self, pool: &'static Pool) -> bool {
        self.chain().any(|caller| ptr::eq(caller.pool, pool))
    }

    /// How many permits of `limiter` they hold.
    pub(crate) fn holds(&self, limiter: &'static Limiter) -> usize {
        self.chain()
            .filter(|caller| caller.limiter.is_some_and(|own| ptr::eq(own, limiter)))
            .count()
    }
}

impl Frame {
    /// That of a body in a worker, where nothing is known of its caller.
    #[cfg(feature = "process")]
    pub(crate) fn of_worker(function: &'static Function) -> Frame {
        Frame {
            pool: function.pool(),
            function,
            permit: None,
            answer_by: None,
            callers: None,
            hired: None,
        }
    }

    /// Makes this the frame of the thread while `run` runs.
    pub(crate) fn enter<R>(self, run: impl FnOnce() -> R) -> (R, Frame) {
        let deadline = self.answer_by;
        // Nothing unwinds out of `run`: it runs a job.
        let outer = FRAME.replace(Some(self));
        let outer_deadline = DEADLINE.get();
        DEADLINE.set(match (outer_deadline, deadline) {
            (Some(outer), Some(own)) => Some(outer.min(own)),
            (outer, own) => outer.or(own),
        });
        let result = run();
        DEADLINE.set(outer_deadline);
        (result, FRAME.replace(outer).expect("entered above"))
    }

    /// Looks at the frame of this thread, which has to be there.
    pub(crate) fn with<R>(look: impl FnOnce(&mut Frame) -> R) -> R {
        FRAME.with_borrow_mut(|frame| look(frame.as_mut().expect("a job runs in a frame")))
    }
}

/// Whether this thread is in a body.
#[cfg(feature = "rayon")]
pub(crate) fn is_in_body() -> bool {
    FRAME.with_borrow(Option::is_some)
}

/// The seat of this thread, if it has one.
pub(crate) fn seat() -> Option<sync::Arc<Seat>> {
    SEAT.with(|own| own.get().cloned())
}

/// This thread is of a pool now.
pub(crate) fn sit(seat: sync::Arc<Seat>) {
    SEAT.with(|own| own.set(seat).expect("a new thread has no seat"));
}

/// Whether the caller of the running body has gone, or its deadline passed.
///
/// A body that takes long asks now and then, and returns early. Outside an
/// offloaded body it is always false, and for a function with `detach` too.
///
/// It costs a few nanoseconds; in a function with a `timeout`, also a look at
/// the clock. So an inner loop may ask at each turn.
///
/// ```
/// use offload_runtime::{is_cancelled, offload};
///
/// #[offload(cpu)]
/// fn count_primes(below: u64) -> Option<u64> {
///     let mut primes = 0;
///     for n in 2..below {
///         if is_cancelled() {
///             return None; // nobody waits for the answer
///         }
///         primes += u64::from((2..=n.isqrt()).all(|d| n % d != 0));
///     }
///     Some(primes)
/// }
/// # assert_eq!(futures::executor::block_on(count_primes(100)), Some(25));
/// ```
pub fn is_cancelled() -> bool {
    SEAT.with(|seat| seat.get().is_some_and(|seat| seat.is_cancelled()))
        || DEADLINE.get().is_some_and(|deadline| deadline <= Instant::now())
}

/// As [`is_cancelled`], for use with `?`.
///
/// # Errors
///
/// [`Cancelled`](ErrorKind::Cancelled), if the caller of the running body has
/// gone or its deadline has passed.
///
/// ```
/// use offload_runtime::{Error, check_cancelled, offload};
///
/// #[offload(cpu)]
/// fn checksum(pages: Vec<Vec<u8>>) -> Result<u64, Error> {
///     let mut sum = 0;
///     for page in pages {
///         check_cancelled()?;
///         sum += page.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///     }
///     Ok(sum)
/// }
/// # assert_eq!(futures::executor::block_on(checksum(vec![vec![1, 2]])).unwrap(), 3);
/// ```
pub fn check_cancelled() -> Result<(), Error> {
    if !is_cancelled() {
        return Ok(());
    }
    let function =
        FRAME.with_borrow(|frame| frame.as_ref().map_or("", |frame| frame.function.name()));
    Err(Error::new(ErrorKind::Cancelled, Ran::Yes, function, "stopped, since nobody waits for it"))
}
