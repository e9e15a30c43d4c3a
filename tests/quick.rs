//! Functions whose bodies have been quick: their callers may wait on the spot for a
//! moment. No other task is held up by that, also if the next body is not quick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{hint, thread};

use offload_runtime::{CpuPool, ThreadPool, offload};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

static POOL: CpuPool = CpuPool::new("quick").threads(1);

/// Does nothing, unless there is something to wait for.
#[offload(cpu, pool = POOL)]
fn quick(gate: Option<Receiver<()>>) {
    if let Some(gate) = gate {
        gate.recv().unwrap();
    }
}

/// Enough for the function to count as quick, and its caller as one that calls alone.
async fn warm_up() {
    for _ in 0..1000 {
        quick(None).await;
    }
}

/// The loop has one thread, so the task that opens the gate runs when the caller of
/// the body that waits for it has let go of that thread.
#[test]
fn a_body_that_is_not_quick_for_once_holds_up_nobody() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..20 {
            warm_up().await;
            let (open, gate) = mpsc::channel();
            tokio::spawn(async move { open.send(()).unwrap() });
            quick(Some(gate)).await;
        }
    });
}

/// Its one thread waits for the gate, with the answers of the bodies before it, which it
/// held back since all of them were brief. They come all the same, and open the gate.
#[test]
fn a_body_that_is_not_brief_for_once_holds_up_no_answer() {
    static POOL: ThreadPool = ThreadPool::new("brief").threads(1);
    #[offload(thread, pool = POOL)]
    fn brief(gate: Option<Receiver<()>>) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(60) {
            hint::spin_loop();
        }
        if let Some(gate) = gate {
            gate.recv().unwrap();
        }
    }
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..20 {
            let (open, gate) = mpsc::channel();
            let before: Vec<_> = (0..40).map(|_| tokio::spawn(brief(None))).collect();
            let last = tokio::spawn(brief(Some(gate)));
            let after = tokio::spawn(brief(None));
            for call in before {
                call.await.unwrap();
            }
            open.send(()).unwrap();
            last.await.unwrap();
            after.await.unwrap();
        }
    });
}

/// Each call of the one task may be answered at its first poll. The other one runs when
/// the first that is not has let go of the loop's thread.
#[test]
fn a_task_that_calls_without_end_leaves_the_others_their_turn() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        warm_up().await;
        for _ in 0..500 {
            let done = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&done);
            tokio::spawn(async move { theirs.store(true, Ordering::Relaxed) });
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                quick(None).await;
                calls += 1;
            }
            // 64 are answered on the spot, and hardly another before it waits.
            assert!(calls < 100, "{calls} calls before it was the other's turn");
        }
    });
}

/// What brings the answers stays awake for a moment after each burst, and no longer.
#[test]
fn a_loop_whose_calls_have_all_ended_goes_to_sleep() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let metrics = runtime.metrics();
    let (ended, has_ended) = mpsc::channel();
    let (end, is_over) = oneshot::channel();
    let its_thread = thread::spawn(move || {
        runtime.block_on(async {
            let call_again_and_again = async || {
                for _ in 0..200 {
                    quick(None).await;
                }
            };
            let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(call_again_and_again())).collect();
            for task in tasks {
                task.await.unwrap();
            }
            ended.send(()).unwrap();
            is_over.await.unwrap();
        });
    });
    has_ended.recv().unwrap();
    let start = Instant::now();
    // An odd count is that of a worker that is parked.
    while metrics.worker_park_unpark_count(0) % 2 != 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not park");
        thread::yield_now();
    }
    end.send(()).unwrap();
    its_thread.join().unwrap();
}
