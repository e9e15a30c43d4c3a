//! A pool of threads: its rules, its queue, and what is known of its threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::blocked::Blocked;
use super::rayon;
use super::sleep::Sleep;
use crate::error::Error;
use crate::executor::intake::Intake;
use crate::executor::settings::{self, DefaultPool, Settings};
use crate::executor::{self, Executor};
use crate::sync::foreign::quietly;
use crate::sync::outer::Outer;
use crate::sync::queue::Queue;
use crate::system::abort::abort_on_panic;
use crate::system::cores;
use crate::system::priority::Priority;
use crate::task::current::Busy;
use crate::task::under_way::UnderWay;
use crate::task::{Awaited, Permits, Queued, completion};

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
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(crate) settings: Settings,
    /// It is one of the default pools, whose settings are elsewhere.
    pub(super) default: Option<DefaultPool>,
    /// Its threads are to be rayon's.
    pub(crate) is_rayon: bool,
    pub(super) started: OnceLock<Result<Box<Started>, Error>>,
    /// Threads started so far, for their names.
    pub(super) names: AtomicUsize,
    /// Calls that its bound counts: those that were accepted and have not ended.
    pub(super) inside: AtomicUsize,
}

/// What a pool may do, fixed when it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The most threads.
    pub(super) max: usize,
    /// So many are started without waiting for the pool to be stuck.
    pub(super) base: usize,
    /// An idle thread ends after this; `None`: never.
    pub(super) keep_alive: Option<Duration>,
    /// A thread that has run out of calls looks on for a moment before it parks.
    pub(super) searches: bool,
    /// Bodies run on its threads, not elsewhere.
    pub(super) runs_bodies: bool,
    /// So many calls may wait for a thread.
    pub(super) queue: Option<usize>,
    pub(super) priority: Priority,
    /// In bytes, of each thread.
    pub(super) stack_size: Option<usize>,
    on_thread_start: Option<fn()>,
}

impl Rules {
    /// A thread is there, and has run nothing yet.
    pub(super) fn prepare_thread(&self) {
        self.priority.apply();
        if let Some(call) = self.on_thread_start {
            let _outer = Outer::here();
            // A thread that serves though this has failed is better than none.
            quietly(call);
        }
    }
}

/// What there is from the first call on.
pub(super) struct Started {
    pub(super) at: Instant,
    pub(super) rules: Rules,
    pub(super) queue: Queue<Item>,
    /// What is in the queue and is no call that waits: shells, and what is to be dropped.
    pub(super) others: AtomicUsize,
    /// What is to be dropped.
    pub(super) leftovers: AtomicUsize,
    pub(super) sleep: Sleep<Box<dyn Continuation>>,
    pub(super) growth: Growth,
    /// All threads, those being started included.
    pub(super) threads: AtomicUsize,
    /// So many more than `max` there may be, in the place of those whose bodies wait.
    pub(super) extra: AtomicUsize,
    pub(super) under_way: UnderWay,
    /// It is in the list of started executors.
    is_known: AtomicBool,
    pub(super) intake: Intake,
    /// So often all bodies were told to stop.
    pub(super) stops: AtomicU64,
    /// Its threads, if they are rayon's.
    pub(super) rayon: rayon::Threads,
    /// What its threads do with a call, if that is more than to run its body.
    pub(super) serve: Option<&'static dyn Serve>,
}

/// What is in the queue of a pool.
pub(super) enum Item {
    Call(Queued),
    /// What is left of a call that nobody awaits any more, to be dropped.
    Leftover(Awaited),
}

/// What is known for when a thread is added: see [`growth`](super::growth).
pub(super) struct Growth {
    /// The timer will look.
    pub(super) is_watched: AtomicBool,
    /// Has the pool looked at.
    pub(super) looker: Waker,
    /// What the last looks saw.
    pub(super) seen: Mutex<Seen>,
    /// The system denied the last thread that was asked for.
    pub(super) denied: AtomicBool,
    /// The system denied a thread, and those that would see to it, too: nobody looks again
    /// but who waits for a call.
    pub(super) untended: AtomicBool,
    /// Threads that were asked for to drop what is left of calls, whatever the limit.
    pub(super) cleaners: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Seen {
    /// When it was looked at last, and how many bodies had ended.
    pub(super) last: Option<(Instant, u64)>,
    /// None had by then, since the look before.
    pub(super) was_stuck: bool,
    /// When it was looked at, and how much had been put into the queue by then.
    pub(super) pushed: VecDeque<(Instant, u64)>,
    pub(super) blocked: Blocked,
}

/// Looks at a pool, on the thread that wakes it.
struct Looker(&'static Pool);

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        abort_on_panic("the growth of a pool", || self.0.look(Instant::now()));
    }
}

impl Growth {
    pub(super) fn new(pool: &'static Pool) -> Growth {
        Growth {
            is_watched: AtomicBool::new(false),
            looker: Waker::from(Arc::new(Looker(pool))),
            seen: Mutex::default(),
            denied: AtomicBool::new(false),
            untended: AtomicBool::new(false),
            cleaners: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_denied(&self) -> bool {
        self.denied.load(Ordering::Relaxed)
    }
}

/// What the threads of a pool do with a call, if that is more than to run its body.
pub(crate) trait Serve: Sync {
    /// Runs a call, or ends it in another way. Returns when that was done; `None`: it was
    /// cancelled.
    fn serve(&'static self, task: Queued, permits: Permits, busy: Busy) -> Option<Instant>;

    /// A thread of the pool has ended.
    fn thread_ended(&'static self);
}

/// The rest of a call that has begun elsewhere, for a thread that was [claimed](super::claim).
pub(crate) trait Continuation: Send {
    /// The runtime of its caller.
    fn runtime(&self) -> Option<&Handle>;

    /// Ends the call. Returns when that was done.
    fn run(self: Box<Self>) -> Instant;
}

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

    /// Starts the pool, for `executor`, which is the pool itself or has it as a part; `serve`
    /// is what its threads do with a call.
    pub(crate) fn start(
        &'static self,
        executor: &'static dyn Executor,
        serve: Option<&'static dyn Serve>,
    ) -> Result<(), Error> {
        let started = self.started.get_or_init(|| self.make(serve));
        if let Ok(started) = started {
            executor::make_known(executor, &started.is_known);
        }
        started.as_ref().map(drop).map_err(Clone::clone)
    }

    fn make(&'static self, serve: Option<&'static dyn Serve>) -> Result<Box<Started>, Error> {
        let settings = match self.default {
            Some(default) => settings::of_default(default)?,
            None => self.settings,
        };
        settings.check_stack(format_args!("the pool `{}`", self.name))?;
        let cores = cores::count();
        let max = settings.count_threads(self.name)?.unwrap_or(match self.kind {
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
            runs_bodies: self.kind != Kind::Process,
            queue: settings.queue,
            priority,
            stack_size: settings.stack_size,
            on_thread_start: settings.on_thread_start,
        };
        Ok(Box::new(Started {
            at: Instant::now(),
            rules,
            queue: Queue::new(),
            others: AtomicUsize::new(0),
            leftovers: AtomicUsize::new(0),
            sleep: Sleep::new(max),
            growth: Growth::new(self),
            threads: AtomicUsize::new(0),
            extra: AtomicUsize::new(0),
            under_way: UnderWay::new(cores),
            is_known: AtomicBool::new(false),
            intake: Intake::new(),
            stops: AtomicU64::new(0),
            rayon: rayon::Threads::new(self.is_rayon),
            serve,
        }))
    }

    pub(super) fn started(&'static self) -> &'static Started {
        match self.started.get() {
            Some(Ok(started)) => started,
            // Whoever gets here has asked `check`.
            _ => unreachable!("a pool is started before it is used"),
        }
    }

    /// Whether calls are taken.
    #[cfg(feature = "process")]
    pub(crate) fn intake(&'static self) -> &'static Intake {
        &self.started().intake
    }

    /// Sees to it that what was queued is not forgotten: a thread comes, or all are at work.
    pub(super) fn tend(&'static self) {
        let started = self.started();
        if !started.sleep.notify() {
            self.grow();
        }
    }

    /// Queues what is left of a call, to be dropped by a thread of the pool ahead of all calls.
    pub(crate) fn clear(&'static self, task: Awaited) {
        // After the end nobody may come for it.
        if executor::is_closed() || self.start(self, None).is_err() {
            return completion::clear(&task);
        }
        self.clear_there(task);
    }

    /// As [`clear`](Self::clear), and on a thread of the pool also after the executors were closed: for what
    /// a shutdown itself drops.
    pub(crate) fn clear_at_end(&'static self, task: Awaited) {
        if self.start(self, None).is_err() {
            return completion::clear(&task);
        }
        self.clear_there(task);
    }

    fn clear_there(&'static self, task: Awaited) {
        let started = self.started();
        started.others.fetch_add(1, Ordering::AcqRel);
        started.leftovers.fetch_add(1, Ordering::SeqCst);
        started.queue.push_front(Item::Leftover(task));
        if !started.sleep.notify() {
            self.add_cleaner();
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

    pub(crate) fn queued(&'static self) -> usize {
        let started = self.started();
        let others = started.others.load(Ordering::Acquire);
        started.queue.len().saturating_sub(others)
    }

    pub(super) fn running(&'static self) -> usize {
        self.started().sleep.states().filter(|state| state.running().is_some()).count()
    }

    pub(super) fn drain_queue(&'static self) {
        while let Some(item) = self.started().queue.pop() {
            match item {
                Item::Call(task) => self.reject(task),
                Item::Leftover(task) => self.drop_leftover(&task),
            }
        }
    }

    /// Drops what is left of a call, which was taken out of the queue.
    pub(super) fn drop_leftover(&'static self, task: &Awaited) {
        self.started().others.fetch_sub(1, Ordering::AcqRel);
        self.started().leftovers.fetch_sub(1, Ordering::SeqCst);
        completion::clear(task);
    }

    /// Ends a call that was taken out of the queue, unless it is a shell: the pool is closed.
    pub(super) fn reject(&'static self, task: Queued) {
        if task.meta().state.is_queued() {
            let error = self.rejection(task.meta().about().name);
            if completion::reject(task, error) {
                return;
            }
        } else {
            task.discard();
        }
        self.met_shell();
    }

    /// A shell was taken out of the queue.
    pub(super) fn met_shell(&'static self) {
        self.started().others.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Item {
    /// The runtime of its caller.
    pub(super) fn runtime(&self) -> Option<&Handle> {
        match self {
            Item::Call(task) => task.meta().handle.as_ref(),
            Item::Leftover(task) => task.meta().handle.as_ref(),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("kind", &self.kind).finish()
    }
}
