//! Calls that get there and back, and such that wait.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use offload_runtime::remote::async_nats::{
    ConnectOptions, HeaderMap, Message, Subscriber, jetstream,
};
use offload_runtime::{Error, ErrorKind, Ran, RemoteStats, offload, remote};

use crate::functions::{self as f, Problem};
use crate::server::{Body, Line, Setup, Worker, remote_stats, remote_stats_of, until, with_server};

#[test]
fn a_body_runs_in_the_worker_and_its_result_comes_back() {
    with_server("calls::a_body_runs_in_the_worker_and_its_result_comes_back", async |server| {
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert_eq!(f::look_up("word".to_owned()).await.unwrap(), 4);
        let problem = f::look_up(String::new()).await.unwrap_err();
        assert!(matches!(&problem, Problem::Missing(what) if what == "word"), "{problem:?}");
        // The worker has what it borrows.
        assert_eq!((f::add(1).await.unwrap(), f::add(2).await.unwrap()), (1, 3));
        let error = f::fall("a stone".to_owned()).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
        assert!(error.to_string().ends_with("a stone"), "{error}");
        server.has_messages("jobs", 0).await;
        let stats = offload_runtime::stats();
        let fallen = stats.functions.iter().find(|function| function.name == "fall").unwrap();
        assert_eq!((fallen.started, fallen.finished, fallen.panicked), (1, 0, 1));
    });
}

#[test]
fn many_calls_at_once_each_get_their_own_answer() {
    with_server("calls::many_calls_at_once_each_get_their_own_answer", async |server| {
        let _workers = [Worker::start("jobs"), Worker::start("jobs")];
        let calls: Vec<_> = (1..=500)
            .map(|length| tokio::spawn(async move { f::look_up("x".repeat(length)).await }))
            .collect();
        for (length, call) in (1..).zip(calls) {
            assert_eq!(call.await.unwrap().unwrap(), length);
        }
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn the_limit_of_a_function_holds_for_all_workers_together() {
    with_server("calls::the_limit_of_a_function_holds_for_all_workers_together", async |_| {
        let _workers = [Worker::start("jobs"), Worker::start("jobs")];
        let line = Line::new();
        let calls =
            [tokio::spawn(f::hold_alone(line.port())), tokio::spawn(f::hold_alone(line.port()))];
        let first = line.next().await;
        // Others get through.
        f::process_id().await.unwrap();
        assert!(line.is_quiet());
        first.go_on();
        line.next().await.go_on();
        for call in calls {
            assert_ne!(call.await.unwrap().unwrap(), 0);
        }
    });
}

#[test]
fn one_call_more_than_the_queue_of_a_function_has_room_for_is_refused_at_once() {
    let name = "calls::one_call_more_than_the_queue_of_a_function_has_room_for_is_refused_at_once";
    with_server(name, async |server| {
        let worker = Worker::start("jobs");
        let line = Line::new();
        let runs = tokio::spawn(f::hold_before_one(line.port()));
        let body = line.next().await;
        let mut waits = pin!(f::hold_before_one(line.port()));
        assert!(poll_once(waits.as_mut()).is_pending());
        let error = f::hold_before_one(line.port()).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No), "{error}");
        body.go_on();
        assert_eq!(runs.await.unwrap().unwrap(), worker.id());
        let next = async { line.next().await.go_on() };
        assert_eq!(tokio::join!(waits, next).0.unwrap(), worker.id());
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_call_that_is_dropped_while_it_waits_is_taken_out_of_the_stream_and_never_runs() {
    let name =
        "calls::a_call_that_is_dropped_while_it_waits_is_taken_out_of_the_stream_and_never_runs";
    with_server(name, async |server| {
        let line = Line::new();
        {
            let mut call = pin!(f::hold(line.port()));
            assert!(poll_once(call.as_mut()).is_pending());
            server.has_messages("jobs", 1).await;
        }
        server.has_messages("jobs", 0).await;
        let _worker = Worker::start("jobs");
        f::process_id().await.unwrap();
        assert!(line.is_quiet());
    });
}

fn poll_once<F: Future>(call: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_call_that_is_late_while_it_waits_says_that_it_did_not_run_and_is_taken_out_of_the_stream() {
    let name = "calls::a_call_that_is_late_while_it_waits_says_that_it_did_not_run_and_is_taken_out_of_the_stream";
    with_server(name, async |server| {
        let line = Line::new();
        let error = f::soon().await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No), "{error}");
        let error = f::hold_for_two_seconds(line.port()).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No), "{error}");
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_body_that_nobody_waits_for_is_told() {
    with_server("calls::a_body_that_nobody_waits_for_is_told", async |_| {
        let _worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        call.abort();
        assert!(body.was_told().await);
        loop {
            let error = f::hold_for_two_seconds(line.port()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            // On a busy machine it may be too late before it begins.
            if error.ran() != Ran::No {
                break;
            }
        }
        assert!(line.next().await.was_told().await);
    });
}

/// Known to nobody but this test.
#[offload(remote, timeout = "60s", pool = f::JOBS, name = "known to none")]
fn known_to_none() -> Result<(), Error> {
    Ok(())
}

#[test]
fn a_function_that_no_worker_knows_is_told_before_the_deadline() {
    with_server(
        "calls::a_function_that_no_worker_knows_is_told_before_the_deadline",
        async |server| {
            let _workers = [Worker::start("jobs"), Worker::start("jobs")];
            let error = known_to_none().await.unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
            assert!(error.to_string().contains("no function of this name"), "{error}");
            server.has_messages("jobs", 0).await;
        },
    );
}

#[test]
fn a_worker_that_does_not_know_a_function_hands_its_call_back_to_one_that_does() {
    let name = "calls::a_worker_that_does_not_know_a_function_hands_its_call_back_to_one_that_does";
    with_server(name, async |server| {
        let client = server.client().await;
        let mut heard = client.subscribe("offload.jobs.caller.>").await.unwrap();
        client.flush().await.unwrap();
        let _other = Worker::start("jobs");
        // This process knows it.
        let serving = tokio::spawn(remote::serve([&f::JOBS]));
        until("both are there", || is_called() && remote_stats().workers == 2).await;
        // Each call arrives, whoever gets it first, until one was handed back.
        let is_unknown = |message: &Message| {
            let payload = &message.payload[..];
            payload.windows("known to none".len()).any(|part| part == b"known to none")
        };
        let mut is_handed_back = false;
        while !is_handed_back {
            known_to_none().await.unwrap();
            while let Some(Some(message)) = heard.next().now_or_never() {
                is_handed_back |= is_unknown(&message);
            }
        }
        server.has_messages("jobs", 0).await;
        serving.abort();
    });
}

/// Whether the pool of these tests is known here.
fn is_called() -> bool {
    offload_runtime::stats().pools.iter().any(|pool| pool.name == f::JOBS_NAME)
}

#[test]
fn a_worker_takes_as_many_calls_as_it_has_slots_and_the_next_one_waits_in_the_stream() {
    let name =
        "calls::a_worker_takes_as_many_calls_as_it_has_slots_and_the_next_one_waits_in_the_stream";
    with_server(name, async |server| {
        let _worker = Worker::start("jobs");
        let line = Line::new();
        let mut calls = Vec::new();
        let mut bodies = Vec::new();
        for _ in 0..4 {
            calls.push(tokio::spawn(f::hold(line.port())));
            bodies.push(line.next().await);
        }
        calls.push(tokio::spawn(f::hold(line.port())));
        server.has_messages("jobs", 1).await;
        assert!(line.is_quiet());
        bodies.pop().unwrap().go_on();
        bodies.push(line.next().await);
        server.has_messages("jobs", 0).await;
        bodies.into_iter().for_each(Body::go_on);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn the_message_of_a_call_is_gone_when_its_body_starts() {
    with_server("calls::the_message_of_a_call_is_gone_when_its_body_starts", async |server| {
        let _worker = Worker::start("jobs");
        let line = Line::new();
        let mut stream = server.stream("jobs").await;
        for _ in 0..20 {
            let call = tokio::spawn(f::hold(line.port()));
            let body = line.next().await;
            assert_eq!(stream.info().await.unwrap().state.messages, 0);
            body.go_on();
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_body_does_not_start_before_the_server_has_confirmed_that_its_message_has_arrived() {
    let name =
        "calls::a_body_does_not_start_before_the_server_has_confirmed_that_its_message_has_arrived";
    let all_may = "{ user: worker, password: secret }, { user: web, password: secret";
    let config =
        |permissions| format!("authorization {{ users = [ {all_may} {permissions} }} ] }}");
    // The program that calls cannot say to the server that a message has arrived.
    let denied = config(", permissions: { publish: { deny: \"$JS.ACK.>\" } }");
    let setup = Setup::new(name).config(&denied).user("worker:secret@").without_url();
    setup.run(async |server| {
        let options = ConnectOptions::with_user_and_password("web".into(), "secret".into());
        remote::connect(options.connect(server.address()).await.unwrap()).unwrap();
        let client = server.client().await;
        let mut heard = client.subscribe("offload.jobs.caller.>").await.unwrap();
        client.flush().await.unwrap();
        let worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        // The worker asks whether it may begin, and asks again.
        for _ in 0..2 {
            while heard.next().await.unwrap().payload.is_empty() {}
        }
        assert!(line.is_quiet());
        server.has_messages("jobs", 1).await;
        // From now on it can.
        server.configure(&config(""));
        server.kill();
        server.start_again();
        let body = line.next().await;
        server.has_messages("jobs", 0).await;
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), worker.id());
    });
}

#[test]
fn a_body_may_run_for_longer_than_a_worker_may_be_silent() {
    with_server("calls::a_body_may_run_for_longer_than_a_worker_may_be_silent", async |server| {
        let client = server.client().await;
        let worker = Worker::start("parted");
        let line = Line::new();
        loop {
            let mut heard = client.subscribe("offload.parted.caller.>").await.unwrap();
            client.flush().await.unwrap();
            let mut call = tokio::spawn(f::hold_parted(line.port()));
            let body = line.next().await;
            // The claim, and then what the worker says five times in the time in which it may be silent.
            let said = async {
                for _ in 0..=6 {
                    while heard.next().await.unwrap().payload.is_empty() {}
                }
            };
            let is_said = tokio::select! {
                () = said => true,
                _ = &mut call => false,
            };
            body.go_on();
            // A machine that is busy can keep the worker silent for too long: then once more.
            if is_said {
                assert!(line.is_quiet());
                assert_eq!(call.await.unwrap().unwrap(), worker.id());
                break;
            }
        }
        assert_eq!(remote_stats_of("parted").redelivered, 0);
        server.has_messages("parted", 0).await;
    });
}

#[test]
fn a_full_stream_refuses_at_once() {
    with_server("calls::a_full_stream_refuses_at_once", async |server| {
        let first = tokio::spawn(f::fill(1));
        server.has_messages("full", 1).await;
        let error = f::fill(2).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No), "{error}");
        let _worker = Worker::start("full");
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(f::fill(3).await.unwrap(), 3);
    });
}

#[test]
fn a_call_that_the_server_has_no_room_to_store_is_refused_at_once_and_those_that_are_stored_run() {
    const BYTES: usize = 900_000;
    let name = "calls::a_call_that_the_server_has_no_room_to_store_is_refused_at_once_and_those_that_are_stored_run";
    let setup = Setup::new(name).config("jetstream { max_file_store: 4MB }");
    setup.run(async |server| {
        let mut stored = Vec::new();
        let error = loop {
            let mut call = tokio::spawn(f::look_up("x".repeat(BYTES)));
            let count = stored.len() + 1;
            tokio::select! {
                answer = &mut call => break answer.unwrap().unwrap_err(),
                () = server.has_messages("jobs", count as u64) => stored.push(call),
            }
            assert!(count < 10, "its store has 4 MB");
        };
        let Problem::Offload(error) = error else { panic!("{error}") };
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No), "{error}");
        let _worker = Worker::start("jobs");
        assert!(stored.len() >= 4);
        for call in stored {
            assert_eq!(call.await.unwrap().unwrap(), BYTES);
        }
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_message_that_is_there_twice_runs_once() {
    with_server("calls::a_message_that_is_there_twice_runs_once", async |server| {
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        server.has_messages("jobs", 1).await;
        let stream = server.stream("jobs").await;
        let message = stream.get_raw_message(1).await.unwrap();
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter() {
            if name.to_string() != "Nats-Msg-Id" {
                values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
            }
        }
        let jetstream = jetstream::new(server.client().await);
        for _ in 0..2 {
            let sent = jetstream.publish_with_headers(
                message.subject.clone(),
                headers.clone(),
                message.payload.clone(),
            );
            sent.await.unwrap().await.unwrap();
        }
        let _workers = [Worker::start("jobs"), Worker::start("jobs")];
        let body = line.next().await;
        let process = body.process;
        // All are gone, and one runs.
        server.has_messages("jobs", 0).await;
        assert!(line.is_quiet());
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), process);
    });
}

#[test]
fn the_server_is_not_asked_what_waits_while_nothing_is_out_and_nobody_wants_to_know() {
    let name =
        "calls::the_server_is_not_asked_what_waits_while_nothing_is_out_and_nobody_wants_to_know";
    with_server(name, async |server| {
        let client = server.client().await;
        let subscribe = async |subject: &str| client.subscribe(subject.to_owned()).await.unwrap();
        let mut asked = subscribe("$JS.API.STREAM.INFO.offload-jobs").await;
        // Each worker says so as often as a caller may ask.
        let mut present = subscribe("offload.jobs.present").await;
        client.flush().await.unwrap();
        // What was said before is here when the server has answered.
        let forget = async |subscriber: &mut Subscriber| {
            client.request("$JS.API.INFO", "".into()).await.unwrap();
            while subscriber.next().now_or_never().is_some() {}
        };
        let worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        forget(&mut asked).await;
        // It is asked while a call is out.
        asked.next().await.unwrap();
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), worker.id());
        forget(&mut present).await;
        let mut some_time = async || {
            for _ in 0..3 {
                present.next().await.unwrap();
            }
        };
        // It is asked once more, and not again.
        some_time().await;
        forget(&mut asked).await;
        some_time().await;
        assert!(asked.next().now_or_never().is_none());
        // But for somebody who wants to know.
        assert_eq!(remote_stats().waiting, 0);
        asked.next().await.unwrap();
    });
}

#[test]
fn the_numbers_say_what_waits_and_who_is_there() {
    with_server("calls::the_numbers_say_what_waits_and_who_is_there", async |server| {
        let line = Line::new();
        let calls = [tokio::spawn(f::hold(line.port())), tokio::spawn(f::hold(line.port()))];
        server.has_messages("jobs", 2).await;
        let reads = async |is_so: fn(RemoteStats) -> bool| {
            while !is_so(remote_stats()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        reads(|remote| remote.waiting == 2 && !remote.oldest.is_zero()).await;
        assert_eq!(remote_stats().workers, 0);
        let _workers = [Worker::start("jobs"), Worker::start("jobs")];
        reads(|remote| remote.workers == 2).await;
        line.next().await.go_on();
        line.next().await.go_on();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        reads(|remote| remote.waiting == 0 && remote.oldest.is_zero()).await;
    });
}
