//! The server ends, and is started again.

use crate::functions as f;
use crate::server::{Line, Worker, with_server};

#[test]
fn calls_outlive_the_server_whether_they_wait_run_or_are_answered_meanwhile() {
    let name = "restarts::calls_outlive_the_server_whether_they_wait_run_or_are_answered_meanwhile";
    with_server(name, async |server| {
        let worker = Worker::start("jobs");
        let (running, answered) = (Line::new(), Line::new());
        let runs = tokio::spawn(f::hold(running.port()));
        let running = running.next().await;
        let answers = tokio::spawn(f::hold_again(answered.port()));
        let answered = answered.next().await;
        server.kill();
        answered.go_on();
        // It can only be sent when the server is there again.
        let waits = tokio::spawn(f::process_id());
        server.start_again();
        assert_eq!(answers.await.unwrap().unwrap(), worker.id());
        assert_eq!(waits.await.unwrap().unwrap(), worker.id());
        running.go_on();
        assert_eq!(runs.await.unwrap().unwrap(), worker.id());
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_call_that_was_stored_is_there_when_the_server_is_again() {
    let name = "restarts::a_call_that_was_stored_is_there_when_the_server_is_again";
    with_server(name, async |server| {
        let waits = tokio::spawn(f::process_id());
        server.has_messages("jobs", 1).await;
        server.kill();
        server.start_again();
        let worker = Worker::start("jobs");
        assert_eq!(waits.await.unwrap().unwrap(), worker.id());
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_worker_whose_consumer_was_deleted_makes_it_again() {
    let name = "restarts::a_worker_whose_consumer_was_deleted_makes_it_again";
    with_server(name, async |server| {
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        server.stream("jobs").await.delete_consumer("workers").await.unwrap();
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}
