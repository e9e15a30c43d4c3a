//! The end of the pools, with a process for each test.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload, shutdown, stats};
use offload_tests::{begin, own_process};

use crate::ends::{Told, spin, tell};
use crate::support::{PATIENCE, children, is_there, number, runs, settle, start_daemon};

/// Runs a test of this file in a process of its own.
fn passes_alone(test: &str) {
    passes("ending", test);
}

/// Runs a test of a module in a process of its own.
pub(crate) fn passes(module: &str, test: &str) {
    offload_tests::passes(&mut own_process(&format!("{module}::{test}")));
}

#[offload(process)]
fn spins(path: String) -> Result<(), Error> {
    tell(&path);
    spin()
}

#[offload(process)]
fn ends_when_told(path: String) -> Result<u32, Error> {
    tell(&path);
    while !std::fs::exists(format!("{path}.go")).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(7)
}

#[test]
fn calls_have_their_grace_and_then_no_worker_is_left() {
    passes_alone("child_gives_grace");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_gives_grace() {
    let told = Told::new();
    let call = begin(ends_when_told(told.path()));
    told.pid();
    let ending = begin(shutdown(PATIENCE));
    let error = block_on(ends_when_told(told.path())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No));
    std::fs::write(told.path() + ".go", "").unwrap();
    let report = block_on(ending);
    assert_eq!((report.finished, report.abandoned), (1, 0));
    assert_eq!(block_on(call).unwrap(), 7);
    settle("no worker is left", || children().is_empty());
}

#[test]
fn after_the_grace_bodies_are_killed() {
    passes_alone("child_kills");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_kills() {
    let told = Told::new();
    let call = begin(spins(told.path()));
    let pid = told.pid();
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 1);
    let error = block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::Maybe));
    assert!(!is_there(pid));
    settle("no worker is left", || children().is_empty());
}

#[test]
fn a_worker_that_starts_is_ended() {
    passes_alone("child_starts_for_ever");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_starts_for_ever() {
    const DAEMON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/starts_for_ever");
    static POOL: ProcessPool = ProcessPool::new("for ever").workers(1).on_start(|| {
        start_daemon(DAEMON);
        spin()
    });

    #[offload(process, pool = POOL)]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    let _ = std::fs::remove_file(DAEMON);
    let call = begin(never());
    settle("a worker is there", || !children().is_empty());
    let other = number(DAEMON);
    let start = Instant::now();
    block_on(shutdown(Duration::from_millis(10)));
    assert_eq!(block_on(call).unwrap_err().kind(), ErrorKind::ShuttingDown);
    settle("no worker is left", || children().is_empty());
    settle("nor what it has started", || !runs(other));
    // And not because it did not start up in the minute that it has for that.
    assert!(start.elapsed() < Duration::from_secs(45));
}

/// It runs on after the grace, and calls: once that call waited for ever for a worker
/// that nobody would start.
#[test]
fn a_call_that_a_body_makes_after_the_end_is_rejected() {
    passes_alone("child_calls_late");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_calls_late() {
    #[offload(process)]
    fn late() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread)]
    fn outlives(
        start: std::sync::mpsc::Sender<()>,
        go: std::sync::mpsc::Receiver<()>,
    ) -> ErrorKind {
        start.send(()).unwrap();
        go.recv().unwrap();
        block_on(late()).unwrap_err().kind()
    }

    block_on(late()).unwrap();
    let (start, started) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel();
    let call = std::thread::spawn(|| block_on(outlives(start, wait)));
    started.recv().unwrap();
    // The thread of the first call was about to leave it when that was answered.
    settle("one body runs", || stats().pools.iter().map(|pool| pool.running).sum::<usize>() == 1);
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 1);
    go.send(()).unwrap();
    assert_eq!(call.join().unwrap(), ErrorKind::ShuttingDown);
}
