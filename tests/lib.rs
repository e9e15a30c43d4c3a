//! Behaviour of offload-runtime through the public macro; and here, what its tests have in common.

use std::env;
use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use offload_runtime::{FunctionStats, PoolStats, WorkerStats, offload, stats};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The README's code, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// How long a test waits for something before it fails. What comes at all comes much sooner, but on a
/// machine with many times more to do than it can.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Looks again and again until something is so that nothing reports.
pub fn settle(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What comes through a channel.
pub fn soon<T>(channel: &Receiver<T>) -> T {
    channel.recv_timeout(PATIENCE).expect("it has to happen")
}

/// The same, or nothing, if nobody can send it any more: as the body that would is too late to begin.
pub fn soon_unless_gone<T>(channel: &Receiver<T>) -> Option<T> {
    match channel.recv_timeout(PATIENCE) {
        Ok(value) => Some(value),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("it has to happen"),
    }
}

/// A call on the heap, polled once, so that it is on its way.
#[track_caller]
pub fn begin<F: Future>(call: F) -> Pin<Box<F>> {
    let mut call = Box::pin(call);
    assert!(poll(&mut call).is_pending(), "it has its answer already");
    call
}

/// Polls without being woken.
pub fn poll<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A subscriber that does this when the span of a call is made, and otherwise nothing. It allocates nothing.
pub struct AtSpan<F>(pub F);

impl<F: Fn() + Send + Sync + 'static> Subscriber for AtSpan<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "offload"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        (self.0)();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What code that is not the runtime's does where a call runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It panics.
    Panic,
    /// It sleeps for 50 ms, and so blocks the thread that it runs on.
    Block,
    /// It calls `stats()`, then starts an offloaded function and waits for that.
    CallBack,
}

impl Deed {
    /// One after the other.
    pub const ALL: [Deed; 3] = [Deed::Panic, Deed::Block, Deed::CallBack];

    /// Here.
    pub fn happens(self) {
        match self {
            Deed::Panic => panic!("on purpose"),
            Deed::Block => thread::sleep(Duration::from_millis(50)),
            Deed::CallBack => {
                drop(stats());
                assert_eq!(call_back().wait().unwrap(), 7);
            }
        }
    }
}

#[offload(thread, spawn = call_back)]
fn called_back() -> u32 {
    7
}

/// Waits until nothing is left of the calls of a function, and each has one end.
pub fn adds_up(name: &str) {
    settle("the counts add up", || {
        let numbers = numbers(name);
        let FunctionStats { finished, panicked, died, killed, failed, .. } = &numbers;
        let ended = finished + panicked + died + killed + failed;
        numbers.started == ended && numbers.running + numbers.waiting + numbers.spawned == 0
    });
}

/// Says that this test is not run here, and why: past the capture of its output, and once more at the
/// end of `.ci/run`.
pub fn skipped(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {}\n", why.trim());
    io::stderr().write_all(line.as_bytes()).expect("stderr takes it");
    if let Some(list) = env::var_os("OFFLOAD_SKIPPED") {
        let list = OpenOptions::new().append(true).create(true).open(list);
        let noted = list.and_then(|mut list| list.write_all(line.as_bytes()));
        noted.expect("the list of what is skipped takes it");
    }
}

/// The numbers of one function.
pub fn numbers(name: &str) -> FunctionStats {
    stats().functions.into_iter().find(|function| function.name == name).expect("it was called")
}

/// The numbers of one pool.
pub fn pool(name: &str) -> PoolStats {
    stats().pools.into_iter().find(|pool| pool.name == name).expect("it was used")
}

/// The numbers of the workers of one pool.
pub fn workers(name: &str) -> WorkerStats {
    pool(name).workers.expect("it is a pool of processes")
}

/// Whether a process with this number runs: it is there, and no zombie.
pub fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Whether a process with this number is there, as a zombie at least.
pub fn is_there(pid: u32) -> bool {
    state(pid).is_some()
}

fn state(pid: u32) -> Option<char> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have spaces and parentheses.
    line.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The processes that this one started and that are not reaped.
pub fn children() -> Vec<u32> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").expect("this is Linux");
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| parent(*pid) == Some(own)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
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
    let mut command = Command::new(env::current_exe().expect("a test knows its program"));
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
