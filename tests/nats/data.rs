//! What goes there and back: large values, context, other builds.

use std::cell::RefCell;
use std::process::Command;

use nix::sys::signal::Signal;
use offload_runtime::remote::async_nats::jetstream::stream::Stream;
use offload_runtime::remote::async_nats::{HeaderMap, jetstream};
use offload_runtime::{Error, ErrorKind, Ran, propagate_remote};
use offload_tests::pool;
use tokio::task::JoinHandle;

use crate::functions::{self as f, Problem};
use crate::server::{Line, Server, Setup, URL, Worker, server_url, until, with_server};

/// More than a message of the server may be, which is 1 MiB.
const LARGE: usize = 3 << 20;

/// What is in the object store of the pool; `None`: there is no store.
async fn objects(server: &Server) -> Option<u64> {
    let jetstream = jetstream::new(server.client().await);
    let stream = jetstream.get_stream("OBJ_offload-jobs").await.ok()?;
    Some(stream.cached_info().state.messages)
}

pub(crate) async fn has_no_objects(server: &Server) {
    while objects(server).await != Some(0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[test]
fn large_values_go_through_the_object_store_and_do_not_stay_there() {
    with_server(
        "data::large_values_go_through_the_object_store_and_do_not_stay_there",
        async |server| {
            let _worker = Worker::start("jobs");
            assert_eq!(f::look_up("x".repeat(1000)).await.unwrap(), 1000);
            assert_eq!(objects(server).await, None);
            assert_eq!(f::look_up("x".repeat(LARGE)).await.unwrap(), LARGE);
            assert_eq!(f::repeat("xy".to_owned(), LARGE).await.unwrap(), "xy".repeat(LARGE));
            assert_eq!(f::repeat("z".repeat(LARGE), 2).await.unwrap(), "z".repeat(2 * LARGE));
            has_no_objects(server).await;
            server.has_messages("jobs", 0).await;
        },
    );
}

#[test]
fn the_arguments_of_a_call_that_is_dropped_or_lost_do_not_stay_in_the_object_store() {
    let name =
        "data::the_arguments_of_a_call_that_is_dropped_or_lost_do_not_stay_in_the_object_store";
    with_server(name, async |server| {
        let line = Line::new();
        let waits = tokio::spawn(f::hold_with("x".repeat(LARGE), line.port()));
        server.has_messages("jobs", 1).await;
        assert!(objects(server).await.is_some_and(|count| count > 0));
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        has_no_objects(server).await;
        let mut worker = Worker::start("jobs");
        let lost = tokio::spawn(f::hold_with("x".repeat(LARGE), line.port()));
        let _body = line.next().await;
        worker.kill();
        assert_eq!(lost.await.unwrap().unwrap_err().kind(), ErrorKind::WorkerDied);
        has_no_objects(server).await;
    });
}

#[test]
fn a_large_result_that_nobody_takes_does_not_stay_in_the_object_store() {
    let name = "data::a_large_result_that_nobody_takes_does_not_stay_in_the_object_store";
    with_server(name, async |server| {
        let _worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold_and_fill(line.port(), 7, LARGE));
        let body = line.next().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        body.go_on();
        until("its answer has arrived", || pool("jobs").running == 0).await;
        has_no_objects(server).await;
    });
}

#[test]
fn large_arguments_for_which_the_store_has_no_room_are_refused_at_once_and_leave_nothing_there() {
    let name = "data::large_arguments_for_which_the_store_has_no_room_are_refused_at_once_and_leave_nothing_there";
    let setup = Setup::new(name).config("jetstream { max_file_store: 4MB }");
    setup.run(async |server| {
        // A part of them fits.
        let error = f::look_up("x".repeat(3 * LARGE)).await.unwrap_err();
        let Problem::Offload(error) = error else { panic!("{error}") };
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No), "{error}");
        has_no_objects(server).await;
    });
}

#[test]
fn what_cannot_be_written_is_told_and_says_whether_the_body_ran() {
    let name = "data::what_cannot_be_written_is_told_and_says_whether_the_body_ran";
    with_server(name, async |server| {
        let error = f::take_it(f::Stubborn).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
        assert!(error.to_string().contains("not today"), "{error}");
        let worker = Worker::start("jobs");
        let error = f::give_it().await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes), "{error}");
        assert!(error.to_string().contains("not today"), "{error}");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        server.has_messages("jobs", 0).await;
    });
}

/// A call that waits, with the line of its body, and the object store that has its arguments.
async fn waits_with_an_object(
    server: &Server,
) -> (Line, JoinHandle<Result<u32, Error>>, jetstream::Context, Stream) {
    let line = Line::new();
    let call = tokio::spawn(f::hold_with("x".repeat(LARGE), line.port()));
    server.has_messages("jobs", 1).await;
    let jetstream = jetstream::new(server.client().await);
    let stream = jetstream.get_stream("OBJ_offload-jobs").await.unwrap();
    (line, call, jetstream, stream)
}

#[test]
fn an_object_that_says_that_it_is_larger_than_anything_may_be_costs_its_call_and_nothing_else() {
    let name = "data::an_object_that_says_that_it_is_larger_than_anything_may_be_costs_its_call_and_nothing_else";
    with_server(name, async |server| {
        let (_line, call, jetstream, stream) = waits_with_an_object(server).await;
        let about = stream.get_last_raw_message_by_subject("$O.offload-jobs.M.>").await.unwrap();
        let mut lie: serde_json::Value = serde_json::from_slice(&about.payload).unwrap();
        lie["size"] = (1_u64 << 60).into();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Rollup", "sub");
        let lied = jetstream.publish_with_headers(about.subject, headers, lie.to_string().into());
        lied.await.unwrap().await.unwrap();
        let worker = Worker::start("jobs");
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
        assert!(error.to_string().contains("`max_message`"), "{error}");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        has_no_objects(server).await;
    });
}

#[test]
fn an_object_of_which_a_part_is_missing_costs_its_call_and_nothing_else() {
    let name = "data::an_object_of_which_a_part_is_missing_costs_its_call_and_nothing_else";
    with_server(name, async |server| {
        let (line, call, _, stream) = waits_with_an_object(server).await;
        let first = stream.cached_info().state.first_sequence;
        assert!(stream.delete_message(first + 1).await.unwrap());
        let worker = Worker::start("jobs");
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
        assert!(error.to_string().contains("digest"), "{error}");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert!(line.is_quiet());
        has_no_objects(server).await;
    });
}

#[test]
fn an_object_whose_parts_are_others_than_were_sent_costs_its_call_and_nothing_else() {
    let name =
        "data::an_object_whose_parts_are_others_than_were_sent_costs_its_call_and_nothing_else";
    with_server(name, async |server| {
        for (is_empty, words) in [(false, "digest"), (true, "bytes are there")] {
            let (line, call, jetstream, stream) = waits_with_an_object(server).await;
            // Its last part begins with the end of the text.
            let part = stream.get_last_raw_message_by_subject("$O.offload-jobs.C.>").await.unwrap();
            let mut bytes = part.payload.to_vec();
            assert!(stream.delete_message(part.sequence).await.unwrap());
            if is_empty {
                let sent = jetstream.publish(part.subject.clone(), "".into());
                sent.await.unwrap().await.unwrap();
            } else {
                assert_eq!(std::mem::replace(&mut bytes[0], b'y'), b'x');
            }
            jetstream.publish(part.subject, bytes.into()).await.unwrap().await.unwrap();
            let worker = Worker::start("jobs");
            let error = call.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(f::process_id().await.unwrap(), worker.id());
            assert!(line.is_quiet());
            has_no_objects(server).await;
        }
    });
}

#[test]
fn a_result_that_the_server_does_not_let_be_read_costs_its_call_and_nothing_else() {
    let name =
        "data::a_result_that_the_server_does_not_let_be_read_costs_its_call_and_nothing_else";
    let denied = "\"$JS.API.CONSUMER.CREATE.OBJ_offload-jobs\", \"$JS.API.CONSUMER.CREATE.OBJ_offload-jobs.>\"";
    let users = format!(
        "authorization {{ users = [ {{ user: web, password: secret, permissions: {{ publish: {{ deny: [ {denied} ] }} }} }} ] }}"
    );
    Setup::new(name).config(&users).user("web:secret@").run(async |_| {
        let worker = Worker::start("jobs");
        let error = f::repeat("x".to_owned(), LARGE).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::Yes), "{error}");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}

thread_local! {
    static TRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[test]
fn a_trace_goes_on_over_there() {
    with_server("data::a_trace_goes_on_over_there", async |_| {
        let _worker = Worker::start("jobs");
        propagate_remote("traceparent", || TRACE.with_borrow(Clone::clone), drop);
        assert_eq!(f::trace().await.unwrap(), None);
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut call = std::pin::pin!(f::trace());
        // It is taken at the first poll.
        TRACE.set(Some(trace.to_owned()));
        let polled = futures::poll!(call.as_mut());
        TRACE.set(None);
        assert!(polled.is_pending());
        assert_eq!(call.await.unwrap().as_deref(), Some(trace));
    });
}

#[test]
fn the_longest_context_fits_beside_the_largest_arguments_of_a_message() {
    let name = "data::the_longest_context_fits_beside_the_largest_arguments_of_a_message";
    with_server(name, async |server| {
        let worker = Worker::start("jobs");
        propagate_remote("traceparent", || TRACE.with_borrow(Clone::clone), drop);
        // With the name, the colon and the line end this is all that may be carried.
        TRACE.set(Some("t".repeat((32 << 10) - 14)));
        let text = "x".repeat((1 << 20) - (64 << 10) - 40);
        let mut call = std::pin::pin!(f::look_up(text.clone()));
        let polled = futures::poll!(call.as_mut());
        TRACE.set(None);
        assert!(polled.is_pending());
        assert_eq!(call.await.unwrap(), text.len());
        assert_eq!(objects(server).await, None);
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert!(!server.log().contains("Payload"), "{}", server.log());
    });
}

/// Has this build of a program place an order. How a worker has read it, and what came back.
async fn placed_by(build: &'static str, order: &'static str) -> String {
    let place = move || Command::new(build).arg(order).env(URL, server_url()).output().unwrap();
    let output = tokio::task::spawn_blocking(place).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn two_builds_of_a_program_of_which_the_newer_has_a_field_more_work_side_by_side() {
    const OLDER: &str = env!("CARGO_BIN_EXE_orders_older");
    const NEWER: &str = env!("CARGO_BIN_EXE_orders_newer");
    let name =
        "data::two_builds_of_a_program_of_which_the_newer_has_a_field_more_work_side_by_side";
    with_server(name, async |_| {
        let from_newer = async || placed_by(NEWER, r#"{"what":"bread","count":7}"#).await;
        let from_older = async || placed_by(OLDER, r#"{"what":"salt"}"#).await;
        // With one slot each they take turns.
        let start =
            |build| Worker::of(Worker::command_of(build, "orders").env("OFFLOAD_CPU_THREADS", "1"));
        let mut older = start(OLDER);
        let by_older = r#"{"what":"bread"} {"what":"bread","count":0}"#;
        assert_eq!(from_newer().await, by_older);
        assert_eq!(from_older().await, r#"{"what":"salt"} {"what":"salt"}"#);
        let _newer = start(NEWER);
        // Both are there: either has it.
        let by_newer = r#"{"what":"bread","count":7} {"what":"bread","count":7}"#;
        while from_newer().await != by_newer {}
        older.tell(Signal::SIGTERM);
        assert!(older.wait().success());
        assert_eq!(from_newer().await, by_newer);
        assert_eq!(from_older().await, r#"{"what":"salt","count":0} {"what":"salt"}"#);
    });
}
