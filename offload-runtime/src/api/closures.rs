//! Closures on the default pools.

use super::pools::{CPU, THREAD};
use crate::call::Call;
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
/// The same as calling a function with `#[offload(cpu)]`. Nothing happens
/// before the first poll; it works on any executor.
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
