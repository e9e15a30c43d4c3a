//! Workers and callers that end, and how.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use offload_runtime::remote::async_nats::jetstream::consumer::PullConsumer;
use offload_runtime::{Builder, ErrorKind, Ran, remote};
use offload_tests::own_process;

use crate::data::has_no_objects;
use crate::functions as f;
use crate::seen::{metric, metric_of, pool, pool_of, serve};
use crate::server::{Body, Line, Worker, pid, remote_stats, remote_stats_of, until, with_server};

#[test]
fn a_worker_that_is_killed_in_a_body_is_found_out_and_the_call_may_have_run() {
    let name = "ends::a_worker_that_is_killed_in_a_body_is_found_out_and_the_call_may_have_run";
    with_server(name, async |server| {
        let mut worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        let _body = line.next().await;
        worker.kill();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        server.has_messages("jobs", 0).await;
        let other = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), other.id());
    });
}

#[test]
fn other_workers_take_over_where_there_are_attempts_and_each_call_is_counted_once() {
    let name =
        "ends::other_workers_take_over_where_there_are_attempts_and_each_call_is_counted_once";
    with_server(name, async |server| {
        Builder::new().cpu_threads(1).install().unwrap();
        let address = serve().await;
        let mut first = Worker::start("jobs");
        let line = Line::new();
        let calls =
            [tokio::spawn(f::hold_again(line.port())), tokio::spawn(f::hold_again(line.port()))];
        for _ in &calls {
            assert_eq!(line.next().await.process, first.id());
        }
        first.kill();
        // Each has one slot, and so one of the calls: this program, too, which makes them.
        let other = Worker::of(Worker::command("jobs").env("OFFLOAD_CPU_THREADS", "1"));
        let serving = tokio::spawn(remote::serve([&f::JOBS]));
        let bodies = [line.next().await, line.next().await];
        let both = BTreeSet::from([other.id(), std::process::id()]);
        assert_eq!(bodies.iter().map(|body| body.process).collect::<BTreeSet<_>>(), both);
        bodies.into_iter().for_each(Body::go_on);
        let mut answers = BTreeSet::new();
        for call in calls {
            answers.insert(call.await.unwrap().unwrap());
        }
        assert_eq!(answers, both);
        assert_eq!(remote_stats().redelivered, 2);
        assert_eq!(metric("offload_remote_total", "redelivered"), 2.0);
        let seen = pool(address, |pool| !pool.is_null()).await;
        assert_eq!(seen["remote"]["redelivered"], 2, "{seen}");
        server.has_messages("jobs", 0).await;
        serving.abort();
    });
}

#[test]
fn a_worker_counts_the_calls_that_it_has_since_another_one_was_lost() {
    let name = "ends::a_worker_counts_the_calls_that_it_has_since_another_one_was_lost";
    with_server(name, async |_| {
        let address = serve().await;
        let mut first = Worker::start("parted");
        let line = Line::new();
        let mut caller = start_caller("again", &line);
        assert_eq!(line.next().await.process, first.id());
        // This program is a worker, too, and makes no call.
        let serving = tokio::spawn(remote::serve([&f::PARTED]));
        first.kill();
        let body = line.next().await;
        assert_eq!(body.process, std::process::id());
        assert_eq!(remote_stats_of("parted").redelivered, 1);
        assert_eq!(metric_of("parted", "offload_remote_total", "redelivered"), 1.0);
        let seen = pool_of("parted", address, |pool| !pool.is_null()).await;
        assert_eq!(seen["remote"]["redelivered"], 1, "{seen}");
        caller.kill().unwrap();
        caller.wait().unwrap();
        serving.abort();
    });
}

#[test]
fn a_call_whose_attempts_are_used_up_has_lost_its_worker_and_may_have_run() {
    let name = "ends::a_call_whose_attempts_are_used_up_has_lost_its_worker_and_may_have_run";
    with_server(name, async |server| {
        let line = Line::new();
        let call = tokio::spawn(f::hold_twice_parted(line.port()));
        for _ in 0..2 {
            let mut worker = Worker::start("parted");
            assert_eq!(line.next().await.process, worker.id());
            worker.kill();
        }
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        assert_eq!(remote_stats_of("parted").redelivered, 1);
        server.has_messages("parted", 0).await;
        let other = Worker::start("parted");
        assert_eq!(f::process_id_parted().await.unwrap(), other.id());
        assert!(line.is_quiet());
    });
}

#[test]
fn a_call_that_is_late_between_two_attempts_does_not_say_that_it_did_not_run() {
    let name = "ends::a_call_that_is_late_between_two_attempts_does_not_say_that_it_did_not_run";
    with_server(name, async |server| {
        let mut worker = Worker::start("parted");
        let line = Line::new();
        let call = tokio::spawn(f::hold_again_for_six_seconds_parted(line.port()));
        line.next().await;
        worker.kill();
        // It waits for another worker.
        server.has_messages("parted", 1).await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_ne!(error.ran(), Ran::No, "{error}");
        server.has_messages("parted", 0).await;
    });
}

#[test]
fn a_worker_that_is_told_to_end_finishes_what_it_has_and_takes_no_more() {
    finishes_what_it_has(
        "ends::a_worker_that_is_told_to_end_finishes_what_it_has_and_takes_no_more",
        Signal::SIGTERM,
    );
}

#[test]
fn a_worker_that_is_interrupted_in_its_terminal_finishes_what_it_has_and_takes_no_more() {
    finishes_what_it_has(
        "ends::a_worker_that_is_interrupted_in_its_terminal_finishes_what_it_has_and_takes_no_more",
        Signal::SIGINT,
    );
}

#[test]
fn a_worker_that_is_told_to_end_twice_ends_at_once() {
    with_server("ends::a_worker_that_is_told_to_end_twice_ends_at_once", async |_| {
        for [first, second] in
            [[Signal::SIGINT, Signal::SIGINT], [Signal::SIGTERM, Signal::SIGTERM]]
        {
            let mut worker = Worker::start("jobs");
            let line = Line::new();
            let call = tokio::spawn(f::hold(line.port()));
            let _body = line.next().await;
            until("it is there", || remote_stats().workers == 1).await;
            worker.tell(first);
            until("it has left", || remote_stats().workers == 0).await;
            worker.tell(second);
            assert_eq!(worker.wait().signal(), Some(second as i32));
            let error = call.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        }
    });
}

fn finishes_what_it_has(test: &str, signal: Signal) {
    with_server(test, async |_| {
        let mut worker = Worker::start("jobs");
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        until("it is there", || remote_stats().workers == 1).await;
        worker.tell(signal);
        // It has said that it leaves; it has slots that are free.
        until("nobody is there", || remote_stats().workers == 0).await;
        let other = Worker::start("jobs");
        let next = tokio::spawn(f::hold(line.port()));
        let next_body = line.next().await;
        assert_eq!(next_body.process, other.id());
        body.go_on();
        next_body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), worker.id());
        next.await.unwrap().unwrap();
        assert!(worker.wait().success());
        assert_eq!(f::process_id().await.unwrap(), other.id());
    });
}

/// Makes a call, in a process that another test starts and kills, or one or four and ends.
#[tokio::test]
async fn a_caller_that_another_test_starts() {
    let Ok(line) = std::env::var(CALLER) else { return };
    let (kind, port) = line.rsplit_once(' ').unwrap();
    let port = port.parse().unwrap();
    let result = match kind {
        "long" => f::hold(port).await,
        "four" => {
            let calls: Vec<_> = (0..4).map(|_| tokio::spawn(f::hold(port))).collect();
            for call in calls {
                call.await.unwrap().unwrap();
            }
            return;
        }
        "one" => {
            assert_ne!(f::hold(port).await.unwrap(), 0);
            return;
        }
        "unstarted" => {
            let error = f::hold(port).await.unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
            assert_ne!(f::process_id().await.unwrap(), 0);
            return;
        }
        "again" => f::hold_again_parted(port).await,
        "large" => f::hold_and_give_back("x".repeat(LARGE), port).await.map(|_| 0),
        "large and short" => f::hold_with_for_two_seconds("x".repeat(LARGE), port).await,
        _ => f::hold_for_two_seconds(port).await,
    };
    panic!("the caller was to be killed: {result:?}");
}

/// More than a message of the server may be.
const LARGE: usize = 2 << 20;

const CALLER: &str = "OFFLOAD_TEST_CALLER";

pub(crate) fn start_caller(kind: &str, line: &Line) -> std::process::Child {
    own_process("ends::a_caller_that_another_test_starts")
        .env(CALLER, format!("{kind} {}", line.port()))
        .spawn()
        .unwrap()
}

#[test]
fn a_body_whose_caller_has_ended_is_told() {
    with_server("ends::a_body_whose_caller_has_ended_is_told", async |server| {
        let worker = Worker::start("jobs");
        let line = Line::new();
        let mut caller = start_caller("long", &line);
        let body = line.next().await;
        caller.kill().unwrap();
        caller.wait().unwrap();
        assert!(body.was_told().await);
        server.has_messages("jobs", 0).await;
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}

#[test]
fn an_answer_whose_caller_has_ended_is_given_up_long_before_its_deadline_and_counted() {
    let name =
        "ends::an_answer_whose_caller_has_ended_is_given_up_long_before_its_deadline_and_counted";
    with_server(name, async |server| {
        // This program is the worker.
        let serving = tokio::spawn(remote::serve([&f::JOBS]));
        let address = serve().await;
        let line = Line::new();
        let mut caller = start_caller("large", &line);
        let body = line.next().await;
        caller.kill().unwrap();
        caller.wait().unwrap();
        assert_eq!((remote_stats().serving, remote_stats().unawaited), (1, 0));
        body.go_on();
        until("it is given up", || remote_stats().serving == 0).await;
        assert_eq!(remote_stats().unawaited, 1);
        assert_eq!(metric("offload_remote_total", "unawaited"), 1.0);
        let seen = pool(address, |pool| !pool.is_null()).await;
        assert_eq!(seen["remote"]["unawaited"], 1, "{seen}");
        server.has_messages("jobs", 0).await;
        has_no_objects(server).await;
        serving.abort();
    });
}

#[test]
fn a_call_that_waits_is_thrown_away_when_its_caller_has_ended_and_it_is_late() {
    let name = "ends::a_call_that_waits_is_thrown_away_when_its_caller_has_ended_and_it_is_late";
    with_server(name, async |server| {
        let line = Line::new();
        let mut caller = start_caller("short", &line);
        server.has_messages("jobs", 1).await;
        caller.kill().unwrap();
        caller.wait().unwrap();
        let worker = Worker::start("jobs");
        server.has_messages("jobs", 0).await;
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert!(line.is_quiet());
    });
}

#[test]
fn large_arguments_of_a_call_that_is_thrown_away_do_not_stay_in_the_object_store() {
    let name =
        "ends::large_arguments_of_a_call_that_is_thrown_away_do_not_stay_in_the_object_store";
    with_server(name, async |server| {
        let line = Line::new();
        let mut caller = start_caller("large and short", &line);
        server.has_messages("jobs", 1).await;
        caller.kill().unwrap();
        caller.wait().unwrap();
        let _worker = Worker::start("jobs");
        server.has_messages("jobs", 0).await;
        has_no_objects(server).await;
        assert!(line.is_quiet());
    });
}

#[test]
fn a_caller_that_is_stopped_takes_no_slots_and_its_calls_begin_when_it_goes_on() {
    let name = "ends::a_caller_that_is_stopped_takes_no_slots_and_its_calls_begin_when_it_goes_on";
    with_server(name, async |server| {
        let line = Line::new();
        let mut caller = start_caller("four", &line);
        // As many as a worker has slots.
        server.has_messages("jobs", 4).await;
        let stopped = pid(&caller);
        let tell = |signal| kill(stopped, signal).unwrap();
        tell(Signal::SIGSTOP);
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert!(line.is_quiet());
        tell(Signal::SIGCONT);
        for _ in 0..4 {
            line.next().await.go_on();
        }
        assert!(caller.wait().unwrap().success());
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_worker_that_is_told_to_end_does_not_wait_for_callers_that_are_stopped() {
    let name = "ends::a_worker_that_is_told_to_end_does_not_wait_for_callers_that_are_stopped";
    with_server(name, async |server| {
        let (waiting, running) = (Line::new(), Line::new());
        let mut waits = start_caller("unstarted", &waiting);
        server.has_messages("jobs", 1).await;
        kill(pid(&waits), Signal::SIGSTOP).unwrap();
        let mut worker = Worker::start("jobs");
        let mut runs = start_caller("one", &running);
        let body = running.next().await;
        kill(pid(&runs), Signal::SIGSTOP).unwrap();
        // The one asks in vain whether it may begin, the other has an answer that nobody takes.
        worker.tell(Signal::SIGTERM);
        body.go_on();
        // Long before the calls are late.
        let ends = tokio::task::spawn_blocking(move || worker.wait());
        assert!(
            tokio::time::timeout(Duration::from_secs(45), ends).await.unwrap().unwrap().success()
        );
        assert!(waiting.is_quiet());
        // The answer is at the server, and the call that did not begin is said to have not: nor does it now.
        let _other = Worker::start("jobs");
        kill(pid(&runs), Signal::SIGCONT).unwrap();
        kill(pid(&waits), Signal::SIGCONT).unwrap();
        assert!(runs.wait().unwrap().success());
        assert!(waits.wait().unwrap().success());
        assert!(waiting.is_quiet());
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_call_on_its_way_to_a_worker_that_is_told_to_end_goes_to_another_or_is_finished() {
    let name =
        "ends::a_call_on_its_way_to_a_worker_that_is_told_to_end_goes_to_another_or_is_finished";
    with_server(name, async |server| {
        let mut first = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), first.id());
        first.tell(Signal::SIGSTOP);
        let calls = [tokio::spawn(f::process_id()), tokio::spawn(f::process_id())];
        let mut consumer: PullConsumer =
            server.stream("jobs").await.get_consumer("workers").await.unwrap();
        while consumer.info().await.unwrap().num_ack_pending < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _second = Worker::start("jobs");
        first.tell(Signal::SIGTERM);
        first.tell(Signal::SIGCONT);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert!(first.wait().success());
        server.has_messages("jobs", 0).await;
    });
}
