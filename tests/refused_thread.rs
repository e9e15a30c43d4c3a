//! The system refuses to start threads: calls wait, and none is lost.
//!
//! Each test runs a second time, alone in a process of its own, and there
//! lowers the limit of its address space, so that no thread's stack fits in any
//! more. (A limit of the number of processes would not do: it does not hold
//! for root.)

#![cfg(target_os = "linux")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::process;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::offload;
use offload_tests::{PATIENCE, own_process, passes, soon};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::task::yield_now;

/// Set in the process that has to do without threads.
const CHILD: &str = "OFFLOAD_TESTS_REFUSED_THREAD";

/// Each thread wants a stack of this size, and ...
const STACK: usize = 64 << 20;

/// ... so much is left for everything else.
const LEFT: u64 = 16 << 20;

/// Runs `scenario` in a process of its own, which runs nothing but this `test`.
fn alone(test: &str, scenario: fn()) {
    if env::var_os(CHILD).is_some() {
        // A call that is lost would hang for ever.
        thread::spawn(|| {
            thread::sleep(PATIENCE);
            eprintln!("a call was lost, or took more than {PATIENCE:?}");
            process::exit(1);
        });
        return scenario();
    }
    let mut process = own_process(test);
    process.env(CHILD, "1").env("RUST_MIN_STACK", STACK.to_string());
    // Else glibc reserves as much again for each thread, when it likes.
    passes(process.env("MALLOC_ARENA_MAX", "1"));
}

/// While this is alive, no thread can be started.
struct Refused(Rlimit);

fn refuse_threads() -> Refused {
    let before = getrlimit(Resource::As);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let used: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let used = used << 10;
    setrlimit(Resource::As, Rlimit { current: Some(used + LEFT), ..before }).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "the limit does not hold");
    Refused(before)
}

impl Drop for Refused {
    /// Only the soft limit was lowered.
    fn drop(&mut self) {
        setrlimit(Resource::As, self.0).unwrap();
    }
}

#[offload(thread)]
fn waits<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

#[offload(cpu)]
fn computes<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The same call of either pool.
fn of_both_pools<T: Send + 'static>(body: fn() -> T) -> [Boxed<T>; 2] {
    [Box::pin(waits(body)), Box::pin(computes(body))]
}

/// Polls once: afterwards the pool has the call.
fn is_pending<T>(call: &mut Boxed<T>) -> bool {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Starts so many threads of the thread pool, or all of the CPU pool: each body
/// waits for the others.
fn start_threads(threads: usize, call: fn(Arc<Barrier>) -> Boxed<()>) {
    let together = Arc::new(Barrier::new(threads));
    block_on(join_all((0..threads).map(|_| call(Arc::clone(&together)))));
}

fn meet_in_the_thread_pool(together: Arc<Barrier>) -> Boxed<()> {
    Box::pin(waits(move || _ = together.wait()))
}

/// A call of the thread pool that runs until its sender is dropped.
fn hold_a_thread() -> (Boxed<()>, Sender<()>) {
    let (started, start) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let mut call: Boxed<()> = Box::pin(waits(move || {
        started.send(()).unwrap();
        let _ = held.recv();
    }));
    assert!(is_pending(&mut call));
    soon(&start);
    (call, release)
}

// Some threads are there.

#[test]
fn calls_that_would_like_more_threads_share_those_that_are_there() {
    alone("calls_that_would_like_more_threads_share_those_that_are_there", || {
        start_threads(3, meet_in_the_thread_pool);
        let _refused = refuse_threads();
        let calls = (0..200).map(|n| {
            waits(move || {
                // Long enough for the pool to want to grow.
                thread::sleep(Duration::from_millis(1));
                n
            })
        });
        assert!(block_on(join_all(calls)).into_iter().eq(0..200));

        let calls = (0..200).map(|n| waits(move || n));
        let runtime = Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(join_all(calls)).into_iter().eq(0..200));
    });
}

#[test]
fn a_call_that_found_all_threads_busy_runs_when_one_is_free() {
    alone("a_call_that_found_all_threads_busy_runs_when_one_is_free", || {
        let (busy, release) = hold_a_thread();
        let _refused = refuse_threads();
        let mut calls: Vec<_> =
            (0..10).map(|n| -> Boxed<i32> { Box::pin(waits(move || n)) }).collect();
        assert!(calls.iter_mut().all(is_pending));
        drop(release);
        block_on(busy);
        assert!(block_on(join_all(calls)).into_iter().eq(0..10));
    });
}

#[test]
fn a_call_that_found_all_threads_busy_gets_one_when_the_system_agrees() {
    alone("a_call_that_found_all_threads_busy_gets_one_when_the_system_agrees", || {
        let (busy, release) = hold_a_thread();
        let refused = refuse_threads();
        // The busy body ends after this one only.
        let mut call: Boxed<()> = Box::pin(waits(move || drop(release)));
        assert!(is_pending(&mut call));
        drop(refused);
        block_on(call);
        block_on(busy);
    });
}

// Not a single thread is there.

#[test]
fn calls_wait_for_the_first_thread_under_a_runtime() {
    alone("calls_wait_for_the_first_thread_under_a_runtime", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let refused = refuse_threads();
            let calls: Vec<_> =
                of_both_pools(|| 7).into_iter().map(|call| tokio::spawn(call)).collect();
            // The event loop goes on, whatever the calls do.
            for _ in 0..100 {
                yield_now().await;
            }
            assert!(calls.iter().all(|call| !call.is_finished()));
            drop(refused);
            for call in calls {
                assert_eq!(call.await.unwrap(), 7);
            }
        });
    });
}

#[test]
fn calls_wait_for_the_first_thread_without_a_runtime() {
    alone("calls_wait_for_the_first_thread_without_a_runtime", || {
        let (tell, told) = mpsc::channel::<Refused>();
        // A thread that is there before.
        let agrees = thread::spawn(move || {
            while let Ok(refused) = told.recv() {
                drop(refused);
            }
        });
        let refused = refuse_threads();
        let mut calls = of_both_pools(|| 7);
        for _ in 0..100 {
            assert!(calls.iter_mut().all(is_pending));
        }
        tell.send(refused).unwrap();
        assert_eq!(block_on(join_all(calls)), [7, 7]);
        drop(tell);
        agrees.join().unwrap();
    });
}

#[test]
fn a_call_dropped_while_no_thread_can_be_started_never_runs_and_the_others_do() {
    alone("a_call_dropped_while_no_thread_can_be_started_never_runs_and_the_others_do", || {
        let refused = refuse_threads();
        let dropped = of_both_pools(|| panic!("it runs"));
        let mut kept = of_both_pools(|| 7);
        for mut call in dropped {
            assert!(is_pending(&mut call));
            drop(call);
        }
        assert!(kept.iter_mut().all(is_pending));
        let mut dropped = of_both_pools(|| panic!("it runs"));
        assert!(dropped.iter_mut().all(is_pending));
        drop(dropped);
        drop(refused);
        assert_eq!(block_on(join_all(kept)), [7, 7]);
    });
}

/// Each pool was refused; then the other one got its threads, and the thread
/// that does things later, before this call's task had its next turn.
#[test]
fn a_pool_that_has_no_thread_is_not_forgotten_when_another_pool_gets_its_own() {
    alone("a_pool_that_has_no_thread_is_not_forgotten_when_another_pool_gets_its_own", || {
        let refused = refuse_threads();
        let mut forgotten: Boxed<i32> = Box::pin(computes(|| 7));
        assert!(is_pending(&mut forgotten));
        drop(refused);
        let mut busy = Vec::new();
        while !has_timer() {
            busy.push(hold_a_thread());
        }
        assert_eq!(block_on(forgotten), 7);
    });
}

/// A call finds that another one's task has asked for a thread already, and
/// waits; the system refuses, and that other task is gone.
#[test]
fn a_call_behind_another_is_not_forgotten_when_that_call_is_dropped() {
    alone("a_call_behind_another_is_not_forgotten_when_that_call_is_dropped", || {
        let together = Arc::new(Barrier::new(2));
        let (ask, asks) = mpsc::channel::<Refused>();
        let other = thread::spawn({
            let together = Arc::clone(&together);
            move || {
                let refused = soon(&asks);
                let mut call: Boxed<()> = Box::pin(waits(|| panic!("it runs")));
                together.wait();
                assert!(is_pending(&mut call));
                drop(call);
                drop(refused);
            }
        });
        ask.send(refuse_threads()).unwrap();
        together.wait();
        assert_eq!(block_on(waits(|| 7)), 7);
        other.join().unwrap();
    });
}

fn has_timer() -> bool {
    fs::read_dir("/proc/self/task").unwrap().any(|task| {
        let name = fs::read_to_string(task.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim_end() == "offload-timer")
    })
}

/// A call is pinned where it waits, and the threads come and go around it.
#[test]
fn threads_may_be_refused_again_and_again() {
    alone("threads_may_be_refused_again_and_again", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        for round in 0..20 {
            let refused = refuse_threads();
            let mut calls: Vec<_> = (0..20)
                .map(|n| -> Boxed<i32> {
                    if n % 2 == 0 {
                        Box::pin(waits(move || n))
                    } else {
                        Box::pin(computes(move || n))
                    }
                })
                .collect();
            for call in &mut calls[..round] {
                let _ = futures::FutureExt::now_or_never(call.as_mut());
            }
            drop(refused);
            let mut calls = pin!(join_all(calls.drain(round..)));
            assert!(runtime.block_on(calls.as_mut()).into_iter().eq((0..20).skip(round)));
        }
    });
}
