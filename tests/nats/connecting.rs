//! How a program connects, and becomes a worker, by code of its own.

use std::env;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use offload_runtime::remote::async_nats::{self, Client, ConnectError, ConnectOptions};
use offload_runtime::{Builder, Error, ErrorKind, offload, remote};
use offload_tests::own_process;

use crate::functions as f;
use crate::server::{Body, Line, Setup, Worker, pid, remote_stats, server_url, until, with_server};

#[test]
fn calls_go_through_the_client_that_the_program_connects_with_its_credentials() {
    let name =
        "connecting::calls_go_through_the_client_that_the_program_connects_with_its_credentials";
    let setup = Setup::new(name)
        .config("authorization { users = [ { user: web, password: secret } ] }")
        .user("web:secret@")
        .without_url();
    setup.run(async |server| {
        let worker = Worker::start("jobs");
        assert!(async_nats::connect(server.address()).await.is_err());
        let options = ConnectOptions::with_user_and_password("web".into(), "secret".into());
        let client = options.connect(server.address()).await.unwrap();
        remote::connect(client.clone()).unwrap();
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        assert_eq!(f::repeat("x".to_owned(), 3 << 20).await.unwrap().len(), 3 << 20);
        let error = remote::connect(client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        server.has_messages("jobs", 0).await;
    });
}

/// A client of the program's own, with credentials, that trusts this certificate.
async fn by_tls(address: &str, certificate: &Path) -> Result<Client, ConnectError> {
    let options = ConnectOptions::with_user_and_password("web".into(), "secret".into());
    options.add_root_certificates(certificate.to_owned()).connect(address).await
}

/// Of a process that another test starts: which certificate it trusts.
const TRUSTED: &str = "OFFLOAD_TEST_TRUSTED";

#[tokio::test]
async fn a_worker_that_another_test_starts() {
    let Ok(trusted) = env::var(TRUSTED) else { return };
    let (address, trusted) = trusted.split_once(' ').unwrap();
    remote::connect(by_tls(address, trusted.as_ref()).await.unwrap()).unwrap();
    remote::serve([&f::JOBS]).await.unwrap();
}

#[test]
fn programs_and_workers_call_and_serve_by_tls_with_clients_of_their_own_or_as_the_environment_says()
{
    let name = "connecting::programs_and_workers_call_and_serve_by_tls_with_clients_of_their_own_or_as_the_environment_says";
    let setup = Setup::new(name)
        .tls()
        .config("authorization { timeout: 60, users = [ { user: web, password: secret } ] }")
        .user("web:secret@")
        .without_url();
    setup.run(async |server| {
        let (address, certificate) = (server.address(), server.certificate());
        // It is trusted by who was told to, and nobody else.
        let options = ConnectOptions::with_user_and_password("web".into(), "secret".into());
        let error = options.connect(&*address).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        // Also by TLS it is asked who it is.
        let nobody = ConnectOptions::new().add_root_certificates(certificate.clone());
        assert!(nobody.connect(&*address).await.is_err());
        remote::connect(by_tls(&address, &certificate).await.unwrap()).unwrap();

        let mut own = own_process("connecting::a_worker_that_another_test_starts")
            .env(TRUSTED, format!("{address} {}", certificate.display()))
            .spawn()
            .unwrap();
        assert_eq!(f::process_id().await.unwrap(), own.id());
        let large = 3 << 20;
        assert_eq!(f::repeat("x".to_owned(), large).await.unwrap().len(), large);
        server.has_messages("jobs", 0).await;
        kill(pid(&own), Signal::SIGTERM).unwrap();
        let end = tokio::task::spawn_blocking(move || own.wait());
        assert!(end.await.unwrap().unwrap().success());

        assert!(server_url().starts_with("tls://web:secret@"));
        let worker = Worker::of(Worker::command("jobs").env("SSL_CERT_FILE", certificate));
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}

#[test]
fn the_address_may_have_any_sign_in_user_and_password() {
    let name = "connecting::the_address_may_have_any_sign_in_user_and_password";
    let setup = Setup::new(name)
        .config("authorization { users = [ { user: \"we@b\", password: \"s:c/r%é\" } ] }")
        .user("we%40b:s%3Ac%2Fr%25%C3%A9@");
    setup.run(async |_| {
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}

#[test]
fn two_that_serve_one_pool_in_one_program_count_their_calls_together() {
    let name = "connecting::two_that_serve_one_pool_in_one_program_count_their_calls_together";
    with_server(name, async |_| {
        Builder::new().cpu_threads(2).install().unwrap();
        let serving =
            [tokio::spawn(remote::serve([&f::JOBS])), tokio::spawn(remote::serve([&f::JOBS]))];
        let line = Line::new();
        let calls: Vec<_> = (0..4).map(|_| tokio::spawn(f::hold(line.port()))).collect();
        let bodies = [line.next().await, line.next().await];
        until("all are there", || remote_stats().serving == 4).await;
        assert_eq!(remote_stats().slots, 4);
        bodies.into_iter().for_each(Body::go_on);
        [line.next().await, line.next().await].into_iter().for_each(Body::go_on);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        until("none is there", || remote_stats().serving == 0).await;
        serving.iter().for_each(tokio::task::JoinHandle::abort);
        until("none serves", || remote_stats().slots == 0).await;
    });
}

/// On which thread the tasks of its body's runtime run.
#[offload(remote, timeout = "60s", pool = f::JOBS, name = "thread of a task")]
fn thread_of_a_task() -> Result<Option<String>, Error> {
    let runtime = tokio::runtime::Handle::current();
    let name = runtime.spawn(async { std::thread::current().name().map(ToOwned::to_owned) });
    Ok(runtime.block_on(name).expect("it does not panic"))
}

#[test]
fn a_program_that_serves_runs_bodies_in_its_runtime_until_it_shuts_down() {
    let name = "connecting::a_program_that_serves_runs_bodies_in_its_runtime_until_it_shuts_down";
    with_server(name, async |server| {
        let serving = tokio::spawn(remote::serve([&f::JOBS]));
        let line = Line::new();
        let here = tokio::spawn(async { std::thread::current().name().map(ToOwned::to_owned) });
        assert_eq!(thread_of_a_task().await.unwrap(), here.await.unwrap());
        let call = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        until("it is there", || remote_stats().workers == 1).await;
        // As many as the machine has cores.
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(remote_stats().slots, cores as u64);
        let report = tokio::spawn(offload_runtime::shutdown(Duration::from_secs(30)));
        // It takes no more calls, and waits for this one.
        until("it has left", || remote_stats().workers == 0).await;
        assert!(!serving.is_finished());
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), std::process::id());
        serving.await.unwrap().unwrap();
        assert_eq!(report.await.unwrap().abandoned, 0);
        server.has_messages("jobs", 0).await;
    });
}

#[test]
fn who_stops_serving_takes_no_more_calls_and_ends_those_it_has() {
    let name = "connecting::who_stops_serving_takes_no_more_calls_and_ends_those_it_has";
    with_server(name, async |server| {
        let serving = tokio::spawn(remote::serve([&f::JOBS]));
        let line = Line::new();
        let call = tokio::spawn(f::hold(line.port()));
        let body = line.next().await;
        until("it is there", || remote_stats().workers == 1).await;
        serving.abort();
        until("it has left", || remote_stats().workers == 0).await;
        let next = tokio::spawn(f::process_id());
        server.has_messages("jobs", 1).await;
        body.go_on();
        assert_eq!(call.await.unwrap().unwrap(), std::process::id());
        let worker = Worker::start("jobs");
        assert_eq!(next.await.unwrap().unwrap(), worker.id());
    });
}
