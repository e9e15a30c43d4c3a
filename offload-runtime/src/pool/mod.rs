//! The pools: what a call is handed to.
//!
//! [`core`] decides, [`calls`] and [`seat`] are its parts, and this module does
//! what it decided: it starts threads, wakes them, and lets them [`work`].

pub(crate) mod calls;
pub(crate) mod core;
mod inbox;
mod quick;
#[cfg(feature = "rayon")]
mod rayon;
mod search;
pub(crate) mod seat;
pub(crate) mod state;
mod work;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use self::calls::Ticket;
use self::core::{Core, Refused};
use self::seat::Seat;
use self::state::{Next, Rules, Snapshot, Watch};
use crate::cores;
use crate::error::Error;
use crate::job::Job;
#[cfg(feature = "process")]
use crate::process::{Processes, plan::Plan};
use crate::schedule::Priority;
use crate::settings::{self, Settings};
use crate::sync::Arc;
use crate::timer;
use crate::{current, perform};

/// How many threads a thread pool may have.
const THREADS: usize = 512;

/// How long a thread of a thread pool stays idle before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a worker stays idle before it ends: it costs more to start.
#[cfg(feature = "process")]
const KEEP_WORKERS: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Thread,
    Cpu,
    #[cfg(feature = "process")]
    Process,
}

/// A pool of any kind. It costs nothing until its first call.
pub(crate) struct Pool {
    name: &'static str,
    kind: Kind,
    pub(crate) settings: Settings,
    /// Its workers, if its bodies run in processes.
    #[cfg(feature = "process")]
    pub(crate) processes: Option<Processes>,
    /// Settings come from [`settings`] too.
    is_default: bool,
    /// Its threads are to be rayon's.
    #[cfg(feature = "rayon")]
    pub(crate) is_rayon: bool,
    core: OnceLock<Result<Started, Error>>,
    /// Threads started so far, for their names.
    started: AtomicUsize,
    /// The system refused a thread, and the timer its own: nobody looks at the
    /// queue again, but who waits for one of its calls.
    forsaken: AtomicBool,
}

/// What there is from the first call on.
struct Started {
    core: Core<Job>,
    queue: Option<usize>,
    /// That of its threads.
    priority: Priority,
    /// Its threads, if they are rayon's.
    #[cfg(feature = "rayon")]
    rayon: Option<rayon_core::ThreadPool>,
}

/// Every pool that was started.
static STARTED: Mutex<Vec<&'static Pool>> = Mutex::new(Vec::new());

/// No pool takes calls any more.
static CLOSED: Mutex<bool> = Mutex::new(false);

impl Pool {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Pool {
        Pool {
            name,
            kind,
            settings: Settings::NONE,
            #[cfg(feature = "process")]
            processes: match kind {
                Kind::Process => Some(Processes::new()),
                Kind::Thread | Kind::Cpu => None,
            },
            is_default: false,
            #[cfg(feature = "rayon")]
            is_rayon: false,
            core: OnceLock::new(),
            started: AtomicUsize::new(0),
            forsaken: AtomicBool::new(false),
        }
    }

    pub(crate) const fn default(mut self) -> Pool {
        self.is_default = true;
        self
    }

    /// Its label.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// `thread`, `cpu` or `process`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Thread => "thread",
            Kind::Cpu => "cpu",
            #[cfg(feature = "process")]
            Kind::Process => "process",
        }
    }

    /// Every pool that was started.
    pub(crate) fn all() -> Vec<&'static Pool> {
        STARTED.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there was a first call.
    pub(crate) fn is_started(&self) -> bool {
        self.core.get().is_some()
    }

    /// What its workers are like, if its bodies run in processes.
    #[cfg(feature = "process")]
    pub(crate) fn plan(&'static self) -> Option<&'static Plan> {
        self.processes.as_ref().map(|processes| &processes.plan)
    }

    /// The same, and the workers, of a pool whose bodies run in processes.
    #[cfg(feature = "process")]
    pub(crate) fn processes(&'static self) -> &'static Processes {
        self.processes.as_ref().expect("a process function has a process pool")
    }

    /// The threads that there are.
    #[cfg(feature = "process")]
    pub(crate) fn threads(&'static self) -> usize {
        self.core().snapshot().threads
    }

    /// Starts the pool, unless its settings make no sense.
    pub(crate) fn check(&'static self) -> Result<(), Error> {
        #[cfg(feature = "process")]
        if self.kind == Kind::Process {
            crate::process::start::check()?;
        }
        self.start().as_ref().map(drop).map_err(Clone::clone)
    }

    fn start(&'static self) -> &'static Result<Started, Error> {
        if let Some(started) = self.core.get() {
            return started;
        }
        let started = self.core.get_or_init(|| self.make());
        let mut pools = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_ok() && !pools.iter().any(|pool| std::ptr::eq(*pool, self)) {
            pools.push(self);
            if *CLOSED.lock().unwrap_or_else(PoisonError::into_inner) {
                self.close();
            }
        }
        started
    }

    fn make(&'static self) -> Result<Started, Error> {
        let settings = match (self.is_default, self.kind) {
            (false, _) => self.settings,
            (true, Kind::Thread) => settings::of_default("THREAD")?,
            (true, Kind::Cpu) => settings::of_default("CPU")?,
            #[cfg(feature = "process")]
            (true, Kind::Process) => settings::of_default("PROCESS")?,
        };
        let (cores, parallel) = (cores::count(), cores::are_many());
        let rules = match self.kind {
            Kind::Thread => {
                let max = settings.threads.unwrap_or(THREADS);
                let keep_alive = settings.keep_alive.unwrap_or(KEEP_ALIVE);
                Rules {
                    max,
                    base: max.min(cores),
                    keep_alive: Some(keep_alive),
                    searches: true,
                    parallel,
                }
            }
            Kind::Cpu => {
                let max = settings.threads.unwrap_or(cores);
                Rules { max, base: max, keep_alive: None, searches: true, parallel }
            }
            #[cfg(feature = "process")]
            Kind::Process => {
                let max = settings.threads.unwrap_or(cores);
                let keep_alive = settings.keep_alive.unwrap_or(KEEP_WORKERS);
                Rules { max, base: max, keep_alive: Some(keep_alive), searches: false, parallel }
            }
        };
        let priority = match self.kind {
            Kind::Cpu => settings::cpu_priority()?,
            _ => Priority::Normal,
        };
        #[cfg(feature = "rayon")]
        let (rules, rayon) = self.with_rayon(rules, priority);
        Ok(Started {
            core: Core::new(rules, Instant::now()),
            queue: settings.queue,
            priority,
            #[cfg(feature = "rayon")]
            rayon,
        })
    }

    /// Starts rayon's threads, if these are wanted. Where the system refuses
    /// them, the pool has its own as any other.
    #[cfg(feature = "rayon")]
    fn with_rayon(
        &'static self,
        rules: Rules,
        priority: Priority,
    ) -> (Rules, Option<rayon_core::ThreadPool>) {
        if !self.is_rayon {
            return (rules, None);
        }
        match rayon::start(|_| self.thread_name(), rules.max, priority) {
            // A turn ends when it has searched for a call and there is none: to come by
            // the next turn takes longer.
            Ok(threads) => (Rules { keep_alive: Some(Duration::ZERO), ..rules }, Some(threads)),
            Err(_) => (rules, None),
        }
    }

    fn started(&'static self) -> &'static Started {
        // Whoever gets here has asked `check`.
        self.start().as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    fn core(&'static self) -> &'static Core<Job> {
        &self.started().core
    }

    /// So many calls may wait for a thread.
    pub(crate) fn queue_bound(&'static self) -> Option<usize> {
        self.started().queue
    }

    /// The most threads.
    pub(crate) fn limit(&'static self) -> usize {
        self.core().rules().max
    }

    /// How many calls wait for a thread; `None`: a thread is free for one more.
    pub(crate) fn waiting(&'static self) -> Option<usize> {
        self.core().waiting()
    }

    /// Whether calls wait, at about this time.
    pub(crate) fn has_waiting(&'static self) -> bool {
        self.core().has_waiting()
    }

    /// Whether a thread would take a call at once, at about this time.
    pub(crate) fn is_sought(&'static self) -> bool {
        self.core().is_sought()
    }

    /// Queues a job, and sees to it that a thread comes for it, if no more
    /// than `room` then wait.
    pub(crate) fn submit(&'static self, job: Job, room: usize) -> Result<(), Refused<Job>> {
        self.core().submit(job, room).map(|next| self.perform(next))
    }

    /// Queues a job that was here before, ahead of the others.
    pub(crate) fn resume(&'static self, job: Job) {
        match self.core().resume(job, Instant::now()) {
            Ok(next) => self.perform(next),
            Err(Refused::Gone(job) | Refused::Closed(job) | Refused::Full(job)) => {
                perform::discard(job);
            }
        }
    }

    /// Takes a call out of the queue.
    pub(crate) fn withdraw(&'static self, ticket: Ticket) -> Option<Job> {
        self.core().withdraw(ticket)
    }

    /// Takes a call out of the queue, or tells its body that nobody waits.
    pub(crate) fn cancel(&'static self, ticket: Ticket) -> Option<Job> {
        self.core().cancel(ticket)
    }

    /// Drops a value on a thread of the pool, in this runtime.
    pub(crate) fn drop_there<T: Send + 'static>(
        &'static self,
        value: T,
        runtime: Option<tokio::runtime::Handle>,
    ) {
        let job = Job::cleaner(value, runtime);
        if let Err(Refused::Closed(job) | Refused::Full(job) | Refused::Gone(job)) =
            self.submit(job, usize::MAX)
        {
            // No thread is left that could.
            perform::run_here(self, job);
        }
    }

    /// What a watch does.
    pub(crate) fn look(&'static self, watch: Watch, now: Instant) {
        let next = self.core().look(watch, now);
        self.perform(next);
    }

    /// Looks at the queue, if nobody else would.
    pub(crate) fn look_if_forsaken(&'static self) {
        if self.forsaken.load(Ordering::Relaxed) && self.forsaken.swap(false, Ordering::Relaxed) {
            self.look(Watch::Growth, Instant::now());
        }
    }

    /// Whether the system refused the last thread that was asked for.
    pub(crate) fn is_refused(&'static self) -> bool {
        self.core().is_refused()
    }

    pub(crate) fn snapshot(&'static self) -> Snapshot {
        let snapshot = self.core().snapshot();
        #[cfg(feature = "rayon")]
        if self.started().rayon.is_some() {
            // Those that take no turn are there, too.
            let threads = self.limit();
            let idle = threads - snapshot.threads.min(threads);
            return Snapshot { threads, idle, ..snapshot };
        }
        snapshot
    }

    /// Takes no more calls.
    fn close(&'static self) {
        if let Some(Ok(started)) = self.core.get() {
            for seat in started.core.close() {
                seat.call();
            }
        }
    }

    /// No pool takes calls any more, also none that is started later.
    pub(crate) fn close_all() {
        let pools = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        *CLOSED.lock().unwrap_or_else(PoisonError::into_inner) = true;
        for pool in pools.iter() {
            pool.close();
        }
    }

    /// After the last call: lets go what the pools keep for the next.
    pub(crate) fn dismiss_all() {
        #[cfg(feature = "process")]
        for pool in Pool::all() {
            if let Some(processes) = &pool.processes {
                processes.workers.close();
            }
        }
    }

    /// Takes out the calls that wait, and tells the bodies to stop.
    pub(crate) fn abandon(&'static self) -> Vec<Job> {
        let jobs = self.core().abandon();
        #[cfg(feature = "process")]
        if let Some(processes) = &self.processes {
            processes.workers.end_all();
        }
        jobs
    }

    fn perform(&'static self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Call(seat) => seat.call(),
            Next::Start => {
                if self.start_thread().is_err() {
                    match self.core().start_failed() {
                        Next::Call(seat) => seat.call(),
                        Next::Watch(watch, pause) => self.watch(watch, pause),
                        Next::Nothing | Next::Start => {}
                    }
                }
            }
            Next::Watch(watch, pause) => self.watch(watch, pause),
        }
    }

    /// Lets the timer look at the queue after this time.
    fn watch(&'static self, watch: Watch, pause: Duration) {
        if timer::look_at(self, watch, Instant::now() + pause).is_err() {
            self.core().watch_failed();
            self.forsaken.store(true, Ordering::Relaxed);
        }
    }

    fn thread_name(&self) -> String {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        match self.is_default {
            true => format!("offload-{}-{number}", self.name),
            // The system would refuse a name with a NUL, by a panic.
            false => format!("{}-{number}", self.name.replace('\0', "")),
        }
    }

    fn start_thread(&'static self) -> io::Result<()> {
        #[cfg(feature = "rayon")]
        if let Some(threads) = &self.started().rayon {
            rayon::spawn_turn(threads, self);
            return Ok(());
        }
        thread::Builder::new().name(self.thread_name()).spawn(move || self.work()).map(drop)
    }

    #[cfg(feature = "rayon")]
    fn give_up_turn(&'static self) {
        let next = self.core().give_up_start();
        self.perform(next);
    }

    /// Runs a job that blocks a body of this pool, on a thread of its own: one
    /// more thread, but no more bodies that go on. The job has its permit, if
    /// it needs one. Should the system refuse the thread, the job runs here, in
    /// the body that waits for it.
    pub(crate) fn run_aside(&'static self, job: Job) {
        let shared = std::sync::Arc::new(Mutex::new(Some(job)));
        let take = |shared: &Mutex<Option<Job>>| {
            shared.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let theirs = std::sync::Arc::clone(&shared);
        let started = thread::Builder::new().name(self.thread_name()).spawn(move || {
            let seat = Arc::new(Seat::new());
            current::sit(Arc::clone(&seat));
            if let Some(job) = take(&theirs) {
                perform::run_aside(self, job, Some(seat));
            }
        });
        if started.is_err()
            && let Some(job) = take(&shared)
        {
            perform::run_aside(self, job, None);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
