//! Behaviour of offload-runtime through the public macro; and here, what its tests have in common.

use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use offload_runtime::{FunctionStats, PoolStats, stats};

/// The README's code, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// How long a test waits for something before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until something is so that nothing reports.
pub fn settle(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A call on the heap, polled once, so that it is on its way.
pub fn begin<F: Future>(call: F) -> Pin<Box<F>> {
    let mut call = Box::pin(call);
    assert!(poll(&mut call).is_pending(), "it has its answer already");
    call
}

/// Polls without being woken.
pub fn poll<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The numbers of one function.
pub fn numbers(name: &str) -> FunctionStats {
    stats().functions.into_iter().find(|function| function.name == name).expect("it was called")
}

/// The numbers of one pool.
pub fn pool(name: &str) -> PoolStats {
    stats().pools.into_iter().find(|pool| pool.name == name).expect("it was used")
}

/// For tests of one file of which one runs at a time. The default pools are shared by all of them: one that keeps
/// their threads busy, or counts what they do, has to be the only one.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test of the same program, by its path, in a process of its own, which runs no other. Where that is a test
/// for such a process only, it is `#[ignore]`d, and runs all the same.
pub fn own_process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its program"));
    command.args(["--exact", test, "--include-ignored", "--nocapture"]);
    command
}

/// Runs such a process, whose test has to pass. What it has printed.
pub fn passes(process: &mut Command) -> String {
    let output = process.output().expect("the program of this test can be started again");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // Only the end of a long text is shown.
    let end = &text[text.floor_char_boundary(text.len().saturating_sub(5000))..];
    assert!(output.status.success() && text.contains("1 passed"), "{}: {end}", output.status);
    text.into_owned()
}
