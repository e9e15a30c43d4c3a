//! What an offloaded call does on the thread of its caller's event loop: as little as may be.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::future::poll_immediate;
use offload_runtime::{Error, ThreadPool, offload};
use offload_tests::PATIENCE;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Tells where it is dropped, and would wait there for ever if that were the loop's thread.
struct Slow {
    dropped: Sender<ThreadId>,
    release: Receiver<()>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.dropped.send(thread::current().id()).unwrap();
        let _ = self.release.recv();
    }
}

fn slow() -> (Slow, Receiver<ThreadId>, Sender<()>) {
    let (dropped, tells) = mpsc::channel();
    let (releases, release) = mpsc::channel();
    (Slow { dropped, release }, tells, releases)
}

static ONE: ThreadPool = ThreadPool::new("one").threads(1);

#[offload(thread, pool = ONE)]
fn holds(begun: Sender<()>, gate: Receiver<()>) {
    begun.send(()).unwrap();
    let _ = gate.recv();
}

#[offload(thread, pool = ONE)]
fn uses(argument: Slow) {
    drop(argument);
}

#[offload(thread, pool = ONE, timeout = "20ms")]
fn uses_in_time(argument: Slow) -> Result<(), Error> {
    drop(argument);
    Ok(())
}

#[offload(cpu)]
fn makes(value: Slow, gate: Receiver<()>) -> Slow {
    let _ = gate.recv();
    value
}

#[test]
fn destructors_of_what_a_call_leaves_behind_do_not_run_on_the_loops_thread() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (begin, begun) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let busy = tokio::spawn(holds(begin, gate));
        tokio::task::yield_now().await;
        begun.recv_timeout(PATIENCE).unwrap();

        // Dropped while it is queued.
        let (argument, dropped, release) = slow();
        let mut call = Box::pin(uses(argument));
        assert!(poll_immediate(call.as_mut()).await.is_none());
        drop(call);
        assert_ne!(dropped.recv_timeout(PATIENCE).unwrap(), thread::current().id());
        drop(release);

        // Its deadline passes while it is queued.
        let (argument, dropped, release) = slow();
        uses_in_time(argument).await.unwrap_err();
        assert_ne!(dropped.recv_timeout(PATIENCE).unwrap(), thread::current().id());
        drop(release);

        // A result that nobody takes.
        let (value, dropped, release) = slow();
        let (makes_it, gate) = mpsc::channel();
        let mut call = Box::pin(makes(value, gate));
        assert!(poll_immediate(call.as_mut()).await.is_none());
        makes_it.send(()).unwrap();
        let ended = || {
            let functions = offload_runtime::stats().functions;
            functions.iter().any(|one| one.name.ends_with("makes") && one.finished == 1)
        };
        let start = Instant::now();
        while !ended() {
            assert!(start.elapsed() < PATIENCE);
            thread::yield_now();
        }
        drop(call);
        assert_ne!(dropped.recv_timeout(PATIENCE).unwrap(), thread::current().id());
        drop(release);

        open.send(()).unwrap();
        busy.await.unwrap();
    });
}

/// A call that is not polled, or rejected at its first poll, drops where it is, as any value does.
#[test]
fn a_call_that_is_never_polled_drops_where_it_is() {
    let (argument, dropped, release) = slow();
    drop(release);
    drop(uses(argument));
    assert_eq!(dropped.recv_timeout(PATIENCE).unwrap(), thread::current().id());
}

/// Nothing of ours keeps a loop awake, nor does it answer a caller before its task has given way.
#[test]
fn a_loop_whose_calls_have_all_ended_goes_to_sleep() {
    #[offload(thread)]
    fn nothing() {}

    let runtime = Builder::new_current_thread().build().unwrap();
    let metrics = runtime.metrics();
    let (ended, has_ended) = mpsc::channel();
    let (end, is_over) = oneshot::channel();
    let its_thread = thread::spawn(move || {
        runtime.block_on(async {
            // Polled once, and dropped.
            let _ = poll_immediate(Box::pin(nothing()).as_mut()).await;
            let call_again_and_again = async || {
                for _ in 0..200 {
                    nothing().await;
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
    has_ended.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    // An odd count is that of a worker that is parked.
    while metrics.worker_park_unpark_count(0) % 2 != 1 {
        assert!(start.elapsed() < PATIENCE, "it does not park");
        thread::yield_now();
    }
    // And it stays so.
    let parked = metrics.worker_park_unpark_count(0);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(metrics.worker_park_unpark_count(0), parked);
    end.send(()).unwrap();
    its_thread.join().unwrap();
}
