//! What is known of an offloaded function: its options, fixed at compile time,
//! and what it has done so far. One `static` each.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::counts::Counts;
use crate::courier;
#[cfg(feature = "watch")]
use crate::effort::{self, Effort, Sample};
use crate::limiter::Limiter;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::pools::{CpuPool, ThreadPool};
#[cfg(feature = "process")]
use crate::process::{
    pool::ProcessPool,
    transfer::{Entry, Place},
};
use crate::streak::Streak;

/// The least time that a body is expected to take, unless it is quick.
const LEAST_EXPECTED: Duration = Duration::from_micros(16);

/// Of a body that takes so long nothing is known: nobody is held back for it.
const MOST_EXPECTED: Duration = courier::MOST_HELD;

/// One offloaded function.
pub struct Function {
    name: &'static str,
    pool: &'static Pool,
    limit: Option<fn() -> &'static Limiter>,
    /// So many of its calls may wait.
    queue: Option<usize>,
    timeout: Option<fn() -> Duration>,
    queue_timeout: Option<fn() -> Duration>,
    detach: bool,
    /// Calls that wait, if there is a bound on them.
    waiting: AtomicUsize,
    /// Where it stands, and how a worker runs it.
    #[cfg(feature = "process")]
    remote: Option<(Place, Entry)>,
    counts: OnceLock<Box<Counts>>,
    /// Whether its bodies compute or wait.
    #[cfg(feature = "watch")]
    effort: Effort,
    /// Its bodies have nothing in common but their kind.
    mixed: bool,
    known: AtomicBool,
    streak: Streak,
    /// That of its bodies.
    pace: Pace,
}

/// Every function that was called.
static KNOWN: Mutex<Vec<&'static Function>> = Mutex::new(Vec::new());

impl Function {
    /// A function of the kind `thread`.
    pub const fn thread(name: &'static str, pool: &'static ThreadPool) -> Function {
        Function::new(name, pool.pool())
    }

    /// A function of the kind `cpu`.
    pub const fn cpu(name: &'static str, pool: &'static CpuPool) -> Function {
        Function::new(name, pool.pool())
    }

    /// A function of the kind `process`.
    #[cfg(feature = "process")]
    pub const fn process(
        name: &'static str,
        pool: &'static ProcessPool,
        place: Place,
        entry: Entry,
    ) -> Function {
        let mut function = Function::new(name, pool.pool());
        function.remote = Some((place, entry));
        function
    }

    const fn new(name: &'static str, pool: &'static Pool) -> Function {
        Function {
            name,
            pool,
            limit: None,
            queue: None,
            timeout: None,
            queue_timeout: None,
            detach: false,
            waiting: AtomicUsize::new(0),
            #[cfg(feature = "process")]
            remote: None,
            counts: OnceLock::new(),
            #[cfg(feature = "watch")]
            effort: Effort::new(),
            mixed: false,
            known: AtomicBool::new(false),
            streak: Streak::new(),
            pace: Pace::new(LEAST_EXPECTED, MOST_EXPECTED),
        }
    }

    /// It stands for many: nobody asks whether its kind is the right one.
    pub(crate) const fn mixed(mut self) -> Function {
        self.mixed = true;
        self
    }

    /// The option `limit`.
    pub const fn limit(mut self, limit: fn() -> &'static Limiter) -> Function {
        self.limit = Some(limit);
        self
    }

    /// The option `queue`.
    pub const fn queue(mut self, calls: usize) -> Function {
        self.queue = Some(calls);
        self
    }

    /// The option `timeout`.
    pub const fn timeout(mut self, timeout: fn() -> Duration) -> Function {
        self.timeout = Some(timeout);
        self
    }

    /// The option `queue_timeout`.
    pub const fn queue_timeout(mut self, timeout: fn() -> Duration) -> Function {
        self.queue_timeout = Some(timeout);
        self
    }

    /// The option `detach`.
    pub const fn detach(mut self) -> Function {
        self.detach = true;
        self
    }

    /// Its label: the option `name`, or its path.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn pool(&self) -> &'static Pool {
        self.pool
    }

    pub(crate) fn limiter(&self) -> Option<&'static Limiter> {
        self.limit.map(|limit| limit())
    }

    pub(crate) fn queue_bound(&self) -> Option<usize> {
        self.queue
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        Deadlines {
            answer: self.timeout.map(|timeout| timeout()),
            start: self.queue_timeout.map(|timeout| timeout()),
        }
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.detach
    }

    /// Where it stands in the source.
    #[cfg(feature = "process")]
    pub(crate) fn place(&self) -> Option<Place> {
        self.remote.map(|(place, _)| place)
    }

    /// How a worker runs it.
    #[cfg(feature = "process")]
    pub(crate) fn entry(&self) -> Option<Entry> {
        self.remote.map(|(_, entry)| entry)
    }

    /// What its calls came to. Made at the first call: a `static` of that size
    /// would be in the program's file.
    pub(crate) fn counts(&self) -> &Counts {
        self.counts.get_or_init(Box::default)
    }

    /// A body took so long.
    pub(crate) fn learn(&self, took: Duration) {
        self.streak.add(took);
        self.pace.add(took);
    }

    /// Whether the next body is likely to end in no time.
    pub(crate) fn is_quick(&self) -> bool {
        !self.mixed && !self.is_remote() && self.streak.is_on()
    }

    /// Whether its bodies run in a process: nobody can say how long they wait for a worker.
    fn is_remote(&self) -> bool {
        #[cfg(feature = "process")]
        return self.remote.is_some();
        #[cfg(not(feature = "process"))]
        return false;
    }

    /// How long the next body is likely to take, if anything is known; no time, if it is quick.
    pub(crate) fn expected(&self) -> Option<Duration> {
        if self.is_quick() {
            return Some(Duration::ZERO);
        }
        let is_known = !self.mixed && !self.is_remote() && !self.streak.is_in_doubt();
        Some(self.pace.get()).filter(|pace| is_known && *pace < MOST_EXPECTED)
    }

    /// A body is about to begin on this thread, and so many before it waited about as
    /// long. `None`: it is not looked at.
    #[cfg(feature = "watch")]
    pub(crate) fn sample(&self, number: u64) -> Option<Sample> {
        // Where bodies are quick, the kind makes no difference, and to look would take longer.
        if self.mixed || self.is_quick() {
            return None;
        }
        self.effort.begin(self.pool.kind(), number)
    }

    /// That body has ended. If it is known now that the function is of the
    /// wrong kind, that is reported, once.
    #[cfg(feature = "watch")]
    pub(crate) fn judge(&self, sample: &Sample) {
        let kind = self.pool.kind();
        if let Some(better) = self.effort.end(kind, sample) {
            effort::report(self.name, kind, better, self.effort.computing().unwrap_or_default());
        }
    }

    #[cfg(feature = "watch")]
    pub(crate) fn effort(&self) -> &Effort {
        &self.effort
    }

    /// Counts one more call that waits, unless as many do as may.
    pub(crate) fn enter_queue(&self) -> bool {
        let bound = self.queue.unwrap_or(usize::MAX);
        let more = |waiting| (waiting < bound).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Calls that wait, of those that its `queue` bounds.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A call that was counted waits no more.
    pub(crate) fn leave_queue(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// From now on it is seen in [`stats`](crate::stats).
    pub(crate) fn make_known(&'static self) {
        if !self.known.load(Ordering::Relaxed) && !self.known.swap(true, Ordering::Relaxed) {
            KNOWN.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
    }

    /// Every function that was called so far.
    pub(crate) fn known() -> Vec<&'static Function> {
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long a call may take, from its first poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// To the answer.
    pub(crate) answer: Option<Duration>,
    /// To the start of the body.
    pub(crate) start: Option<Duration>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name).field("pool", &self.pool).finish()
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
}

/// What `limit` takes: a number, or a `static` [`Limiter`] for several functions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no limit",
    label = "expected a number (`usize`), or a `static` of type `Limiter`"
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

impl Limit for usize {
    fn limiter(&'static self, own: &'static OwnLimiter) -> &'static Limiter {
        own.0.get_or_init(|| Limiter::new(*self))
    }
}

/// The limiter that an option `limit` means.
pub fn limiter<L: Limit>(limit: &'static L, own: &'static OwnLimiter) -> &'static Limiter {
    limit.limiter(own)
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    static POOL: ThreadPool = ThreadPool::new("expected");

    fn expected_after(function: &Function, bodies: u32, took: Duration) -> Option<Duration> {
        (0..bodies).for_each(|_| function.learn(took));
        function.expected()
    }

    #[test]
    fn a_body_is_expected_to_take_as_long_as_those_before_it() {
        let function = Function::thread("as_long", &POOL);
        assert_eq!(function.expected(), None);
        let brief = Duration::from_micros(300);
        let expected = expected_after(&function, 500, brief).unwrap();
        assert!(expected > brief * 9 / 10 && expected < brief * 11 / 10, "{expected:?}");
        let long = Duration::from_millis(10);
        assert_eq!(expected_after(&function, 1, long), None, "the next one may, too");
        assert_eq!(expected_after(&function, 100, Duration::ZERO), None);
        assert_eq!(expected_after(&function, 200, Duration::ZERO), Some(Duration::ZERO));
    }

    #[test]
    fn of_functions_that_stand_for_many_and_of_those_in_processes_nothing_is_expected() {
        let mixed = Function::thread("mixed", &POOL).mixed();
        assert_eq!(expected_after(&mixed, 500, Duration::from_micros(1)), None);
        #[cfg(feature = "process")]
        {
            static WORKERS: ProcessPool = ProcessPool::new("expected");
            let mut remote = Function::new("remote", WORKERS.pool());
            let place = Place { file: file!(), line: line!(), column: column!() };
            remote.remote = Some((place, |_| unreachable!()));
            assert_eq!(expected_after(&remote, 500, Duration::from_micros(1)), None);
        }
    }
}
