//! A worker that dies costs the call that it had, and no other.

use std::time::Instant;

use futures::executor::block_on;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, Sink, offload};

use crate::support::{PATIENCE, is_there, runs, settle, start_with_all_files, workers};

/// Ways to die.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Death {
    Segfault,
    Abort,
    Exit(i32),
    StackOverflow,
    Killed,
    PanicThatCannotUnwind,
}

#[offload(process)]
fn die(death: Death) -> Result<u32, Error> {
    eprintln!("dying by {death:?}");
    match death {
        Death::Segfault => segfault(),
        Death::Abort => std::process::abort(),
        Death::Exit(code) => std::process::exit(code),
        Death::StackOverflow => Ok(descend(1)),
        Death::Killed => {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            Ok(0)
        }
        Death::PanicThatCannotUnwind => {
            extern "C" fn foreign() {
                panic!("in a foreign function");
            }
            foreign();
            Ok(0)
        }
    }
}

/// A real one: Rust's handler takes no notice of the first that is only raised.
#[expect(unsafe_code, reason = "a worker that crashes is the subject")]
fn segfault() -> ! {
    let nowhere = std::hint::black_box(8 as *mut u8);
    // SAFETY: none. The process dies here, which is what is asked for.
    unsafe { nowhere.write_volatile(1) };
    unreachable!("nobody can write there")
}

fn descend(depth: u32) -> u32 {
    let frame = std::hint::black_box([depth; 256]);
    if depth == 0 { frame[0] } else { descend(depth + 1) + std::hint::black_box(frame)[255] }
}

fn death(death: Death) -> Error {
    let error = block_on(die(death)).unwrap_err();
    if error.kind() == ErrorKind::WorkerDied {
        assert_eq!(error.ran(), Ran::Maybe, "{error}");
        let stderr = error.stderr().unwrap();
        assert!(stderr.contains(&format!("dying by {death:?}")), "{stderr}");
        let pid = error.pid().unwrap();
        assert!(error.to_string().contains(&pid.to_string()), "{error}");
        assert!(!is_there(pid), "process {pid} was not reaped");
    }
    // The pool is well.
    assert_eq!(block_on(die_not(7)).unwrap(), 7);
    error
}

#[offload(process)]
fn die_not(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[test]
fn by_a_segmentation_fault() {
    let error = death(Death::Segfault);
    assert_eq!(
        (error.kind(), error.signal(), error.exit_code()),
        (ErrorKind::WorkerDied, Some(11), None)
    );
    assert!(error.to_string().contains("SIGSEGV"), "{error}");
}

#[test]
fn by_an_abort() {
    let error = death(Death::Abort);
    assert_eq!((error.kind(), error.signal()), (ErrorKind::WorkerDied, Some(6)));
}

#[test]
fn by_an_exit() {
    for code in [0, 3] {
        let error = death(Death::Exit(code));
        assert_eq!(error.kind(), ErrorKind::WorkerDied);
        assert_eq!((error.signal(), error.exit_code()), (None, Some(code)));
    }
}

#[test]
fn by_a_stack_overflow() {
    let error = death(Death::StackOverflow);
    assert_eq!(error.kind(), ErrorKind::WorkerDied);
    // The parent knows which function it was, and the signal, whatever the worker could say.
    let text = error.to_string();
    assert!(error.function().ends_with("::die") && text.contains("::die`"), "{text}");
    // The standard library says so and aborts, if it knows the place for one below the stack: not
    // always, and then the system ends the process for the access.
    match error.signal() {
        Some(6) => {
            assert!(text.contains("SIGABRT"), "{text}");
            assert!(error.stderr().unwrap().contains("overflowed its stack"), "{error:?}");
        }
        signal => {
            assert_eq!(signal, Some(11));
            assert!(text.contains("SIGSEGV"), "{text}");
        }
    }
}

#[test]
fn by_a_kill() {
    let error = death(Death::Killed);
    assert_eq!((error.kind(), error.signal()), (ErrorKind::WorkerDied, Some(9)));
}

#[test]
fn a_panic_that_cannot_unwind_is_a_panic_still() {
    let error = death(Death::PanicThatCannotUnwind);
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert_eq!(error.signal(), Some(6));
    assert!(error.to_string().contains("in a foreign function"), "{error}");
}

#[offload(process)]
fn panics(text: String) -> Result<u32, Error> {
    panic!("no {text} left")
}

#[test]
fn a_panic_is_told_and_its_worker_lives_on() {
    static POOL: ProcessPool = ProcessPool::new("panics").workers(1);

    #[offload(process, pool = POOL)]
    fn panics_or_not(panics: bool) -> Result<u32, Error> {
        assert!(!panics, "it was asked for");
        Ok(std::process::id())
    }

    let before = block_on(panics_or_not(false)).unwrap();
    let error = block_on(panics_or_not(true)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    let text = error.to_string();
    assert!(text.contains("it was asked for"), "{text}");
    assert!(
        text.contains("tests/process/crashes.rs:") || text.contains("process/crashes.rs:"),
        "{text}"
    );
    assert_eq!(block_on(panics_or_not(false)).unwrap(), before);
}

#[test]
fn a_panic_has_a_backtrace_where_backtraces_are_asked_for() {
    static WITH: ProcessPool = ProcessPool::new("with backtraces").env(&[("RUST_BACKTRACE", "1")]);
    static WITHOUT: ProcessPool =
        ProcessPool::new("without backtraces").env(&[("RUST_BACKTRACE", "0")]);

    #[offload(process, pool = WITH)]
    fn panics_with() -> Result<(), Error> {
        panic!("with a backtrace")
    }

    #[offload(process, pool = WITHOUT)]
    fn panics_without() -> Result<(), Error> {
        panic!("without a backtrace")
    }

    let error = block_on(panics_with()).unwrap_err();
    assert!(error.backtrace().unwrap().contains("panics_with"), "{:?}", error.backtrace());
    let error = block_on(panics_without()).unwrap_err();
    assert!(error.to_string().contains("crashes.rs:"), "{error}");
    assert_eq!(error.backtrace(), None);
}

/// To find them, the program's file is mapped as a whole, and read: what a panic in a new worker costs where they are not
/// asked for is a hundredth of that.
#[test]
fn a_panic_looks_for_no_symbols_unless_backtraces_are_asked_for() {
    static WITH: ProcessPool = ProcessPool::new("with symbols").env(&[("RUST_BACKTRACE", "1")]);
    static WITHOUT: ProcessPool =
        ProcessPool::new("without symbols").env_remove("RUST_BACKTRACE").max_jobs(1);

    #[offload(process, pool = WITH)]
    fn maps_with() -> Result<[usize; 2], Error> {
        Ok(maps_before_and_after_a_panic())
    }

    #[offload(process, pool = WITHOUT)]
    fn maps_without() -> Result<[usize; 2], Error> {
        Ok(maps_before_and_after_a_panic())
    }

    let [before, after] = block_on(maps_with()).unwrap();
    assert!(before < after, "{before} {after}");
    let [before, after] = block_on(maps_without()).unwrap();
    assert_eq!(before, after);
}

/// How often the program's file is mapped.
fn maps_before_and_after_a_panic() -> [usize; 2] {
    let program = std::fs::read_link("/proc/self/exe").unwrap();
    let maps = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.ends_with(program.to_str().unwrap())).count()
    };
    let before = maps();
    std::panic::catch_unwind(|| panic!("to be seen")).unwrap_err();
    [before, maps()]
}

#[test]
fn a_message_that_is_made_and_one_that_is_none() {
    let error = block_on(panics("tea".into())).unwrap_err();
    assert!(error.to_string().contains("no tea left"), "{error}");

    #[offload(process)]
    fn panics_with_a_number() -> Result<(), Error> {
        std::panic::panic_any(7_u8)
    }

    let error = block_on(panics_with_a_number()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
}

#[test]
fn a_panic_that_the_body_catches_is_its_own_affair() {
    #[offload(process)]
    fn catches() -> Result<bool, Error> {
        Ok(std::panic::catch_unwind(|| panic!("caught")).is_err())
    }

    assert!(block_on(catches()).unwrap());
}

#[test]
fn a_crash_costs_no_other_call() {
    static POOL: ProcessPool = ProcessPool::new("crashes").workers(3);

    #[offload(process, pool = POOL)]
    fn perhaps(n: u32) -> Result<u32, Error> {
        if n.is_multiple_of(5) {
            std::process::abort();
        }
        Ok(n)
    }

    let results = block_on(join_all((1..=50).map(perhaps)));
    for (n, result) in (1..).zip(results) {
        match result {
            Ok(same) => assert_eq!(same, n),
            Err(error) => {
                assert_eq!((n % 5, error.kind()), (0, ErrorKind::WorkerDied), "{n}: {error}");
            }
        }
    }
    assert_eq!(workers("crashes").restarts, 10);
}

#[test]
fn a_worker_that_dies_while_it_is_idle_costs_nothing() {
    static POOL: ProcessPool = ProcessPool::new("idle death").workers(1);

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let first = block_on(pid()).unwrap();
    kill(first);
    // Nobody asked for it, and it is replaced.
    settle("its death is seen", || workers("idle death").restarts == 1);
    let second = block_on(pid()).unwrap();
    assert_ne!(first, second);
    // That it died is counted before.
    settle("it is reaped", || !is_there(first));
}

/// It is seen before the call or by it: in both cases another worker takes it, and what is long, and goes ahead of its
/// message, too.
#[test]
fn a_worker_that_dies_just_before_its_call_costs_nothing() {
    static POOL: ProcessPool = ProcessPool::new("just before").workers(2);

    #[offload(process, pool = POOL, spawn = pid_soon)]
    fn pid(_text: String) -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL, stream = 1)]
    fn pids(_text: String) -> impl Iterator<Item = Result<u32, Error>> {
        [std::process::id(); 2].into_iter().map(Ok)
    }

    for n in 0..100 {
        let text = "x".repeat(n % 2 * (1 << 20));
        kill(match n % 10 {
            0 | 1 => block_on(pids(text).try_collect::<Vec<_>>()).unwrap()[1],
            2 | 3 => pid_soon(text).wait().unwrap().unwrap(),
            _ => block_on(pid(text)).unwrap(),
        });
    }
}

/// A process that a body made by `fork` alone holds all files of the worker: none
/// of them tells that the worker has died.
#[test]
fn a_crash_is_seen_when_a_fork_lives_on() {
    #[offload(process)]
    fn forks() -> Result<(), Error> {
        eprintln!("{}", start_with_all_files());
        std::process::abort()
    }

    let start = Instant::now();
    let error = block_on(forks()).unwrap_err();
    assert!(start.elapsed() < PATIENCE, "it was told by the end of what it had started");
    assert_eq!((error.kind(), error.signal()), (ErrorKind::WorkerDied, Some(6)), "{error}");
    // What was printed before may be there, too, if nobody has read it by then.
    let child = error.stderr().unwrap().lines().last().unwrap().parse().unwrap();
    settle("what it made has died with it", || !runs(child));
}

/// Between two items of a stream, and between two calls.
#[test]
fn a_kill_is_seen_when_a_fork_lives_on() {
    static POOL: ProcessPool = ProcessPool::new("forks").workers(1);

    #[offload(process, pool = POOL, stream = 4)]
    fn is_killed(out: &mut Sink<u32>) -> Result<(), Error> {
        out.send(start_with_all_files())?;
        kill(std::process::id());
        crate::ends::spin()
    }

    #[offload(process, pool = POOL)]
    fn forks() -> Result<(u32, u32), Error> {
        Ok((std::process::id(), start_with_all_files()))
    }

    let start = Instant::now();
    let mut items = block_on(is_killed().collect::<Vec<_>>());
    assert!(start.elapsed() < PATIENCE, "it was told by the end of what it had started");
    assert_eq!(items.pop().unwrap().unwrap_err().kind(), ErrorKind::WorkerDied);
    let child = items.pop().unwrap().unwrap();
    settle("what it made has died with it", || !runs(child));

    let (worker, child) = block_on(forks()).unwrap();
    kill(worker);
    settle("what it made has died with it", || !runs(child));
    settle("it is reaped", || !is_there(worker));
    assert_ne!(block_on(forks()).unwrap().0, worker);
}

fn kill(pid: u32) {
    let process = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}
