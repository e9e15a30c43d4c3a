//! What can be set of a pool.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use nix::sys::signal::SigSet;
use offload_runtime::{Error, ErrorKind, Priority, ProcessPool, offload};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::{children, is_there, settle, workers};

#[test]
fn a_worker_is_replaced_after_so_many_calls() {
    static POOL: ProcessPool = ProcessPool::new("recycled").workers(1).max_jobs(3);

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let pids: Vec<u32> = (0..7).map(|_| block_on(pid()).unwrap()).collect();
    assert_eq!((pids[0], pids[0]), (pids[1], pids[2]));
    assert_eq!((pids[3], pids[3]), (pids[4], pids[5]));
    assert_ne!(pids[2], pids[3]);
    assert_ne!(pids[5], pids[6]);
    assert_eq!(workers("recycled").recycled, 2);
    settle("the first is gone", || !is_there(pids[0]));
}

#[test]
fn a_body_that_takes_too_much_memory_costs_its_call() {
    static POOL: ProcessPool =
        ProcessPool::new("memory").workers(1).max_memory(100 << 20).env(&[("RUST_BACKTRACE", "0")]);

    #[offload(process, pool = POOL)]
    fn takes(megabytes: usize) -> Result<usize, Error> {
        let memory = std::hint::black_box(vec![1_u8; megabytes << 20]);
        Ok(memory.iter().map(|byte| usize::from(*byte)).sum())
    }

    assert_eq!(block_on(takes(20)).unwrap(), 20 << 20);
    let error = block_on(takes(200)).unwrap_err();
    assert_eq!((error.kind(), error.signal()), (ErrorKind::WorkerDied, Some(6)), "{error}");
    assert!(error.stderr().unwrap().contains("memory allocation"), "{error:?}");
    assert!(error.to_string().contains("said last: memory allocation"), "{error}");
    assert_eq!(block_on(takes(20)).unwrap(), 20 << 20);
}

#[test]
fn a_worker_that_keeps_memory_is_replaced() {
    static POOL: ProcessPool = ProcessPool::new("leaks").workers(1).max_memory(200 << 20);

    #[offload(process, pool = POOL)]
    fn leaks(megabytes: usize) -> Result<u32, Error> {
        std::mem::forget(std::hint::black_box(vec![1_u8; megabytes << 20]));
        Ok(std::process::id())
    }

    let first = block_on(leaks(1)).unwrap();
    assert_eq!(block_on(leaks(1)).unwrap(), first);
    // More than half of what it may have.
    assert_eq!(block_on(leaks(120)).unwrap(), first);
    assert_ne!(block_on(leaks(1)).unwrap(), first);
    assert_eq!(workers("leaks").recycled, 1);
}

#[test]
fn a_start_up_function_runs_once_in_each_worker() {
    static POOL: ProcessPool = ProcessPool::new("starts").workers(2).on_start(start);
    static STARTS: AtomicU32 = AtomicU32::new(0);

    fn start() {
        STARTS.fetch_add(1, Ordering::SeqCst);
    }

    #[offload(process, pool = POOL)]
    fn starts() -> Result<u32, Error> {
        Ok(STARTS.load(Ordering::SeqCst))
    }

    let all = block_on(join_all((0..20).map(|_| starts())));
    assert!(all.iter().all(|starts| *starts.as_ref().unwrap() == 1), "{all:?}");
    assert_eq!(STARTS.load(Ordering::SeqCst), 0, "not in the parent");
}

#[test]
fn a_start_up_function_that_panics_or_ends_the_process() {
    static PANICS: ProcessPool = ProcessPool::new("panics at start").on_start(panics);
    static EXITS: ProcessPool = ProcessPool::new("exits at start").on_start(exits);

    fn panics() {
        panic!("no fonts");
    }

    fn exits() {
        eprintln!("no licence");
        std::process::exit(4);
    }

    #[offload(process, pool = PANICS)]
    fn first() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = EXITS)]
    fn second() -> Result<(), Error> {
        Ok(())
    }

    let error = block_on(first()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no fonts"), "{error}");
    let error = block_on(second()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no licence"), "{error}");
    assert!(error.to_string().contains("exit status: 4"), "{error}");
}

#[test]
fn workers_have_the_environment_and_the_priority_that_are_set() {
    static POOL: ProcessPool =
        ProcessPool::new("env").workers(1).env(&[("OFFLOAD_TEST_COLOUR", "blue")]);
    static NORMAL: ProcessPool = ProcessPool::new("normal").workers(1).priority(Priority::Normal);

    #[offload(process, pool = POOL)]
    fn colour() -> Result<(Option<String>, i32), Error> {
        Ok((std::env::var("OFFLOAD_TEST_COLOUR").ok(), nice()))
    }

    #[offload(process, pool = NORMAL)]
    fn normal() -> Result<i32, Error> {
        Ok(nice())
    }

    let (colour, lowered) = block_on(colour()).unwrap();
    assert_eq!(colour.as_deref(), Some("blue"));
    let own = nice();
    assert_eq!(block_on(normal()).unwrap(), own);
    // The tests may run under `nice`.
    assert_eq!(lowered, own.max(10));
}

/// Whoever makes the first call.
#[test]
fn workers_have_the_processors_and_the_signal_mask_of_the_main_thread() {
    static POOL: ProcessPool = ProcessPool::new("of main").workers(1);

    #[offload(process, pool = POOL)]
    fn kept() -> Result<[String; 2], Error> {
        Ok(of("/proc/thread-self/status"))
    }

    // The CPU affinity and the signal mask, as a `status` file in `/proc` has them.
    fn of(status: &str) -> [String; 2] {
        let status = std::fs::read_to_string(status).unwrap();
        let line = |name| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        ["Cpus_allowed_list:", "SigBlk:"].map(line)
    }

    // As a thread of a runtime may be.
    let caller = std::thread::spawn(|| {
        let all = sched_getaffinity(None).unwrap();
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap());
        sched_setaffinity(None, &one).unwrap();
        SigSet::all().thread_block().unwrap();
        block_on(kept())
    });
    let kept = caller.join().unwrap().unwrap();
    let main = format!("/proc/self/task/{}/status", std::process::id());
    // While it starts another thread, the main one blocks all signals.
    settle("they are those of the main thread", || of(&main) == kept);
}

/// That of this thread.
fn nice() -> i32 {
    let line = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    line.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
}

#[test]
fn one_worker_more_than_is_needed_is_started_ahead() {
    static POOL: ProcessPool = ProcessPool::new("ahead").workers(3);

    #[offload(process, pool = POOL)]
    fn quick() -> Result<(), Error> {
        Ok(())
    }

    block_on(quick()).unwrap();
    settle("a second one is there", || workers("ahead").alive == 2);
    for _ in 0..10 {
        block_on(quick()).unwrap();
    }
    assert_eq!(workers("ahead").alive, 2);
}

#[test]
fn workers_that_are_not_needed_end() {
    static POOL: ProcessPool =
        ProcessPool::new("shrinks").workers(3).keep_alive(Duration::from_millis(50));

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        std::thread::sleep(Duration::from_millis(20));
        Ok(std::process::id())
    }

    let pids = block_on(join_all((0..6).map(|_| pid())));
    settle("all have ended", || workers("shrinks").alive == 0);
    for pid in pids {
        let pid = pid.unwrap();
        settle("it is reaped", || !is_there(pid));
    }
    // And come back.
    block_on(pid()).unwrap();
}

#[test]
fn no_more_workers_than_are_set() {
    static POOL: ProcessPool = ProcessPool::new("two").workers(2);

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let pids = block_on(join_all((0..100).map(|_| pid())));
    let mut pids: Vec<u32> = pids.into_iter().map(Result::unwrap).collect();
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() <= 2, "{pids:?}");
    let children = children();
    assert!(pids.iter().all(|pid| children.contains(pid)));
}
