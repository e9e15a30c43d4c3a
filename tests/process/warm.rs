//! Workers that are kept ready, and those that are of no use.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload};
use offload_tests::{pool, skipped};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, settle, workers};

#[test]
fn workers_are_ready_before_the_first_call_and_replaced_when_they_end() {
    static POOL: ProcessPool = ProcessPool::new("kept ready").workers(3).min_workers(2);

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    block_on(POOL.ready()).unwrap();
    assert_eq!((workers("kept ready").alive, workers("kept ready").idle), (2, 2));
    let first = block_on(pid()).unwrap();
    let process = Pid::from_raw(first.cast_signed()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    settle("its death is seen", || workers("kept ready").restarts == 1);
    settle("another is in its place", || workers("kept ready").idle == 2);
    assert_ne!(block_on(pid()).unwrap(), first);
    // Once more, there is nothing to wait for.
    block_on(POOL.ready()).unwrap();
}

#[test]
fn workers_that_are_kept_ready_stay_when_no_call_comes() {
    static POOL: ProcessPool = ProcessPool::new("kept idle")
        .workers(2)
        .min_workers(1)
        .keep_alive(Duration::from_millis(20));

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let first = block_on(pid()).unwrap();
    settle("no thread is left", || pool("kept idle").threads == 0);
    settle("one worker is", || workers("kept idle").alive == 1);
    assert_eq!(block_on(pid()).unwrap(), first);
}

/// Each waits in its start-up function until the other is there.
#[test]
fn workers_start_together() {
    const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/workers_start_together");
    static POOL: ProcessPool =
        ProcessPool::new("together").workers(2).min_workers(2).on_start(meets);

    fn meets() {
        fs::write(format!("{FOLDER}/{}", std::process::id()), "").unwrap();
        settle("another starts", || fs::read_dir(FOLDER).unwrap().count() >= 2);
    }

    #[offload(process, pool = POOL)]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    // As many at a time as there are cores.
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return skipped("one core");
    }
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir_all(FOLDER).unwrap();
    block_on(POOL.ready()).unwrap();
    assert_eq!(fs::read_dir(FOLDER).unwrap().count(), 2);
    block_on(nothing()).unwrap();
}

#[test]
fn who_waits_for_workers_that_cannot_start_is_told_why() {
    static POOL: ProcessPool = ProcessPool::new("not ready").min_workers(1).on_start(panics);

    fn panics() {
        panic!("no fonts");
    }

    #[offload(process, pool = POOL)]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    let error = block_on(POOL.ready()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("the workers of the pool `not ready` are not ready"), "{text}");
    assert!(text.contains("no fonts"), "{text}");
    assert_eq!(block_on(never()).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_pool_that_keeps_none_ready_is_ready_with_one() {
    static POOL: ProcessPool = ProcessPool::new("one is enough").workers(2);

    #[offload(process, pool = POOL)]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    block_on(POOL.ready()).unwrap();
    assert_eq!((workers("one is enough").alive, workers("one is enough").idle), (1, 1));
    block_on(nothing()).unwrap();
}

#[test]
fn after_too_many_that_do_not_start_up_none_is_started_for_a_while() {
    const FONTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/fonts");
    static POOL: ProcessPool =
        ProcessPool::new("gives up").workers(1).max_restarts(2).on_start(loads);

    fn loads() {
        assert!(Path::new(FONTS).exists(), "no fonts");
    }

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let _ = fs::remove_file(FONTS);
    // Each is told why its own worker did not start up, until too many did not. Where a second passes between two
    // calls, one more is tried.
    let mut error = block_on(pid()).unwrap_err();
    assert!(!error.to_string().contains("in a row"), "{error}");
    let start = Instant::now();
    while !error.to_string().contains("in a row") {
        assert!(start.elapsed() < PATIENCE, "it tries for ever: {error}");
        error = block_on(pid()).unwrap_err();
    }
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
    assert!(error.to_string().contains("no fonts"), "{error}");
    fs::write(FONTS, "").unwrap();
    let start = Instant::now();
    while block_on(pid()).is_err() {
        assert!(start.elapsed() < PATIENCE, "it never tries again");
        std::thread::yield_now();
    }
    // From now on all is well.
    let first = block_on(pid()).unwrap();
    assert_eq!(block_on(pid()).unwrap(), first);
}

/// Each is killed when it is ready.
#[test]
fn workers_that_end_before_they_have_run_a_call_are_not_started_for_ever() {
    const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/short_lives");
    static POOL: ProcessPool =
        ProcessPool::new("short lives").workers(1).min_workers(1).max_restarts(3).on_start(tells);

    fn tells() {
        fs::write(format!("{FOLDER}/{}", std::process::id()), "").unwrap();
    }

    #[offload(process, pool = POOL)]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    let kill_all = || {
        for entry in fs::read_dir(FOLDER).unwrap().flatten() {
            let pid: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            fs::remove_file(entry.path()).unwrap();
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    };
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir_all(FOLDER).unwrap();
    let start = Instant::now();
    // A machine that stands still for a second, just before the call, looks as if all were well again; but not
    // each time.
    let error = loop {
        block_on(POOL.ready()).unwrap_or(());
        let before = workers("short lives").restarts;
        settle("three more have ended", || {
            if workers("short lives").idle == 1 {
                kill_all();
            }
            workers("short lives").restarts >= before + 3
        });
        match block_on(nothing()) {
            Err(error) if error.to_string().contains("3 in a row") => break error,
            result => assert!(start.elapsed() < PATIENCE, "{result:?}"),
        }
    };
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
}
