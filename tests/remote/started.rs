//! Calls that are started at once, and whose bodies are on another machine.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Limiter, Ran, is_cancelled, offload, spawn_cpu};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refusal {
    Odd,
    Offload,
}

impl From<Error> for Refusal {
    fn from(_: Error) -> Refusal {
        Refusal::Offload
    }
}

#[offload(remote, timeout = "60s", spawn = halve_soon)]
fn halve(n: u32, #[to_owned] title: &str) -> Result<(u32, String), Refusal> {
    assert!(n > 0, "nothing to halve");
    match n % 2 {
        0 => Ok((n / 2, title.to_uppercase())),
        _ => Err(Refusal::Odd),
    }
}

#[test]
fn a_started_call_is_sent_and_its_failures_are_the_outer_error() {
    let title = "title".to_owned();
    let started = halve_soon(4, &title);
    drop(title);
    assert_eq!(started.wait().unwrap().unwrap(), (2, "TITLE".to_owned()));
    assert_eq!(block_on(halve_soon(3, "")).unwrap(), Err(Refusal::Odd));
    let error = halve_soon(0, "").wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("nothing to halve"), "{error}");
    assert_eq!(block_on(halve(0, "")), Err(Refusal::Offload));
}

#[test]
fn a_body_that_is_cancelled_is_told_and_its_result_is_given() {
    static BEGUN: Barrier = Barrier::new(2);

    #[offload(remote, timeout = "60s", spawn = asks_soon)]
    fn asks() -> Result<String, Error> {
        BEGUN.wait();
        while !is_cancelled() {
            thread::yield_now();
        }
        Ok("told".to_owned())
    }

    let started = asks_soon();
    BEGUN.wait();
    started.cancel();
    assert_eq!(started.wait().unwrap().unwrap(), "told");
}

#[test]
fn a_started_call_that_nobody_awaits_and_that_gets_no_thread_in_time_gives_its_permit_back() {
    static ONE: Limiter = Limiter::new(1);
    static IS_FREE: AtomicBool = AtomicBool::new(false);

    #[offload(remote, timeout = "50ms", limit = ONE, spawn = late_soon)]
    fn late() -> Result<(), Error> {
        Ok(())
    }
    #[offload(remote, timeout = "60s", limit = ONE)]
    fn next() -> Result<(), Error> {
        Ok(())
    }
    let threads = thread::available_parallelism().unwrap().get();
    let compute = || {
        while !IS_FREE.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    let busy: Vec<_> = (0..threads).map(|_| spawn_cpu(compute)).collect();
    drop(late_soon());
    // Until it is late.
    thread::sleep(Duration::from_millis(100));
    IS_FREE.store(true, Ordering::Relaxed);
    block_on(next()).unwrap();
    for body in busy {
        body.wait().unwrap();
    }
}
