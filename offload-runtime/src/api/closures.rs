//! Closures on pools.

use super::pools::{CPU, CpuPool, THREAD, ThreadPool};
use crate::call::Call;
use crate::call::started::{self, Started};
use crate::function::Function;

static TO_THREAD: Function = Function::thread("to_thread", &THREAD).mixed();
static TO_CPU: Function = Function::cpu("to_cpu", &CPU).mixed();

/// Runs a closure that waits (for files, locks, drivers without async) on the
/// thread pool, and returns what it returns.
///
/// The same as calling a function with `#[offload(thread)]`. The closure is moved to the heap when this is
/// called; nothing else happens before the first poll of the future. It works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload. As nothing here can carry an [`Error`](crate::Error), it also panics after
/// [`shutdown`](crate::shutdown), where the pool's queue has a bound and is full, and for a setting
/// that makes no sense.
///
/// # Cancel safety
///
/// Dropped while it is queued, the closure never runs, its place in the queue is free at once, and
/// what it holds is dropped by a thread of the thread pool. Dropped while the closure runs, the
/// closure runs to its end on the pool, where its result is dropped, and
/// [`is_cancelled`](crate::is_cancelled) is true for it.
///
/// ```
/// # futures::executor::block_on(async {
/// let host = offload_runtime::to_thread(|| std::fs::read_to_string("/etc/hostname")).await;
/// # let _ = host;
/// # });
/// ```
pub fn to_thread<F, T>(closure: F) -> Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Call::new(&TO_THREAD, closure)
}

/// Runs a closure that computes on the CPU pool, and returns what it returns.
///
/// The same as calling a function with `#[offload(cpu)]`. The closure is moved to the heap when this is
/// called; nothing else happens before the first poll of the future. It works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload. As nothing here can carry an [`Error`](crate::Error), it also panics after
/// [`shutdown`](crate::shutdown), where the pool's queue has a bound and is full, and for a setting
/// that makes no sense.
///
/// # Cancel safety
///
/// Dropped while it is queued, the closure never runs, its place in the queue is free at once, and
/// what it holds is dropped by a thread of the thread pool. Dropped while the closure runs, the
/// closure runs to its end on the pool, where its result is dropped, and
/// [`is_cancelled`](crate::is_cancelled) is true for it.
///
/// ```
/// # futures::executor::block_on(async {
/// let sum = offload_runtime::to_cpu(|| (0..1_000_000_u64).map(u64::isqrt).sum::<u64>()).await;
/// assert_eq!(sum, 666_166_500);
/// # });
/// ```
pub fn to_cpu<F, T>(closure: F) -> Call<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Call::new(&TO_CPU, closure)
}

static SPAWN_THREAD: Function = Function::thread("spawn_thread", &THREAD).mixed();
static SPAWN_CPU: Function = Function::cpu("spawn_cpu", &CPU).mixed();

/// Starts a closure that waits on the thread pool, at once.
///
/// It may be called from anywhere: a handler, synchronous code, a destructor, also while the thread unwinds. It never
/// panics: if the call is rejected, or the closure panics, that is the [`Error`](crate::Error) which the
/// handle gives.
///
/// # Cancel safety
///
/// The [`Started`] need not be kept: if it is dropped, the closure still runs to its end, and its result is
/// dropped on a thread of a pool.
///
/// ```
/// use offload_runtime::spawn_thread;
///
/// struct Scratch(std::path::PathBuf);
///
/// impl Drop for Scratch {
///     fn drop(&mut self) {
///         let path = std::mem::take(&mut self.0);
///         spawn_thread(move || std::fs::remove_dir_all(path));
///     }
/// }
/// # let path = std::env::temp_dir().join(format!("offload-scratch-{}", std::process::id()));
/// # std::fs::create_dir(&path).unwrap();
/// # drop(Scratch(path.clone()));
/// # while path.exists() { std::thread::yield_now(); }
/// ```
pub fn spawn_thread<F, T>(closure: F) -> Started<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    started::start(&SPAWN_THREAD, closure)
}

/// Starts a closure that computes on the CPU pool, at once.
///
/// It may be called from anywhere: a handler, synchronous code, a destructor, also while the thread unwinds. It never
/// panics: if the call is rejected, or the closure panics, that is the [`Error`](crate::Error) which the
/// handle gives.
///
/// # Cancel safety
///
/// The [`Started`] need not be kept: if it is dropped, the closure still runs to its end, and its result is
/// dropped on a thread of a pool.
///
/// ```
/// let started = offload_runtime::spawn_cpu(|| (0..1_000_000_u64).map(u64::isqrt).sum::<u64>());
/// // … something else, and then:
/// assert_eq!(started.wait()?, 666_166_500);
/// # Ok::<(), offload_runtime::Error>(())
/// ```
pub fn spawn_cpu<F, T>(closure: F) -> Started<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    started::start(&SPAWN_CPU, closure)
}

impl ThreadPool {
    /// Runs a closure on this pool, and returns what it returns: as
    /// [`to_thread`](to_thread) does on the default one. Its label is the name of the pool, or what
    /// [`named`](Call::named) gives it. The closure may outlive every local
    /// variable, so the pool is a `static`, or there for good by [`leak`](Self::leak).
    ///
    /// # Panics
    ///
    /// As [`to_thread`](to_thread): when it is polled, if the closure panics, or if the call is rejected, as on a pool that
    /// is [closed](Self::close) or whose [`queue`](Self::queue) is full.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it is queued, the closure never runs. Dropped while it runs, the closure goes on, and
    /// [`is_cancelled`](crate::is_cancelled) is true for it.
    ///
    /// ```
    /// use offload_runtime::ThreadPool;
    ///
    /// static REPORTS: ThreadPool = ThreadPool::new("reports").threads(1);
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(REPORTS.run(|| 6 * 7).named("answer").await, 42);
    /// # });
    /// ```
    pub fn run<F, T>(&'static self, closure: F) -> Call<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Call::new(self.closures(), closure)
    }

    /// Starts a closure on this pool, at once: as [`spawn_thread`](spawn_thread) does on the default
    /// one. It never panics; but where the pool is in a `LazyLock` whose closure does, that unwinds here, before
    /// there is a pool to ask: what can fail goes into [`threads_with`](Self::threads_with).
    ///
    /// # Cancel safety
    ///
    /// If the handle is dropped, the closure still runs to its end.
    ///
    /// ```
    /// use offload_runtime::ThreadPool;
    ///
    /// static REPORTS: ThreadPool = ThreadPool::new("reports").threads(1);
    ///
    /// assert_eq!(REPORTS.spawn(|| 6 * 7).wait()?, 42);
    /// # Ok::<(), offload_runtime::Error>(())
    /// ```
    pub fn spawn<F, T>(&'static self, closure: F) -> Started<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        started::start(self.closures(), closure)
    }
}

impl CpuPool {
    /// Runs a closure on this pool, and returns what it returns: as
    /// [`to_cpu`](to_cpu) does on the default one. Its label is the name of the pool, or what
    /// [`named`](Call::named) gives it. The closure may outlive every local
    /// variable, so the pool is a `static`, or there for good by [`leak`](Self::leak).
    ///
    /// # Panics
    ///
    /// As [`to_cpu`](to_cpu): when it is polled, if the closure panics, or if the call is rejected, as on a pool that
    /// is [closed](Self::close) or whose [`queue`](Self::queue) is full.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it is queued, the closure never runs. Dropped while it runs, the closure goes on, and
    /// [`is_cancelled`](crate::is_cancelled) is true for it.
    ///
    /// ```
    /// use offload_runtime::CpuPool;
    ///
    /// static IMAGES: CpuPool = CpuPool::new("images").threads(1);
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(IMAGES.run(|| 6 * 7).named("answer").await, 42);
    /// # });
    /// ```
    pub fn run<F, T>(&'static self, closure: F) -> Call<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Call::new(self.closures(), closure)
    }

    /// Starts a closure on this pool, at once: as [`spawn_cpu`](spawn_cpu) does on the default
    /// one. It never panics; but where the pool is in a `LazyLock` whose closure does, that unwinds here, before
    /// there is a pool to ask: what can fail goes into [`threads_with`](Self::threads_with).
    ///
    /// # Cancel safety
    ///
    /// If the handle is dropped, the closure still runs to its end.
    ///
    /// ```
    /// use offload_runtime::CpuPool;
    ///
    /// static IMAGES: CpuPool = CpuPool::new("images").threads(1);
    ///
    /// assert_eq!(IMAGES.spawn(|| 6 * 7).wait()?, 42);
    /// # Ok::<(), offload_runtime::Error>(())
    /// ```
    pub fn spawn<F, T>(&'static self, closure: F) -> Started<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        started::start(self.closures(), closure)
    }
}
