//! What runs on this thread: the innermost offloaded body, and on whose behalf.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;
use scoped_tls::scoped_thread_local;

use super::about::About;
use super::counts::Ending;
use super::loan::{Loan, Loans};
use super::meta::Caller;
use super::{Awaited, Owner, Permits};
use crate::error::Ran;

scoped_thread_local! {
    /// The innermost. It stays on the stack, where who runs the body has put it.
    static FRAME: Frame
}

/// All bodies are told to stop: the process shuts down, and the grace is over.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// One body on this thread.
pub(crate) struct Frame {
    body: RefCell<Body>,
    /// What it borrows, until it takes it. Declared before the permits, and so dropped first: who gets
    /// the permit next finds the instance given back.
    loans: RefCell<Loans>,
    permits: RefCell<Permits>,
    busy: RefCell<Option<Busy>>,
    /// When its caller is answered without it, and it is cancelled.
    answer_by: Option<Instant>,
    /// How it ended, if it returned.
    ending: Cell<Ending>,
    /// Whether it has begun. What is done for it before may be foreign as well.
    ran: Cell<Ran>,
    /// As others see it that it waits for; made when it makes a call.
    caller: OnceCell<Arc<Caller>>,
}

/// A body runs on a thread, as long as this is there.
pub(crate) struct Busy {
    running: &'static AtomicCell<Option<&'static About>>,
    /// Bodies that have ended there; only the thread itself counts.
    ended: &'static AtomicU64,
    stops: Stops,
}

/// How the bodies of a pool are told to stop, all together.
#[derive(Clone, Copy)]
pub(crate) struct Stops {
    /// So often they were.
    count: &'static AtomicU64,
    /// So often before this body started.
    before: u64,
}

impl Stops {
    pub(crate) fn new(count: &'static AtomicU64, before: u64) -> Stops {
        Stops { count, before }
    }

    /// Whether they were told since the body started.
    fn are_told(self) -> bool {
        self.count.load(Ordering::Relaxed) != self.before
    }
}

/// How long a body may go on, for what it has handed to a thread of its own.
#[derive(Clone, Copy)]
pub(crate) struct Until {
    /// Its caller is answered without it then.
    pub(crate) answer_by: Option<Instant>,
    stops: Option<Stops>,
}

impl Until {
    /// Whether it is too late, or bodies were told to stop.
    pub(crate) fn is_over(self) -> bool {
        STOPPED.load(Ordering::Relaxed)
            || self.stops.is_some_and(Stops::are_told)
            || self.answer_by.is_some_and(|answer_by| answer_by <= Instant::now())
    }
}

/// How long the body on this thread may go on.
pub(crate) fn until() -> Until {
    let stops = here(|frame| frame.busy.borrow().as_ref().map(|busy| busy.stops)).flatten();
    Until { answer_by: answer_by(), stops }
}

impl Busy {
    pub(crate) fn new(
        running: &'static AtomicCell<Option<&'static About>>,
        ended: &'static AtomicU64,
        about: &'static About,
        stops: Stops,
    ) -> Busy {
        running.store(Some(about));
        Busy { running, ended, stops }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.running.store(None);
    }
}

/// A frame is left when this is dropped.
struct Left<'frame>(&'frame Frame);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Some(caller) = self.0.caller.get() {
            caller.end();
        }
    }
}

/// Whose body it is.
enum Body {
    Task(Awaited),
    /// In a worker process nothing is known of the caller but whether it awaits the call.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there are no workers"))]
    Worker {
        about: &'static About,
        cancelled: Arc<AtomicBool>,
    },
    /// It has ended; what it left is being dropped.
    Ended {
        owner: &'static dyn Owner,
        callers: Option<Arc<Caller>>,
    },
}

/// What `look` sees of the body on this thread, if there is one.
fn here<R>(look: impl FnOnce(&Frame) -> R) -> Option<R> {
    FRAME.is_set().then(|| FRAME.with(look))
}

/// The body on this thread, for the calls that it makes.
pub(crate) fn caller() -> Option<Arc<Caller>> {
    here(|frame| {
        let body = frame.body.borrow();
        let (owner, callers) = match &*body {
            Body::Task(task) => (task.meta().owner, &task.meta().callers),
            Body::Ended { owner, callers } => (*owner, callers),
            Body::Worker { .. } => return None,
        };
        let has_permits = !frame.permits.borrow().is_empty();
        let make = || Arc::new(Caller::new(owner, has_permits, callers.clone()));
        Some(Arc::clone(frame.caller.get_or_init(make)))
    })?
}

impl Frame {
    pub(crate) fn new(task: Awaited, permits: Permits, busy: Option<Busy>) -> Frame {
        let meta = task.meta();
        let answer_by = meta.answer_by().filter(|_| !meta.about().is_detached);
        let ran = if meta.state.has_begun() { Ran::Yes } else { Ran::No };
        let frame = Frame::of(Body::Task(task), permits, busy, answer_by);
        frame.ran.set(ran);
        frame
    }

    /// That of a body in a worker process.
    #[cfg(feature = "process")]
    pub(crate) fn of_worker(about: &'static About, cancelled: Arc<AtomicBool>) -> Frame {
        Frame::of(Body::Worker { about, cancelled }, Permits::NONE, None, None)
    }

    fn of(body: Body, permits: Permits, busy: Option<Busy>, answer_by: Option<Instant>) -> Frame {
        // A body inside of another one has no more time than that.
        let answer_by = [answer_by, self::answer_by()].into_iter().flatten().min();
        Frame {
            body: RefCell::new(body),
            loans: RefCell::new(Loans::NONE),
            permits: RefCell::new(permits),
            busy: RefCell::new(busy),
            answer_by,
            ending: Cell::new(Ending::Returned),
            ran: Cell::new(Ran::No),
            caller: OnceCell::new(),
        }
    }

    /// Makes this the frame of the thread while `run` runs.
    pub(crate) fn enter<R>(self, run: impl FnOnce() -> R) -> R {
        let _left = Left(&self);
        FRAME.set(&self, run)
    }

    fn name(&self) -> &'static str {
        match &*self.body.borrow() {
            Body::Task(task) => task.meta().about().name,
            Body::Worker { about, .. } => about.name,
            Body::Ended { owner, .. } => owner.about().name,
        }
    }

    /// Whether all bodies were told to stop, or all of its pool.
    fn is_stopped(&self) -> bool {
        STOPPED.load(Ordering::Relaxed)
            || self.busy.borrow().as_ref().is_some_and(|busy| busy.stops.are_told())
    }

    fn is_cancelled(&self) -> bool {
        let is_cancelled = match &*self.body.borrow() {
            Body::Task(task) => task.meta().state.is_cancelled(),
            Body::Worker { cancelled, .. } => cancelled.load(Ordering::Acquire),
            Body::Ended { .. } => false,
        };
        is_cancelled
            || self.is_stopped()
            || self.answer_by.is_some_and(|answer_by| answer_by <= Instant::now())
    }
}

/// Whether this thread is in a body.
pub(crate) fn is_in_body() -> bool {
    FRAME.is_set()
}

/// The label of the function whose body runs on this thread, if nobody awaits it any more, or
/// it is too late.
pub(crate) fn cancelled() -> Option<String> {
    here(|frame| frame.is_cancelled().then(|| frame.name().to_owned()))?
}

/// Whether nobody awaits the body on this thread any more, or it is too late.
pub(crate) fn is_cancelled() -> bool {
    here(Frame::is_cancelled).unwrap_or(false)
}

/// When the caller of the body on this thread is answered without it.
pub(crate) fn answer_by() -> Option<Instant> {
    here(|frame| frame.answer_by)?
}

/// The body on this thread is about to return, and has come to this. It runs elsewhere, and has begun there
/// or not.
#[cfg(feature = "process")]
pub(crate) fn set_ending(ending: Ending, ran: Ran) {
    here(|frame| {
        frame.ending.set(ending);
        frame.ran.set(ran);
    });
}

/// Whether the body on this thread has begun, as it is known from here on.
pub(crate) fn set_ran(ran: Ran) {
    here(|frame| frame.ran.set(ran));
}

/// Whether the body on this thread has begun.
pub(crate) fn ran() -> Ran {
    here(|frame| frame.ran.get()).unwrap_or(Ran::Maybe)
}

/// What the body on this thread has come to, if it returned.
pub(crate) fn ending() -> Ending {
    here(|frame| frame.ending.get()).unwrap_or(Ending::Returned)
}

/// The body on this thread, which is about to start, borrows this.
pub(crate) fn set_loans(loans: Loans) {
    let before = here(|frame| frame.loans.replace(loans));
    drop(before);
}

/// In a worker: runs a body of this function in place, which borrows this. What is around it is
/// another body, or a thread that the worker's own code has started.
#[cfg(feature = "process")]
pub(crate) fn with_loans<R>(about: &'static About, loans: Loans, run: impl FnOnce() -> R) -> R {
    /// Drops what is left of them, and puts back those of the body around.
    struct Back(Loans);
    impl Drop for Back {
        fn drop(&mut self) {
            set_loans(mem::replace(&mut self.0, Loans::NONE));
        }
    }
    if is_in_body() {
        let around = FRAME.with(|frame| frame.loans.replace(loans));
        let _back = Back(around);
        return run();
    }
    let frame = Frame::of_worker(about, Arc::default());
    frame.loans.replace(loans);
    frame.enter(run)
}

/// What the body on this thread borrows, by its number; it is taken once.
pub(crate) fn take_loan(number: usize) -> Option<Loan> {
    here(|frame| frame.loans.borrow_mut().take(number))?
}

/// The permits of the body on this thread, which it has no more.
pub(super) fn take_permits() -> Permits {
    here(|frame| frame.permits.replace(Permits::NONE)).unwrap_or(Permits::NONE)
}

/// The body on this thread has these again, which it had before.
pub(super) fn set_permits(permits: Permits) {
    let before = here(|frame| frame.permits.replace(permits));
    drop(before);
}

/// The body of a task on this thread has ended: lets go of the task, and gives its permits back.
pub(super) fn end_body() {
    // They are dropped in this order, with nothing borrowed: that may call foreign code.
    let held = here(|frame| {
        let mut body = frame.body.borrow_mut();
        let Body::Task(task) = &*body else { return None };
        let (owner, callers) = (task.meta().owner, task.meta().callers.clone());
        if let Some(caller) = frame.caller.get() {
            caller.lose_permits();
        }
        let task = mem::replace(&mut *body, Body::Ended { owner, callers });
        let busy = frame.busy.take();
        Some((task, busy, frame.loans.replace(Loans::NONE), frame.permits.replace(Permits::NONE)))
    });
    drop(held);
}

/// Whether all bodies were told to stop, or all of the pool of the one on this thread.
pub(crate) fn is_stopped() -> bool {
    here(Frame::is_stopped).unwrap_or_else(|| STOPPED.load(Ordering::Relaxed))
}

/// Tells all bodies to stop.
pub(crate) fn stop_all() {
    STOPPED.store(true, Ordering::Relaxed);
}
