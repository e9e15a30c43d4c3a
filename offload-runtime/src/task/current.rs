//! What runs on this thread: the innermost offloaded body, and on whose behalf.

use std::cell::{OnceCell, RefCell};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;

use super::about::About;
use super::counts::Ending;
use super::loan::{Loan, Loans};
use super::meta::Caller;
use super::{Awaited, Owner, Permits};

thread_local! {
    static FRAME: RefCell<Option<Frame>> = const { RefCell::new(None) };
}

/// All bodies are told to stop: the process shuts down, and the grace is over.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// One body on this thread.
pub(crate) struct Frame {
    body: Body,
    /// What it borrows, until it takes it. Declared before the permits, and so dropped first: who gets
    /// the permit next finds the instance given back.
    loans: Loans,
    permits: Permits,
    busy: Option<Busy>,
    /// When its caller is answered without it, and it is cancelled.
    answer_by: Option<Instant>,
    /// How it ended, if it returned.
    ending: Ending,
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

    /// Whether the bodies of its pool were told to stop since it started.
    fn is_stopped(&self) -> bool {
        self.stops.count.load(Ordering::Relaxed) != self.stops.before
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.running.store(None);
    }
}

/// A frame is that of this thread, as long as this is there.
struct Entered {
    outer: Option<Frame>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let frame = FRAME.replace(self.outer.take());
        if let Some(caller) = frame.as_ref().and_then(|frame| frame.caller.get()) {
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

/// The body on this thread, for the calls that it makes.
pub(crate) fn caller() -> Option<Arc<Caller>> {
    // A thread that is about to end has no body any more.
    let find = |frame: &RefCell<Option<Frame>>| {
        let frame = frame.borrow();
        let frame = frame.as_ref()?;
        let (owner, callers) = match &frame.body {
            Body::Task(task) => (task.meta().owner, &task.meta().callers),
            Body::Ended { owner, callers } => (*owner, callers),
            Body::Worker { .. } => return None,
        };
        let make = || Arc::new(Caller::new(owner, !frame.permits.is_empty(), callers.clone()));
        Some(Arc::clone(frame.caller.get_or_init(make)))
    };
    FRAME.try_with(find).ok().flatten()
}

impl Frame {
    pub(crate) fn new(task: Awaited, permits: Permits, busy: Option<Busy>) -> Frame {
        let meta = task.meta();
        let answer_by = meta.answer_by().filter(|_| !meta.about().is_detached);
        Frame::of(Body::Task(task), permits, busy, answer_by)
    }

    /// That of a body in a worker process.
    #[cfg(feature = "process")]
    pub(crate) fn of_worker(about: &'static About, cancelled: Arc<AtomicBool>) -> Frame {
        Frame::of(Body::Worker { about, cancelled }, Permits::NONE, None, None)
    }

    fn of(body: Body, permits: Permits, busy: Option<Busy>, answer_by: Option<Instant>) -> Frame {
        let (ending, caller) = (Ending::Returned, OnceCell::new());
        Frame { body, loans: Loans::NONE, permits, busy, answer_by, ending, caller }
    }

    /// Makes this the frame of the thread while `run` runs.
    pub(crate) fn enter<R>(mut self, run: impl FnOnce() -> R) -> R {
        // A thread that is about to end has none, and drops what its locals held.
        if FRAME.try_with(|_| ()).is_err() {
            return run();
        }
        let outer = FRAME.with_borrow_mut(|frame| {
            // A body inside of another one has no more time than that.
            let outer_end = frame.as_ref().and_then(|outer| outer.answer_by);
            self.answer_by = [self.answer_by, outer_end].into_iter().flatten().min();
            frame.replace(self)
        });
        let _entered = Entered { outer };
        run()
    }

    fn about(&self) -> &'static About {
        match &self.body {
            Body::Task(task) => task.meta().about(),
            Body::Worker { about, .. } => about,
            Body::Ended { owner, .. } => owner.about(),
        }
    }

    /// Whether all bodies were told to stop, or all of its pool.
    fn is_stopped(&self) -> bool {
        STOPPED.load(Ordering::Relaxed) || self.busy.as_ref().is_some_and(Busy::is_stopped)
    }

    fn is_cancelled(&self) -> bool {
        let is_cancelled = match &self.body {
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
    // A thread that is about to end is in none any more.
    FRAME.try_with(|frame| frame.borrow().is_some()).unwrap_or(false)
}

/// The label of the function whose body runs on this thread, if nobody awaits it any more, or
/// it is too late.
pub(crate) fn cancelled() -> Option<String> {
    FRAME.with_borrow(|frame| {
        let frame = frame.as_ref().filter(|frame| frame.is_cancelled())?;
        Some(frame.about().name.to_owned())
    })
}

/// Whether nobody awaits the body on this thread any more, or it is too late.
pub(crate) fn is_cancelled() -> bool {
    FRAME.with_borrow(|frame| frame.as_ref().is_some_and(Frame::is_cancelled))
}

/// When the caller of the body on this thread is answered without it.
pub(crate) fn answer_by() -> Option<Instant> {
    FRAME.with_borrow(|frame| frame.as_ref().and_then(|frame| frame.answer_by))
}

/// The body on this thread is about to return, and has come to this.
#[cfg(feature = "process")]
pub(crate) fn set_ending(ending: Ending) {
    FRAME.with_borrow_mut(|frame| {
        if let Some(frame) = frame {
            frame.ending = ending;
        }
    });
}

/// What the body on this thread has come to, if it returned.
pub(crate) fn ending() -> Ending {
    FRAME.with_borrow(|frame| frame.as_ref().map_or(Ending::Returned, |frame| frame.ending))
}

/// The body on this thread, which is about to start, borrows this.
pub(crate) fn set_loans(loans: Loans) {
    let before = FRAME.with_borrow_mut(|frame| {
        let frame = frame.as_mut()?;
        Some(mem::replace(&mut frame.loans, loans))
    });
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
        let around = FRAME.with_borrow_mut(|frame| {
            frame.as_mut().map(|frame| mem::replace(&mut frame.loans, loans))
        });
        let _back = around.map(Back);
        return run();
    }
    let frame = Frame { loans, ..Frame::of_worker(about, Arc::default()) };
    frame.enter(run)
}

/// What the body on this thread borrows, by its number; it is taken once.
pub(crate) fn take_loan(number: usize) -> Option<Loan> {
    FRAME.with_borrow_mut(|frame| frame.as_mut()?.loans.take(number))
}

/// The permits of the body on this thread, which it has no more.
pub(super) fn take_permits() -> Permits {
    set_permits(Permits::NONE)
}

/// The body on this thread has these from now on; those that it had before.
pub(super) fn set_permits(permits: Permits) -> Permits {
    FRAME.with_borrow_mut(|frame| match frame {
        Some(frame) => mem::replace(&mut frame.permits, permits),
        None => permits,
    })
}

/// The body of a task on this thread has ended: lets go of the task, and gives its permits back.
pub(super) fn end_body() {
    let held = FRAME.with_borrow_mut(|frame| {
        let frame = frame.as_mut()?;
        let Body::Task(task) = &frame.body else { return None };
        let (owner, callers) = (task.meta().owner, task.meta().callers.clone());
        if let Some(caller) = frame.caller.get() {
            caller.lose_permits();
        }
        let task = mem::replace(&mut frame.body, Body::Ended { owner, callers });
        let loans = mem::replace(&mut frame.loans, Loans::NONE);
        let permits = mem::replace(&mut frame.permits, Permits::NONE);
        Some((task, frame.busy.take(), loans, permits))
    });
    drop(held);
}

/// Whether all bodies were told to stop, or all of the pool of the one on this thread.
pub(crate) fn is_stopped() -> bool {
    FRAME.with_borrow(|frame| frame.as_ref().is_some_and(Frame::is_stopped))
        || STOPPED.load(Ordering::Relaxed)
}

/// Tells all bodies to stop.
pub(crate) fn stop_all() {
    STOPPED.store(true, Ordering::Relaxed);
}
