//! Functions whose bodies have been quick: their callers may wait on the spot for a
//! moment. No other task is held up by that, also if the next body is not quick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};

use offload_runtime::{CpuPool, offload};
use tokio::runtime::Builder;

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
