//! Calls that are started at once, whose bodies run in a worker.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, Started, is_cancelled, offload};
use serde::{Deserialize, Serialize};

use crate::ends::{Told, spin, tell};
use crate::support::{is_there, numbers, runs, settle, workers};

/// Whose own error says nothing of the offload's.
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

#[offload(process, spawn = halve_soon, name = "halve")]
fn halve(n: u32, #[to_owned] title: &str) -> Result<(u32, String, u32), Refusal> {
    match n % 2 {
        0 => Ok((n / 2, title.to_uppercase(), std::process::id())),
        _ => Err(Refusal::Odd),
    }
}

#[test]
fn a_started_body_runs_in_another_process_with_what_it_was_given() {
    let title = "a title".to_owned();
    let started = halve_soon(4, &title);
    drop(title);
    let (half, title, pid) = started.wait().unwrap().unwrap();
    assert_eq!((half, title.as_str()), (2, "A TITLE"));
    assert_ne!(pid, std::process::id());
    assert_eq!(halve_soon(3, "").wait().unwrap(), Err(Refusal::Odd), "it is the function's own");
    assert_eq!(block_on(halve(8, "")).unwrap().0, 4);
    assert_eq!(numbers("halve").finished, 3);
}

#[offload(process, spawn = fall_soon)]
fn fall(how: String) -> Result<(), Refusal> {
    match how.as_str() {
        "panic" => panic!("a stone"),
        _ => std::process::exit(7),
    }
}

#[test]
fn a_panic_and_a_death_are_the_outer_error_whatever_the_function_makes_of_them() {
    let error = fall_soon("panic".to_owned()).wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("a stone"), "{error}");
    let error = block_on(fall_soon("exit".to_owned())).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::WorkerDied, Some(7)));
    assert_eq!(block_on(fall("exit".to_owned())), Err(Refusal::Offload));
}

#[test]
fn to_cancel_a_running_call_kills_its_worker() {
    #[offload(process, spawn = spins_soon, name = "started spins")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    let told = Told::new();
    let started = spins_soon(told.path());
    let pid = told.pid();
    assert!(!started.is_finished());
    started.cancel();
    settle("it is reaped", || !is_there(pid));
    let error = started.wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Cancelled, Ran::Maybe));
    assert_eq!(numbers("started spins").killed, 1);
}

#[test]
fn in_its_grace_a_cancelled_body_ends_and_its_result_is_given() {
    static POOL: ProcessPool =
        ProcessPool::new("started grace").workers(1).grace(Duration::from_secs(60));

    #[offload(process, pool = POOL, spawn = asks_soon)]
    fn asks(path: String) -> Result<u32, Error> {
        tell(&path);
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        Ok(std::process::id())
    }

    let told = Told::new();
    let started = asks_soon(told.path());
    let pid = told.pid();
    started.cancel();
    assert_eq!(started.wait().unwrap().unwrap(), pid);
    assert!(runs(pid));
}

#[test]
fn a_call_that_waits_for_a_worker_never_runs_when_it_is_cancelled() {
    static ONE: ProcessPool = ProcessPool::new("started one").workers(1);

    #[offload(process, pool = ONE, spawn = holds_soon)]
    fn holds(path: String) -> Result<(), Error> {
        tell(&path);
        while !std::fs::exists(format!("{path}.go")).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    let (first, second) = (Told::new(), Told::new());
    let running = holds_soon(first.path());
    first.pid();
    let queued = holds_soon(second.path());
    queued.cancel();
    let error = queued.wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Cancelled, Ran::No));
    std::fs::write(first.path() + ".go", "").unwrap();
    running.wait().unwrap().unwrap();
    assert!(!std::fs::exists(second.path()).unwrap());
}

#[test]
fn a_call_whose_handle_is_dropped_goes_on() {
    #[offload(process, spawn = goes_on_soon, name = "started goes on")]
    fn goes_on(path: String) -> Result<(), Error> {
        tell(&path);
        while !std::fs::exists(format!("{path}.go")).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    let told = Told::new();
    drop(goes_on_soon(told.path()));
    let pid = told.pid();
    assert!(runs(pid));
    std::fs::write(told.path() + ".go", "").unwrap();
    settle("it has ended", || numbers("started goes on").finished == 1);
    assert_eq!(numbers("started goes on").killed, 0);
}

#[test]
fn a_deadline_holds_though_nobody_polls_the_handle() {
    #[offload(process)]
    fn starts_the_worker() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, spawn = late_soon, timeout = "3s")]
    fn late(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    // That may take longer.
    block_on(starts_the_worker()).unwrap();
    let told = Told::new();
    let started = late_soon(told.path());
    let pid = told.pid();
    settle("it is reaped", || !is_there(pid));
    assert_eq!(started.wait().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[offload(process, spawn = below_soon)]
fn below(depth: u32) -> Result<Vec<u32>, Error> {
    let mut pids = vec![std::process::id()];
    if depth > 0 {
        let started = below_soon(depth - 1);
        assert!(started.is_finished(), "it ran where it was started");
        started.cancel();
        pids.extend(started.wait()??);
    }
    Ok(pids)
}

#[offload(process)]
fn falls_below() -> Result<(ErrorKind, String), Error> {
    let error = fall_soon("panic".to_owned()).wait().unwrap_err();
    Ok((error.kind(), error.to_string()))
}

#[test]
fn in_a_worker_a_started_call_runs_in_place() {
    let pids = below_soon(3).wait().unwrap().unwrap();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| *pid == pids[0] && *pid != std::process::id()), "{pids:?}");
    let (kind, text) = block_on(falls_below()).unwrap();
    assert_eq!(kind, ErrorKind::Panicked);
    assert!(text.ends_with("a stone"), "{text}");
}

struct Engine;

impl Engine {
    #[offload(process, spawn = Self::render_soon)]
    fn render(n: u32) -> Result<String, Error> {
        Ok(format!("engine {n}"))
    }
}

#[test]
fn a_function_in_an_impl_block_starts_too() {
    let started: Started<Result<String, Error>> = Engine::render_soon(1);
    assert_eq!(started.wait().unwrap().unwrap(), "engine 1");
}

static PREPARED: AtomicBool = AtomicBool::new(false);
static MADE: LazyLock<ProcessPool> = LazyLock::new(|| {
    ProcessPool::new("made").workers(1).on_start(|| PREPARED.store(true, Ordering::SeqCst))
});
static UNMADE: LazyLock<ProcessPool> = LazyLock::new(|| panic!("no configuration"));

#[test]
fn a_pool_may_be_made_when_the_program_runs_and_one_that_cannot_be_makes_no_sense() {
    #[offload(process, pool = MADE)]
    fn is_prepared() -> Result<bool, Error> {
        Ok(PREPARED.load(Ordering::SeqCst))
    }

    #[offload(process, pool = UNMADE, spawn = never_soon)]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    assert!(block_on(is_prepared()).unwrap(), "its worker has the pool's settings");
    assert_eq!(workers("made").alive, 1);
    for error in [block_on(never()).unwrap_err(), never_soon().wait().unwrap_err()] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
        assert!(error.to_string().ends_with("the `LazyLock` of its pool panicked"), "{error}");
    }
}
