//! Networks that fail, or are slow: a proxy is between.

use std::time::Duration;

use futures::FutureExt;
use offload_runtime::remote::{self, async_nats};
use offload_runtime::{ErrorKind, Ran};

use crate::functions as f;
use crate::server::{Line, Server, Setup, URL, Worker, remote_stats_of, until};

/// Calls that run, are answered or wait while their caller is cut off from the server for so long.
async fn calls_outlive(server: &Server, part: impl Fn(), time: Duration, join: impl Fn()) {
    let worker = Worker::start("parted");
    let (running, answered, dropped) = (Line::new(), Line::new(), Line::new());
    let runs = tokio::spawn(f::hold_parted(running.port()));
    let running = running.next().await;
    let ends = tokio::spawn(f::hold_parted(answered.port()));
    let answered = answered.next().await;
    let cancelled = tokio::spawn(f::hold_parted(dropped.port()));
    let dropped = dropped.next().await;
    part();
    answered.go_on();
    cancelled.abort();
    let waits = tokio::spawn(f::process_id_parted());
    // Nothing is heard for longer than a worker may be silent.
    tokio::time::sleep(time).await;
    join();
    assert_eq!(ends.await.unwrap().unwrap(), worker.id());
    assert_eq!(waits.await.unwrap().unwrap(), worker.id());
    assert!(dropped.was_told().await);
    running.go_on();
    assert_eq!(runs.await.unwrap().unwrap(), worker.id());
    server.has_messages("parted", 0).await;
}

#[test]
fn a_caller_that_hears_nothing_for_a_while_loses_no_call() {
    let setup = Setup::new("partitions::a_caller_that_hears_nothing_for_a_while_loses_no_call");
    setup.through_proxy().run(async |server| {
        let proxy = server.proxy();
        calls_outlive(server, || proxy.stop(), Duration::from_secs(5), || proxy.go_on()).await;
    });
}

#[test]
fn a_caller_whose_connection_breaks_loses_no_call() {
    let setup = Setup::new("partitions::a_caller_whose_connection_breaks_loses_no_call");
    setup.through_proxy().run(async |server| {
        let proxy = server.proxy();
        calls_outlive(server, || proxy.cut(), Duration::from_millis(3500), || proxy.mend()).await;
    });
}

#[test]
fn a_caller_and_a_worker_whose_cable_to_the_server_is_pulled_for_a_while_lose_no_call() {
    let name = "partitions::a_caller_and_a_worker_whose_cable_to_the_server_is_pulled_for_a_while_lose_no_call";
    Setup::new(name).over_a_network().run(async |server| {
        let network = server.network();
        let time = Duration::from_millis(3500);
        calls_outlive(server, || network.pull(), time, || network.plug_in()).await;
    });
}

#[test]
fn a_worker_of_which_nothing_is_heard_is_lost_and_told_so_when_it_is_heard_again() {
    let name =
        "partitions::a_worker_of_which_nothing_is_heard_is_lost_and_told_so_when_it_is_heard_again";
    Setup::new(name).run(async |server| {
        let (proxy, url) = server.own_proxy();
        let _first = Worker::start_at(&url, "parted");
        let (once, again) = (Line::new(), Line::new());
        let runs_once = tokio::spawn(f::hold_parted(once.port()));
        let once = once.next().await;
        let runs_again = tokio::spawn(f::hold_again_parted(again.port()));
        let first_attempt = again.next().await;
        proxy.stop();
        let second = Worker::start("parted");
        let error = runs_once.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        let second_attempt = again.next().await;
        assert_eq!(second_attempt.process, second.id());
        second_attempt.go_on();
        assert_eq!(runs_again.await.unwrap().unwrap(), second.id());
        proxy.go_on();
        assert!(once.was_told().await);
        assert!(first_attempt.was_told().await);
        server.has_messages("parted", 0).await;
    });
}

#[test]
fn what_an_attempt_comes_to_that_was_told_to_end_is_no_answer() {
    let name = "partitions::what_an_attempt_comes_to_that_was_told_to_end_is_no_answer";
    Setup::new(name).run(async |server| {
        let (proxy, url) = server.own_proxy();
        let _first = Worker::start_at(&url, "parted");
        let line = Line::new();
        let call = tokio::spawn(f::hold_again_parted(line.port()));
        let lost = line.next().await;
        proxy.stop();
        let second = Worker::start("parted");
        let body = line.next().await;
        proxy.go_on();
        assert!(lost.was_told().await);
        let is_heard = || call.is_finished() || remote_stats_of("parted").unawaited == 1;
        until("it is heard what that came to", is_heard).await;
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), second.id());
        server.has_messages("parted", 0).await;
    });
}

#[test]
fn a_call_that_is_late_before_it_is_known_to_be_stored_is_taken_out_of_the_stream() {
    let name = "partitions::a_call_that_is_late_before_it_is_known_to_be_stored_is_taken_out_of_the_stream";
    Setup::new(name).through_proxy().run(async |server| {
        // It is connected, and the stream is there.
        let waits = tokio::spawn(f::process_id());
        server.has_messages("jobs", 1).await;
        waits.abort();
        server.has_messages("jobs", 0).await;
        server.proxy().to_client.stop();
        let error = f::hold_for_two_seconds(0).await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No), "{error}");
        server.has_messages("jobs", 1).await;
        // Until it does not wait any longer to hear of it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.proxy().to_client.go_on();
        server.has_messages("jobs", 0).await;
        // The call was published again, as no acknowledgement had come, and the stream left the second copy out: two
        // messages in all, with the one above.
        let stream = server.stream("jobs").await;
        assert_eq!(stream.cached_info().state.last_sequence, 2);
    });
}

#[test]
fn a_worker_is_heard_while_large_values_are_on_their_way_for_longer_than_it_may_be_silent() {
    let name = "partitions::a_worker_is_heard_while_large_values_are_on_their_way_for_longer_than_it_may_be_silent";
    Setup::new(name).run(async |server| {
        let (proxy, url) = server.own_proxy();
        let worker = Worker::start_at(&url, "parted");
        assert_eq!(f::process_id_parted().await.unwrap(), worker.id());
        // Four seconds each way, at least.
        proxy.to_client.slow_down(2 << 20);
        proxy.to_server.slow_down(2 << 20);
        let text = "x".repeat(8 << 20);
        assert!(f::give_back_parted(text.clone()).await.unwrap() == text);
        server.has_messages("parted", 0).await;
    });
}

#[test]
fn an_answer_is_heard_also_if_nothing_can_be_said() {
    let setup = Setup::new("partitions::an_answer_is_heard_also_if_nothing_can_be_said");
    setup.without_url().run(async |server| {
        const CALLS: usize = 300;
        let (proxy, url) = server.own_proxy();
        // It takes fewer messages than there will be calls.
        let options = async_nats::ConnectOptions::new().client_capacity(CALLS / 3);
        let client = options.connect(url).await.unwrap();
        remote::connect(client.clone()).unwrap();
        let worker = Worker::start("jobs");
        let line = Line::new();
        let runs = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        proxy.to_server.stop();
        let others: Vec<_> =
            (0..CALLS).map(|_| tokio::spawn(f::look_up("x".repeat(20_000)))).collect();
        let waiting = || {
            let stats = offload_runtime::stats();
            stats.pools.iter().find(|pool| pool.name == "jobs").map_or(0, |pool| pool.queued)
        };
        until("all wait", || waiting() == CALLS).await;
        // Until the network and the client take nothing more.
        while client.publish("nowhere", vec![0; 20_000].into()).now_or_never().is_some() {
            tokio::task::yield_now().await;
        }
        body.go_on();
        assert_eq!(runs.await.unwrap().unwrap(), worker.id());
        proxy.to_server.go_on();
        for other in others {
            assert_eq!(other.await.unwrap().unwrap(), 20_000);
        }
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_caller_that_the_server_throws_out_since_it_does_not_read_gets_its_answers() {
    let name =
        "partitions::a_caller_that_the_server_throws_out_since_it_does_not_read_gets_its_answers";
    let setup = Setup::new(name).config("max_pending: 2MB\nwrite_deadline: \"2s\"");
    setup.through_proxy().run(async |server| {
        const BYTES: usize = 900_000;
        let _workers = [Worker::start("jobs"), Worker::start("jobs")];
        let line = Line::new();
        let mut calls = Vec::new();
        let mut bodies = Vec::new();
        for number in 0..8 {
            calls.push(tokio::spawn(f::hold_and_fill(line.port(), number, BYTES)));
            bodies.push(line.next().await);
        }
        server.proxy().to_client.stop();
        for body in bodies {
            body.go_on();
        }
        // The client must not read before the server has dropped it.
        until("it is thrown out", || server.log().contains("Slow Consumer")).await;
        server.proxy().to_client.go_on();
        for (number, call) in (0..).zip(calls) {
            assert!(call.await.unwrap().unwrap() == vec![number; BYTES], "{number}");
        }
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn a_worker_that_the_server_throws_out_since_it_does_not_read_costs_no_call() {
    let name =
        "partitions::a_worker_that_the_server_throws_out_since_it_does_not_read_costs_no_call";
    let setup = Setup::new(name).config("max_pending: 2MB\nwrite_deadline: \"2s\"");
    setup.run(async |server| {
        const BYTES: usize = 900_000;
        let (proxy, url) = server.own_proxy();
        let mut command = Worker::command("parted");
        let worker = Worker::of(command.env(URL, url).env("OFFLOAD_CPU_THREADS", "8"));
        assert_eq!(f::process_id_parted().await.unwrap(), worker.id());
        proxy.to_client.stop();
        let text = |number: usize| char::from(b'a' + number as u8).to_string().repeat(BYTES);
        let calls: Vec<_> =
            (0..8).map(|number| tokio::spawn(f::give_back_parted(text(number)))).collect();
        until("it is thrown out", || server.log().contains("Slow Consumer")).await;
        proxy.to_client.go_on();
        for (number, call) in calls.into_iter().enumerate() {
            assert!(call.await.unwrap().unwrap() == text(number), "{number}");
        }
        server.has_messages("parted", 0).await;
    });
}
