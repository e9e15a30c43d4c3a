//! Calls that are started at once, and whose bodies are on another machine.

use std::sync::Barrier;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, is_cancelled, offload};
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
            std::thread::yield_now();
        }
        Ok("told".to_owned())
    }

    let started = asks_soon();
    BEGUN.wait();
    started.cancel();
    assert_eq!(started.wait().unwrap().unwrap(), "told");
}
