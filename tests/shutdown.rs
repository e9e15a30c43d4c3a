//! `shutdown` is for the whole process, so each of its tests has one.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{LocalBoxFuture, join_all};
use offload_runtime::{
    Error, ErrorKind, Ran, Resource, SharedResource, ThreadPool, ThreadResource, is_cancelled,
    offload, shutdown, spawn_cpu, spawn_thread,
};
use offload_tests::{PATIENCE, own_process};
use tokio::runtime::Builder;

/// Runs a test of this file in a process of its own.
fn passes(test: &str) {
    offload_tests::passes(&mut own_process(test));
}

#[offload(thread)]
fn fallible() -> Result<(), Error> {
    Ok(())
}

#[offload(cpu)]
fn infallible() {}

/// Waits for a message, or until its sender is gone.
#[offload(thread, queue = 1000)]
fn wait(started: mpsc::Sender<()>, go_on: mpsc::Receiver<()>) -> Result<bool, Error> {
    started.send(()).unwrap();
    let _ = go_on.recv();
    Ok(is_cancelled())
}

/// A call that runs, on a thread that polls it, and what lets it go on.
fn running() -> (std::thread::JoinHandle<Result<bool, Error>>, mpsc::Sender<()>) {
    let (started, start) = mpsc::channel();
    let (go_on, held) = mpsc::channel();
    let call = std::thread::spawn(move || block_on(wait(started, held)));
    start.recv_timeout(PATIENCE).unwrap();
    (call, go_on)
}

#[test]
fn new_calls_are_rejected() {
    passes("child_rejects_new_calls");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_rejects_new_calls() {
    static LATE: ThreadPool = ThreadPool::new("late");

    #[offload(thread, pool = LATE)]
    fn in_a_pool_that_was_never_used() -> Result<(), Error> {
        Ok(())
    }

    block_on(fallible()).unwrap();
    // The thread of the call above may still be about to note its end.
    assert_eq!(block_on(shutdown(PATIENCE)).abandoned, 0);
    for error in [block_on(fallible()), block_on(in_a_pool_that_was_never_used())] {
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No));
    }
    let panic = block_on(std::panic::AssertUnwindSafe(infallible()).catch_unwind()).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("the process is shutting down"), "{message}");
    // Once more does no harm.
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 0);
}

#[test]
fn running_and_waiting_calls_have_their_grace() {
    passes("child_gives_grace");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_gives_grace() {
    static ONE: ThreadPool = ThreadPool::new("one").threads(1);

    #[offload(thread, pool = ONE, queue = 100, spawn = after_soon)]
    fn after(gate: std::sync::Arc<std::sync::Barrier>) -> Result<(), Error> {
        gate.wait();
        // A call from a body that has grace has grace too.
        block_on(fallible())
    }

    let (call, go_on) = running();
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let queued: Vec<_> = (0..3)
        .map(|_| {
            let mut call = Box::pin(after(gate.clone()));
            assert!((&mut call).now_or_never().is_none());
            call
        })
        .collect();
    let started = after_soon(gate.clone());
    let closure = ONE.spawn({
        let gate = gate.clone();
        move || gate.wait().is_leader()
    });
    let closing = std::thread::spawn(|| block_on(shutdown(PATIENCE)));
    while block_on(fallible()).is_ok() {
        std::thread::yield_now();
    }
    assert!(!closing.is_finished());
    for _ in 0..5 {
        gate.wait();
    }
    started.wait().unwrap().unwrap();
    closure.wait().unwrap();
    go_on.send(()).unwrap();
    assert!(!call.join().unwrap().unwrap(), "it was cancelled");
    for answer in block_on(join_all(queued)) {
        answer.unwrap();
    }
    let report = closing.join().unwrap();
    assert_eq!(report.abandoned, 0);
    assert!(report.finished >= 6, "{report:?}");
}

#[test]
fn what_is_left_after_the_grace_is_reported_and_told() {
    passes("child_abandons");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_abandons() {
    static ONE: ThreadPool = ThreadPool::new("one").threads(1);

    #[offload(thread, pool = ONE, queue = 100, spawn = spin_soon)]
    fn spin(started: mpsc::Sender<()>) -> Result<bool, Error> {
        started.send(()).unwrap();
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        Ok(true)
    }

    #[offload(thread, limit = 1, queue = 100)]
    fn in_line(started: mpsc::Sender<()>) -> Result<bool, Error> {
        started.send(()).unwrap();
        while !is_cancelled() {
            std::thread::yield_now();
        }
        Ok(true)
    }

    let (started, start) = mpsc::channel();
    let mut calls: Vec<LocalBoxFuture<'static, Result<bool, Error>>> = Vec::new();
    for _ in 0..3 {
        calls.push(Box::pin(spin(started.clone())));
        calls.push(Box::pin(in_line(started.clone())));
    }
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    for _ in 0..2 {
        start.recv_timeout(PATIENCE).unwrap();
    }
    let queued = spin_soon(started.clone());
    let closure = ONE.spawn(|| unreachable!("its pool has one thread"));
    drop(ONE.spawn(|| unreachable!("its pool has one thread")));
    let begun = Instant::now();
    let report = block_on(shutdown(Duration::from_millis(50)));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!((report.finished, report.abandoned), (0, 9));
    let closure: Result<(), Error> = closure.wait();
    for error in [queued.wait().map(drop).unwrap_err(), closure.unwrap_err()] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No));
    }
    // Who never looks at a refusal has cancelled.
    drop(calls.pop());
    let answers = block_on(join_all(calls));
    let told = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
    assert_eq!(told, 2);
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No));
    }
    let functions = offload_runtime::stats().functions;
    let line = functions.iter().find(|one| one.name.ends_with("in_line")).unwrap();
    assert_eq!((line.refused, line.cancelled), (1, 1));
}

#[test]
fn calls_that_race_with_the_shutdown_end_in_a_defined_way() {
    for _ in 0..20 {
        passes("child_races");
    }
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_races() {
    let callers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let mut done = 0_usize;
                loop {
                    match block_on(fallible()) {
                        Ok(()) => done += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ShuttingDown);
                            return done;
                        }
                    }
                }
            })
        })
        .collect();
    while offload_runtime::stats().functions.is_empty() {
        std::thread::yield_now();
    }
    let report = block_on(shutdown(PATIENCE));
    assert_eq!(report.abandoned, 0);
    let done: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    let finished = offload_runtime::stats().functions[0].finished;
    assert_eq!(done as u64, finished);
}

/// The server stops first, and then the pools: no request is lost.
#[test]
fn it_comes_after_the_graceful_shutdown_of_a_server() {
    passes("child_serves");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_serves() {
    use axum::extract::State;

    #[derive(Clone)]
    struct Channels(mpsc::Sender<()>, std::sync::Arc<std::sync::Mutex<mpsc::Receiver<()>>>);

    #[offload(thread)]
    fn page(State(Channels(started, go_on)): State<Channels>) -> &'static str {
        started.send(()).unwrap();
        go_on.lock().unwrap().recv().unwrap();
        "served"
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (started, start) = mpsc::channel();
        let (go_on, held) = mpsc::channel();
        let state = Channels(started, std::sync::Arc::new(std::sync::Mutex::new(held)));
        let app = axum::Router::new().route("/", axum::routing::get(page)).with_state(state);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let signal = async { stopped.await.unwrap() };
            axum::serve(listener, app).with_graceful_shutdown(signal).await.unwrap();
            shutdown(PATIENCE).await
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer =
            tokio::spawn(async move { client.get(url).send().await.unwrap().text().await });
        tokio::task::spawn_blocking(move || start.recv_timeout(PATIENCE).unwrap()).await.unwrap();
        stop.send(()).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(answer.await.unwrap().unwrap(), "served");
        assert_eq!(server.await.unwrap().abandoned, 0);
    });
}

#[test]
fn started_calls_have_their_grace_and_none_is_started_afterwards() {
    passes("child_starts");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_starts() {
    let (started, start) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let (done, end) = mpsc::channel();
    let handle = spawn_thread(move || {
        started.send(()).unwrap();
        let _ = gate.recv();
        // What a body starts in its grace has grace, too.
        spawn_cpu(move || done.send(is_cancelled()).unwrap());
        is_cancelled()
    });
    start.recv_timeout(PATIENCE).unwrap();
    let closing = std::thread::spawn(|| block_on(shutdown(PATIENCE)));
    while spawn_cpu(|| ()).wait().is_ok() {
        std::thread::yield_now();
    }
    assert!(!closing.is_finished(), "it waits for the call that was started");
    go_on.send(()).unwrap();
    assert!(!handle.wait().unwrap(), "it was cancelled");
    assert!(!end.recv_timeout(PATIENCE).unwrap());
    assert_eq!(closing.join().unwrap().abandoned, 0);
    let error = spawn_thread(|| ()).wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No));
}

/// Which instance was dropped, and by which thread.
type Drops = mpsc::Sender<(&'static str, Option<String>)>;

/// Its destructor tells.
struct Told(Drops, &'static str);

impl Drop for Told {
    fn drop(&mut self) {
        let name = std::thread::current().name().map(str::to_owned);
        self.0.send((self.1, name)).unwrap();
    }
}

static TELLER: Mutex<Option<Drops>> = Mutex::new(None);

fn told(name: &'static str) -> Result<Told, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Told(TELLER.lock().unwrap().clone().unwrap(), name))
}

static EXCLUSIVE: Resource<Told> = Resource::new("exclusive", || told("exclusive")).size(2);
static SHARED: SharedResource<Mutex<Told>> =
    SharedResource::new("shared", || Ok(Mutex::new(told("shared")?)));
static LOCAL: ThreadResource<Told> = ThreadResource::new("local", || told("local"));

#[offload(cpu)]
fn borrow(
    #[resource(EXCLUSIVE)] _exclusive: &mut Told,
    #[resource(SHARED)] _shared: &Mutex<Told>,
    #[resource(LOCAL)] _local: &mut Told,
) {
}

#[offload(cpu)]
fn hold(
    started: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    #[resource(EXCLUSIVE)] _exclusive: &mut Told,
) {
    started.send(()).unwrap();
    let _ = go_on.recv();
}

#[test]
fn resources_are_dropped_by_threads_of_pools() {
    passes("child_drops_resources_on_a_pool");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_resources_on_a_pool() {
    let (teller, dropped) = mpsc::channel();
    *TELLER.lock().unwrap() = Some(teller);
    let ((started, start), (go_on, held)) = (mpsc::channel(), mpsc::channel());
    block_on(borrow());
    // It has the first instance, and the next call makes another one.
    let holder = std::thread::spawn(move || block_on(hold(started, held)));
    start.recv_timeout(PATIENCE).unwrap();
    block_on(borrow());
    let grace = std::thread::spawn(|| block_on(shutdown(PATIENCE)));
    let error = |_| ();
    go_on.send(()).map_err(error).unwrap();
    holder.join().unwrap();
    assert_eq!(grace.join().unwrap().abandoned, 0);
    // All that no thread has for itself are there when the shutdown is over.
    let mut all: Vec<_> = dropped.try_iter().collect();
    all.retain(|(name, _)| *name != "local");
    all.sort();
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["exclusive", "exclusive", "shared"]);
    assert!(
        all.iter().all(|(_, thread)| thread.as_ref().unwrap().starts_with("offload-")),
        "{all:?}"
    );
    let of = |name: &str| {
        let all = offload_runtime::stats().resources;
        all.into_iter().find(|resource| resource.name == name).unwrap()
    };
    assert_eq!((of("exclusive").made, of("exclusive").dropped), (2, 2));
    assert_eq!((of("shared").made, of("shared").dropped), (1, 1));
    let start = Instant::now();
    while of("local").dropped < of("local").made {
        assert!(start.elapsed() < PATIENCE, "{:?}", of("local"));
        std::thread::yield_now();
    }
}

#[test]
fn a_resource_that_an_abandoned_body_has_is_dropped_by_its_thread() {
    passes("child_drops_the_resource_of_an_abandoned_body");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_the_resource_of_an_abandoned_body() {
    let (teller, dropped) = mpsc::channel();
    *TELLER.lock().unwrap() = Some(teller);
    let ((started, start), (go_on, held)) = (mpsc::channel(), mpsc::channel());
    let holder = std::thread::spawn(move || block_on(hold(started, held)));
    start.recv_timeout(PATIENCE).unwrap();
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 1);
    assert!(dropped.try_recv().is_err(), "its body has it");
    go_on.send(()).unwrap();
    holder.join().unwrap();
    let (_, thread) = dropped.recv_timeout(PATIENCE).unwrap();
    assert!(thread.unwrap().starts_with("offload-cpu"));
}

#[offload(thread, stream = 1)]
fn endless() -> impl Iterator<Item = Result<u64, Error>> {
    (0..).map(Ok)
}

#[offload(thread, stream = 1)]
fn endless_pushed(out: &mut offload_runtime::Sink<u64>) -> Result<(), Error> {
    (0..).try_for_each(|n| out.send(n))?;
    Ok(())
}

#[test]
#[ignore = "shuts the process down"]
fn streams_end_with_an_error_alone() {
    use futures::StreamExt;

    block_on(async {
        let (mut made, mut pushed) = (Box::pin(endless()), Box::pin(endless_pushed()));
        assert_eq!(made.next().await.unwrap().unwrap(), 0);
        assert_eq!(pushed.next().await.unwrap().unwrap(), 0);
        shutdown(Duration::from_millis(20)).await;
        let made: Vec<_> = made.collect().await;
        assert!(made.len() < 10 && made.last().unwrap().is_err(), "{made:?}");
        let pushed: Vec<_> = pushed.collect().await;
        assert!(pushed.len() < 10 && pushed.last().unwrap().is_err(), "{pushed:?}");
        let late: Vec<_> = endless().collect().await;
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].as_ref().unwrap_err().kind(), ErrorKind::ShuttingDown);
    });
}

/// Tells whether it is dropped in the runtime of its caller.
struct InRuntime(mpsc::Sender<bool>);

impl Drop for InRuntime {
    fn drop(&mut self) {
        let _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
    }
}

static ONE: ThreadPool = ThreadPool::new("one for a stream").threads(1);

#[offload(thread, stream = 2, pool = ONE)]
fn tells(told: InRuntime) -> impl Iterator<Item = Result<u64, Error>> {
    (0..).map(move |n| {
        let _ = &told;
        Ok(n)
    })
}

/// Its next part waits for the one thread when the shutdown ends it, which is awaited elsewhere.
#[test]
#[ignore = "shuts the process down"]
fn child_drops_an_iterator_in_its_callers_runtime() {
    use futures::StreamExt;

    let is_busy = || {
        let pools = offload_runtime::stats().pools;
        pools.iter().any(|pool| pool.name == "one for a stream" && pool.running > 0)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (told, tell) = mpsc::channel();
    let mut stream = Box::pin(tells(InRuntime(told)));
    assert_eq!(runtime.block_on(stream.next()).unwrap().unwrap(), 0);
    while is_busy() {
        std::thread::yield_now();
    }
    let ((starts, started), (go_on, held)) = (mpsc::channel(), mpsc::channel::<()>());
    let holder = ONE.spawn(move || {
        starts.send(()).unwrap();
        held.recv().is_err()
    });
    // Not by the numbers of the pool: they count a part of the stream, too.
    started.recv_timeout(PATIENCE).unwrap();
    assert_eq!(runtime.block_on(stream.next()).unwrap().unwrap(), 1);
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 2);
    assert!(tell.recv_timeout(PATIENCE).unwrap(), "it is dropped out of its runtime");
    let last = runtime.block_on(stream.filter(|item| std::future::ready(item.is_err())).next());
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::ShuttingDown);
    drop(go_on);
    holder.wait().unwrap();
}

#[test]
fn the_iterator_of_a_stream_that_a_shutdown_ends_is_dropped_in_its_callers_runtime() {
    passes("child_drops_an_iterator_in_its_callers_runtime");
}

#[test]
fn streams_that_nobody_reads_on_are_ended_by_a_shutdown_with_an_error() {
    passes("streams_end_with_an_error_alone");
}

/// It is dropped on its thread then, which can enter no runtime any more.
#[test]
fn a_result_that_is_dropped_as_its_thread_ends_after_the_shutdown_is_gone() {
    passes("child_keeps_a_call_until_its_thread_ends");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_keeps_a_call_until_its_thread_ends() {
    type Kept = Pin<Box<dyn Future<Output = Arc<()>>>>;

    thread_local! {
        static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    }

    #[offload(thread)]
    fn gives(result: Arc<()>, made: mpsc::Sender<()>) -> Arc<()> {
        made.send(()).unwrap();
        result
    }

    let result = Arc::new(());
    let ((made, was_made), (go_on, held)) = (mpsc::channel(), mpsc::channel::<()>());
    let theirs = Arc::clone(&result);
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    let caller = std::thread::spawn(move || {
        // Before the runtime's own locals, and so it goes after them.
        KEPT.with_borrow(|kept| assert!(kept.is_none()));
        let _runtime = handle.enter();
        let mut call: Kept = Box::pin(gives(theirs, made));
        assert!(call.as_mut().now_or_never().is_none());
        KEPT.set(Some(call));
        let _ = held.recv();
    });
    was_made.recv_timeout(PATIENCE).unwrap();
    assert_eq!(block_on(shutdown(PATIENCE)).abandoned, 0);
    assert_eq!(Arc::strong_count(&result), 2);
    drop(go_on);
    caller.join().unwrap();
    assert_eq!(Arc::strong_count(&result), 1);
}
