//! What it costs a call that somebody looks at the dashboard, and that the event
//! loop is watched: `cargo bench -p offload-benches --bench dashboard`.
//!
//! Calls whose bodies take some twenty microseconds, 64 in flight. Who looks is
//! another process, so that its own work is not counted. Each pair of figures is
//! taken in turn, one without and one with, and the ratio is that of the
//! processor time of a call. `ROUNDS` sets how many pairs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use offload_benches::page::{Rows, Side};
use offload_benches::paired::rounds;
use offload_benches::processor_time;
use offload_runtime::offload;
use tokio::net::TcpListener;

/// How long one figure is measured.
const TIME: Duration = Duration::from_secs(2);

#[offload(cpu)]
fn work() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(20) {
        std::hint::spin_loop();
    }
}

/// Nanoseconds of processor time a call.
async fn measure(time: Duration) -> f64 {
    let (start, used) = (Instant::now(), processor_time());
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while start.elapsed() < time {
                    work().await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.expect("no panic");
    }
    (processor_time() - used).as_nanos() as f64 / calls as f64
}

/// Another process that looks.
fn look(address: SocketAddr) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program);
    child.arg("look").arg(address.to_string()).stdout(Stdio::piped());
    let mut child = child.spawn().expect("a process");
    // It says so when it has seen the first numbers.
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it looks");
    child
}

/// What that process does, until it is killed.
fn looks(address: &str) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = "GET /offload/events HTTP/1.1\r\nhost: bench\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut buffer = [0; 65536];
    let _ = stream.read(&mut buffer);
    let _ = std::io::stdout().write_all(b".");
    let _ = std::io::stdout().flush();
    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "look").skip(1);
    if let Some(address) = arguments.next() {
        return looks(&address);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let app: Router = Router::new().nest("/offload", offload_runtime::axum::dashboard());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async { axum::serve(listener, app).await });
        measure(TIME / 4).await;
        let mut figures = [const { Vec::new() }; 2];
        for _ in 0..rounds(9) {
            let without = measure(TIME).await;
            let mut child = tokio::task::spawn_blocking(move || look(address));
            let mut child = (&mut child).await.expect("it looks");
            let with = measure(TIME).await;
            child.kill().expect("it is there");
            child.wait().expect("it has ended");
            // What it was looked at with is gone, too.
            tokio::time::sleep(Duration::from_secs(5)).await;
            println!("{without:.0} ns/call, looked at {with:.0} ns/call");
            figures[0].push(with);
            figures[1].push(without);
        }
        let mut rows = Rows::new("dashboard");
        let [with, without] = &figures;
        let question = "a call while somebody looks at the dashboard";
        let (this, that) = (Side("cpu", with), Side("nobody looks", without));
        rows.compare(question, "ns", this, that, "1.02 at most");
        rows.print();
    });
}
