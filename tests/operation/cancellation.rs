//! `is_cancelled`, `check_cancelled` and `detach`.

use std::sync::mpsc;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, ThreadPool, check_cancelled, is_cancelled, offload};

use crate::support::{Gate, PATIENCE, begin, numbers, settle};

#[test]
fn a_running_body_is_told_that_its_caller_has_gone() {
    #[offload(thread, name = "told")]
    fn spin(gate: Gate, told: mpsc::Sender<Error>) {
        assert!(!is_cancelled());
        check_cancelled().unwrap();
        gate.pass();
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        told.send(check_cancelled().unwrap_err()).unwrap();
    }

    let (gate, (tell, told)) = (Gate::default(), mpsc::channel());
    gate.open();
    let call = begin(spin(gate.clone(), tell));
    gate.wait_for(1);
    drop(call);
    let error = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Cancelled, Ran::Yes));
    assert_eq!(error.function(), "told");
    settle("it is counted", || numbers("told").abandoned == 1);
    assert_eq!((numbers("told").finished, numbers("told").cancelled), (1, 0));
}

#[test]
fn the_next_body_on_the_thread_is_not_cancelled() {
    static POOL: ThreadPool = ThreadPool::new("the next").threads(1);

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) -> bool {
        gate.pass();
        is_cancelled()
    }

    for _ in 0..100 {
        let gate = Gate::default();
        let call = begin(enter(gate.clone()));
        gate.wait_for(1);
        drop(call);
        gate.open();
        assert!(!block_on(enter(gate)));
    }
}

#[test]
fn outside_a_body_nothing_is_cancelled() {
    assert!(!is_cancelled());
    check_cancelled().unwrap();
}

#[test]
fn a_detached_call_runs_whether_its_caller_is_there_or_not() {
    static POOL: ThreadPool = ThreadPool::new("detach").threads(1);

    #[offload(thread, pool = POOL, detach, name = "detached call")]
    fn enter(gate: Gate, done: mpsc::Sender<bool>) {
        gate.pass();
        done.send(is_cancelled()).unwrap();
    }

    let (gate, (tell, told)) = (Gate::default(), mpsc::channel());
    let running = begin(enter(gate.clone(), tell.clone()));
    gate.wait_for(1);
    let queued = begin(enter(gate.clone(), tell));
    drop((running, queued));
    gate.open();
    for _ in 0..2 {
        assert!(!told.recv_timeout(PATIENCE).unwrap());
    }
    settle("both have ended", || numbers("detached call").finished == 2);
    let numbers = numbers("detached call");
    assert_eq!((numbers.cancelled, numbers.abandoned), (0, 0));
}
