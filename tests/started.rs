//! Calls that are started at once, and their handles.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{
    Error, ErrorKind, FunctionStats, Ran, Started, is_cancelled, propagate, spawn_cpu,
    spawn_thread, to_thread,
};
use tokio::runtime::{Builder, Handle};

/// So long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes through a channel.
fn soon<T>(channel: &Receiver<T>) -> T {
    channel.recv_timeout(PATIENCE).expect("it has to happen")
}

/// A body that has started, and ends when the sender does. It gives what `is_cancelled` says then.
fn held(
    start: impl FnOnce(Box<dyn FnOnce() -> bool + Send>) -> Started<bool>,
) -> (Started<bool>, Sender<()>) {
    let (started, start_seen) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let handle = start(Box::new(move || {
        started.send(()).unwrap();
        let _ = gate.recv();
        is_cancelled()
    }));
    soon(&start_seen);
    (handle, release)
}

fn stats_of(label: &str) -> FunctionStats {
    let functions = offload_runtime::stats().functions;
    functions.into_iter().find(|function| function.name == label).unwrap()
}

#[test]
fn a_started_call_runs_though_nobody_polls_it() {
    let (done, end) = mpsc::channel();
    let too = done.clone();
    let kept = spawn_thread(move || done.send("thread").unwrap());
    assert_eq!(soon(&end), "thread");
    drop(spawn_cpu(move || too.send("cpu").unwrap()));
    assert_eq!(soon(&end), "cpu");
    kept.wait().unwrap();
}

#[test]
fn a_handle_gives_what_the_body_returns_with_and_without_a_runtime() {
    assert_eq!(spawn_cpu(|| 1 + 1).wait().unwrap(), 2);
    assert_eq!(block_on(spawn_thread(|| "text".to_owned())).unwrap(), "text");
    for runtime in [Builder::new_current_thread().build(), Builder::new_multi_thread().build()] {
        let runtime = runtime.unwrap();
        let entered = runtime.block_on(async { spawn_thread(Handle::current).await.unwrap() });
        assert_eq!(entered.id(), runtime.handle().id());
    }
}

/// The outer error is of the offload alone.
#[test]
fn an_error_of_the_body_is_a_result_like_any_other() {
    let failed = spawn_thread(|| std::fs::read("/nowhere/at/all")).wait().unwrap();
    assert_eq!(failed.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_panic_of_the_body_is_an_error_with_its_text_and_its_payload() {
    let started: [Started<()>; 3] = [
        spawn_thread(|| panic!("it is {}", "broken")),
        spawn_cpu(|| panic!("broken")),
        spawn_cpu(|| std::panic::panic_any(7_u8)),
    ];
    let texts = ["it is broken", "broken", "with a payload that is no text"];
    for (handle, text) in started.into_iter().zip(texts) {
        let error = block_on(handle).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
        assert!(error.to_string().ends_with(&format!("panicked: {text}")), "{error}");
        let clone = error.clone();
        let payload = error.into_panic().unwrap();
        assert!(payload.is::<u8>() || payload.is::<String>() || payload.is::<&str>());
        let error = clone.into_panic().expect_err("it was given away");
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }
}

#[test]
fn a_running_body_is_told_that_it_was_cancelled_and_gives_its_result() {
    let (handle, release) = held(|body| spawn_thread(body));
    assert!(!handle.is_finished());
    handle.cancel();
    handle.cancel();
    assert!(!handle.is_finished(), "it runs on");
    drop(release);
    assert!(handle.wait().unwrap(), "it was not told");
    let (handle, release) = held(|body| spawn_thread(body));
    drop(release);
    assert!(!handle.wait().unwrap(), "nobody cancelled this one");
}

#[test]
fn to_cancel_what_has_ended_changes_nothing() {
    let handle = spawn_cpu(|| 3);
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    handle.cancel();
    assert_eq!(handle.wait().unwrap(), 3);
}

#[test]
fn a_body_whose_handle_was_dropped_is_not_cancelled() {
    let (told, tell) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    drop(spawn_thread(move || {
        let _ = gate.recv();
        told.send(is_cancelled()).unwrap();
    }));
    drop(release);
    assert!(!soon(&tell));
}

struct StartsWhenDropped(Sender<&'static str>);

impl Drop for StartsWhenDropped {
    fn drop(&mut self) {
        let done = self.0.clone();
        spawn_thread(move || done.send("cleaned up").unwrap());
    }
}

#[test]
fn a_destructor_starts_one_also_while_it_unwinds() {
    let (done, end) = mpsc::channel();
    let guard = StartsWhenDropped(done);
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        panic!("on purpose");
    }));
    unwound.unwrap_err();
    assert_eq!(soon(&end), "cleaned up");
}

/// Its clone panics when it is told to.
struct Fragile(&'static AtomicBool);

impl Clone for Fragile {
    fn clone(&self) -> Fragile {
        assert!(!self.0.load(Ordering::Relaxed), "a clone that fails");
        Fragile(self.0)
    }
}

tokio::task_local! {
    static TENANT: &'static str;
    static FRAGILE: Fragile;
}

/// Also a panic in what is foreign to the start of a call.
#[test]
fn starting_never_panics() {
    static BREAKS: AtomicBool = AtomicBool::new(true);
    propagate(&FRAGILE);
    let dropped = Arc::new(());
    let body = Arc::clone(&dropped);
    let handle = FRAGILE.sync_scope(Fragile(&BREAKS), || spawn_thread(move || drop(body)));
    assert_eq!(Arc::strong_count(&dropped), 1, "the body is gone");
    let error = handle.wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().ends_with("a clone that fails"), "{error}");
}

#[test]
fn the_context_is_that_of_the_start_and_not_that_of_the_wait() {
    propagate(&TENANT);
    let handle = TENANT.sync_scope("at the start", || spawn_cpu(|| TENANT.get()));
    let seen = TENANT.scope("at the wait", handle);
    assert_eq!(block_on(seen).unwrap(), "at the start");
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn poll<T: Send + 'static>(handle: &mut Started<T>, waker: &Waker) -> Poll<Result<T, Error>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_handle_wakes_the_task_that_polled_it_last() {
    let (mut handle, release) = held(|body| spawn_thread(body));
    let (first, last) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    for woken in [&first, &last] {
        assert!(poll(&mut handle, &Waker::from(Arc::clone(woken))).is_pending());
    }
    drop(release);
    while !last.0.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    assert!(!first.0.load(Ordering::SeqCst));
    assert!(poll(&mut handle, Waker::noop()).is_ready());
}

/// A handle may be moved, shared and polled wherever it is, whatever the body returns.
#[test]
fn a_handle_is_send_and_sync_and_unpin() {
    fn is_all<T: Send + Sync + Unpin + std::panic::UnwindSafe>(_: &T) {}
    let handle = spawn_cpu(|| Cell::new(5));
    is_all(&handle);
    assert_eq!(handle.wait().unwrap().get(), 5);
}

/// What it holds counts, and no call that merely stands beside it.
#[test]
fn started_calls_are_in_the_numbers() {
    spawn_cpu(|| ()).wait().unwrap();
    let stats = stats_of("spawn_cpu");
    assert_eq!((stats.kind, stats.pool), ("cpu", "cpu"));
    assert!(stats.started > 0);
    assert_eq!(stats.abandoned, 0, "nobody abandons what was started");
}

#[test]
fn a_body_may_wait_for_what_it_has_started() {
    let answer = to_thread(|| spawn_thread(|| spawn_cpu(|| 8).wait().unwrap()).wait().unwrap());
    assert_eq!(block_on(pin!(answer)), 8);
}
