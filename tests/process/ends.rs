//! Bodies that nobody waits for any more are really stopped.

use std::any::Any;
use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Limiter, ProcessPool, Ran, is_cancelled, offload};
use offload_tests::begin;

use crate::support::{is_there, numbers, runs, settle, workers};

/// A folder in which a body tells that it runs.
pub(crate) struct Told(tempfile::TempDir);

impl Told {
    pub(crate) fn new() -> Told {
        Told(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> String {
        self.0.path().join("pid").to_str().unwrap().to_owned()
    }

    /// Waits until the body has told, and returns the process that it runs in.
    pub(crate) fn pid(&self) -> u32 {
        let mut pid = None;
        settle("the body runs", || {
            pid = std::fs::read_to_string(self.path()).ok().and_then(|text| text.parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }
}

/// In a body.
pub(crate) fn tell(path: &str) {
    // At once, or a half written number could be read.
    let other = format!("{path}.new");
    std::fs::write(&other, std::process::id().to_string()).unwrap();
    std::fs::rename(other, path).unwrap();
}

pub(crate) fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn a_timeout_kills_the_process() {
    static POOL: ProcessPool = ProcessPool::new("times out").workers(1);

    #[offload(process, pool = POOL)]
    fn starts_the_worker() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL, timeout = "3s", name = "times out")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    // That may take longer.
    block_on(starts_the_worker()).unwrap();
    let told = Told::new();
    let error = block_on(spins(told.path())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe));
    let pid = told.pid();
    settle("it is reaped", || !is_there(pid));
    settle("it is counted", || numbers("times out").killed == 1);
    let numbers = numbers("times out");
    assert_eq!((numbers.timed_out, numbers.started, numbers.finished), (1, 1, 0));
}

#[test]
fn a_deadline_holds_if_the_event_loop_is_blocked() {
    static POOL: ProcessPool = ProcessPool::new("nobody polls").workers(1);

    #[offload(process, pool = POOL)]
    fn starts_the_worker() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL, timeout = "3s")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    // That may take longer.
    block_on(starts_the_worker()).unwrap();
    let told = Told::new();
    let call = begin(spins(told.path()));
    // Nobody polls the call, nor drops it.
    let pid = told.pid();
    settle("it is reaped", || !is_there(pid));
    assert_eq!(block_on(call).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_caller_that_goes_away_kills_the_process_and_what_it_started() {
    #[expect(clippy::zombie_processes, reason = "the worker ends before it could wait")]
    #[offload(process, name = "has a child")]
    fn starts_another(path: String) -> Result<(), Error> {
        let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        std::fs::write(format!("{path}.child"), child.id().to_string()).unwrap();
        tell(&path);
        spin()
    }

    let told = Told::new();
    let call = begin(starts_another(told.path()));
    let pid = told.pid();
    let child = std::fs::read_to_string(told.path() + ".child").unwrap().parse().unwrap();
    assert!(runs(child));
    drop(call);
    settle("the worker is reaped", || !is_there(pid));
    settle("what it started has died", || !runs(child));
    settle("it is counted", || numbers("has a child").killed == 1);
}

#[test]
fn in_its_grace_a_body_is_told_and_may_end() {
    static POOL: ProcessPool = ProcessPool::new("grace").workers(1).grace(Duration::from_secs(60));

    #[offload(process, pool = POOL, name = "asks")]
    fn asks(path: String) -> Result<u32, Error> {
        tell(&path);
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        std::fs::write(path + ".cancelled", "").unwrap();
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL)]
    fn is_told() -> Result<(u32, bool), Error> {
        Ok((std::process::id(), is_cancelled()))
    }

    let told = Told::new();
    let call = begin(asks(told.path()));
    let pid = told.pid();
    drop(call);
    // The worker lives on, and the next body is not told.
    assert_eq!(block_on(is_told()).unwrap(), (pid, false));
    assert!(std::fs::exists(told.path() + ".cancelled").unwrap());
    assert_eq!(workers("grace").kills, 0);
    assert_eq!(numbers("asks").finished, 1);
}

#[test]
fn after_its_grace_a_body_is_killed() {
    static POOL: ProcessPool =
        ProcessPool::new("short grace").workers(1).grace(Duration::from_millis(50));

    #[offload(process, pool = POOL)]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    let told = Told::new();
    let call = begin(spins(told.path()));
    let pid = told.pid();
    drop(call);
    settle("it is reaped", || !is_there(pid));
    settle("that is counted", || workers("short grace").kills == 1);
}

#[test]
fn a_detached_call_goes_on() {
    #[offload(process, detach, timeout = "3s", name = "detached")]
    fn goes_on(path: String) -> Result<(), Error> {
        tell(&path);
        while !std::fs::exists(format!("{path}.go")).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::fs::write(path + ".done", "").unwrap();
        Ok(())
    }

    let told = Told::new();
    let error = block_on(goes_on(told.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let pid = told.pid();
    assert!(runs(pid));
    std::fs::write(told.path() + ".go", "").unwrap();
    settle("it has ended", || std::fs::exists(told.path() + ".done").unwrap());
    settle("it is counted", || numbers("detached").finished == 1);
}

#[test]
fn a_call_that_waits_for_a_worker_is_not_started_late() {
    static POOL: ProcessPool = ProcessPool::new("busy").workers(1);

    #[offload(process, pool = POOL)]
    fn occupies(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    #[offload(process, pool = POOL, queue_timeout = "200ms", name = "too late")]
    fn too_late(path: String) -> Result<(), Error> {
        tell(&path);
        Ok(())
    }

    let (told, other) = (Told::new(), Told::new());
    let call = begin(occupies(told.path()));
    told.pid();
    let error = block_on(too_late(other.path())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No));
    drop(call);
    assert!(!std::fs::exists(other.path()).unwrap());
}

#[test]
fn a_permit_is_free_when_its_process_is_dead() {
    static ONE: Limiter = Limiter::new(1);

    #[offload(process, limit = ONE)]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    #[offload(process, limit = ONE)]
    fn next(pid: u32) -> Result<bool, Error> {
        Ok(std::fs::exists(format!("/proc/{pid}")).unwrap())
    }

    let told = Told::new();
    let call = begin(spins(told.path()));
    let pid = told.pid();
    drop(call);
    assert!(!block_on(next(pid)).unwrap(), "both ran at once");
}

#[test]
fn a_queue_is_bounded() {
    static POOL: ProcessPool = ProcessPool::new("bounded").workers(1);

    #[offload(process, pool = POOL, queue = 1, timeout = "60s")]
    fn waits(path: String) -> Result<(), Error> {
        tell(&path);
        while !std::fs::exists(format!("{path}.go")).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    let told = Told::new();
    let first = begin(waits(told.path()));
    told.pid();
    let second = begin(waits(told.path()));
    let error = block_on(waits(told.path())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No));
    std::fs::write(told.path() + ".go", "").unwrap();
    block_on(first).unwrap();
    block_on(second).unwrap();
}

#[test]
fn a_kill_takes_a_moment_only() {
    #[offload(process, name = "killed at once")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    let told = Told::new();
    let call = begin(spins(told.path()));
    let pid = told.pid();
    let start = Instant::now();
    drop(call);
    settle("it is dead", || !runs(pid));
    // Not a measurement: a kill that waits for something would be far off.
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// The future is dropped after the answer has come, and before it is polled. What is left
/// of such a call was once taken for a call itself, at the cost of a thread.
#[test]
fn an_answer_that_nobody_takes_costs_nothing() {
    static POOL: ProcessPool = ProcessPool::new("not taken").workers(1);

    #[offload(process, pool = POOL, name = "not taken")]
    fn answers(path: String) -> Result<String, Error> {
        while !std::fs::exists(&path).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(path)
    }

    for round in 1..=3 {
        let go = Told::new();
        let call = begin(answers(go.path()));
        std::fs::write(go.path(), "").unwrap();
        settle("it has ended", || numbers("not taken").finished == 2 * round - 1);
        drop(call);
        assert_eq!(block_on(answers(go.path())).unwrap(), go.path());
    }
}

#[test]
fn a_body_that_leaves_its_group_is_killed() {
    #[offload(process)]
    fn leaves(path: String) -> Result<(), Error> {
        let parent = rustix::process::getppid();
        let group = rustix::process::getpgid(parent).unwrap();
        rustix::process::setpgid(None, Some(group)).unwrap();
        tell(&path);
        spin()
    }

    let told = Told::new();
    let call = begin(leaves(told.path()));
    let pid = told.pid();
    drop(call);
    settle("it is reaped", || !is_there(pid));
}

/// What waits for a worker may be kept by a thread-local, and be dropped when nothing of the thread's own is there any more.
#[test]
fn a_call_that_is_dropped_as_its_thread_ends_is_ended() {
    static POOL: ProcessPool = ProcessPool::new("kept by a thread").workers(1).min_workers(1);

    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    }

    #[offload(process, pool = POOL, name = "kept by a thread")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    let told = Told::new();
    let path = told.path();
    let pid = thread::spawn(move || {
        // So that it is there before the runtime's own locals, and goes after them.
        KEPT.with_borrow(|kept| assert!(kept.is_empty()));
        let ready = begin(POOL.ready());
        let call = begin(spins(path));
        let pid = told.pid();
        let queued = begin(spins(String::new()));
        KEPT.set(vec![Box::new(ready), Box::new(queued), Box::new(call)]);
        pid
    });
    let pid = pid.join().unwrap();
    settle("it is reaped", || !is_there(pid));
    settle("both are counted", || {
        let numbers = numbers("kept by a thread");
        (numbers.killed, numbers.cancelled, numbers.running + numbers.waiting) == (1, 1, 0)
    });
}
