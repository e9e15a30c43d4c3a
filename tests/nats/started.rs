//! Calls that are started, and whose handle is dropped: nobody but the runtime looks at their deadlines.

use std::time::Duration;

use crate::functions as f;
use crate::server::{Line, Server, Worker, until, with_server};

/// Waits until so many calls were put into the stream.
async fn has_had(server: &Server, calls: u64) {
    let mut stream = server.stream("jobs").await;
    while stream.info().await.unwrap().state.last_sequence < calls {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_started_call_that_nobody_awaits_gives_its_permit_back_when_it_is_late_and_no_worker_is_there()
{
    let name = "started::a_started_call_that_nobody_awaits_gives_its_permit_back_when_it_is_late_and_no_worker_is_there";
    with_server(name, async |server| {
        let line = Line::new();
        drop(f::start_late(line.port()));
        let next = tokio::spawn(f::next());
        // The next call has got the permit, and is sent.
        has_had(server, 2).await;
        server.has_messages("jobs", 1).await;
        let worker = Worker::start("jobs");
        assert_eq!(next.await.unwrap().unwrap(), worker.id());
        assert!(line.is_quiet());
    });
}

#[test]
fn a_started_call_that_nobody_awaits_does_not_begin_after_its_queue_timeout() {
    let name = "started::a_started_call_that_nobody_awaits_does_not_begin_after_its_queue_timeout";
    with_server(name, async |server| {
        let line = Line::new();
        drop(f::start_late_to_begin(line.port()));
        has_had(server, 1).await;
        server.has_messages("jobs", 0).await;
        let worker = Worker::start("jobs");
        assert_eq!(f::next().await.unwrap(), worker.id());
        assert!(line.is_quiet());
    });
}

#[test]
fn a_started_call_that_nobody_awaits_gives_its_permit_back_when_it_is_late_and_there_is_no_server()
{
    let name = "started::a_started_call_that_nobody_awaits_gives_its_permit_back_when_it_is_late_and_there_is_no_server";
    with_server(name, async |server| {
        server.kill();
        let line = Line::new();
        drop(f::start_late(line.port()));
        let next = tokio::spawn(f::next());
        until("it has ended", || {
            let stats = offload_runtime::stats();
            stats
                .functions
                .iter()
                .any(|function| function.name == "late" && function.cancelled == 1)
        })
        .await;
        server.start_again();
        let worker = Worker::start("jobs");
        assert_eq!(next.await.unwrap().unwrap(), worker.id());
        assert!(line.is_quiet());
    });
}
