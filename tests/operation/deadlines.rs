//! `timeout` and `queue_timeout`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, ThreadPool, is_cancelled, offload};
use offload_tests::soon_unless_gone;

use crate::support::{Gate, begin, numbers, poll, settle};

#[test]
fn a_running_call_is_answered_at_its_deadline_and_its_body_told() {
    static TOLD: AtomicBool = AtomicBool::new(false);

    #[offload(cpu, timeout = "200ms", name = "too long")]
    fn spin() -> Result<(), Error> {
        assert!(!is_cancelled());
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        TOLD.store(true, Ordering::SeqCst);
        Ok(())
    }

    let mut calls = 0;
    let error = loop {
        let start = Instant::now();
        let error = block_on(spin()).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(200));
        calls += 1;
        // On a busy machine it may be too late before it begins.
        if error.ran() != Ran::No {
            break error;
        }
        assert!(calls < 1000, "it never begins");
    };
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Yes));
    assert!(error.to_string().contains("while it was running"), "{error}");
    settle("the body has stopped", || TOLD.load(Ordering::SeqCst));
    settle("it is counted", || numbers("too long").abandoned == 1);
    assert_eq!(numbers("too long").timed_out, calls);
}

/// The event loop may be blocked when the deadline passes: the body is told
/// nevertheless, since it looks at the clock itself.
#[test]
fn a_body_is_told_of_its_deadline_also_if_nobody_polls_its_call() {
    #[offload(thread, timeout = "200ms")]
    fn spin(told: Sender<()>) -> Result<(), Error> {
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        told.send(()).unwrap();
        Ok(())
    }

    // On a busy machine it may be too late before it begins.
    let has_stopped = (0..1000).any(|_| {
        let (tell, told) = channel();
        let _call = begin(spin(tell));
        soon_unless_gone(&told).is_some()
    });
    assert!(has_stopped, "it never begins");
}

#[test]
fn a_queued_call_is_answered_at_its_deadline_and_never_runs() {
    static POOL: ThreadPool = ThreadPool::new("one at a time").threads(1);

    #[offload(thread, pool = POOL, timeout = "20ms", name = "never runs")]
    fn fail(_argument: Arc<()>) -> Result<(), Error> {
        panic!("it ran");
    }

    #[offload(thread, pool = POOL, timeout = "1h", queue_timeout = "20ms", name = "not by then")]
    fn fail_too(_argument: Arc<()>) -> Result<(), Error> {
        panic!("it ran");
    }

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let (gate, argument) = (Gate::default(), Arc::new(()));
    let running = begin(enter(gate.clone()));
    gate.wait_for(1);
    for call in 0..2 {
        let argument = Arc::clone(&argument);
        let error = match call {
            0 => block_on(fail(argument)),
            _ => block_on(fail_too(argument)),
        };
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No));
        assert!(error.to_string().contains("while it was still queued"), "{error}");
    }
    // Although the thread is busy still.
    settle("the arguments are dropped", || Arc::strong_count(&argument) == 1);
    gate.open();
    block_on(running);
    let numbers = (numbers("never runs"), numbers("not by then"));
    assert_eq!((numbers.0.started, numbers.0.cancelled, numbers.0.timed_out), (0, 1, 1));
    assert_eq!((numbers.1.started, numbers.1.cancelled, numbers.1.timed_out), (0, 1, 1));
}

/// Nobody polls this call after its deadline, so it stays in the queue; the
/// thread that reaches it looks at the clock before it starts it.
#[test]
fn a_call_whose_deadline_passed_in_the_queue_is_not_started() {
    static POOL: ThreadPool = ThreadPool::new("looks at the clock").threads(1);

    #[offload(thread, pool = POOL, queue_timeout = "300ms")]
    fn fail() -> Result<(), Error> {
        panic!("it ran");
    }

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let gate = Gate::default();
    let running = begin(enter(gate.clone()));
    gate.wait_for(1);
    let mut late = begin(fail());
    let deadline = Instant::now() + Duration::from_millis(300);
    settle("the deadline has passed", || Instant::now() > deadline);
    gate.open();
    block_on(running);
    block_on(enter(gate));
    let std::task::Poll::Ready(Err(error)) = poll(&mut late) else {
        panic!("it has no answer");
    };
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No));
}

#[test]
fn a_deadline_for_the_start_does_not_end_what_has_started() {
    #[offload(thread, queue_timeout = "200ms")]
    fn enter(started: Sender<()>, gate: Gate) -> Result<u8, Error> {
        started.send(()).unwrap();
        gate.pass();
        assert!(!is_cancelled());
        Ok(7)
    }

    let gate = Gate::default();
    // On a busy machine it may be too late.
    let begun = (0..1000).find_map(|_| {
        let (started, start) = channel();
        let call = begin(enter(started, gate.clone()));
        soon_unless_gone(&start).map(|()| call)
    });
    let mut call = begun.expect("it begins");
    let deadline = Instant::now() + Duration::from_millis(210);
    settle("the deadline has passed", || Instant::now() > deadline);
    assert!(poll(&mut call).is_pending());
    gate.open();
    assert_eq!(block_on(call).unwrap(), 7);
}

#[test]
fn a_call_that_ends_in_time_is_not_disturbed() {
    #[offload(cpu, timeout = Duration::from_secs(3600), queue_timeout = "1m30s")]
    fn double(n: u64) -> Result<u64, Error> {
        Ok(2 * n)
    }

    for n in 0..1000 {
        assert_eq!(block_on(double(n)).unwrap(), 2 * n);
    }
}

#[test]
fn deadlines_hold_in_runtimes_without_a_clock_and_with_one_that_stands_still() {
    #[offload(thread, timeout = "10ms")]
    fn enter(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    let builder = tokio::runtime::Builder::new_current_thread;
    let without = builder().build().unwrap();
    let paused = builder().enable_all().start_paused(true).build().unwrap();
    for runtime in [without, paused] {
        let gate = Gate::default();
        let error = runtime.block_on(enter(gate.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        gate.open();
    }
}

#[test]
fn a_detached_call_is_answered_at_its_deadline_and_goes_on() {
    static POOL: ThreadPool = ThreadPool::new("detached").threads(1);
    static ENDED: AtomicBool = AtomicBool::new(false);

    #[offload(thread, pool = POOL, timeout = "300ms", detach)]
    fn enter(gate: Gate) -> Result<(), Error> {
        gate.pass();
        assert!(!is_cancelled());
        ENDED.store(true, Ordering::SeqCst);
        Ok(())
    }

    let (first, second) = (Gate::default(), Gate::default());
    let running = begin(enter(first.clone()));
    first.wait_for(1);
    // This one is queued still when its deadline passes.
    let error = block_on(enter(second.clone())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe));
    let error = block_on(running).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe));
    assert_eq!(second.entered(), 0);
    first.open();
    second.wait_for(1);
    second.open();
    settle("the body has ended", || ENDED.load(Ordering::SeqCst));
}
