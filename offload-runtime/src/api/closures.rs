//! Closures on the default pools.

use super::pools::{CPU, THREAD};
use crate::call::Call;
use crate::call::started::{self, Started};
use crate::function::Function;

static TO_THREAD: Function = Function::thread("to_thread", &THREAD).mixed();
static TO_CPU: Function = Function::cpu("to_cpu", &CPU).mixed();

/// Runs a closure that waits (for files, locks, drivers without async) on the
/// thread pool, and returns what it returns.
///
/// The same as calling a function with `#[offload(thread)]`. Nothing happens
/// before the first poll; it works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload.
///
/// # Cancel safety
///
/// Dropped while it waits for a thread, the closure never runs. Dropped while
/// the closure runs, the closure runs to its end on the pool, and its result
/// is dropped there.
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
/// The same as calling a function with `#[offload(cpu)]`. Nothing happens
/// before the first poll; it works on any executor.
///
/// # Panics
///
/// A panic of the closure resumes in the task that awaits it, with its own
/// payload.
///
/// # Cancel safety
///
/// Dropped while it waits for a thread, the closure never runs. Dropped while
/// the closure runs, the closure runs to its end on the pool, and its result
/// is dropped there.
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
/// From anywhere: a handler, synchronous code, a destructor, also while the thread unwinds. The
/// [`Started`] need not be kept.
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
/// From anywhere: a handler, synchronous code, a destructor, also while the thread unwinds. The
/// [`Started`] need not be kept.
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
