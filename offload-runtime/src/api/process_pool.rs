//! The pool of processes that users name, with its settings.

use std::fmt;
use std::time::Duration;

use crate::executor::process::{self, Processes};
use crate::system::priority::Priority;

/// A pool for bodies that may crash, leak, or never end: each runs in a worker
/// process, which can be killed.
///
/// Functions with `#[offload(process)]` share one, which
/// [`Builder::process`](crate::Builder::process) sets; with `pool`, they get
/// another. It is made in a `static`, and started at its first call.
///
/// ```no_run
/// use std::time::Duration;
///
/// use offload_runtime::{Error, ProcessPool, offload};
///
/// static SCRIPTS: ProcessPool = ProcessPool::new("scripts")
///     .workers(2)
///     .max_jobs(1000)
///     .max_memory(256 << 20);
///
/// #[offload(process, pool = SCRIPTS, timeout = "2s")]
/// fn evaluate(script: String) -> Result<i64, Error> {
///     Ok(script.lines().count() as i64)
/// }
///
/// #[offload_runtime::main]
/// async fn main() -> Result<(), Error> {
///     assert_eq!(evaluate("1 + 1".to_owned()).await?, 1);
///     Ok(())
/// }
/// ```
///
/// A worker is the same program, started again, and runs one call at a time. Up
/// to the number of workers, one more than is needed is started, so that the
/// next call finds it ready. One that dies costs the call that it had
/// ([`WorkerDied`](crate::ErrorKind::WorkerDied)), and is replaced. Workers end
/// when they were not needed for a while, and when their parent is gone, however
/// that ended.
///
/// What workers print goes to the parent's standard error. Where nobody reads that, at most 1 MiB of it waits,
/// and the rest is left out: no worker waits for it.
///
/// # Calls inside of a worker
///
/// A body that calls a function of the kind `process` is in a worker already, and the call runs right there,
/// in its process: as the synchronous function would. So its options do nothing: the worker runs one body at
/// a time, which is what `limit` and `queue` could be about, and a `timeout` could only be kept by killing the
/// body that waits for it. A panic unwinds into that body. Resources are those of the worker. Functions of the
/// kinds `thread` and `cpu` have pools in the worker, and all their options.
///
/// # Arguments and results
///
/// `Serialize` of arguments and `Deserialize` of results run in the parent, on a thread of the pool, which
/// nobody can kill. If one of them does not come back, the call is answered at its `timeout`, or dropped by who
/// awaits it; then another thread and another worker take the place of its own, so the pool goes on. A call
/// that has no deadline and is not dropped keeps them, and so does one with `detach`.
///
/// # Events
///
/// Through `tracing`, with the target `offload` and the fields `pool`, `pid` and `reason`, is told that a worker
/// has started, has ended, was killed or is replaced (level `DEBUG`), has died or could not be started (`WARN`).
pub struct ProcessPool {
    processes: ProcessPlace,
}

/// Where a pool of processes is.
#[expect(clippy::large_enum_variant, reason = "it is a `static`, and moved by the compiler only")]
enum ProcessPlace {
    Here(Processes),
    /// The default pool.
    There(&'static Processes),
}

impl ProcessPool {
    /// A pool with the default settings. `name` is its label in all that it
    /// shows, and in the names of its workers' main threads.
    pub const fn new(name: &'static str) -> ProcessPool {
        ProcessPool { processes: ProcessPlace::Here(Processes::new(name)) }
    }

    /// The most workers that the pool has; as many as the cores that this process may
    /// use, unless set.
    ///
    /// # Panics
    ///
    /// If `workers` is 0; in a `static`, that is a compile error.
    pub const fn workers(mut self, workers: usize) -> ProcessPool {
        assert!(workers > 0, "a pool needs at least 1 worker");
        self.here().settings().threads = Some(workers);
        self
    }

    /// The most calls that may wait for a worker, not counting those that a free
    /// one is about to take; no bound unless set. One more is rejected, with
    /// [`Overloaded`](crate::ErrorKind::Overloaded).
    pub const fn queue(mut self, calls: usize) -> ProcessPool {
        self.here().settings().queue = Some(calls);
        self
    }

    /// How long a worker stays idle before it ends; 60 s unless set.
    pub const fn keep_alive(mut self, time: Duration) -> ProcessPool {
        self.here().settings().keep_alive = Some(time);
        self
    }

    /// The number of workers that are kept ready, whether there are calls or not, from the first call or
    /// [`ready`](Self::ready) on; none unless set.
    ///
    /// They are started together, as many at a time as there are cores; one that ends is replaced, also
    /// if it was idle for longer than [`keep_alive`](Self::keep_alive). Where there may be fewer
    /// [`workers`](Self::workers), all that there may be are kept ready.
    ///
    /// ```no_run
    /// use offload_runtime::{Error, ProcessPool, offload};
    ///
    /// static SCRIPTS: ProcessPool = ProcessPool::new("scripts").workers(8).min_workers(2);
    ///
    /// #[offload(process, pool = SCRIPTS)]
    /// fn evaluate(script: String) -> Result<usize, Error> {
    ///     Ok(script.lines().count())
    /// }
    ///
    /// #[offload_runtime::main]
    /// async fn main() -> Result<(), Error> {
    ///     // Before the first request comes.
    ///     SCRIPTS.ready().await?;
    ///     assert_eq!(evaluate("1 + 1".to_owned()).await?, 1);
    ///     Ok(())
    /// }
    /// ```
    pub const fn min_workers(mut self, workers: usize) -> ProcessPool {
        self.here().plan().min_workers = workers;
        self
    }

    /// The number of workers in a row that may be of no use, before no other is started for a second; 5
    /// unless set.
    ///
    /// A worker is of no use if it does not start up, or ends within 10 s of its start and has not run a
    /// call. Until the second has passed, calls that find no worker fail with
    /// [`Unavailable`](crate::ErrorKind::Unavailable), and the error has the reason of the last one;
    /// then one more is started for a call, or for [`ready`](Self::ready), and none for
    /// [`min_workers`](Self::min_workers) alone. The count begins anew with a call that a worker has
    /// answered, and with a worker that ends after 10 s.
    ///
    /// Workers that die by the calls that they run are not counted: each costs its call.
    ///
    /// # Panics
    ///
    /// If `workers` is 0; in a `static`, that is a compile error.
    ///
    /// ```
    /// # use offload_runtime::ProcessPool;
    /// static FONTS: ProcessPool = ProcessPool::new("fonts").max_restarts(2);
    /// ```
    pub const fn max_restarts(mut self, workers: u32) -> ProcessPool {
        assert!(workers > 0, "a pool has to try at least 1 worker");
        self.here().plan().max_restarts = workers;
        self
    }

    /// The number of calls after which a worker is replaced; never unless set.
    ///
    /// # Panics
    ///
    /// If `calls` is 0; in a `static`, that is a compile error.
    pub const fn max_jobs(mut self, calls: u64) -> ProcessPool {
        assert!(calls > 0, "a worker has to run at least 1 call");
        self.here().plan().max_jobs = Some(calls);
        self
    }

    /// The memory that a worker may allocate, in bytes, all of the program's own
    /// included; no bound unless set.
    ///
    /// It is a hard limit: what a body asks for beyond it, it does not get, by
    /// which most bodies die ([`WorkerDied`](crate::ErrorKind::WorkerDied)). A
    /// worker that holds more than half of it between calls is replaced, so that
    /// what one call leaves behind does not count against the next; unless
    /// [`recycle_above`](Self::recycle_above) says when.
    ///
    /// The limit is the system's for one process (`RLIMIT_DATA`). It counts what the process has
    /// allocated for itself, whether it is used or not. It does not count memory that is mapped and
    /// shared with others. A process that a body starts has the same limit for itself. macOS does not
    /// enforce it.
    ///
    /// # Panics
    ///
    /// If `bytes` is 0; in a `static`, that is a compile error.
    pub const fn max_memory(mut self, bytes: u64) -> ProcessPool {
        assert!(bytes > 0, "a worker needs memory");
        self.here().plan().max_memory = Some(bytes);
        self
    }

    /// The memory, in bytes, beyond which a worker is replaced when it has run a call; no bound unless
    /// set. The call has its result: this is for workers that grow slowly, as by a library that leaks or
    /// a heap in fragments. [`max_memory`](Self::max_memory) is for bodies that take too much.
    ///
    /// What is counted is what the worker has for itself: what it has allocated and written to, also
    /// what is swapped out (`RssAnon` and `VmSwap` in `/proc`). Not counted are memory that is mapped
    /// and shared, files (the program's own code, say), and the memory of processes that the body has
    /// started. Only Linux tells; elsewhere no worker is replaced for this.
    ///
    /// # Panics
    ///
    /// If `bytes` is 0; in a `static`, that is a compile error.
    ///
    /// ```
    /// # use offload_runtime::ProcessPool;
    /// static SCRIPTS: ProcessPool =
    ///     ProcessPool::new("scripts").max_memory(1 << 30).recycle_above(256 << 20);
    /// ```
    pub const fn recycle_above(mut self, bytes: u64) -> ProcessPool {
        assert!(bytes > 0, "a worker needs memory");
        self.here().plan().recycle_above = Some(bytes);
        self
    }

    /// The most that all arguments of a call, or its result, may take, in bytes as they are sent; 64 MiB
    /// unless set. What is larger is rejected, with
    /// [`Serialization`](crate::ErrorKind::Serialization).
    ///
    /// # Panics
    ///
    /// If `bytes` is 0 or more than 4 GiB; in a `static`, that is a compile
    /// error.
    pub const fn max_message(mut self, bytes: usize) -> ProcessPool {
        assert!(bytes > 0, "a message has at least 1 byte");
        assert!(bytes <= u32::MAX as usize, "a message has at most 4 GiB");
        self.here().plan().max_message = bytes;
        self
    }

    /// A function that each worker calls once, before its first call: to load what all calls
    /// need. A worker in which it panics is not used.
    pub const fn on_start(mut self, start: fn()) -> ProcessPool {
        self.here().plan().on_start = Some(start);
        self
    }

    /// How the system's scheduler treats the workers; [`Low`](Priority::Low) unless set.
    pub const fn priority(mut self, priority: Priority) -> ProcessPool {
        self.here().plan().priority = priority;
        self
    }

    /// Variables that are added to the environment of the workers.
    ///
    /// Otherwise that is the parent's as it is when a worker is started: all of it, so also what is
    /// secret there, unless [`env_clear`](Self::env_clear) or [`env_remove`](Self::env_remove) keep it
    /// away. What is added here is there in any case. Called again, it adds more; of a variable that is given
    /// several times, the last value counts.
    ///
    /// # Panics
    ///
    /// If a name is empty or has `=` or NUL in it, if a value has NUL in it, or if it is the 17th call; in a
    /// `static`, that is a compile error.
    ///
    /// ```
    /// # use offload_runtime::ProcessPool;
    /// static SCRIPTS: ProcessPool =
    ///     ProcessPool::new("scripts").env_clear().env(&[("LANG", "C.UTF-8"), ("TZ", "UTC")]);
    /// ```
    pub const fn env(mut self, variables: &'static [(&'static str, &'static str)]) -> ProcessPool {
        self.here().plan().environment.add(variables);
        self
    }

    /// Keeps the parent's environment from the workers: they have what [`env`](Self::env) adds, and
    /// `OFFLOAD_WORKER`, by which what they leave behind is found.
    ///
    /// So nothing is there that a program may rely on: `PATH`, `HOME`, `LANG`, `RUST_BACKTRACE`, the
    /// `OFFLOAD_…` settings of pools in the worker itself, and where the dynamic linker looks for
    /// libraries (`LD_LIBRARY_PATH`).
    ///
    /// ```
    /// # use offload_runtime::ProcessPool;
    /// static SCRIPTS: ProcessPool = ProcessPool::new("scripts").env_clear();
    /// ```
    pub const fn env_clear(mut self) -> ProcessPool {
        self.here().plan().environment.clear();
        self
    }

    /// Keeps this variable of the parent's environment from the workers. For several, it is called again.
    ///
    /// # Panics
    ///
    /// If the name is empty or has `=` or NUL in it, or if it is the 17th; in a `static`, that is a
    /// compile error.
    ///
    /// ```
    /// # use offload_runtime::ProcessPool;
    /// static SCRIPTS: ProcessPool =
    ///     ProcessPool::new("scripts").env_remove("DATABASE_URL").env_remove("API_KEY");
    /// ```
    pub const fn env_remove(mut self, name: &'static str) -> ProcessPool {
        self.here().plan().environment.remove(name);
        self
    }

    /// How long a body may go on when its future was dropped or its deadline has passed; not at all
    /// unless set. In that time [`is_cancelled`](crate::is_cancelled) is true
    /// for it, and a worker whose body returns is not killed.
    pub const fn grace(mut self, time: Duration) -> ProcessPool {
        self.here().plan().grace = time;
        self
    }

    /// In the place of one that could not be made.
    pub(super) const fn unmade() -> ProcessPool {
        let mut pool = ProcessPool::new("unmade");
        pool.here().settings().is_unmade = true;
        pool
    }

    /// Waits until the workers are there that [`min_workers`](Self::min_workers) keeps ready; until
    /// there is one, if none are.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable), with the reason, if one cannot be started; it may be
    /// asked again. [`NotInitialized`](crate::ErrorKind::NotInitialized), if the program is not set up to
    /// be a worker; [`Config`](crate::ErrorKind::Config), if a setting makes no sense;
    /// [`ShuttingDown`](crate::ErrorKind::ShuttingDown), after a [`shutdown`](crate::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it has started workers all the same.
    ///
    /// ```no_run
    /// # use offload_runtime::{Error, ProcessPool};
    /// static SCRIPTS: ProcessPool = ProcessPool::new("scripts").workers(8).min_workers(8);
    ///
    /// # async fn start() -> Result<(), Error> {
    /// SCRIPTS.ready().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&'static self) -> Result<(), crate::Error> {
        self.processes().ready().await
    }

    pub(super) const fn here(&mut self) -> &mut Processes {
        match &mut self.processes {
            ProcessPlace::Here(processes) => processes,
            ProcessPlace::There(_) => panic!("the default pool is set by `Builder`"),
        }
    }

    pub(crate) const fn processes(&'static self) -> &'static Processes {
        match &self.processes {
            ProcessPlace::Here(processes) => processes,
            ProcessPlace::There(processes) => processes,
        }
    }
}

/// What `#[offload(process)]` uses.
pub static PROCESS: ProcessPool = ProcessPool { processes: ProcessPlace::There(&process::PROCESS) };

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.processes {
            ProcessPlace::Here(processes) => processes.label(),
            ProcessPlace::There(processes) => processes.label(),
        };
        f.debug_struct("ProcessPool").field("name", &name).finish()
    }
}
