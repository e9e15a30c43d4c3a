//! Calls under tokio's runtimes, and without any; and what a body sees of its
//! caller's runtime.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{BoxFuture, join_all};
use offload_runtime::{Error, Limiter, ThreadPool, offload, stats, to_cpu, to_thread};
use offload_tests::{PATIENCE, one_at_a_time, soon};
use tokio::runtime::{Builder, Handle, Id, Runtime};

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// The smallest executor there is: it shares nothing with tokio or futures.
fn run<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

#[offload(thread)]
fn thread_add(a: u64, b: u64) -> u64 {
    a + b
}

#[offload(cpu)]
fn cpu_add(a: u64, b: u64) -> u64 {
    a + b
}

/// Calls of every kind, one after the other and many at a time.
async fn work() -> u64 {
    let mut sum = thread_add(1, cpu_add(2, 3).await).await;
    sum += to_thread(move || sum).await;
    sum += to_cpu(move || sum).await;
    let threads = join_all((0..100).map(|n| thread_add(n, 1))).await;
    let cpus = join_all((0..100).map(|n| cpu_add(n, 1))).await;
    sum + threads.into_iter().chain(cpus).sum::<u64>()
}

const WORK: u64 = 24 + 5050 * 2;

// Where calls are awaited.

#[test]
fn calls_work_under_a_multi_thread_runtime() {
    let runtime = multi_thread();
    assert_eq!(runtime.block_on(work()), WORK);
    let tasks = (0..8).map(|_| runtime.spawn(work()));
    let answers = block_on(join_all(tasks));
    assert!(answers.into_iter().all(|answer| answer.unwrap() == WORK));
}

#[test]
fn calls_work_under_a_current_thread_runtime() {
    let runtime = current_thread();
    assert_eq!(runtime.block_on(work()), WORK);
    let answers = runtime.block_on(async { join_all((0..8).map(|_| tokio::spawn(work()))).await });
    assert!(answers.into_iter().all(|answer| answer.unwrap() == WORK));
    // Also from tasks that stay on their thread.
    let local = tokio::task::LocalSet::new();
    let tasks = (0..8).map(|n| {
        let own = std::rc::Rc::new(n);
        local.spawn_local(async move { *own + work().await })
    });
    let tasks: Vec<_> = tasks.collect();
    let answers = local.block_on(&runtime, join_all(tasks));
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.into_iter().eq((0..8).map(|n| n + WORK)));
}

#[test]
fn calls_work_without_tokio() {
    assert_eq!(block_on(work()), WORK);
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(|| block_on(work()))).collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == WORK));
}

#[test]
fn calls_work_on_the_smallest_executor() {
    assert_eq!(run(work()), WORK);
}

#[test]
fn many_runtimes_share_the_pools() {
    let threads: Vec<_> = (0..16)
        .map(|n| {
            thread::spawn(move || match n % 4 {
                0 => multi_thread().block_on(work()),
                1 => current_thread().block_on(work()),
                2 => block_on(work()),
                _ => run(work()),
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == WORK));
}

#[test]
fn the_futures_are_send_and_static() {
    fn check<T>(_: impl Future<Output = T> + Send + 'static) {}

    #[offload(thread)]
    fn takes_what_is_not_sync(cell: Cell<u8>, channel: Receiver<u8>) -> Cell<u8> {
        drop(channel);
        cell
    }

    #[offload(cpu)]
    fn computes_with_what_is_not_sync(cell: Cell<u8>, channel: Receiver<u8>) -> Cell<u8> {
        drop(channel);
        cell
    }

    check(takes_what_is_not_sync(Cell::new(1), mpsc::channel().1));
    check(computes_with_what_is_not_sync(Cell::new(1), mpsc::channel().1));
    check(to_thread(|| Cell::new(1)));
    check(to_cpu(|| Cell::new(1)));
}

#[test]
fn bodies_run_on_threads_that_are_named_after_their_pool() {
    #[offload(thread)]
    fn waits() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[offload(cpu)]
    fn computes() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    assert!(block_on(waits()).unwrap().starts_with("offload-thread-"));
    assert!(block_on(computes()).unwrap().starts_with("offload-cpu-"));
}

/// A waker may be the last that holds its task, and with it another call: it
/// was dropped under the timer's lock, which the drop of that call takes.
#[test]
fn a_call_with_a_deadline_may_move_from_a_task_that_owns_another_such_call() {
    struct Task {
        _owns: Mutex<Box<dyn Send>>,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    let (_never, held) = mpsc::channel();
    let mut owned = Box::pin(waits_for_an_hour(held));
    assert!(owned.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let waker = Waker::from(Arc::new(Task { _owns: Mutex::new(Box::new(owned)) }));
    let (release, held) = mpsc::channel();
    let mut call = Box::pin(waits_for_an_hour(held));
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);

    let (done, answer) = mpsc::channel();
    thread::spawn(move || {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        release.send(()).unwrap();
        done.send(block_on(call).is_ok()).unwrap();
    });
    assert!(soon(&answer));
}

#[offload(thread, timeout = "1h")]
fn waits_for_an_hour(held: Receiver<()>) -> Result<(), Error> {
    let _ = held.recv();
    Ok(())
}

// What a body sees of the caller's runtime.

#[offload(thread)]
fn thread_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

#[offload(cpu)]
fn cpu_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

async fn seen_runtimes() -> [Option<Id>; 2] {
    [thread_runtime().await, cpu_runtime().await]
}

#[test]
fn a_body_sees_the_runtime_of_its_caller() {
    for runtime in [multi_thread(), current_thread()] {
        let id = runtime.handle().id();
        assert_eq!(runtime.block_on(seen_runtimes()), [Some(id); 2]);
        let spawned = runtime.spawn(seen_runtimes());
        assert_eq!(runtime.block_on(spawned).unwrap(), [Some(id); 2]);
        // An executor of another kind, in the surroundings of a runtime.
        let _guard = runtime.enter();
        assert_eq!(block_on(seen_runtimes()), [Some(id); 2]);
    }
}

#[test]
fn a_body_sees_no_runtime_where_its_caller_has_none() {
    assert_eq!(block_on(seen_runtimes()), [None; 2]);
    assert_eq!(run(seen_runtimes()), [None; 2]);
}

/// The CPU pool's few threads serve all three callers in turn.
#[test]
fn nothing_of_a_runtime_stays_on_the_thread_for_the_next_body() {
    let (first, second) = (multi_thread(), current_thread());
    for _ in 0..200 {
        assert_eq!(first.block_on(seen_runtimes()), [Some(first.handle().id()); 2]);
        assert_eq!(block_on(seen_runtimes()), [None; 2]);
        assert_eq!(second.block_on(seen_runtimes()), [Some(second.handle().id()); 2]);
        assert_eq!(block_on(seen_runtimes()), [None; 2]);
    }
    // A body that panics leaves its surroundings as well.
    for _ in 0..200 {
        let unwinds = first.spawn(to_cpu(|| -> () { std::panic::resume_unwind(Box::new(())) }));
        assert!(first.block_on(unwinds).unwrap_err().is_panic());
        assert_eq!(block_on(seen_runtimes()), [None; 2]);
    }
}

/// A thread keeps what wakes the callers of the runtime that it served last. It kept the whole
/// runtime with it, descriptors and all, after that had ended: until it ended itself, or had
/// another burst.
#[test]
fn a_runtime_that_has_ended_is_not_kept_by_the_threads_it_used() {
    /// Its threads do not end while one waits for it.
    static STAYS: ThreadPool = ThreadPool::new("stays").keep_alive(Duration::from_secs(3600));

    #[offload(thread, pool = STAYS)]
    fn on_thread() {}

    let calls: [fn() -> BoxFuture<'static, ()>; 2] =
        [|| Box::pin(on_thread()), || Box::pin(to_cpu(|| {}))];
    for call in calls {
        let (held, is_held) = mpsc::channel::<()>();
        let hold = move || drop(held.clone());
        let runtime = Builder::new_current_thread().on_thread_park(hold).build().unwrap();
        runtime.block_on(async {
            for _ in 0..20 {
                let burst: Vec<_> = (0..500).map(|_| tokio::spawn(call())).collect();
                for one in burst {
                    one.await.unwrap();
                }
            }
        });
        drop(runtime);
        assert_eq!(is_held.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}

#[test]
fn a_body_may_spawn_a_task_on_the_runtime_of_its_caller() {
    #[offload(thread)]
    fn spawns() -> tokio::task::JoinHandle<Id> {
        tokio::spawn(async { Handle::current().id() })
    }

    #[offload(cpu)]
    fn spawns_too() -> tokio::task::JoinHandle<Id> {
        tokio::spawn(async { Handle::current().id() })
    }

    for runtime in [multi_thread(), current_thread()] {
        let ids = runtime.block_on(async { [spawns().await.await, spawns_too().await.await] });
        assert!(ids.into_iter().all(|id| id.unwrap() == runtime.handle().id()));
    }
}

#[test]
fn a_body_may_block_on_the_runtime_of_its_caller() {
    #[offload(thread)]
    fn blocks(channel: tokio::sync::oneshot::Receiver<u8>) -> u8 {
        Handle::current().block_on(channel).unwrap()
    }

    for runtime in [multi_thread(), current_thread()] {
        let (send, receive) = tokio::sync::oneshot::channel();
        let call = runtime.spawn(blocks(receive));
        runtime.spawn(async move { send.send(7).unwrap() });
        assert_eq!(runtime.block_on(call).unwrap(), 7);
    }
}

/// A pooled connection, say, spawns its way back where it is dropped.
#[test]
fn what_nobody_awaits_is_dropped_in_the_runtime_of_its_caller() {
    /// Tells in which runtime it is dropped.
    struct Connection(mpsc::Sender<Option<Id>>);

    impl Drop for Connection {
        fn drop(&mut self) {
            self.0.send(Handle::try_current().ok().map(|handle| handle.id())).unwrap();
        }
    }

    let runtime = current_thread();
    let id = Some(runtime.handle().id());
    let _alone = one_at_a_time();
    for caller_goes_first in [true, false] {
        let (told, tells) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (ring, rung) = mpsc::channel();
        let mut call = Box::pin(to_cpu(move || {
            started.send(()).unwrap();
            soon(&released);
            Connection(told)
        }));
        {
            let _guard = runtime.enter();
            let waker = Waker::from(Arc::new(Bell(ring)));
            assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        soon(&start);
        if caller_goes_first {
            // Even by somebody who has no runtime.
            drop(call);
            release.send(()).unwrap();
        } else {
            release.send(()).unwrap();
            soon(&rung);
            drop(call);
        }
        assert_eq!(soon(&tells), id);
    }
}

/// A waker that tells when it is woken.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// What makes a call that runs until a gate is opened or dropped.
type Waits = fn(Receiver<()>) -> BoxFuture<'static, ()>;

/// It calls, cancels, and looks at everything when it is woken, and so waits for ever if
/// whoever wakes it holds a lock.
struct Meddler {
    function: Waits,
    done: mpsc::Sender<()>,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        for _ in 0..3 {
            let (_open, gate) = mpsc::channel();
            let mut call = (self.function)(gate);
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(stats());
        }
        // The test may be over.
        let _ = self.done.send(());
    }
}

#[test]
fn whoever_wakes_a_caller_holds_no_lock() {
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread)]
    fn on_thread(gate: Receiver<()>) {
        let _ = gate.recv();
    }

    #[offload(cpu)]
    fn on_cpu(gate: Receiver<()>) {
        let _ = gate.recv();
    }

    #[offload(thread, limit = ONE)]
    fn limited(gate: Receiver<()>) {
        let _ = gate.recv();
    }

    #[offload(thread, timeout = "300ms")]
    fn late(gate: Receiver<()>) -> Result<(), Error> {
        let _ = gate.recv();
        Ok(())
    }

    let _alone = one_at_a_time();
    let functions: [(&str, Waits); 4] = [
        ("a thread of the thread pool", |gate| Box::pin(on_thread(gate))),
        ("a thread of the CPU pool", |gate| Box::pin(on_cpu(gate))),
        ("one that passes on a permit", |gate| Box::pin(limited(gate))),
        ("the timer", |gate| Box::pin(async { drop(late(gate).await) })),
    ];
    for (who, function) in functions {
        let (done, is_done) = mpsc::channel();
        let waker = Waker::from(Arc::new(Meddler { function, done }));
        let (open, gate) = mpsc::channel();
        let mut call = function(gate);
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // The one that waits for the permit gets it when the body has ended. Two threads may
        // meet two calls in either order.
        while who == "one that passes on a permit" && ONE.in_use() == 0 {
            thread::yield_now();
        }
        let (_open, gate) = mpsc::channel();
        let mut next = function(gate);
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        if who != "the timer" {
            open.send(()).unwrap();
        }
        if is_done.recv_timeout(PATIENCE).is_err() {
            // To drop it would wait for the same lock.
            mem::forget(call);
            panic!("{who} holds a lock");
        }
        drop(open);
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }
}

// Bodies that wait for other bodies.

#[test]
fn bodies_may_block_on_calls_of_the_other_pool() {
    #[offload(cpu)]
    fn cpu_to_thread(together: Arc<Barrier>) -> u64 {
        // Every thread of the CPU pool waits for the thread pool.
        together.wait();
        block_on(thread_add(1, 2))
    }

    #[offload(thread)]
    fn thread_to_cpu(n: u64) -> u64 {
        block_on(cpu_add(n, 1))
    }

    let _alone = one_at_a_time();
    let together = Arc::new(Barrier::new(cores()));
    let calls = (0..cores()).map(|_| cpu_to_thread(Arc::clone(&together)));
    assert!(block_on(join_all(calls)).into_iter().all(|answer| answer == 3));
    let answers = block_on(join_all((0..100).map(thread_to_cpu)));
    assert!(answers.into_iter().eq(1..=100));
}

/// A thread pool's body that waits has not taken anything from the others.
#[test]
fn bodies_of_the_thread_pool_may_block_on_calls_of_their_own_pool() {
    #[offload(thread)]
    fn descend(depth: u64) -> u64 {
        if depth == 0 { 0 } else { 1 + block_on(to_thread(move || block_on(descend(depth - 1)))) }
    }

    assert_eq!(block_on(descend(20)), 20);
}

// Runtimes that end.

/// `spawn_blocking` lets the drop of its runtime wait for the body.
#[test]
fn a_runtime_that_is_dropped_does_not_wait_for_its_calls() {
    #[offload(thread)]
    fn waits(started: mpsc::Sender<()>, release: Receiver<()>, seen: mpsc::Sender<Id>) {
        started.send(()).unwrap();
        soon(&release);
        // The runtime has ended, and can be spoken to all the same.
        tokio::spawn(async { unreachable!("its runtime has ended") });
        seen.send(Handle::current().id()).unwrap();
    }

    for runtime in [multi_thread(), current_thread()] {
        let id = runtime.handle().id();
        let (started, start) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (seen, sees) = mpsc::channel();
        let call = runtime.spawn(waits(started, released, seen));
        // Its first poll.
        runtime.block_on(tokio::task::yield_now());
        soon(&start);
        let (gone, goes) = mpsc::channel();
        thread::spawn(move || {
            drop(runtime);
            gone.send(()).unwrap();
        });
        soon(&goes);
        assert!(block_on(call).unwrap_err().is_cancelled());
        release.send(()).unwrap();
        assert_eq!(soon(&sees), id);
    }
}

#[test]
fn the_queued_calls_of_a_runtime_go_with_it() {
    let _alone = one_at_a_time();
    for runtime in [multi_thread(), current_thread()] {
        // Another runtime's bodies have the whole pool, and all threads that stand in for them.
        let other = current_thread();
        let (started, start) = mpsc::channel();
        let busy: Vec<_> = (0..2 * cores())
            .map(|_| {
                let started = started.clone();
                let (release, held) = mpsc::channel::<()>();
                let call = other.spawn(to_cpu(move || {
                    started.send(()).unwrap();
                    held.recv().unwrap();
                }));
                other.block_on(tokio::task::yield_now());
                soon(&start);
                (call, release)
            })
            .collect();

        let argument = Arc::new(());
        let (queued, mut queue) = tokio::sync::mpsc::channel(100);
        for _ in 0..100 {
            let argument = Arc::clone(&argument);
            let queued = queued.clone();
            runtime.spawn(async move {
                let mut call = pin!(to_cpu(move || -> () { panic!("{argument:?} has gone") }));
                assert!(futures::poll!(call.as_mut()).is_pending());
                queued.send(()).await.unwrap();
                call.await;
            });
        }
        for _ in 0..100 {
            runtime.block_on(queue.recv()).unwrap();
        }
        drop(runtime);
        // By a thread of the thread pool.
        while Arc::strong_count(&argument) > 1 {
            thread::yield_now();
        }

        for (call, release) in busy {
            release.send(()).unwrap();
            other.block_on(call).unwrap();
        }
        assert_eq!(block_on(cpu_add(1, 2)), 3);
    }
}

/// The wake-ups of a burst are brought to the runtime in whose context the call
/// was polled. That need not be the one that drives the task, nor driven at all.
#[test]
fn callers_in_the_context_of_a_runtime_that_nobody_drives_are_woken() {
    #[offload(cpu)]
    fn one() -> usize {
        1
    }

    async fn burst(undriven: Option<tokio::runtime::Handle>) -> usize {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let undriven = undriven.clone();
                tokio::spawn(async move {
                    let mut sum = 0;
                    for _ in 0..20 {
                        let mut call = std::pin::pin!(one());
                        sum += std::future::poll_fn(|cx| {
                            let _entered = undriven.as_ref().map(|runtime| runtime.enter());
                            call.as_mut().poll(cx)
                        })
                        .await;
                    }
                    sum
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    }

    let undriven = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // From now on its wake-ups are brought together.
    assert_eq!(undriven.block_on(burst(None)), 4000);
    let driven = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let handle = undriven.handle().clone();
    assert_eq!(driven.block_on(burst(Some(handle))), 4000);
}

/// What one call after the other takes, in the middle.
async fn middle(call: impl AsyncFn()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        call().await;
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// A thread that gives its core away while it looks for calls gets it back when the others have had their turn:
/// a call took a thousand times as long as here. What else the machine does, it does to both.
#[test]
fn one_call_after_the_other_is_answered_soon_though_all_cores_are_busy() {
    #[offload(thread)]
    fn nothing() {}

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 * cores() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let is_close = current_thread().block_on(async {
            let always_ready = tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            let mut is_close = false;
            for _ in 0..20 {
                let ours = middle(async || nothing().await).await;
                let blocking = async || tokio::task::spawn_blocking(|| ()).await.unwrap();
                is_close = ours <= 10 * middle(blocking).await;
                if is_close {
                    break;
                }
            }
            always_ready.abort();
            is_close
        });
        is_over.store(true, Ordering::Relaxed);
        assert!(is_close, "it takes more than ten times as long as with spawn_blocking, each time");
    });
}
