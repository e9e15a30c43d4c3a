//! Bodies that have processes of their own, of a worker's.

use offload_runtime::{ErrorKind, Ran, propagate_remote};

use crate::functions as f;
use crate::server::{Line, Worker, with_server};

#[test]
fn a_body_that_aborts_costs_its_call_and_neither_its_worker_nor_the_calls_beside_it() {
    let name = "isolated::a_body_that_aborts_costs_its_call_and_neither_its_worker_nor_the_calls_beside_it";
    with_server(name, async |server| {
        let worker = Worker::start("isolated");
        let line = Line::new();
        let beside = tokio::spawn(f::hold_apart(line.port()));
        let body = line.next().await;
        assert_ne!(body.process, worker.id());
        for _ in 0..3 {
            let error = f::crash(line.port()).await.unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
            assert_eq!(error.signal(), Some(6), "{error}");
            assert_ne!(line.next().await.process, worker.id());
            // It is not run again.
            assert!(line.is_quiet());
        }
        let process = body.process;
        body.go_on();
        assert_eq!(beside.await.unwrap().unwrap(), process);
        assert_eq!(f::surroundings().await.unwrap().2, worker.id());
        server.has_messages("isolated", 0).await;
        let stats = offload_runtime::stats();
        let crash = stats.functions.iter().find(|function| function.name == "crash").unwrap();
        assert_eq!((crash.started, crash.finished, crash.died), (3, 0, 3));
    });
}

#[test]
fn a_body_that_nobody_waits_for_is_killed_with_its_process() {
    let name = "isolated::a_body_that_nobody_waits_for_is_killed_with_its_process";
    with_server(name, async |_| {
        let worker = Worker::start("isolated");
        let line = Line::new();
        let call = tokio::spawn(f::hold_apart(line.port()));
        let body = line.next().await;
        call.abort();
        body.has_ended().await;
        assert_eq!(f::surroundings().await.unwrap().2, worker.id());
    });
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn large_results_come_back_and_a_trace_goes_on_in_the_process() {
    let name = "isolated::large_results_come_back_and_a_trace_goes_on_in_the_process";
    with_server(name, async |_| {
        let _worker = Worker::start("isolated");
        propagate_remote("traceparent", || Some(TRACE.to_owned()), drop);
        // More than is sent beside a message between processes, and than a message of the server may be.
        for count in [300_000, 3_000_000] {
            let bytes = f::bytes(count).await.unwrap();
            assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            assert_eq!(bytes.len(), count);
        }
        assert_eq!(f::surroundings().await.unwrap().0.as_deref(), Some(TRACE));
    });
}
