//! A pool's thread is what its pool says, and not what the thread was that made the first call.
//!
//! Each test runs a second time, alone in a process of its own, where it makes the first call of
//! all.

#![cfg(target_os = "linux")]

use std::sync::{Arc, Barrier};
use std::{env, fs, thread};

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{Builder, CpuPool, Priority, ThreadPool, offload};
use offload_tests::{own_process, passes, pool};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Set in the process that makes the first call.
const CHILD: &str = "OFFLOAD_TESTS_FIRST_CALL";

/// Runs `scenario` in a process of its own, which runs nothing but this `test`.
fn alone(test: &str, scenario: fn()) {
    if env::var_os(CHILD).is_some() {
        return scenario();
    }
    passes(own_process(test).env(CHILD, "1"));
}

/// Nice value and policy of this thread, as the system tells them.
fn schedule() -> (i32, u32) {
    schedule_in(&fs::read_to_string("/proc/thread-self/stat").unwrap())
}

fn schedule_in(stat: &str) -> (i32, u32) {
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // The 19th and the 41st of all; the first two are gone.
    (fields[16].parse().unwrap(), fields[38].parse().unwrap())
}

/// That of the process's main thread: the tests may run under `nice`.
fn of_main() -> (i32, u32) {
    let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", std::process::id())).unwrap();
    schedule_in(&stat)
}

fn low() -> (i32, u32) {
    (of_main().0.max(10), libc::SCHED_BATCH as u32)
}

fn lowest() -> (i32, u32) {
    (19, libc::SCHED_BATCH as u32)
}

#[offload(thread)]
fn waits() -> (i32, u32) {
    schedule()
}

#[offload(cpu)]
fn computes() -> (i32, u32) {
    schedule()
}

#[test]
fn a_body_of_low_priority_that_makes_the_first_call_of_a_pool_does_not_pass_its_priority_on() {
    #[offload(cpu)]
    fn makes_the_first_call() -> (i32, u32) {
        block_on(waits())
    }

    alone(
        "a_body_of_low_priority_that_makes_the_first_call_of_a_pool_does_not_pass_its_priority_on",
        || {
            assert_eq!(block_on(makes_the_first_call()), of_main());
            assert_eq!(block_on(computes()), low());
            assert_eq!(block_on(waits()), of_main());
        },
    );
}

#[test]
fn a_pool_has_the_priority_that_it_says() {
    static LOWEST_POOL: CpuPool = CpuPool::new("lowest").threads(1).priority(Priority::Lowest);
    static NORMAL_POOL: CpuPool = CpuPool::new("normal").threads(1).priority(Priority::Normal);
    static LOW_POOL: ThreadPool = ThreadPool::new("low").threads(1).priority(Priority::Low);
    static IDLE_POOL: CpuPool = CpuPool::new("idle").threads(1).priority(Priority::Idle);

    #[offload(cpu, pool = LOWEST_POOL)]
    fn of_lowest() -> (i32, u32) {
        schedule()
    }

    #[offload(cpu, pool = NORMAL_POOL)]
    fn normal() -> (i32, u32) {
        schedule()
    }

    #[offload(thread, pool = LOW_POOL)]
    fn of_low() -> (i32, u32) {
        schedule()
    }

    #[offload(cpu, pool = IDLE_POOL)]
    fn idle() -> (i32, u32) {
        schedule()
    }

    alone("a_pool_has_the_priority_that_it_says", || {
        assert_eq!(block_on(idle()).1, libc::SCHED_IDLE as u32);
        assert_eq!(block_on(of_lowest()), lowest());
        assert_eq!(block_on(normal()), of_main());
        assert_eq!(block_on(of_low()), low());
    });
}

#[test]
fn the_default_pool_has_the_priority_of_the_settings() {
    alone("the_default_pool_has_the_priority_of_the_settings", || {
        Builder::new().cpu_priority(Priority::Lowest).install().unwrap();
        assert_eq!(block_on(computes()), lowest());
        assert_eq!(block_on(waits()), of_main());
    });
}

#[test]
fn the_default_pool_has_the_priority_of_the_environment() {
    let test = "the_default_pool_has_the_priority_of_the_environment";
    if env::var_os(CHILD).is_some() {
        return assert_eq!(block_on(computes()).1, libc::SCHED_IDLE as u32);
    }
    passes(own_process(test).env(CHILD, "1").env("OFFLOAD_CPU_PRIORITY", "idle"));
}

#[test]
fn a_caller_that_is_pinned_to_one_core_does_not_pin_the_threads() {
    static POOL: ThreadPool = ThreadPool::new("free").threads(3);

    #[offload(thread, pool = POOL)]
    fn cores(together: Arc<Barrier>) -> u32 {
        together.wait();
        sched_getaffinity(None).unwrap().count()
    }

    #[offload(cpu)]
    fn meets(together: Arc<Barrier>) -> u32 {
        together.wait();
        sched_getaffinity(None).unwrap().count()
    }

    alone("a_caller_that_is_pinned_to_one_core_does_not_pin_the_threads", || {
        let all = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap();
        // As `on_thread_start` of a runtime may do.
        let caller = thread::spawn(move || {
            let mut one = CpuSet::new();
            one.set(first);
            sched_setaffinity(None, &one).unwrap();
            let together = Arc::new(Barrier::new(3));
            let waits = block_on(join_all((0..3).map(|_| cores(Arc::clone(&together)))));
            // As many as there are cores: each has a thread.
            let many = usize::try_from(all.count()).unwrap();
            let together = Arc::new(Barrier::new(many));
            let computes = block_on(join_all((0..many).map(|_| meets(Arc::clone(&together)))));
            (waits, computes)
        });
        let (waits, computes) = caller.join().unwrap();
        assert_eq!(pool("cpu").limit, thread::available_parallelism().unwrap().get());
        assert_eq!(waits, [all.count(); 3]);
        assert!(computes.iter().all(|cores| *cores == all.count()), "{computes:?}");
    });
}
