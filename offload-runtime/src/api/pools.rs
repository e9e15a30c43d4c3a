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
/// Up to the number of cores, a thread is started for each call that finds none free. Beyond, while
/// calls wait, the pool is looked at each millisecond: if no body has ended, as many threads are added
/// as there are, up to what waits; if the call that waits longest has waited for 10 ms, one is
/// added. So calls that block get a thread each in a few milliseconds, and a burst of short ones
/// starts none. Idle threads with low numbers are woken first, so those that are not needed stay
/// idle, and end.
///
/// There are never more threads than the limit for calls that a runtime polls. A body that blocks on
/// calls of its own pool has one thread in its place, whatever the limit; but if what it waits for
/// is called by a task that it spawned, and the pool is at its limit, both wait for ever. A
/// [`CpuPool`] gets through that, too.
pub struct ThreadPool {
    pool: Place,
    /// What stands for its closures that have no label.
    closures: OnceLock<&'static Function>,
}

/// A pool for bodies that compute: as many threads as this process has cores.
///
/// Functions with `#[offload(cpu)]` share one; with `pool`, they get another.
/// It is made in a `static`, and started at its first call.
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

    /// At most so many threads; 512 unless set.
    ///
    /// # Panics
    ///
    /// If `threads` is 0; in a `static`, that is a compile error.
    pub const fn threads(mut self, threads: usize) -> ThreadPool {
        assert!(threads > 0, "a pool needs at least 1 thread");
        self.pool.settings().threads = Some(threads);
        self
    }

    /// At most so many calls wait for a thread, not counting those that a free
    /// thread is about to take. One more is refused, with
    /// [`Overloaded`](crate::ErrorKind::Overloaded); so only functions whose
    /// result can carry an [`Error`](crate::Error) should use such a pool: others panic then.
    pub const fn queue(mut self, calls: usize) -> ThreadPool {
        self.pool.settings().queue = Some(calls);
        self
    }

    /// How long a thread stays idle before it ends; 10 s unless set.
    pub const fn keep_alive(mut self, time: Duration) -> ThreadPool {
        self.pool.settings().keep_alive = Some(time);
        self
    }

    /// How the system's scheduler treats its threads; [`Normal`](Priority::Normal) unless set.
    pub const fn priority(mut self, priority: Priority) -> ThreadPool {
        self.pool.settings().priority = Some(priority);
        self
    }

    /// As [`threads`](Self::threads), of a number that is known when the program runs: it is asked
    /// for once, when the pool has its first call, and must not call anything on that pool.
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
    /// 2 MiB.
    pub const fn stack_size(mut self, bytes: usize) -> ThreadPool {
        self.pool.settings().stack_size = Some(bytes);
        self
    }

    /// Each thread calls this when it starts, before its first body. A panic in it is reported, and
    /// the thread goes on.
    pub const fn on_thread_start(mut self, call: fn()) -> ThreadPool {
        self.pool.settings().on_thread_start = Some(call);
        self
    }

    /// A pool that is made when the program runs, for closures. It is there for good.
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

    /// So many threads; as many as the cores that this process may use, unless
    /// set.
    ///
    /// # Panics
    ///
    /// If `threads` is 0; in a `static`, that is a compile error.
    pub const fn threads(mut self, threads: usize) -> CpuPool {
        assert!(threads > 0, "a pool needs at least 1 thread");
        self.pool.settings().threads = Some(threads);
        self
    }

    /// At most so many calls wait for a thread, not counting those that a free
    /// thread is about to take. One more is refused, with
    /// [`Overloaded`](crate::ErrorKind::Overloaded); so only functions whose
    /// result can carry an [`Error`](crate::Error) should use such a pool: others panic then.
    pub const fn queue(mut self, calls: usize) -> CpuPool {
        self.pool.settings().queue = Some(calls);
        self
    }

    /// How the system's scheduler treats its threads; [`Low`](Priority::Low) unless set here, by
    /// [`Builder::cpu_priority`](crate::Builder::cpu_priority) or in the environment.
    pub const fn priority(mut self, priority: Priority) -> CpuPool {
        self.pool.settings().priority = Some(priority);
        self
    }

    /// Its threads are those of a rayon pool of its own: what a body does in
    /// parallel, with `par_iter` or `join`, stays on them, and at their
    /// priority. Feature `rayon`.
    ///
    /// Without it, such a body uses rayon's global pool, as any other thread: so
    /// as many threads again compete for the cores, and, if it is the first to
    /// use that pool, they get its priority.
    ///
    /// A thread whose body waits for its parallel parts starts no other body
    /// meanwhile. Two things stay outside: a call that blocks a body of its own
    /// full pool runs on a thread beside the pool, from where `par_iter` uses
    /// rayon's global pool; and if the system refuses rayon its threads, the pool
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
    #[cfg(feature = "rayon")]
    pub const fn rayon(mut self) -> CpuPool {
        match &mut self.pool {
            Place::Here(pool) => pool.is_rayon = true,
            Place::There(_) => panic!("the default pools are set by `Builder`"),
        }
        self
    }

    /// As [`threads`](Self::threads), of a number that is known when the program runs: it is asked
    /// for once, when the pool has its first call, and must not call anything on that pool.
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
    /// 2 MiB.
    pub const fn stack_size(mut self, bytes: usize) -> CpuPool {
        self.pool.settings().stack_size = Some(bytes);
        self
    }

    /// Each thread calls this when it starts, before its first body. A panic in it is reported, and
    /// the thread goes on.
    pub const fn on_thread_start(mut self, call: fn()) -> CpuPool {
        self.pool.settings().on_thread_start = Some(call);
        self
    }

    /// A pool that is made when the program runs, for closures. It is there for good.
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

impl Function {
    /// A function of the kind `thread`.
    pub const fn thread(name: &'static str, pool: &'static ThreadPool) -> Function {
        Function::new(name, "thread", pool.pool())
    }

    /// A function of the kind `cpu`.
    pub const fn cpu(name: &'static str, pool: &'static CpuPool) -> Function {
        Function::new(name, "cpu", pool.pool())
    }
}

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
