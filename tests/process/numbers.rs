//! The pool and its functions in `stats()` and in `metrics`.

use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Priority, ProcessPool, Ran, offload};

use crate::support::{numbers, settle, workers};

/// Of the priority of this process: the deadline is for the body that never ends, and the others have
/// to end before it on a busy machine as well.
static POOL: ProcessPool = ProcessPool::new("numbers").workers(1).priority(Priority::Normal);

#[offload(process, pool = POOL, name = "counted", timeout = "10s")]
fn counted(way: u8) -> Result<u8, Error> {
    match way {
        0 => Ok(0),
        1 => panic!("one"),
        2 => std::process::abort(),
        3 => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => Err(offload_runtime::check_cancelled().err().unwrap_or_else(other)),
    }
}

/// Some error of the body's own.
fn other() -> Error {
    Error::new(ErrorKind::Config, Ran::Yes, "counted", "failed")
}

#[test]
fn each_end_is_counted_once() {
    block_on(counted(0)).unwrap();
    for way in 1..=3 {
        block_on(counted(way)).unwrap_err();
    }
    // The caller is answered before the process is dead.
    settle("the kill is counted", || numbers("counted").killed == 1);
    block_on(counted(4)).unwrap_err();
    let function = numbers("counted");
    assert_eq!((function.kind, function.pool), ("process", "numbers"));
    assert_eq!(function.started, 5);
    assert_eq!(function.finished, 2);
    assert_eq!((function.panicked, function.died, function.killed), (1, 1, 1));
    assert_eq!((function.failed, function.timed_out), (0, 1));
    let workers = workers("numbers");
    assert_eq!((workers.restarts, workers.kills, workers.recycled), (1, 1, 0));
    assert!(workers.alive <= 1, "{workers:?}");

    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, offload_runtime::publish_metrics);
    let published: Vec<String> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| format!("{} {value:?}", key.key()))
        .filter(|line| line.contains("pool = numbers"))
        .collect();
    for (name, label, value) in [
        ("offload_calls_total", "outcome = died", "Counter(1)"),
        ("offload_calls_total", "outcome = killed", "Counter(1)"),
        ("offload_workers_total", "end = restarted", "Counter(1)"),
        ("offload_workers_total", "end = killed", "Counter(1)"),
        ("offload_pool_workers", "state = busy", "Gauge(0.0)"),
    ] {
        let is_it =
            |line: &&String| line.contains(name) && line.contains(label) && line.ends_with(value);
        assert!(
            published.iter().any(|line| is_it(&line)),
            "{name} {label} {value}: {published:#?}"
        );
    }
}
