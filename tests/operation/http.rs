//! Through a real server: errors as answers, and clients that go away.

use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use offload_runtime::{Error, Resource, is_cancelled, offload};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Gate, PATIENCE};

/// Serves `app` until the test ends.
async fn serve(app: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

#[offload(thread, limit = 1, queue = 0)]
fn full(State(gate): State<Gate>) -> Result<&'static str, Error> {
    gate.pass();
    Ok("done")
}

#[offload(thread, timeout = "500ms", name = "secret name")]
fn too_long(State(gate): State<Gate>) -> Result<&'static str, Error> {
    gate.pass();
    Ok("done")
}

#[offload(cpu, limit = 1, queue_timeout = "500ms", name = "secret name")]
fn too_late(State(gate): State<Gate>) -> Result<&'static str, Error> {
    gate.pass();
    Ok("done")
}

static BROKEN: Resource<u32> = Resource::new("broken", || Err("it is not there".into()));

#[offload(thread, name = "secret name")]
fn broken(#[resource(BROKEN)] _number: &mut u32) -> Result<&'static str, Error> {
    Ok("done")
}

#[offload(thread, limit = 1, queue = 5)]
fn deadlock(State(gate): State<Gate>) -> Result<&'static str, Error> {
    futures::executor::block_on(deadlock(State(gate)))
}

#[tokio::test]
async fn errors_are_answers_that_tell_the_client_what_to_do_and_nothing_else() {
    let gate = Gate::default();
    let app = Router::new()
        .route("/full", get(full))
        .route("/too-long", get(too_long))
        .route("/too-late", get(too_late))
        .route("/broken", get(broken))
        .route("/deadlock", get(deadlock))
        .with_state(gate.clone());
    let address = serve(app).await;
    let client = client();
    let ask = move |path: &'static str| {
        let request = client.get(format!("http://{address}{path}"));
        async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let header =
                |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let (kind, retry) = (header("content-type"), header("retry-after"));
            (status, kind, retry, response.text().await.unwrap())
        }
    };
    // On a busy machine one that would begin may be too late, and is asked for again.
    let ask_until_in_time = |path| {
        let ask = ask.clone();
        async move {
            loop {
                let answer = ask(path).await;
                if answer.0 != 503 {
                    return answer;
                }
            }
        }
    };
    let holders = [tokio::spawn(ask("/full")), tokio::spawn(ask_until_in_time("/too-late"))];
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for(2)).await.unwrap();
    for (path, wanted, retries) in [
        ("/full", 503, true),
        ("/too-late", 503, true),
        ("/broken", 503, true),
        ("/too-long", 504, false),
        ("/deadlock", 500, false),
    ] {
        let (status, kind, retry, body) = match wanted {
            504 => ask_until_in_time(path).await,
            _ => ask(path).await,
        };
        assert_eq!((path, status), (path, wanted));
        assert_eq!(kind.as_deref(), Some("application/problem+json"));
        assert_eq!(retry.is_some(), retries, "{path}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], wanted);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(!body.contains("secret") && !body.contains("operation"), "{body}");
    }
    gate.open();
    for holder in holders {
        assert_eq!(holder.await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_its_job() {
    #[derive(Clone)]
    struct Told(mpsc::Sender<&'static str>);

    #[offload(cpu)]
    fn spin(State(told): State<Told>) {
        told.0.send("started").unwrap();
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        told.0.send("cancelled").unwrap();
    }

    let (tell, told) = mpsc::channel();
    let address = serve(Router::new().route("/", get(spin)).with_state(Told(tell))).await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let told = tokio::task::spawn_blocking(move || {
        assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
        told
    });
    let told = told.await.unwrap();
    assert!(told.recv_timeout(Duration::from_millis(1)).is_err(), "it ended by itself");
    drop(connection);
    tokio::task::spawn_blocking(move || assert_eq!(told.recv_timeout(PATIENCE), Ok("cancelled")))
        .await
        .unwrap();
}
