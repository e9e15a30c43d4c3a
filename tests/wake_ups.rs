//! The callers of a burst are woken together, also where their bodies take longer than to
//! wake one. To wake a `current_thread` runtime
//! from outside is a write to an eventfd, and Linux counts the writes of a process:
//! so this file has one test.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, hint};

use offload_runtime::{CpuPool, ThreadPool, offload};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// So many calls wait when the first of them starts.
const CALLS: u64 = 500;

/// So long the test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pool with one thread, a function of it that returns its argument, and one that keeps the
/// thread busy.
macro_rules! pool {
    ($name:ident: $kind:ident, $pool:ident, $takes:expr) => {
        mod $name {
            use super::*;

            static POOL: $pool = $pool::new(stringify!($name)).threads(1);

            #[offload($kind, pool = POOL)]
            pub(super) fn number(n: u64) -> u64 {
                let start = Instant::now();
                while start.elapsed() < $takes {
                    hint::spin_loop();
                }
                n
            }

            #[offload($kind, pool = POOL)]
            pub(super) fn wait_for(gate: Receiver<()>) {
                gate.recv().unwrap();
            }
        }
    };
}

pool!(quick: cpu, CpuPool, Duration::ZERO);
// Too long for a quick body. Where other programs have the cores, a thread with low priority
// would hardly get through.
pool!(brief: thread, ThreadPool, Duration::from_micros(60));

/// How often this process has written anything.
fn writes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").expect("Linux counts the writes of a process");
    let count = text.lines().find_map(|line| line.strip_prefix("syscw: "));
    count.expect("a line of its own").parse().unwrap()
}

/// How often the process writes while the callers of a burst are woken.
async fn burst<N, W>(number: fn(u64) -> N, wait_for: fn(Receiver<()>) -> W) -> u64
where
    N: Future<Output = u64> + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let (open, gate) = mpsc::channel();
    let holder = tokio::spawn(wait_for(gate));
    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        calls.spawn(number(n));
    }
    let waiting = || offload_runtime::stats().pools.iter().map(|pool| pool.queued).sum::<usize>();
    while waiting() < CALLS as usize {
        tokio::task::yield_now().await;
    }
    let before = writes();
    open.send(()).unwrap();
    let sum: u64 = calls.join_all().await.iter().sum();
    let after = writes();
    holder.await.unwrap();
    assert_eq!(sum, CALLS * (CALLS - 1) / 2);
    after - before
}

/// Until it is seen: where the loop gets no processor for milliseconds, its callers are
/// woken directly.
fn assert_a_burst_is_woken_together<N, W>(number: fn(u64) -> N, wait_for: fn(Receiver<()>) -> W)
where
    N: Future<Output = u64> + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (start, mut rounds) = (Instant::now(), Vec::new());
    let is_seen = |rounds: &[u64]| rounds.last().is_some_and(|writes| *writes < CALLS / 4);
    while !is_seen(&rounds) && start.elapsed() < PATIENCE {
        rounds.push(runtime.block_on(burst(number, wait_for)));
    }
    println!("{CALLS} calls, and so many writes: {rounds:?}");
    assert!(is_seen(&rounds));
}

#[test]
fn the_callers_of_a_burst_are_not_woken_one_by_one() {
    assert_a_burst_is_woken_together(quick::number, quick::wait_for);
    assert_a_burst_is_woken_together(brief::number, brief::wait_for);
}
