//! Workers die by the thousand, and nothing of them is left. Each test has a
//! process of its own, whose children and files can be counted.

use std::fs;
use std::process::id;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use offload_runtime::{Error, ErrorKind, Limiter, ProcessPool, Ran, WorkerStats, offload, stats};
use offload_tests::{PATIENCE, own_process, settle};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_bytes::ByteBuf;

offload_runtime::test_worker!();

const WORKERS: usize = 4;

// It is hit again and again, also while its workers start.
static POOL: ProcessPool = ProcessPool::new("chaos").workers(WORKERS).max_restarts(u32::MAX);

static PERMITS: Limiter = Limiter::new(WORKERS);

/// Runs a test of this file in a process of its own, in an empty folder, which has
/// to be empty after.
fn passes(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = own_process(test);
    process.current_dir(&folder).env("TMPDIR", folder.path()).env("RUST_BACKTRACE", "0");
    offload_tests::passes(&mut process);
    // What the system writes of a crash, where it is told to, is not ours.
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).collect();
    let is_core = |name: &str| name == "core" || name.starts_with("core.");
    let left = left.iter().map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| !is_core(name)).collect::<Vec<_>>(), [""; 0]);
}

/// Processes that this one started, those that were not reaped included.
fn children() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The threads of this process that belong to no pool. Pools start theirs when they are needed and
/// keep them for a while, which is no leak.
fn threads() -> usize {
    let all = fs::read_dir("/proc/self/task").unwrap().count();
    all - stats().pools.iter().map(|pool| pool.threads).sum::<usize>()
}

/// Whether no pool has anything to do.
fn is_idle() -> bool {
    stats().pools.iter().all(|pool| pool.running == 0 && pool.queued == 0)
}

fn workers() -> WorkerStats {
    offload_tests::workers("chaos")
}

/// All at once: each goes on when all have begun, so each has a worker and a permit.
fn all_serve_at_once(folder: &str) {
    #[offload(process, pool = POOL, limit = PERMITS)]
    fn meets(folder: String, number: usize) -> Result<u32, Error> {
        fs::write(format!("{folder}/{number}"), "").unwrap();
        while fs::read_dir(&folder).unwrap().count() < WORKERS {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(id())
    }

    fs::create_dir(folder).unwrap();
    let calls = (0..WORKERS).map(|number| meets(folder.to_owned(), number));
    let mut pids: Vec<u32> = block_on(join_all(calls)).into_iter().map(Result::unwrap).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), WORKERS);
    fs::remove_dir_all(folder).unwrap();
}

/// Whether a thread is there that starts a worker or lets it end, or has just done so.
fn tends_workers() -> bool {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut names =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.any(|name| ["offload-start", "offload-retire"].contains(&name.trim()))
}

/// Kills a worker, if there is one.
fn hit_one(random: &mut SmallRng) -> bool {
    let all = children();
    let Some(pid) = all.get(random.random_range(0..all.len().max(1))) else { return false };
    // Those that are not reaped yet are hit as well, to no effect.
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
    true
}

/// What there is when all workers are there and idle.
#[derive(Debug, PartialEq)]
struct Inventory {
    children: usize,
    files: usize,
    threads: usize,
    permits: usize,
}

fn inventory(folder: &str) -> Inventory {
    all_serve_at_once(folder);
    let mut now = None;
    settle("nothing is under way", || {
        let (children, files) = (children().len(), open_files());
        let all = Inventory { children, files, threads: threads(), permits: PERMITS.in_use() };
        // Threads that start workers end a moment after.
        let is_done = workers().idle == WORKERS && !tends_workers() && is_idle();
        let is_quiet = is_done && now.as_ref() == Some(&all);
        now = Some(all);
        std::thread::sleep(Duration::from_millis(20));
        is_quiet
    });
    now.unwrap()
}

#[test]
fn random_kills_cost_the_calls_they_hit_and_nothing_else() {
    passes("child_is_hit");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_hit() {
    const CALLS: u32 = 6_000;

    #[offload(process, pool = POOL, limit = 3)]
    fn sums(number: u32, bytes: serde_bytes::ByteBuf) -> Result<(u32, u64, Vec<u64>), Error> {
        let sum = bytes.iter().map(|byte| u64::from(*byte)).sum();
        // Long answers, too: some are cut off.
        Ok((number, sum, vec![sum; bytes.len() / 16]))
    }

    let before = inventory("before");
    let is_over = AtomicBool::new(false);
    let kills = AtomicU32::new(0);
    let died = AtomicU32::new(0);
    let (answered, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        let (is_over, kills, died) = (&is_over, &kills, &died);
        scope.spawn(move || {
            let mut random = SmallRng::seed_from_u64(1);
            while !is_over.load(Ordering::SeqCst) {
                kills.fetch_add(u32::from(hit_one(&mut random)), Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(random.random_range(0..8_000)));
                // On a busy machine all would be hit before they have answered anything.
                for _ in 0..random.random_range(0..8) {
                    let _ = answers.recv();
                }
            }
        });
        let call = |number: u32| {
            let answered = &answered;
            async move {
                let mut random = SmallRng::seed_from_u64(number.into());
                // Some are so long that they go beside their message.
                let length = 1 << random.random_range(0..18);
                let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
                let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
                let start = Instant::now();
                let answer = loop {
                    match sums(number, bytes.clone().into()).await {
                        // All were hit while they started: it did not come to a worker.
                        Err(error) if error.kind() == ErrorKind::Unavailable => {
                            assert_eq!(error.ran(), Ran::No, "{error}");
                            assert!(start.elapsed() < PATIENCE, "{error}");
                        }
                        answer => break answer,
                    }
                };
                match answer {
                    Ok(answer) => assert_eq!(answer, (number, sum, vec![sum; length / 16])),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WorkerDied, "{error}");
                        assert_eq!(error.signal(), Some(9), "{error}");
                        // Of some the request was cut off, and several workers in a row were hit,
                        // or what had been sent was no longer there for another.
                        assert_ne!(error.ran(), Ran::Yes, "{error}");
                        died.fetch_add(1, Ordering::SeqCst);
                    }
                }
                answered.send(()).unwrap();
            }
        };
        block_on(futures::stream::iter((0..CALLS).map(call)).buffer_unordered(32).count());
        is_over.store(true, Ordering::SeqCst);
        drop(answered);
    });
    let (kills, died) = (kills.into_inner(), died.into_inner());
    eprintln!("{kills} kills hit {died} of {CALLS} calls: {:?}", workers());
    assert!(kills > 100 && died > 50, "{kills} kills hit {died} calls");
    let function = stats().functions.into_iter().find(|f| f.name.contains("sums")).unwrap();
    assert_eq!(function.started, u64::from(CALLS));
    assert_eq!((function.died, function.finished), (died.into(), (CALLS - died).into()));
    // Nothing more than before, and all of it works.
    assert_eq!(inventory("after"), before);
}

#[test]
fn nothing_is_left_of_two_thousand_crashes() {
    passes("child_crashes");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_crashes() {
    #[offload(process, pool = POOL)]
    fn crashes(number: u32) -> Result<(), Error> {
        match number % 3 {
            0 => std::process::exit(3),
            1 => std::process::abort(),
            _ => kill_process(rustix::process::getpid(), Signal::KILL).unwrap(),
        }
        Ok(())
    }

    const CRASHES: u32 = 2_000;

    let before = inventory("before");
    let call = |number| async move {
        let error = crashes(number).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WorkerDied, "{error}");
    };
    block_on(futures::stream::iter((0..CRASHES).map(call)).buffer_unordered(8).count());
    assert_eq!(workers().restarts, u64::from(CRASHES));
    assert_eq!(inventory("after"), before);
}

#[test]
fn nothing_is_left_of_ten_thousand_dropped_calls_on_one_thread() {
    passes("child_drops_on_one_thread");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_on_one_thread() {
    drops_calls(tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
}

#[test]
fn nothing_is_left_of_ten_thousand_dropped_calls_on_several_threads() {
    passes("child_drops_on_several_threads");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_on_several_threads() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    drops_calls(builder.worker_threads(2).enable_time().build().unwrap());
}

fn spins_for(micros: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(micros) {
        std::hint::spin_loop();
    }
}

/// Calls wait, start, run, answer and are refused while they are dropped.
fn drops_calls(runtime: tokio::runtime::Runtime) {
    const CALLS: u64 = 10_000;
    /// So many calls are made 32 at a time, and are mostly queued; the rest 2 at a time, small, so that they begin where
    /// their caller is, and are dropped earlier.
    const CROWDED: u64 = 9_500;

    /// The body spins for so many microseconds.
    #[offload(process, pool = POOL, limit = PERMITS)]
    fn spins(micros: u64, bytes: serde_bytes::ByteBuf) -> Result<serde_bytes::ByteBuf, Error> {
        spins_for(micros);
        Ok(bytes)
    }

    /// The same, of a small call without a limit, which may begin where its caller is.
    #[offload(process, pool = POOL)]
    fn spins_small(micros: u64) -> Result<u64, Error> {
        spins_for(micros);
        Ok(micros)
    }

    let before = inventory("before");
    let dropped = runtime.block_on(async {
        let call = |number| async move {
            let mut random = SmallRng::seed_from_u64(number);
            let micros = random.random_range(0..2_000);
            let bytes = vec![7; 1 << random.random_range(0..18)];
            let most = if number < CROWDED { 20_000 } else { 8_000 };
            let patience = Duration::from_micros(random.random_range(0..most));
            let call = tokio::spawn(async move {
                if number % 3 == 0 || CROWDED <= number {
                    assert_eq!(spins_small(micros).await.unwrap(), micros);
                } else {
                    let answer = spins(micros, bytes.clone().into()).await;
                    assert_eq!(answer.unwrap(), bytes);
                }
            });
            // It may end before or after.
            tokio::time::sleep(patience).await;
            call.abort();
            match call.await {
                Ok(()) => 0,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error}");
                    1
                }
            }
        };
        let mut dropped = 0;
        for (numbers, at_once) in [(0..CROWDED, 32), (CROWDED..CALLS, 2)] {
            let calls = futures::stream::iter(numbers.map(call)).buffer_unordered(at_once);
            dropped += calls.fold(0, |sum, one| async move { sum + one }).await;
        }
        dropped
    });
    eprintln!("{dropped} of {CALLS} calls were dropped: {:?}", workers());
    assert!((CALLS / 10..CALLS).contains(&dropped), "{dropped} calls were dropped");
    settle("each body is accounted for", || {
        let of_both = stats().functions.into_iter().filter(|f| f.name.contains("spins"));
        let is_done = |function: offload_runtime::FunctionStats| {
            assert_eq!((function.panicked, function.died, function.refused), (0, 0, 0));
            function.started == function.finished + function.killed + function.failed
        };
        let done: Vec<_> = of_both.map(is_done).collect();
        assert_eq!(done.len(), 2);
        done == [true; 2]
    });
    // Nothing more than before, and all of it works.
    assert_eq!(inventory("after"), before);
}

#[test]
fn nothing_is_left_of_streams_that_are_hit_and_dropped() {
    passes("child_streams");
}

/// Streams end, are dropped, and lose their workers, at any item.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_streams() {
    const STREAMS: u64 = 2_000;

    #[offload(process, pool = POOL, limit = PERMITS, stream = 3)]
    fn pieces(count: u32, bytes: usize) -> impl Iterator<Item = Result<ByteBuf, Error>> {
        (0..count).map(move |number| Ok(ByteBuf::from(vec![number as u8; bytes])))
    }

    let before = inventory("before");
    let is_over = AtomicBool::new(false);
    let [dropped, died] = [(); 2].map(|()| AtomicU32::new(0));
    let (ended, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        let is_over = &is_over;
        scope.spawn(move || {
            let mut random = SmallRng::seed_from_u64(2);
            while !is_over.load(Ordering::SeqCst) {
                hit_one(&mut random);
                std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
                // On a busy machine all would be hit before they have come to an end.
                for _ in 0..random.random_range(0..8) {
                    let _ = ends.recv();
                }
            }
        });
        let stream = |number: u64| {
            let (dropped, died) = (&dropped, &died);
            async move {
                let mut random = SmallRng::seed_from_u64(number);
                let (count, taken) = (random.random_range(0..20), random.random_range(0..30));
                // Some pieces go beside their message.
                let bytes = 1 << random.random_range(0..19);
                let mut items = Box::pin(pieces(count, bytes));
                for number in 0..taken {
                    match items.next().await {
                        Some(Ok(piece)) => assert_eq!(piece, vec![number as u8; bytes]),
                        Some(Err(error)) => {
                            let kinds = [ErrorKind::WorkerDied, ErrorKind::Unavailable];
                            assert!(kinds.contains(&error.kind()), "{error}");
                            died.fetch_add(1, Ordering::SeqCst);
                            assert!(items.next().await.is_none(), "an error is the last");
                            return;
                        }
                        None => return assert_eq!(number, count),
                    }
                }
                dropped.fetch_add(1, Ordering::SeqCst);
            }
        };
        let counted = |number| stream(number).map(|()| ended.send(()).unwrap());
        block_on(futures::stream::iter((0..STREAMS).map(counted)).buffer_unordered(16).count());
        is_over.store(true, Ordering::SeqCst);
        drop(ended);
    });
    let (dropped, died) = (dropped.into_inner(), died.into_inner());
    eprintln!("{dropped} of {STREAMS} streams were dropped, {died} died: {:?}", workers());
    assert!(dropped > 500 && died > 20, "{dropped} were dropped, {died} died");
    settle("each stream is accounted for", || PERMITS.in_use() + PERMITS.waiting() == 0);
    // Nothing more than before, and all of it works.
    assert_eq!(inventory("after"), before);
}
