//! The settings of the default pools, from [`Builder`] and the environment.

use std::env;
use std::fmt;
use std::num::NonZero;
use std::panic::catch_unwind;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(feature = "process")]
use super::process::plan::Plan;
use crate::error::Error;
use crate::sync::foreign::drop_payload;
use crate::system::abort::Unpoisoned;
use crate::system::priority::Priority;

/// Settings of the default pools, for before their first use.
///
/// Each also has an environment variable, which is used where the program sets
/// nothing:
///
/// | setting | environment variable | default |
/// | --- | --- | --- |
/// | [`threads`](Self::threads) | `OFFLOAD_THREADS` | 512 |
/// | [`thread_queue`](Self::thread_queue) | `OFFLOAD_THREAD_QUEUE` | no bound |
/// | [`keep_alive`](Self::keep_alive) | `OFFLOAD_KEEP_ALIVE_MS` | 10 000 |
/// | [`cpu_threads`](Self::cpu_threads) | `OFFLOAD_CPU_THREADS` | the cores this process may use |
/// | [`cpu_queue`](Self::cpu_queue) | `OFFLOAD_CPU_QUEUE` | no bound |
/// | [`cpu_priority`](Self::cpu_priority) | `OFFLOAD_CPU_PRIORITY`: `normal`, `low`, `lowest` or `idle` | `low` |
/// | [`thread_stack_size`](Self::thread_stack_size), [`cpu_stack_size`](Self::cpu_stack_size) | `OFFLOAD_STACK_KIB`, for both | 2048 KiB |
/// | `stall_threshold` | `OFFLOAD_STALL_MS` | 100 |
/// | `workers` | `OFFLOAD_WORKERS` | the cores this process may use |
/// | `process_queue` | `OFFLOAD_PROCESS_QUEUE` | no bound |
/// | `process`: all other settings of a [`ProcessPool`](crate::ProcessPool) | none | those that stand there |
///
/// A variable that makes no sense is an error of the kind
/// [`Config`](crate::ErrorKind::Config) at the first call of a function whose
/// result can carry one, and a panic of others: never a silent default.
///
/// ```
/// fn main() -> Result<(), offload_runtime::Error> {
///     offload_runtime::Builder::new().threads(64).cpu_queue(1000).install()
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "settings do nothing before `install`"]
pub struct Builder {
    thread: Settings,
    cpu: Settings,
    cpu_priority: Option<Priority>,
    #[cfg(feature = "watch")]
    stall_threshold: Option<Duration>,
    #[cfg(feature = "process")]
    process: Settings,
    #[cfg(feature = "process")]
    plan: Option<Plan>,
}

/// The most bytes that a thread's stack may have.
const MOST_STACK: usize = match 1_usize.checked_shl(36) {
    Some(bytes) => bytes,
    None => isize::MAX.unsigned_abs(),
};

/// What can be set of a pool; `None`: its default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) threads: Option<usize>,
    pub(crate) queue: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) priority: Option<Priority>,
    /// Says how many threads, when the pool starts.
    pub(crate) threads_with: Option<fn() -> usize>,
    /// In bytes, of each thread.
    pub(crate) stack_size: Option<usize>,
    /// Called by each thread before its first body.
    pub(crate) on_thread_start: Option<fn()>,
    /// What was to make the pool panicked: no call runs on it.
    pub(crate) is_unmade: bool,
}

impl Settings {
    /// Nothing set.
    pub(crate) const NONE: Settings = Settings {
        threads: None,
        queue: None,
        keep_alive: None,
        priority: None,
        threads_with: None,
        stack_size: None,
        on_thread_start: None,
        is_unmade: false,
    };

    /// How many threads, if that is set. It calls what the user gave, for the pool `name`.
    pub(crate) fn count_threads(&self, name: &str) -> Result<Option<usize>, Error> {
        if self.is_unmade {
            return Err(Error::config("was not started, as the `LazyLock` of its pool panicked"));
        }
        let Some(count) = self.threads_with else { return Ok(self.threads) };
        size(count, || format!("`threads_with` of the pool `{name}`")).map(Some)
    }
}

/// What a function of the user's says, which has to be a size.
pub(crate) fn size(count: fn() -> usize, what: impl Fn() -> String) -> Result<usize, Error> {
    match catch_unwind(count) {
        Ok(0) => Err(Error::config(format!("{} gave 0; it has to be at least 1", what()))),
        Ok(size) => Ok(size),
        Err(payload) => {
            drop_payload(payload);
            Err(Error::config(format!("{} panicked", what())))
        }
    }
}

/// The pools whose settings are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultPool {
    Thread,
    Cpu,
    #[cfg(feature = "process")]
    Process,
}

/// A default pool has asked for its settings.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// What [`Builder::install`] set.
static INSTALLED: Mutex<Option<Builder>> = Mutex::new(None);

impl Builder {
    /// A builder with nothing set yet.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The most threads that the thread pool may have; 512 unless set. [`ThreadPool`](crate::ThreadPool)
    /// says when threads are added. What dropped calls leave behind has a thread beside these to drop
    /// it, if none is free.
    pub fn threads(mut self, threads: usize) -> Builder {
        self.thread.threads = Some(threads);
        self
    }

    /// The most calls that may wait for a thread of the thread pool; no bound unless set. One more is
    /// rejected, with [`Overloaded`](crate::ErrorKind::Overloaded).
    pub fn thread_queue(mut self, calls: usize) -> Builder {
        self.thread.queue = Some(calls);
        self
    }

    /// How long a thread of the thread pool stays idle before it ends; 10 s unless set.
    pub fn keep_alive(mut self, time: Duration) -> Builder {
        self.thread.keep_alive = Some(time);
        self
    }

    /// The most threads of the CPU pool; as many as the cores that this process may use, unless set.
    pub fn cpu_threads(mut self, threads: usize) -> Builder {
        self.cpu.threads = Some(threads);
        self
    }

    /// The most calls that may wait for a thread of the CPU pool; no bound unless set. One more is
    /// rejected, with [`Overloaded`](crate::ErrorKind::Overloaded).
    pub fn cpu_queue(mut self, calls: usize) -> Builder {
        self.cpu.queue = Some(calls);
        self
    }

    /// The size of the stack of each thread of the thread pool, in bytes; 2 MiB unless set, and at most 64 GiB.
    ///
    /// It is what a body may use. The arguments and the result of a call, and the items of a stream, are on the heap while
    /// they are on their way, if they are large. A body that needs more ends the process, as any thread's
    /// stack that overflows. The message of the standard library has the name of the thread, which is
    /// that of its pool. It cannot tell the function: it prints the name that the thread was started with,
    /// which nobody can change later, and a handler of another kind would be `unsafe` code in a signal. So
    /// functions that recurse are best off in a pool of their own, or in processes: there an error names the
    /// function, and the program goes on.
    pub fn thread_stack_size(mut self, bytes: usize) -> Builder {
        self.thread.stack_size = Some(bytes);
        self
    }

    /// The size of the stack of each thread of the CPU pool, in bytes, as
    /// [`thread_stack_size`](Self::thread_stack_size) is of the thread pool.
    pub fn cpu_stack_size(mut self, bytes: usize) -> Builder {
        self.cpu.stack_size = Some(bytes);
        self
    }

    /// How the system's scheduler treats the threads of the CPU pool, and of each
    /// [`CpuPool`](crate::CpuPool) that has no priority of its own; [`Low`](Priority::Low) unless set.
    ///
    /// Threads and processes that are started in such a body have this priority
    /// too, also after the body has ended: a pool of another library that a body
    /// is the first to use, say.
    pub fn cpu_priority(mut self, priority: Priority) -> Builder {
        self.cpu_priority = Some(priority);
        self
    }

    /// How long a worker of a [watched](fn@crate::watch) runtime may be in one
    /// turn before that is reported; 100 ms unless set, and at least 1 ms.
    #[cfg(feature = "watch")]
    pub fn stall_threshold(mut self, time: Duration) -> Builder {
        self.stall_threshold = Some(time);
        self
    }

    /// The most worker processes of the process pool; as many as the cores that this process may use, unless
    /// set.
    #[cfg(feature = "process")]
    pub fn workers(mut self, workers: usize) -> Builder {
        self.process.threads = Some(workers);
        self
    }

    /// The most calls that may wait for a worker of the process pool; no bound unless set. One more is
    /// rejected, with [`Overloaded`](crate::ErrorKind::Overloaded).
    #[cfg(feature = "process")]
    pub fn process_queue(mut self, calls: usize) -> Builder {
        self.process.queue = Some(calls);
        self
    }

    /// These are the settings of the process pool; those that are not set among them stay as they were.
    #[cfg(feature = "process")]
    pub(crate) fn set_process(mut self, settings: Settings, plan: Plan) -> Builder {
        self.process = settings.or(self.process);
        self.plan = Some(plan);
        self
    }

    /// Makes these the settings of the default pools.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), if a setting or an environment
    /// variable makes no sense (`OFFLOAD_NATS_URL` of the feature `remote`, too), if a default pool has had its first call, or
    /// if settings were installed before.
    pub fn install(self) -> Result<(), Error> {
        self.thread.validate("threads")?;
        self.cpu.validate("cpu_threads")?;
        self.thread.check_stack("`thread_stack_size`")?;
        self.cpu.check_stack("`cpu_stack_size`")?;
        from_environment(DefaultPool::Thread)?;
        from_environment(DefaultPool::Cpu)?;
        priority_from_environment()?;
        #[cfg(feature = "watch")]
        check_threshold(self.stall_threshold)?;
        #[cfg(feature = "process")]
        {
            self.process.validate("workers")?;
            from_environment(DefaultPool::Process)?;
            if self.plan.is_some_and(|plan| plan.on_start.is_some()) {
                return Err(Error::config(
                    "`on_start` of the default process pool is set in `main`, and a worker does not \
                     come so far: make a `static` of the pool, and name it by `pool = …`",
                ));
            }
        }
        #[cfg(feature = "remote")]
        super::remote::broker::from_environment()?;
        let mut installed = INSTALLED.lock().unpoisoned();
        if installed.is_some() {
            return Err(Error::config("settings were installed before; `install` them once"));
        }
        if IN_USE.load(Ordering::SeqCst) {
            return Err(Error::config(
                "a default pool has had its first call; `install` settings first in `main`",
            ));
        }
        *installed = Some(self);
        Ok(())
    }
}

impl Settings {
    fn validate(&self, setting: &str) -> Result<(), Error> {
        if self.threads == Some(0) {
            return Err(Error::config(format!("`{setting}` is 0; a pool needs at least 1 thread")));
        }
        Ok(())
    }

    /// Whether the size of the stacks, which was set by this, is one that a system may give. Where it denies one,
    /// calls wait for it to change its mind.
    pub(crate) fn check_stack(&self, setting: impl fmt::Display) -> Result<(), Error> {
        match self.stack_size {
            Some(bytes) if bytes > MOST_STACK => {
                let most = MOST_STACK >> 10;
                Err(Error::config(format!(
                    "{setting} asks for stacks of {bytes} bytes; the most is {most} KiB"
                )))
            }
            _ => Ok(()),
        }
    }

    /// These, and for what is not set, those.
    fn or(self, other: Settings) -> Settings {
        Settings {
            threads: self.threads.or(other.threads),
            queue: self.queue.or(other.queue),
            keep_alive: self.keep_alive.or(other.keep_alive),
            priority: self.priority.or(other.priority),
            stack_size: self.stack_size.or(other.stack_size),
            ..self
        }
    }
}

/// What was set of the process pool's workers, if something was.
#[cfg(feature = "process")]
pub(crate) fn plan() -> Option<Plan> {
    INSTALLED.lock().unpoisoned().and_then(|settings| settings.plan)
}

/// The priority of all CPU pools.
pub(crate) fn cpu_priority() -> Result<Priority, Error> {
    let installed = *INSTALLED.lock().unpoisoned();
    match installed.and_then(|settings| settings.cpu_priority) {
        Some(priority) => Ok(priority),
        None => Ok(priority_from_environment()?.unwrap_or_default()),
    }
}

/// After this long a worker of an event loop counts as stuck.
#[cfg(feature = "watch")]
pub(crate) fn stall_threshold() -> Result<Duration, Error> {
    let installed = *INSTALLED.lock().unpoisoned();
    let set = installed.and_then(|settings| settings.stall_threshold);
    check_threshold(set)
}

/// This, or that of the environment, or the default.
#[cfg(feature = "watch")]
fn check_threshold(set: Option<Duration>) -> Result<Duration, Error> {
    let from_environment = variable("OFFLOAD_STALL_MS")?.map(Duration::from_millis);
    let time = set.or(from_environment).unwrap_or(Duration::from_millis(100));
    if time < Duration::from_millis(1) {
        return Err(Error::config("`stall_threshold` is less than a millisecond"));
    }
    Ok(time)
}

fn priority_from_environment() -> Result<Option<Priority>, Error> {
    let name = "OFFLOAD_CPU_PRIORITY";
    let Some(value) = env::var_os(name) else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Some("low") => Ok(Some(Priority::Low)),
        Some("normal") => Ok(Some(Priority::Normal)),
        Some("lowest") => Ok(Some(Priority::Lowest)),
        Some("idle") => Ok(Some(Priority::Idle)),
        _ => Err(Error::config(format!(
            "the environment variable {name} is {value:?}, not `normal`, `low`, `lowest` or `idle`"
        ))),
    }
}

/// The settings of a default pool.
pub(crate) fn of_default(pool: DefaultPool) -> Result<Settings, Error> {
    let installed = INSTALLED.lock().unpoisoned();
    // Under the lock, as it is read.
    IN_USE.store(true, Ordering::SeqCst);
    let settings = installed.unwrap_or_default();
    drop(installed);
    let installed = match pool {
        DefaultPool::Thread => settings.thread,
        DefaultPool::Cpu => settings.cpu,
        #[cfg(feature = "process")]
        DefaultPool::Process => settings.process,
    };
    Ok(installed.or(from_environment(pool)?))
}

fn from_environment(pool: DefaultPool) -> Result<Settings, Error> {
    let (threads, queue, keep_alive) = match pool {
        DefaultPool::Thread => {
            ("OFFLOAD_THREADS", "OFFLOAD_THREAD_QUEUE", Some("OFFLOAD_KEEP_ALIVE_MS"))
        }
        DefaultPool::Cpu => ("OFFLOAD_CPU_THREADS", "OFFLOAD_CPU_QUEUE", None),
        #[cfg(feature = "process")]
        DefaultPool::Process => ("OFFLOAD_WORKERS", "OFFLOAD_PROCESS_QUEUE", None),
    };
    let keep_alive = keep_alive.map(variable::<u64>).transpose()?.flatten();
    let stack = match pool {
        DefaultPool::Thread | DefaultPool::Cpu => variable::<NonZero<usize>>("OFFLOAD_STACK_KIB")?,
        #[cfg(feature = "process")]
        DefaultPool::Process => None,
    };
    let settings = Settings {
        threads: variable::<NonZero<usize>>(threads)?.map(NonZero::get),
        queue: variable(queue)?,
        keep_alive: keep_alive.map(Duration::from_millis),
        stack_size: stack.map(|kibibytes| kibibytes.get().saturating_mul(1024)),
        ..Settings::NONE
    };
    settings.check_stack("the environment variable OFFLOAD_STACK_KIB")?;
    Ok(settings)
}

fn variable<T: FromStr>(name: &str) -> Result<Option<T>, Error> {
    let Some(value) = env::var_os(name) else {
        return Ok(None);
    };
    let number = value.to_str().and_then(|value| value.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        let example = "a number, such as 8";
        Error::config(format!("the environment variable {name} is {value:?}, not {example}"))
    })
}
