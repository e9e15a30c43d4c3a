//! What is seen of a remote pool on the dashboard, of a program that calls and of one that works.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use offload_runtime::axum::dashboard;
use offload_runtime::{Builder, publish_metrics, remote};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::functions as f;
use crate::server::{Line, PATIENCE, Worker, with_server};

/// Has the dashboard served.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/offload", dashboard());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// The pool `jobs`, as `stats.json` has it, when it is so.
pub(crate) async fn pool(address: SocketAddr, is_so: impl Fn(&Value) -> bool) -> Value {
    pool_of("jobs", address, is_so).await
}

pub(crate) async fn pool_of(
    name: &str,
    address: SocketAddr,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let begin = Instant::now();
    loop {
        let answer = reqwest::get(format!("http://{address}/offload/stats.json")).await.unwrap();
        let json: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let all = json["pools"].as_array().unwrap();
        let pool = all.iter().find(|pool| pool["name"] == name).cloned().unwrap_or_default();
        if is_so(&pool) {
            return pool;
        }
        assert!(begin.elapsed() < PATIENCE, "{pool}");
    }
}

/// The value of a metric of the pool `jobs`.
pub(crate) fn metric(name: &str, label: &str) -> f64 {
    metric_of("jobs", name, label)
}

pub(crate) fn metric_of(pool: &str, name: &str, label: &str) -> f64 {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, publish_metrics);
    let all = recorder.snapshotter().snapshot().into_vec();
    let one = all.into_iter().find(|(key, ..)| {
        let has = |value: &str| key.key().labels().any(|label| label.value() == value);
        key.key().name() == name && has(pool) && has(label)
    });
    match one.unwrap_or_else(|| panic!("there is no {name} of {label}")).3 {
        DebugValue::Counter(value) => value as f64,
        DebugValue::Gauge(value) => value.into_inner(),
        DebugValue::Histogram(_) => panic!("{name} is a histogram"),
    }
}

#[test]
fn the_dashboard_shows_what_waits_and_who_is_there_of_a_program_that_calls_and_of_a_worker() {
    let name = "seen::the_dashboard_shows_what_waits_and_who_is_there_of_a_program_that_calls_and_of_a_worker";
    with_server(name, async |_| {
        Builder::new().cpu_threads(4).install().unwrap();
        let address = serve().await;
        let line = Line::new();
        let calls = [tokio::spawn(f::hold(line.port())), tokio::spawn(f::hold(line.port()))];
        let waiting = |pool: &Value| {
            let remote = &pool["remote"];
            remote["waiting"] == 2 && remote["oldest_seconds"].as_f64() > Some(0.0)
        };
        let seen = pool(address, waiting).await;
        let remote = &seen["remote"];
        assert_eq!((&remote["workers"], &remote["slots"]), (&0.into(), &0.into()), "{seen}");
        let notes = seen["notes"].to_string();
        assert!(notes.contains("No worker is there, and 2 calls wait in the stream."), "{notes}");

        assert_eq!(metric("offload_remote_waiting", "remote"), 2.0);
        assert!(metric("offload_remote_oldest_seconds", "remote") > 0.0);

        // From here on this program is a worker, too.
        tokio::spawn(remote::serve([&f::JOBS]));
        let bodies = [line.next().await, line.next().await];
        let working = |pool: &Value| {
            let remote = &pool["remote"];
            remote["workers"] == 1 && remote["serving"] == 2 && remote["waiting"] == 0
        };
        let seen = pool(address, working).await;
        assert_eq!(seen["remote"]["slots"], 4, "{seen}");
        assert_eq!(seen["notes"].as_array().unwrap().len(), 0, "{seen}");
        for (name, value) in [
            ("offload_remote_workers", 1.0),
            ("offload_remote_serving", 2.0),
            ("offload_remote_slots", 4.0),
            ("offload_remote_waiting", 0.0),
        ] {
            assert_eq!(metric(name, "remote"), value, "{name}");
        }
        bodies.into_iter().for_each(crate::server::Body::go_on);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        pool(address, |pool| pool["remote"]["serving"] == 0).await;
        let reference = include_str!("../../offload-runtime/src/observe/dashboard/mod.rs");
        for key in seen["remote"].as_object().unwrap().keys() {
            assert!(reference.contains(&format!("`{key}`")), "{key} is nowhere");
        }
    });
}

#[test]
fn a_worker_that_makes_no_call_sees_the_pool_and_counts_what_it_runs() {
    let name = "seen::a_worker_that_makes_no_call_sees_the_pool_and_counts_what_it_runs";
    with_server(name, async |_| {
        Builder::new().cpu_threads(4).install().unwrap();
        // This program is a worker here, and another one calls.
        tokio::spawn(remote::serve([&f::JOBS]));
        let address = serve().await;
        let _other = Worker::start("jobs");
        pool(address, |pool| pool["remote"]["workers"] == 2).await;
        assert_eq!(offload_runtime::stats().functions.len(), 0);
        let line = Line::new();
        let mut callers: Vec<_> =
            (0..8).map(|_| crate::ends::start_caller("long", &line)).collect();
        let mut bodies = Vec::new();
        for _ in &callers {
            bodies.push(line.next().await);
        }
        let own = bodies.iter().filter(|body| body.process == std::process::id()).count();
        pool(address, |pool| pool["remote"]["serving"] == own as u64).await;
        let stats = offload_runtime::stats();
        let started: u64 = stats.functions.iter().map(|function| function.started).sum();
        assert_eq!(started, own as u64);
        // All slots have one, and so one more waits.
        callers.push(crate::ends::start_caller("long", &line));
        let waiting = |pool: &Value| {
            let remote = &pool["remote"];
            remote["waiting"] == 1 && remote["oldest_seconds"].as_f64() > Some(0.0)
        };
        let seen = pool(address, waiting).await;
        let remote = &seen["remote"];
        assert_eq!(
            (&remote["redelivered"], &remote["unawaited"]),
            (&0.into(), &0.into()),
            "{seen}"
        );
        assert_eq!(metric("offload_remote_waiting", "remote"), 1.0);
        assert!(metric("offload_remote_oldest_seconds", "remote") > 0.0);
        callers.iter_mut().for_each(|caller| {
            caller.kill().unwrap();
            caller.wait().unwrap();
        });
    });
}
