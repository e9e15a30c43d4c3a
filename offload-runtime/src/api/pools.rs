//! The pools of threads that users name: each a [`Pool`] of one kind, with its settings.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use crate::executor::Executor;
use crate::executor::settings::Settings;
use crate::executor::threads::{self, Kind, Pool};
use crate::function::Function;
use crate::system::priority::Priority;

/// A pool for bodies that wait: it grows while calls are stuck behind others.
///
/// Functions with `#[offload(thread)]` share one; with `pool`, they get another,
/// so that a burst of one sort of work does not delay the rest. It is made in
/// a `static`, and started at its first call.
///
/// ```
/// use offload_runtime::{ThreadPool, offload};
///
/// static REPORTS: ThreadPool = ThreadPool::new("reports").threads(4);
///
/// #[offload(thread, pool = REPORTS)]
/// fn report(year: u16) -> String {
///     format!("all of {year}")
/// }
/// # assert_eq!(futures::executor::block_on(report(1999)), "all of 1999");
/// ```
///
/// # How it grows
///
/// Up to the number of cores, a thread is started for each call that finds none free. Beyond, while
/// calls are queued, the pool is looked at each millisecond, and two rules add to it:
///
/// * if no body has ended for two looks, as many threads are added as there are, up to the number of
///   queued calls;
/// * else, if the oldest queued call has waited for 10 ms, one is added.
///
/// So calls that block get a thread each in some milliseconds, and a burst of short ones starts none.
/// The idle thread with the lowest number is woken first, so those that are not needed stay idle,
/// and end after [`keep_alive`](Self::keep_alive).
///
/// Its threads have the affinity, the signal mask and the nice value of the process's main thread,
/// whoever made the first call. If the system denies one, calls wait for those that there
/// are, and the pool tries again.
///
/// # Nested calls
///
/// A body that blocks on calls of its own pool (`Handle::block_on`) has one thread in its place, whatever
/// the limit: so they get through. For calls that a runtime polls, the pool never exceeds its limit:
/// if a body waits for a task that it spawned (`tokio::spawn`), which calls this pool, and all
/// threads have such bodies, they wait for ever. A [`CpuPool`] gets through that, too; here, give
/// what the task calls a pool of its own.
///
/// `threads(1)` is no lock, since a nested call gets a thread beside the one: `limit = 1` is.
pub struct ThreadPool {
    pool: Place,
    /// What stands for its closures that have no label.
    closures: OnceLock<&'static Function>,
}

/// A pool for bodies that compute: as many threads as the cores that this process may use, by its
/// affinity and cgroup quota.
///
/// Functions with `#[offload(cpu)]` share one; with `pool`, they get another.
/// It is made in a `static`, and started at its first call. Threads are started as calls need them,
/// and stay. They have a lower [priority](Self::priority) than a runtime's workers.
///
/// ```
/// use offload_runtime::{CpuPool, offload};
///
/// static THUMBNAILS: CpuPool = CpuPool::new("thumbnails").threads(1);
///
/// #[offload(cpu, pool = THUMBNAILS)]
/// fn brighten(pixels: Vec<u8>) -> Vec<u8> {
///     pixels.into_iter().map(|pixel| pixel.saturating_add(16)).collect()
/// }
/// # assert_eq!(futures::executor::block_on(brighten(vec![250])), [255]);
/// ```
///
/// # Nested calls
///
/// A body that blocks on calls of its own pool has one thread in its place. A body can also wait for a
/// call of its pool that a task, another thread or `par_iter` makes. So, while calls are queued, the
/// pool is looked at: if no call was taken or has ended for about 5 ms (longer in a pool of dozens of
/// threads, which takes its time to look at), a thread whose body is blocked
/// has another in its place, until that body ends. On Linux the system says whether it is
/// blocked; elsewhere a body that runs all the while is taken for it. At most as many threads
/// are added so as the pool has. Where they are not enough, a `tracing` error names the functions,
/// once in a process.
pub struct CpuPool {
    pool: Place,
    /// What stands for its closures that have no label.
    closures: OnceLock<&'static Function>,
}

/// Where a pool is.
enum Place {
    Here(Pool),
    /// One of the default pools.
    There(&'static Pool),
}

impl Place {
    const fn settings(&mut self) -> &mut Settings {
        match self {
            Place::Here(pool) => &mut pool.settings,
            Place::There(_) => panic!("the default pools are set by `Builder`"),
        }
    }

    const fn pool(&'static self) -> &'static Pool {
        match self {
            Place::Here(pool) => pool,
            Place::There(pool) => pool,
        }
    }
}

impl ThreadPool {
    /// A pool with the default settings. `name` is its label in all that it
    /// shows, and the prefix of its threads' names.
    pub const fn new(name: &'static str) -> ThreadPool {
        ThreadPool { pool: Place::Here(Pool::new(name, Kind::Thread)), closures: OnceLock::new() }
    }

    /// The most threads that the pool has; 512 unless set. A body that blocks on calls of its own pool
    /// has one beside these.
    ///
    /// # Panics
    ///
    /// If `threads` is 0; in a `static`, that is a compile error.
    pub const fn threads(mut self, threads: usize) -> ThreadPool {
        assert!(threads > 0, "a pool needs at least 1 thread");
        self.pool.settings().threads = Some(threads);
        self
    }

    /// The most calls that may wait for a thread, not counting those that a free
    /// thread is about to take; no bound unless set. One more is rejected, with
    /// [`Overloaded`](crate::ErrorKind::Overloaded), if its result can carry an
    /// [`Error`](crate::Error). Other functions panic then, and should not use such a pool.
    pub const fn queue(mut self, calls: usize) -> ThreadPool {
        self.pool.settings().queue = Some(calls);
        self
    }

    /// How long a thread stays idle before it ends; 10 s unless set. With `Duration::ZERO`, one
    /// ends as soon as it finds no call.
    pub const fn keep_alive(mut self, time: Duration) -> ThreadPool {
        self.pool.settings().keep_alive = Some(time);
        self
    }

    /// How the system's scheduler treats its threads; [`Normal`](Priority::Normal) unless set.
    /// Where the system denies that, a `tracing` warning says so once.
    pub const fn priority(mut self, priority: Priority) -> ThreadPool {
        self.pool.settings().priority = Some(priority);
        self
    }

    /// The most threads, as [`threads`](Self::threads), where the number is known when the program runs:
    /// it is asked for once, when the pool has its first call, and must not call anything on that pool.
    /// A `fn` captures nothing: with a number from a local variable, make the pool by [`threads`](Self::threads)
    /// and [`leak`](Self::leak).
    ///
    /// If it gives 0 or panics, each call on the pool fails, with
    /// [`Config`](crate::ErrorKind::Config), or panics where its result cannot carry an error.
    ///
    /// ```
    /// use offload_runtime::ThreadPool;
    ///
    /// static REPORTS: ThreadPool = ThreadPool::new("reports").threads_with(|| {
    ///     std::env::var("REPORTS_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2)
    /// });
    /// # assert_eq!(REPORTS.spawn(|| 1).wait().unwrap(), 1);
    /// ```
    pub const fn threads_with(mut self, threads: fn() -> usize) -> ThreadPool {
        self.pool.settings().threads_with = Some(threads);
        self
    }

    /// The size of each thread's stack, in bytes; that of the standard library unless set, which is
    /// 2 MiB; at most 64 GiB. [`Builder::thread_stack_size`](crate::Builder::thread_stack_size) says what is on it,
    /// and what is said where it overflows.
    pub const fn stack_size(mut self, bytes: usize) -> ThreadPool {
        self.pool.settings().stack_size = Some(bytes);
        self
    }

    /// A function that each thread calls when it starts, before its first body. A panic in it is
    /// reported, and the thread goes on. A runtime that it enters for good is that of bodies whose callers have none.
    pub const fn on_thread_start(mut self, call: fn()) -> ThreadPool {
        self.pool.settings().on_thread_start = Some(call);
        self
    }

    /// A pool that is made when the program runs, for closures; in a `static` `LazyLock`, for functions, too. It is there
    /// for good.
    ///
    /// ```
    /// use offload_runtime::ThreadPool;
    ///
    /// let pool = ThreadPool::new("reports").threads(1).leak();
    /// assert_eq!(pool.spawn(|| 6 * 7).wait()?, 42);
    /// # Ok::<(), offload_runtime::Error>(())
    /// ```
    pub fn leak(self) -> &'static ThreadPool {
        Box::leak(Box::new(self))
    }

    /// In the place of one that could not be made.
    pub(super) const fn unmade() -> ThreadPool {
        let mut pool = ThreadPool::new("unmade");
        pool.pool.settings().is_unmade = true;
        pool
    }

    pub(crate) const fn pool(&'static self) -> &'static Pool {
        self.pool.pool()
    }

    /// What stands for its closures that have no label.
    pub(crate) fn closures(&'static self) -> &'static Function {
        self.closures.get_or_init(|| closures_of(self.pool()))
    }
}

impl CpuPool {
    /// A pool with the default settings. `name` is its label in all that it
    /// shows, and the prefix of its threads' names.
    pub const fn new(name: &'static str) -> CpuPool {
        CpuPool { pool: Place::Here(Pool::new(name, Kind::Cpu)), closures: OnceLock::new() }
    }

    /// The most threads that the pool has; as many as the cores that this process may use, unless
    /// set. A body that is blocked while calls are queued has one beside these.
    ///
    /// # Panics
    ///
    /// If `threads` is 0; in a `static`, that is a compile error.
    pub const fn threads(mut self, threads: usize) -> CpuPool {
        assert!(threads > 0, "a pool needs at least 1 thread");
        self.pool.settings().threads = Some(threads);
        self
    }

    /// The most calls that may wait for a thread, not counting those that a free
    /// thread is about to take; no bound unless set. One more is rejected, with
    /// [`Overloaded`](crate::ErrorKind::Overloaded), if its result can carry an
    /// [`Error`](crate::Error). Other functions panic then, and should not use such a pool.
    pub const fn queue(mut self, calls: usize) -> CpuPool {
        self.pool.settings().queue = Some(calls);
        self
    }

    /// How the system's scheduler treats its threads; [`Low`](Priority::Low) unless set here, by
    /// [`Builder::cpu_priority`](crate::Builder::cpu_priority) or in the environment, in this order.
    /// Where the system denies that, a `tracing` warning says so once.
    pub const fn priority(mut self, priority: Priority) -> CpuPool {
        self.pool.settings().priority = Some(priority);
        self
    }

    /// Takes its threads from a rayon pool of its own: what a body does in parallel, with `par_iter` or
    /// `join`, stays on them, and at their priority.
    ///
    /// Without it, such a body uses rayon's global pool, as any other thread: so
    /// as many threads again compete for the cores, and, if it is the first to
    /// use that pool, they get its priority.
    ///
    /// A thread whose body waits for its parallel parts starts no other body
    /// meanwhile. Two things stay outside: a call that blocks a body of its own
    /// full pool runs on a thread beside the pool, from where `par_iter` uses
    /// rayon's global pool; and if the system denies rayon its threads, the pool
    /// has threads as any other has.
    ///
    /// ```
    /// use offload_runtime::{CpuPool, offload};
    /// use rayon::prelude::*;
    ///
    /// static IMAGES: CpuPool = CpuPool::new("images").rayon();
    ///
    /// #[offload(cpu, pool = IMAGES)]
    /// fn brighten(mut pixels: Vec<u8>) -> Vec<u8> {
    ///     pixels.par_iter_mut().for_each(|pixel| *pixel = pixel.saturating_add(16));
    ///     pixels
    /// }
    /// # assert_eq!(futures::executor::block_on(brighten(vec![250, 1])), [255, 17]);
    /// ```
    ///
    /// # Panics
    ///
    /// Of the default pool, which [`Builder`](crate::Builder) sets: in a `static`, as it is compiled.
    #[cfg(feature = "rayon")]
    pub const fn rayon(mut self) -> CpuPool {
        match &mut self.pool {
            Place::Here(pool) => pool.is_rayon = true,
            Place::There(_) => panic!("the default pools are set by `Builder`"),
        }
        self
    }

    /// The most threads, as [`threads`](Self::threads), where the number is known when the program runs:
    /// it is asked for once, when the pool has its first call, and must not call anything on that pool.
    /// A `fn` captures nothing: with a number from a local variable, make the pool by [`threads`](Self::threads)
    /// and [`leak`](Self::leak).
    ///
    /// If it gives 0 or panics, each call on the pool fails, with
    /// [`Config`](crate::ErrorKind::Config), or panics where its result cannot carry an error.
    ///
    /// ```
    /// use offload_runtime::CpuPool;
    ///
    /// static IMAGES: CpuPool = CpuPool::new("images").threads_with(|| {
    ///     std::env::var("IMAGES_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2)
    /// });
    /// # assert_eq!(IMAGES.spawn(|| 1).wait().unwrap(), 1);
    /// ```
    pub const fn threads_with(mut self, threads: fn() -> usize) -> CpuPool {
        self.pool.settings().threads_with = Some(threads);
        self
    }

    /// The size of each thread's stack, in bytes; that of the standard library unless set, which is
    /// 2 MiB; at most 64 GiB. [`Builder::thread_stack_size`](crate::Builder::thread_stack_size) says what is on it,
    /// and what is said where it overflows.
    pub const fn stack_size(mut self, bytes: usize) -> CpuPool {
        self.pool.settings().stack_size = Some(bytes);
        self
    }

    /// A function that each thread calls when it starts, before its first body. A panic in it is
    /// reported, and the thread goes on. A runtime that it enters for good is that of bodies whose callers have none.
    pub const fn on_thread_start(mut self, call: fn()) -> CpuPool {
        self.pool.settings().on_thread_start = Some(call);
        self
    }

    /// A pool that is made when the program runs, for closures; in a `static` `LazyLock`, for functions, too. It is there
    /// for good.
    ///
    /// ```
    /// use offload_runtime::CpuPool;
    ///
    /// let pool = CpuPool::new("images").threads(1).leak();
    /// assert_eq!(pool.spawn(|| 6 * 7).wait()?, 42);
    /// # Ok::<(), offload_runtime::Error>(())
    /// ```
    pub fn leak(self) -> &'static CpuPool {
        Box::leak(Box::new(self))
    }

    /// In the place of one that could not be made.
    pub(super) const fn unmade() -> CpuPool {
        let mut pool = CpuPool::new("unmade");
        pool.pool.settings().is_unmade = true;
        pool
    }

    pub(crate) const fn pool(&'static self) -> &'static Pool {
        self.pool.pool()
    }

    /// What stands for its closures that have no label.
    pub(crate) fn closures(&'static self) -> &'static Function {
        self.closures.get_or_init(|| closures_of(self.pool()))
    }
}

/// Made for each pool that asks.
fn closures_of(pool: &'static Pool) -> &'static Function {
    Box::leak(Box::new(Function::new(pool.name(), pool.kind(), pool).mixed()))
}

/// What `#[offload(thread)]` uses.
pub static THREAD: ThreadPool =
    ThreadPool { pool: Place::There(&threads::THREAD), closures: OnceLock::new() };

/// What `#[offload(cpu)]` uses.
pub static CPU: CpuPool = CpuPool { pool: Place::There(&threads::CPU), closures: OnceLock::new() };

impl Place {
    fn name(&self) -> &'static str {
        match self {
            Place::Here(pool) => pool.name(),
            Place::There(pool) => pool.name(),
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("name", &self.pool.name()).finish()
    }
}

impl fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuPool").field("name", &self.pool.name()).finish()
    }
}
