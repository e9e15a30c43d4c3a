//! The seam between a call and where it runs: what every executor does, and nothing that only
//! one of them knows.

mod intake;
#[cfg(feature = "process")]
pub(crate) mod process;
#[cfg(feature = "remote")]
pub(crate) mod remote;
pub(crate) mod settings;
pub(crate) mod threads;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
#[cfg(feature = "remote")]
use std::time::Duration;
use std::time::Instant;

use crate::error::{Error, Ran};
use crate::system::abort::Unpoisoned;
use crate::task::about::About;
use crate::task::meta::{Slot, StandIn};
use crate::task::state::Phase;
use crate::task::under_way::{self, UnderWay};
use crate::task::{Awaited, Queued};

/// Where calls run.
pub(crate) trait Executor: Sync + fmt::Debug {
    /// Its label.
    fn name(&self) -> &'static str;

    /// `thread`, `cpu`, `process` or `remote`.
    fn kind(&self) -> &'static str;

    /// Starts what it needs, unless its settings make no sense, or it cannot start at all.
    fn check(&'static self) -> Result<(), Error>;

    /// A place for one more call, if it has a bound on those that wait, which the error says.
    fn slot(&'static self) -> Result<Slot, usize>;

    /// How many more calls it would start at once, if nothing was queued but the calls of one
    /// function, of which so many run now.
    fn room_for(&'static self, running: usize) -> usize;

    /// Queues a call. It is run, or ended in another way.
    fn submit(&'static self, task: Queued);

    /// The same, ahead of what was submitted: it was here before, or a body waits for it.
    fn submit_ahead(&'static self, task: Queued);

    /// If a call may [begin here](Self::submit_written) now: the most bytes its arguments may have.
    #[cfg(feature = "process")]
    fn begin_limit(&'static self) -> Option<usize> {
        None
    }

    /// The same as [`submit`](Self::submit) of a call whose request was written when it was made, and can be sent by
    /// whoever hands it over.
    fn submit_written(&'static self, task: Queued, _: &Written) {
        self.submit(task);
    }

    /// A call that a body of this executor waits for was submitted. If it may not get
    /// through as things are, what stands in for that body; dropped when the body ends.
    fn stand_in(&'static self) -> Option<StandIn>;

    /// A body of this executor will block until another of its bodies goes on. What stands in for it, also if
    /// no thread is wanted as things are.
    fn stand_in_later(&'static self) -> Option<StandIn> {
        None
    }

    /// A call was cancelled that was submitted and had not started: what is left in the queue, or
    /// waits for a permit, is a shell.
    fn forget(&'static self, task: &Awaited, phase: Phase);

    /// Nobody awaits a call any more whose body runs here.
    fn cancel(&'static self, task: &Awaited);

    /// Whether the body of a call that has begun was started, as far as that is known here.
    fn ran(&'static self, _: &Awaited) -> Ran {
        Ran::Yes
    }

    /// Looks whether calls wait for a thread that the system denied before. False: nobody
    /// else will look again.
    fn is_tended(&'static self) -> bool;

    /// Whether the system denied the last thread that was asked for.
    fn is_denied(&'static self) -> bool;

    fn load(&'static self) -> Load;

    /// How many calls wait for a thread, as [`load`](Self::load) has it. It is asked where a call is made.
    fn queued(&'static self) -> usize;

    /// What counts its calls, from its first check on.
    fn under_way(&'static self) -> &'static UnderWay;

    /// Shows each body that runs here, and since when.
    fn bodies(&'static self, see: &mut dyn FnMut(&'static About, Instant));

    /// Takes no more calls but those that bodies make; queued calls still run. What ends in its own time has
    /// the grace, which is over then; `None`: beyond the clock.
    fn close(&'static self, until: Option<Instant>);

    /// Ends the calls that wait, and tells or kills the bodies that run. False: it was opened
    /// meanwhile, and they go on.
    fn drain(&'static self) -> bool;

    /// After the last call: lets go what it keeps for the next.
    fn dismiss(&'static self);

    /// Whether what it has let go is gone, where that ends in its own time.
    fn is_gone(&'static self) -> bool {
        true
    }

    /// Takes calls again, unless it was closed with all others.
    fn open(&'static self) {}

    /// Whether it takes no calls.
    fn is_closed(&'static self) -> bool {
        is_closed()
    }

    /// Why a call of this function is not taken any more.
    fn rejection(&self, function: &str) -> Error {
        Error::shutting_down(function)
    }
}

/// A request to another process that was written when its call was made: a small one, for which no code of the
/// program's had to run. So who has the call can send it, also the thread of an event loop.
#[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there are no other processes"))]
pub(crate) struct Written {
    /// Of the call, as its worker knows it.
    pub(crate) number: u64,
    /// The whole message.
    pub(crate) request: Vec<u8>,
}

/// What an executor was doing at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) threads: usize,
    pub(crate) idle: usize,
    pub(crate) running: usize,
    pub(crate) queued: usize,
    /// The most threads.
    pub(crate) limit: usize,
    /// The most calls that may wait for a thread.
    pub(crate) queue_limit: Option<usize>,
    /// Its processes, if it has any.
    pub(crate) workers: Option<Workers>,
    /// Its stream and its workers on other machines, if it has any.
    #[cfg(feature = "remote")]
    pub(crate) remote: Option<Remote>,
}

/// What was seen of an executor whose bodies run on other machines.
#[cfg(feature = "remote")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) workers: u64,
    pub(crate) messages: u64,
    pub(crate) oldest: Duration,
    pub(crate) again: u64,
    pub(crate) unawaited: u64,
    pub(crate) serving: u64,
    pub(crate) slots: u64,
}

/// The processes of an executor, as they are now and have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) alive: usize,
    pub(crate) idle: usize,
    pub(crate) restarts: u64,
    pub(crate) kills: u64,
    pub(crate) recycled: u64,
}

/// Every executor that was started.
static STARTED: Mutex<Vec<&'static dyn Executor>> = Mutex::new(Vec::new());

/// No executor takes calls any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// The end of the grace, once that is so.
static GRACE: OnceLock<Option<Instant>> = OnceLock::new();

/// Every executor that was started, in that order.
pub(crate) fn all() -> Vec<&'static dyn Executor> {
    STARTED.lock().unpoisoned().clone()
}

/// This one is started, as everybody knows before it takes its first call. If all are closed, it is, too.
fn make_known(executor: &'static dyn Executor, is_known: &AtomicBool) {
    if is_known.load(Ordering::Acquire) {
        return;
    }
    let mut all = STARTED.lock().unpoisoned();
    // Another thread may be about to say so, too.
    if !all.iter().any(|known| std::ptr::addr_eq(*known, executor)) {
        all.push(executor);
    }
    drop(all);
    if is_closed() {
        executor.close(GRACE.get().copied().flatten());
    }
    is_known.store(true, Ordering::Release);
}

/// How many calls of all executors were taken and have not ended.
pub(crate) fn under_way() -> usize {
    under_way::count(|| all().into_iter().map(|executor| executor.under_way()))
}

/// Whether no executor takes calls any more.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// No executor takes calls any more, also none that is started later.
pub(crate) fn close_all(until: Option<Instant>) {
    let _ = GRACE.set(until);
    CLOSED.store(true, Ordering::SeqCst);
    all().into_iter().for_each(|executor| executor.close(until));
}
