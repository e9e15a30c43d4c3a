//! Calls that are started at once, and their handles.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender, TryRecvError};
use std::task::{Context, Poll, Wake, Waker};

use futures::executor::block_on;
use offload_runtime::{
    CpuPool, Error, ErrorKind, Limiter, Ran, Started, ThreadPool, is_cancelled, offload, propagate,
    spawn_cpu, spawn_thread, to_cpu, to_thread,
};
use offload_tests::{begin, numbers, pool, soon};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

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
    let (handle, release) = held(spawn_thread);
    assert!(!handle.is_finished());
    handle.cancel();
    handle.cancel();
    assert!(!handle.is_finished(), "it runs on");
    drop(release);
    assert!(handle.wait().unwrap(), "it was not told");
    let (handle, release) = held(spawn_thread);
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
    let (mut handle, release) = held(spawn_thread);
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
    let stats = numbers("spawn_cpu");
    assert_eq!((stats.kind, stats.pool), ("cpu", "cpu"));
    assert!(stats.started > 0);
    assert_eq!(stats.abandoned, 0, "nobody abandons what was started");
}

/// Those under way, however they end, and no call that is awaited.
#[test]
fn started_calls_are_counted_until_they_end() {
    static ONE: ThreadPool = ThreadPool::new("spawned-one").threads(1).queue(3);

    let spawned = || numbers("spawned-one").spawned;
    let (held, release) = held(|body| ONE.spawn(body));
    let mut queued: Vec<_> = (0..2).map(|_| ONE.spawn(|| ())).collect();
    let mut awaited = Box::pin(ONE.run(|| ()));
    assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(ONE.spawn(|| ()).wait().unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(spawned(), 3, "one runs, and two are queued");
    queued.pop().unwrap().cancel();
    assert_eq!(spawned(), 2);
    drop(queued);
    held.cancel();
    assert_eq!(spawned(), 2, "they go on");
    drop(release);
    assert!(held.wait().unwrap());
    block_on(awaited);
    assert!(ONE.spawn(|| panic!("on purpose")).wait().is_err());
    assert_eq!(spawned(), 0);
}

#[test]
fn a_body_may_wait_for_what_it_has_started() {
    let answer = to_thread(|| spawn_thread(|| spawn_cpu(|| 8).wait().unwrap()).wait().unwrap());
    assert_eq!(block_on(pin!(answer)), 8);
}

#[test]
fn closures_run_on_the_pool_that_is_asked_and_are_counted_under_their_label() {
    static IMAGES: CpuPool = CpuPool::new("started-images").threads(1);
    static FILES: ThreadPool = ThreadPool::new("started-files").threads(1);

    let thread = || std::thread::current().name().unwrap().to_owned();
    assert!(block_on(IMAGES.run(thread)).starts_with("started-images-"));
    assert!(IMAGES.spawn(thread).wait().unwrap().starts_with("started-images-"));
    assert!(block_on(FILES.run(thread)).starts_with("started-files-"));
    assert!(FILES.spawn(thread).wait().unwrap().starts_with("started-files-"));
    for (label, kind) in [("started-images", "cpu"), ("started-files", "thread")] {
        let stats = numbers(label);
        assert_eq!((stats.started, stats.kind, stats.pool), (2, kind, label));
    }
    // Other closures with the same label are the same, and on another pool they are not.
    block_on(async {
        IMAGES.run(|| 1_u8).named("shrink").await;
        IMAGES.run(|| "text").named("shrink").await;
        FILES.run(|| ()).named("shrink").await;
        to_cpu(|| ()).named("shrink").await;
    });
    let functions = offload_runtime::stats().functions;
    let mut found: Vec<_> = functions
        .iter()
        .filter(|function| function.name == "shrink")
        .map(|function| (function.pool, function.started))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("cpu", 1), ("started-files", 1), ("started-images", 2)]);
    assert_eq!(numbers("started-images").started, 2, "those with a label are apart");
}

#[test]
fn a_queued_call_that_is_cancelled_never_runs_and_wakes_who_awaits_it() {
    static ONE: ThreadPool = ThreadPool::new("started-one").threads(1);

    let (held, release) = held(|body| ONE.spawn(body));
    let argument = Arc::new(());
    let body = Arc::clone(&argument);
    let mut queued = ONE.spawn(move || drop(body));
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut queued, &Waker::from(Arc::clone(&woken))).is_pending());
    assert!(!queued.is_finished());
    queued.cancel();
    queued.cancel();
    assert!(queued.is_finished() && woken.0.load(Ordering::SeqCst));
    let error = block_on(queued).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Cancelled, Ran::No));
    // What it would have run with is dropped, though the thread of its pool is busy.
    while Arc::strong_count(&argument) > 1 {
        std::thread::yield_now();
    }
    drop(release);
    assert!(!held.wait().unwrap());
    // The shell is behind the first, and ahead of this one.
    ONE.spawn(|| ()).wait().unwrap();
    let stats = numbers("started-one");
    assert_eq!((stats.started, stats.finished, stats.cancelled), (2, 2, 1));
    assert_eq!(pool("started-one").queued, 0);
}

#[test]
fn a_rejected_call_says_so_by_its_handle() {
    static FULL: ThreadPool = ThreadPool::new("started-full").threads(1).queue(0);

    let (held, release) = held(|body| FULL.spawn(body));
    let rejected = FULL.spawn(|| ());
    assert!(rejected.is_finished());
    rejected.cancel();
    let error = rejected.wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No));
    drop(release);
    held.wait().unwrap();
    assert_eq!(numbers("started-full").refused, 1);
}

/// The body has the only thread, and another takes its place.
#[test]
fn a_body_may_wait_for_what_it_starts_on_its_own_full_pool() {
    static NARROW: ThreadPool = ThreadPool::new("started-narrow").threads(1);
    static NARROW_CPU: CpuPool = CpuPool::new("started-narrow-cpu").threads(1);

    let answer =
        NARROW.spawn(|| NARROW.spawn(|| NARROW.spawn(|| 9).wait().unwrap()).wait().unwrap());
    assert_eq!(answer.wait().unwrap(), 9);
    let answer = NARROW_CPU.spawn(|| block_on(NARROW_CPU.spawn(|| 9)).unwrap());
    assert_eq!(answer.wait().unwrap(), 9);
}

/// What a call that was started came to, and what the awaited one of the same function does.
#[offload(thread, spawn = remove_soon)]
fn remove(path: std::path::PathBuf) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

#[tokio::test]
async fn a_function_with_spawn_is_started_by_one_name_and_awaited_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    std::fs::write(&one, "1").unwrap();
    std::fs::write(&other, "2").unwrap();
    remove_soon(one.clone()).await.unwrap().unwrap();
    assert!(!one.exists());
    remove(other.clone()).await.unwrap();
    assert!(!other.exists());
    // What the body returns stays what it is: the failures of the offload are outside of it.
    let missing: Result<std::io::Result<()>, Error> = remove_soon(one).await;
    assert_eq!(missing.unwrap().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    // They are one function in the numbers.
    let name = concat!(module_path!(), "::remove");
    let stats = offload_runtime::stats();
    let seen: Vec<_> = stats.functions.iter().filter(|function| function.name == name).collect();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].finished, 3);
}

#[offload(thread, spawn = clear_soon)]
fn clear(path: std::path::PathBuf) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        clear_soon(std::mem::take(&mut self.0));
    }
}

#[test]
fn a_destructor_starts_a_function_also_while_its_thread_unwinds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scratch");
    std::fs::write(&path, "1").unwrap();
    let scratch = Scratch(path.clone());
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _scratch = scratch;
        panic!("unlucky");
    }));
    assert!(unwound.is_err());
    while path.exists() {
        std::thread::yield_now();
    }
}

static IN_TURN: ThreadPool = ThreadPool::new("started-in-turn").threads(1);

#[offload(thread, pool = IN_TURN)]
fn write(lines: Sender<&'static str>) {
    lines.send("stored").unwrap();
}

/// Who replaces `spawn_blocking` by a call and reads before the call is polled waits for ever.
#[tokio::test]
async fn a_call_that_is_stored_fills_no_channel_and_what_was_spawned_does() {
    let (lines, read) = mpsc::channel();
    let line = lines.clone();
    let spawned = spawn_blocking(move || line.send("spawned").unwrap());
    assert_eq!(soon(&read), "spawned");
    spawned.await.unwrap();
    let line = lines.clone();
    let stored = (write(lines), IN_TURN.run(move || line.send("stored").unwrap()));
    // Were they started, they would be ahead of this one.
    IN_TURN.spawn(|| ()).await.unwrap();
    assert_eq!(read.try_recv(), Err(TryRecvError::Empty));
    futures::join!(stored.0, stored.1);
    assert_eq!(read.iter().collect::<Vec<_>>(), ["stored"; 2]);
}

#[offload(thread, pool = IN_TURN)]
fn fetch(page: u32, _permit: OwnedSemaphorePermit) -> u32 {
    page
}

/// Who replaces `spawn_blocking` by calls, and takes each permit before the next call is collected, waits for ever.
#[tokio::test]
async fn calls_that_are_stored_give_no_permits_back_and_what_was_spawned_does() {
    let turns = Arc::new(Semaphore::new(2));
    let turn = || Arc::clone(&turns).acquire_owned();
    let mut spawned = Vec::new();
    for page in 0..4 {
        let permit = turn().await.unwrap();
        spawned.push(spawn_blocking(move || (page, permit).0));
    }
    for (page, spawned) in spawned.into_iter().enumerate() {
        assert_eq!(spawned.await.unwrap(), page);
    }
    let (first, second) = (turn().await.unwrap(), turn().await.unwrap());
    let stored = [fetch(0, first), fetch(1, second)];
    let mut third = begin(turn());
    // Were they started, they would be ahead of this one.
    IN_TURN.spawn(|| ()).await.unwrap();
    assert!(offload_tests::poll(&mut third).is_pending());
    assert_eq!(futures::future::join_all(stored).await, [0, 1]);
    drop(third.await.unwrap());
}

/// As many as the machine has cores.
static CORES: std::sync::LazyLock<Limiter> = std::sync::LazyLock::new(|| {
    Limiter::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
});

static BROKEN: std::sync::LazyLock<Limiter> = std::sync::LazyLock::new(|| panic!("unlucky"));

#[offload(cpu, limit = CORES)]
fn within(n: u8) -> u8 {
    n
}

#[offload(cpu, limit = BROKEN)]
fn never(n: u8) -> Result<u8, Error> {
    Ok(n)
}

#[test]
fn a_limiter_may_be_made_when_the_program_runs_and_one_that_cannot_be_is_a_setting_that_makes_no_sense()
 {
    assert_eq!(block_on(within(1)), 1);
    for _ in 0..2 {
        assert_eq!(block_on(never(1)).unwrap_err().kind(), ErrorKind::Config);
    }
}
