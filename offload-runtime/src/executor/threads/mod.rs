//! Pools of threads: what a call is handed to.
//!
//! A call goes into a queue without a lock, and at most one thread is woken for it. The files:
//!
//! | file | what it knows |
//! | --- | --- |
//! | `mod` | the pool: its rules, its queue, when it is closed |
//! | `sleep` | which threads have nothing to do, and how one is woken |
//! | `worker` | what a thread does from its start to its end |
//! | `growth` | when a thread is added, and what is done where the system refuses one |
//! | `blocked` | whether a thread is blocked in a body, as the system sees it |
//! | `rayon` | threads that are rayon's |

mod blocked;
mod growth;
mod rayon;
mod sleep;
mod worker;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use self::growth::Growth;
use self::sleep::Sleep;
pub(crate) use self::worker::Serve;
use super::settings::{self, DefaultPool, Settings};
use super::{Executor, Load, StandIn};
use crate::error::Error;
use crate::sync::queue::Queue;
use crate::system::cores;
use crate::system::priority::Priority;
use crate::task::meta::Slot;
use crate::task::{Awaited, Queued, completion};

/// How many threads a thread pool may have.
const THREADS: usize = 512;

/// How long a thread of a thread pool stays idle before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a thread that has a process do the work stays idle: that costs more to start.
const KEEP_WORKERS: Duration = Duration::from_secs(60);

/// For what the bodies of a pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They wait: the pool grows while calls are stuck behind others.
    Thread,
    /// They compute: as many threads as cores.
    Cpu,
    /// They have processes do the work, each of which has a thread that waits for it.
    Process,
}

/// A pool of threads. It costs nothing until its first call.
pub(crate) struct Pool {
    name: &'static str,
    kind: Kind,
    pub(crate) settings: Settings,
    /// It is one of the default pools, whose settings are elsewhere.
    default: Option<DefaultPool>,
    /// Its threads are to be rayon's.
    pub(crate) is_rayon: bool,
    started: OnceLock<Result<Box<Started>, Error>>,
    /// Threads started so far, for their names.
    names: AtomicUsize,
    /// Calls that its bound counts: those that were accepted and have not ended.
    inside: AtomicUsize,
}

/// What a pool may do, fixed when it starts.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The most threads.
    max: usize,
    /// So many are started without waiting for the pool to be stuck.
    base: usize,
    /// An idle thread ends after this; `None`: never.
    keep_alive: Option<Duration>,
    /// A thread that has run out of calls looks on for a moment before it parks.
    searches: bool,
    /// So many calls may wait for a thread.
    queue: Option<usize>,
    priority: Priority,
}

/// What there is from the first call on.
struct Started {
    rules: Rules,
    queue: Queue<Item>,
    /// What is in the queue and is no call that waits: shells, and what is to be dropped.
    others: AtomicUsize,
    /// What is to be dropped.
    leftovers: AtomicUsize,
    sleep: Sleep,
    growth: Growth,
    /// All threads, those being started included.
    threads: AtomicUsize,
    /// So many more than `max` there may be, in the place of those whose bodies wait.
    extra: AtomicUsize,
    closed: AtomicBool,
    /// Calls that wait are not started any more.
    drained: AtomicBool,
    /// Its threads, if they are rayon's.
    rayon: rayon::Threads,
    /// What its threads do with a call, if that is more than to run its body.
    serve: Option<&'static dyn Serve>,
}

/// What waits in the queue of a pool.
enum Item {
    Call(Queued),
    /// What is left of a call that nobody awaits any more, to be dropped.
    Leftover(Awaited),
}

/// What `#[offload(thread)]` uses.
pub(crate) static THREAD: Pool = Pool::new("thread", Kind::Thread).default(DefaultPool::Thread);

/// What `#[offload(cpu)]` uses.
pub(crate) static CPU: Pool = Pool::new("cpu", Kind::Cpu).default(DefaultPool::Cpu);

impl Pool {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Pool {
        Pool {
            name,
            kind,
            settings: Settings::NONE,
            default: None,
            is_rayon: false,
            started: OnceLock::new(),
            names: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn default(mut self, default: DefaultPool) -> Pool {
        self.default = Some(default);
        self
    }

    /// Its label.
    pub(crate) fn label(&self) -> &'static str {
        self.name
    }

    /// Whether there was a first call.
    pub(crate) fn is_started(&self) -> bool {
        self.started.get().is_some()
    }

    /// Starts the pool, for `executor`, which is the pool itself or has it as a part; `serve`
    /// is what its threads do with a call.
    pub(crate) fn start(
        &'static self,
        executor: &'static dyn Executor,
        serve: Option<&'static dyn Serve>,
    ) -> Result<(), Error> {
        if let Some(started) = self.started.get() {
            return started.as_ref().map(drop).map_err(Clone::clone);
        }
        let mut is_new = false;
        let started = self.started.get_or_init(|| {
            is_new = true;
            self.make(serve)
        });
        if is_new && started.is_ok() {
            super::started(executor);
        }
        started.as_ref().map(drop).map_err(Clone::clone)
    }

    fn make(&'static self, serve: Option<&'static dyn Serve>) -> Result<Box<Started>, Error> {
        let settings = match self.default {
            Some(default) => settings::of_default(default)?,
            None => self.settings,
        };
        let cores = cores::count();
        let max = settings.threads.unwrap_or(match self.kind {
            Kind::Thread => THREADS,
            Kind::Cpu | Kind::Process => cores,
        });
        let priority = match (self.kind, settings.priority) {
            (_, Some(priority)) => priority,
            (Kind::Cpu, None) => settings::cpu_priority()?,
            (Kind::Thread | Kind::Process, None) => Priority::Normal,
        };
        let keep_alive = match (self.kind, self.is_rayon) {
            // Rayon keeps its threads itself.
            (Kind::Cpu, true) => Some(Duration::ZERO),
            (Kind::Cpu, false) => None,
            (Kind::Thread, _) => Some(settings.keep_alive.unwrap_or(KEEP_ALIVE)),
            (Kind::Process, _) => Some(settings.keep_alive.unwrap_or(KEEP_WORKERS)),
        };
        let rules = Rules {
            max,
            base: if self.kind == Kind::Thread { max.min(cores) } else { max },
            keep_alive,
            searches: self.kind != Kind::Process && cores > 1,
            queue: settings.queue,
            priority,
        };
        Ok(Box::new(Started {
            rules,
            queue: Queue::new(),
            others: AtomicUsize::new(0),
            leftovers: AtomicUsize::new(0),
            sleep: Sleep::new(max),
            growth: Growth::new(self),
            threads: AtomicUsize::new(0),
            extra: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            rayon: rayon::Threads::new(self.is_rayon),
            serve,
        }))
    }

    fn started(&'static self) -> &'static Started {
        match self.started.get() {
            Some(Ok(started)) => started,
            // Whoever gets here has asked `check`.
            _ => unreachable!("a pool is started before it is used"),
        }
    }

    /// Sees to it that what was queued is not forgotten: a thread comes, or all are at work.
    fn tend(&'static self) {
        let started = self.started();
        if !started.sleep.notify() {
            self.grow();
        }
    }

    /// Queues what is left of a call, to be dropped by a thread of the pool ahead of all calls.
    pub(crate) fn clear(&'static self, task: Awaited) {
        // After the end nobody may come for it.
        if super::is_closed() || self.start(self, None).is_err() {
            return completion::clear(&task);
        }
        let started = self.started();
        started.others.fetch_add(1, Ordering::AcqRel);
        started.leftovers.fetch_add(1, Ordering::SeqCst);
        started.queue.push_front(Item::Leftover(task));
        if !started.sleep.notify() {
            self.add_cleaner();
        }
        if started.drained.load(Ordering::SeqCst) {
            self.drain_queue();
        }
    }

    /// The threads that there are.
    pub(crate) fn threads(&'static self) -> usize {
        self.started().threads.load(Ordering::Acquire)
    }

    /// The most threads.
    pub(crate) fn limit(&'static self) -> usize {
        self.started().rules.max
    }

    fn queued(&'static self) -> usize {
        let started = self.started();
        let others = started.others.load(Ordering::Acquire);
        started.queue.len().saturating_sub(others)
    }

    fn running(&'static self) -> usize {
        self.started().sleep.seats().filter(|seat| seat.running().is_some()).count()
    }

    fn drain_queue(&'static self) {
        while let Some(item) = self.started().queue.pop() {
            match item {
                Item::Call(task) => self.refuse(task, Error::shutting_down),
                Item::Leftover(task) => self.drop_leftover(&task),
            }
        }
    }

    /// Drops what is left of a call, which was taken out of the queue.
    fn drop_leftover(&'static self, task: &Awaited) {
        self.started().others.fetch_sub(1, Ordering::AcqRel);
        self.started().leftovers.fetch_sub(1, Ordering::SeqCst);
        completion::clear(task);
    }

    /// Ends a call that was taken out of the queue, unless it is a shell.
    fn refuse(&'static self, task: Queued, why: fn(&str) -> Error) {
        if task.meta().state.is_queued() {
            let error = why(task.meta().about().name);
            if completion::refuse(task, error) {
                return;
            }
        } else {
            task.discard();
        }
        self.met_shell();
    }

    /// A shell was taken out of the queue.
    fn met_shell(&'static self) {
        self.started().others.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Executor for Pool {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Thread => "thread",
            Kind::Cpu => "cpu",
            Kind::Process => "process",
        }
    }

    fn check(&'static self) -> Result<(), Error> {
        self.start(self, None)
    }

    fn slot(&'static self) -> Result<Slot, usize> {
        let Rules { queue: Some(bound), max, .. } = self.started().rules else {
            return Ok(Slot::default());
        };
        let before = self.inside.fetch_add(1, Ordering::AcqRel);
        let slot = Slot::of(&self.inside);
        if before < max.saturating_add(bound) { Ok(slot) } else { Err(bound) }
    }

    fn room_for(&'static self, accepted: usize) -> usize {
        let others = (self.running() + self.queued()).saturating_sub(accepted);
        self.limit().saturating_sub(others)
    }

    fn submit(&'static self, task: Queued) {
        let started = self.started();
        if started.closed.load(Ordering::Acquire) && task.meta().callers.is_none() {
            let error = Error::shutting_down(task.meta().about().name);
            completion::refuse(task, error);
            return;
        }
        started.queue.push(Item::Call(task));
        self.tend();
        // It may have come after all were taken out.
        if started.drained.load(Ordering::SeqCst) {
            self.drain_queue();
        }
    }

    fn submit_ahead(&'static self, task: Queued) {
        let started = self.started();
        started.queue.push_front(Item::Call(task));
        self.tend();
        if started.drained.load(Ordering::SeqCst) {
            self.drain_queue();
        }
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        let started = self.started();
        let is_full = !started.sleep.is_searching()
            && started.sleep.idle() == 0
            && started.threads.load(Ordering::Acquire)
                >= started.rules.max + started.extra.load(Ordering::Acquire);
        is_full.then(|| self.add_stand_in())
    }

    fn forget_one(&'static self) {
        self.started().others.fetch_add(1, Ordering::AcqRel);
    }

    fn cancel(&'static self, _: &Awaited) {
        // The body asks its task's state.
    }

    fn is_tended(&'static self) -> bool {
        self.is_grown()
    }

    fn is_refused(&'static self) -> bool {
        self.started().growth.is_refused()
    }

    fn load(&'static self) -> Load {
        let started = self.started();
        let threads = self.threads();
        let (idle, running) = (started.sleep.idle(), self.running());
        let load = Load {
            threads,
            idle,
            running,
            queued: self.queued(),
            limit: started.rules.max,
            queue_limit: started.rules.queue,
            workers: None,
        };
        // Those of rayon that take no turn are there, too.
        match started.rayon.count() {
            Some(count) => Load { threads: count, idle: count.saturating_sub(threads), ..load },
            None => load,
        }
    }

    fn close(&'static self) {
        let started = self.started();
        started.closed.store(true, Ordering::SeqCst);
        started.sleep.wake_all();
    }

    fn drain(&'static self) {
        self.started().drained.store(true, Ordering::SeqCst);
        self.drain_queue();
    }

    fn dismiss(&'static self) {}
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
