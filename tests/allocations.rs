//! A call costs one allocation: for its job, its result and its waker.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread;

use dhat::{Alloc, HeapStats, Profiler};
use futures::executor::block_on;
use futures::{Stream, StreamExt};
use offload_runtime::{
    CpuPool, Error, ErrorKind, Limiter, Resource, SharedResource, Sink, ThreadPool, ThreadResource,
    offload, propagate_with, spawn_cpu, spawn_thread, to_cpu, to_thread,
};
use offload_tests::AtSpan;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOC: Alloc = Alloc;

/// Counts the allocations of the whole process, so of one test at a time.
struct Counter {
    _profiler: Profiler,
    _alone: MutexGuard<'static, ()>,
}

fn count() -> Counter {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Counter { _profiler: Profiler::builder().testing().build(), _alone: alone }
}

const CALLS: u64 = 500;

/// The queue allocates its blocks, one for 31 calls.
const MOST: u64 = CALLS + CALLS / 20;

/// How many allocations this costs, whichever thread makes them, once
/// everything has been started that is started once.
///
/// The fewest of several rounds: what costs every call costs it in each of
/// them. What comes on top comes from elsewhere: the test's harness, or the
/// growth watch, when this machine has kept a thread from going idle.
fn cost(work: impl Fn()) -> u64 {
    let rounds = (0..10).map(|_| {
        let before = HeapStats::get().total_blocks;
        work();
        HeapStats::get().total_blocks - before
    });
    rounds.min().unwrap()
}

#[offload(thread)]
fn waits(numbers: [u64; 8], text: String) -> (String, [u64; 8]) {
    (text, numbers)
}

#[offload(cpu)]
fn computes(numbers: [u64; 8], text: String) -> (String, [u64; 8]) {
    (text, numbers)
}

async fn call_thread() {
    for _ in 0..CALLS {
        black_box(waits([1; 8], String::new()).await);
    }
}

async fn call_cpu() {
    for _ in 0..CALLS {
        black_box(computes([1; 8], String::new()).await);
    }
}

async fn call_closures() {
    for _ in 0..CALLS / 2 {
        black_box(to_thread(|| [1; 8]).await);
        black_box(to_cpu(|| [1; 8]).await);
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// One for each call, and what the queue allocates.
fn assert_once(allocations: u64) {
    assert!((CALLS..=MOST).contains(&allocations), "{allocations} for {CALLS} calls");
}

#[test]
fn a_call_costs_one_allocation_without_a_runtime() {
    let _counter = count();
    assert_once(cost(|| block_on(call_thread())));
    assert_once(cost(|| block_on(call_cpu())));
    assert_once(cost(|| block_on(call_closures())));
}

#[test]
fn a_call_costs_one_allocation_in_a_runtime() {
    let _counter = count();
    for runtime in [current_thread(), Builder::new_multi_thread().build().unwrap()] {
        assert_once(cost(|| runtime.block_on(call_thread())));
        assert_once(cost(|| runtime.block_on(call_cpu())));
        assert_once(cost(|| runtime.block_on(call_closures())));
    }
}

/// For the span of its caller.
#[test]
fn a_call_with_a_subscriber_costs_one_allocation_more() {
    let _counter = count();
    let calls =
        tracing::subscriber::with_default(AtSpan(|| {}), || cost(|| block_on(call_thread())));
    assert_once(calls - CALLS);
}

/// The handle is a part of the job.
#[test]
fn a_started_call_costs_one_allocation() {
    let _counter = count();
    assert_once(cost(|| {
        for _ in 0..CALLS / 2 {
            black_box(block_on(spawn_thread(|| [1; 8])).unwrap());
            black_box(block_on(spawn_cpu(|| [1; 8])).unwrap());
        }
    }));
}

/// The handle is on its way where the call is.
#[test]
fn a_function_with_spawn_costs_one_allocation_awaited_or_started() {
    #[offload(thread, spawn = waits_soon)]
    fn waits(numbers: [u64; 8], text: String) -> (String, [u64; 8]) {
        (text, numbers)
    }

    #[offload(cpu, spawn = lends_soon)]
    fn lends(#[to_owned] numbers: &[u64; 8]) -> u64 {
        numbers.iter().sum()
    }

    let _counter = count();
    for call in [
        || _ = black_box(block_on(waits([1; 8], String::new()))),
        || _ = black_box(block_on(waits_soon([1; 8], String::new())).unwrap()),
        || _ = black_box(block_on(lends(&[1; 8]))),
        || _ = black_box(block_on(lends_soon(&[1; 8])).unwrap()),
    ] {
        assert_once(cost(|| (0..CALLS).for_each(|_| call())));
    }
}

/// `panic = "error"`: only a panic costs more, since an error does.
#[test]
fn a_call_whose_panics_are_errors_costs_one_allocation() {
    #[offload(thread, panic = "error")]
    fn waits(numbers: [u64; 8]) -> Result<u64, Error> {
        Ok(numbers.iter().sum())
    }

    #[offload(cpu, panic = "error", spawn = computes_soon)]
    fn computes(numbers: [u64; 8]) -> Result<u64, Error> {
        Ok(numbers.iter().sum())
    }

    let _counter = count();
    for call in [
        || _ = black_box(block_on(waits([1; 8])).unwrap()),
        || _ = black_box(block_on(computes([1; 8])).unwrap()),
        || _ = black_box(block_on(computes_soon([1; 8])).unwrap()),
    ] {
        assert_once(cost(|| (0..CALLS).for_each(|_| call())));
    }
}

/// Permits and instances are in the frame of the body.
#[test]
fn a_call_that_borrows_costs_one_allocation() {
    static DB: Resource<u64> = Resource::new("counted", || Ok(0));
    static MODEL: SharedResource<u64> = SharedResource::new("counted model", || Ok(1));
    static PARSER: ThreadResource<u64> = ThreadResource::new("counted parser", || Ok(1));

    #[offload(thread)]
    fn one(#[resource(DB)] db: &mut u64) -> u64 {
        *db += 1;
        *db
    }

    #[offload(cpu)]
    fn all(#[resource(MODEL)] model: &u64) -> u64 {
        *model
    }

    #[offload(cpu)]
    fn own(#[resource(PARSER)] parser: &mut u64) -> u64 {
        *parser
    }

    let _counter = count();
    for call in [
        || black_box(block_on(one())),
        || black_box(block_on(all())),
        || black_box(block_on(own())),
    ] {
        assert_once(cost(|| (0..CALLS).for_each(|_| _ = call())));
    }
}

/// What stands for a label is made once.
#[test]
fn a_closure_on_a_pool_costs_one_allocation_with_and_without_a_label() {
    static POOL: CpuPool = CpuPool::new("counted").threads(1);

    let _counter = count();
    assert_once(cost(|| {
        for _ in 0..CALLS / 2 {
            black_box(block_on(POOL.run(|| [1; 8])));
            black_box(block_on(POOL.run(|| [1; 8]).named("counted closure")));
        }
    }));
    assert_once(cost(|| {
        for _ in 0..CALLS {
            black_box(block_on(POOL.spawn(|| [1; 8])).unwrap());
        }
    }));
}

/// The handle of the runtime, too, is a part of the job.
/// What was captured, the list of that, and both for the way. Where there is nothing to carry, the call costs what it did.
#[test]
fn a_call_that_carries_context_costs_three_allocations_more() {
    thread_local! {
        static HUB: Cell<u32> = const { Cell::new(0) };
    }

    struct Back(u32);

    impl Drop for Back {
        fn drop(&mut self) {
            HUB.set(self.0);
        }
    }

    let _counter = count();
    propagate_with(|| Some(HUB.get()).filter(|hub| *hub > 0), |hub| Back(HUB.replace(hub)));
    for call in
        [|| block_on(to_thread(|| HUB.get())), || block_on(spawn_cpu(|| HUB.get())).unwrap()]
    {
        let calls = |hub| {
            HUB.set(hub);
            let allocations = cost(|| (0..CALLS).for_each(|_| assert_eq!(call(), hub)));
            HUB.set(0);
            allocations
        };
        let carries = calls(7);
        assert!((4 * CALLS..=MOST + 3 * CALLS).contains(&carries), "{carries} for {CALLS} calls");
        assert_once(calls(0));
    }
}

#[test]
fn nothing_but_the_call_is_allocated_when_the_caller_is_another_task_each_time() {
    let _counter = count();
    let runtime = current_thread();
    let tasks = |call: bool| {
        cost(|| {
            runtime.block_on(async {
                for _ in 0..CALLS {
                    let task = tokio::spawn(async move {
                        if call {
                            black_box(waits([1; 8], String::new()).await);
                        }
                    });
                    task.await.unwrap();
                }
            });
        })
    };
    assert_once(tasks(true) - tasks(false));
}

/// A closure is in its task at once: what it has may be large.
#[test]
fn a_call_that_is_never_polled_costs_nothing_and_that_of_a_closure_its_task() {
    let _counter = count();
    assert_eq!(cost(|| (0..CALLS).for_each(|_| drop(waits([1; 8], String::new())))), 0);
    assert_eq!(cost(|| (0..CALLS).for_each(|_| drop(to_cpu(|| [1; 8])))), CALLS);
}

/// On the heap are the iterator or the body, the closure that makes it, the task and the buffer of items: each once a stream.
#[test]
fn a_stream_costs_few_allocations_and_its_items_none() {
    #[offload(thread, stream = 8)]
    fn counts(to: u64) -> impl Iterator<Item = u64> {
        0..to
    }

    #[offload(thread, stream = 8)]
    fn pushes(to: u64, out: &mut Sink<u64>) -> Result<(), Error> {
        (0..to).try_for_each(|number| out.send(number))?;
        Ok(())
    }

    async fn all<T>(stream: impl Stream<Item = T>) -> u64 {
        let mut stream = pin!(stream);
        let mut number = 0;
        while let Some(item) = stream.next().await {
            black_box(item);
            number += 1;
        }
        number
    }

    let _counter = count();
    for stream in
        [(|to| cost(|| assert_eq!(block_on(all(counts(to))), to))) as fn(u64) -> u64, |to| {
            cost(|| assert_eq!(block_on(all(pushes(to))), to))
        }]
    {
        stream(1);
        let (few, many) = (stream(8), stream(8_000));
        assert!(few <= 5 && many < 100, "{few} for 8 items, {many} for 8 000");
    }
}

/// What is left of them in the queue goes when a thread meets it.
#[test]
fn calls_that_are_dropped_in_the_queue_leave_nothing_behind() {
    const DROPPED: usize = 100;

    let _counter = count();
    let left = || {
        let before = HeapStats::get().curr_blocks;
        let mut releases = Vec::new();
        for _ in 0..thread::available_parallelism().unwrap().get() {
            let (started, start) = mpsc::channel();
            let (release, held) = mpsc::channel::<()>();
            let mut call = Box::pin(to_cpu(move || {
                started.send(()).unwrap();
                let _ = held.recv();
            }));
            assert!(poll(call.as_mut()).is_pending());
            start.recv().unwrap();
            releases.push((call, release));
        }
        for _ in 0..DROPPED {
            let mut call = std::pin::pin!(computes([1; 8], "text".to_owned()));
            // On a machine that is slow, a thread that stands in for one of those may have run it by then.
            let _ = poll(call.as_mut());
        }
        for (call, release) in releases {
            drop(release);
            block_on(call);
        }
        // This one is behind them.
        block_on(computes([1; 8], String::new()));
        HeapStats::get().curr_blocks.saturating_sub(before)
    };
    let least = (0..10).map(|_| left()).min().unwrap();
    assert!(least < DROPPED / 10, "{least} blocks are left");
}

fn poll<F: Future>(call: Pin<&mut F>) -> std::task::Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// A job would hold the argument: 4 KiB, that no rejected call allocates.
#[test]
fn a_rejected_call_allocates_no_job() {
    #[offload(thread, limit = 1, queue = 0)]
    fn holds(held: Option<mpsc::Receiver<()>>, large: [u8; 4096]) -> Result<u8, Error> {
        if let Some(held) = held {
            let _ = held.recv();
        }
        Ok(large[0])
    }

    let _counter = count();
    let (release, held) = mpsc::channel();
    let mut running = Box::pin(holds(Some(held), [1; 4096]));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    let started = || {
        let functions = offload_runtime::stats().functions;
        functions.iter().any(|function| function.name.ends_with("holds") && function.started == 1)
    };
    while !started() {
        thread::yield_now();
    }
    let bytes = || HeapStats::get().total_bytes;
    let refuse = || {
        let error = block_on(holds(None, [1; 4096])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
    };
    refuse();
    let each = (0..10).map(|_| {
        let before = bytes();
        refuse();
        bytes() - before
    });
    let fewest = each.min().unwrap();
    assert!(fewest < 1024, "{fewest} bytes for a rejected call");
    drop(release);
    assert_eq!(block_on(running).unwrap(), 1);
}

/// So does one with a copy that needs no memory of its own.
#[test]
fn a_call_on_what_is_made_when_the_program_runs_costs_one_allocation() {
    static LAZY: LazyLock<ThreadPool> = LazyLock::new(|| ThreadPool::new("lazy").threads(1));
    static SIZED: Limiter = Limiter::with(|| 2);

    #[offload(thread, pool = LAZY, limit = SIZED)]
    fn limited(number: u64) -> u64 {
        number
    }

    #[offload(cpu)]
    fn copies(#[to_owned] number: &u64) -> u64 {
        *number
    }

    let _counter = count();
    assert_once(cost(|| {
        block_on(async {
            for _ in 0..CALLS {
                black_box(LAZY.run(|| [1; 8]).await);
            }
        });
    }));
    assert_once(cost(|| {
        block_on(async {
            for number in 0..CALLS {
                black_box(limited(number).await);
            }
        });
    }));
    assert_once(cost(|| {
        block_on(async {
            for number in 0..CALLS {
                black_box(copies(&number).await);
            }
        });
    }));
}

/// No timer, no line and no list stays with a pool for the sake of calls that had an option.
#[test]
fn a_plain_call_costs_what_it_did_after_calls_with_each_option_on_its_pool() {
    static POOL: ThreadPool = ThreadPool::new("with options").threads(2).queue(100);
    static DB: Resource<u64> = Resource::new("with options", || Ok(0));

    #[offload(thread, pool = POOL)]
    fn plain(numbers: [u64; 8]) -> u64 {
        numbers.iter().sum()
    }

    #[offload(thread, pool = POOL, limit = 1, queue = 10, timeout = "10s", queue_timeout = "5s")]
    fn bounded(#[resource(DB)] db: &mut u64) -> Result<u64, Error> {
        *db += 1;
        Ok(*db)
    }

    #[offload(thread, pool = POOL, detach, panic = "error", spawn = kept_soon)]
    fn kept() -> Result<(), Error> {
        Ok(())
    }

    let _counter = count();
    let plain_calls = || cost(|| (0..CALLS).for_each(|_| _ = black_box(block_on(plain([1; 8])))));
    let before = plain_calls();
    assert_once(before);
    block_on(async {
        for _ in 0..100 {
            let (one, other) = futures::join!(bounded(), bounded());
            assert!(one.unwrap() != other.unwrap());
            kept().await.unwrap();
            kept_soon().await.unwrap().unwrap();
        }
        let dropped = bounded();
        futures::pin_mut!(dropped);
        let _ = poll(dropped);
    });
    assert_once(plain_calls());
}
