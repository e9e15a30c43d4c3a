//! What it costs to have a body run on another machine, beside a request and its reply of the same bytes through
//! the same server: `cargo bench -p offload-benches --bench remote`.
//!
//! It starts a server (`nats-server`, on this machine, with the stream in memory), and for each figure the
//! workers, or those who reply, and who calls, each a process of its own; all in turn, forwards and backwards, five times
//! unless `ROUNDS` says otherwise. Ratios are of figures of one round. Without `nats-server` it says so, and that is
//! all.

use std::future::poll_fn;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use futures::StreamExt;
use offload_benches::page::{Rows, Side};
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::{apart, resident_kib};
use offload_runtime::remote::async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType,
};
use offload_runtime::remote::async_nats::{self, Client, jetstream};
use offload_runtime::{Error, offload};

/// How long a figure is measured, after all are warm.
const TIME: Duration = Duration::from_millis(500);

const CALLERS: usize = 64;

/// So many calls wait for a worker, to see what one takes in memory.
const WAITING: usize = 10_000;

const URL: &str = "OFFLOAD_NATS_URL";

/// What goes there and back, in bytes.
const BYTES: usize = 64;

#[offload(remote, timeout = "600s", name = "echo")]
fn echo(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    Ok(bytes)
}

/// How a call gets its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By a plain NATS request, and its reply.
    Request,
    /// By an `#[offload(remote)]` function.
    Offload,
}

/// One way, with so many callers, and so many processes that reply or work.
type Cell = (Way, usize, usize);

/// What is measured; a round takes each once.
const CELLS: [Cell; 8] = [
    (Way::Request, 1, 1),
    (Way::Offload, 1, 1),
    (Way::Request, CALLERS, 1),
    (Way::Offload, CALLERS, 1),
    (Way::Request, CALLERS, 2),
    (Way::Offload, CALLERS, 2),
    (Way::Request, CALLERS, 4),
    (Way::Offload, CALLERS, 4),
];

fn main() {
    offload_runtime::init();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let args = apart::arguments();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["reply"] => runtime().expect("a runtime").block_on(reply()),
        ["call", way, callers] => {
            let way = if *way == "offload" { Way::Offload } else { Way::Request };
            let callers = callers.parse().expect("a number");
            println!("{}", runtime().expect("a runtime").block_on(call(way, callers)));
        }
        ["wait"] => println!("{}", runtime().expect("a runtime").block_on(wait())),
        other => panic!("{other:?} is nothing to measure"),
    }
}

/// A process that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, with a store of its own.
struct Server {
    url: String,
    store: PathBuf,
    process: Option<Running>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process = None;
        let _ = fs::remove_dir_all(&self.store);
    }
}

fn start_server() -> Option<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    drop(listener);
    let store = env::temp_dir().join(format!("offload-bench-remote-{}", std::process::id()));
    let mut command = Command::new("nats-server");
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(&store);
    let mut process = Running(command.stderr(Stdio::null()).spawn().ok()?);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let ended = process.0.try_wait().expect("a child");
        assert!(ended.is_none(), "nats-server has ended: {ended:?}");
        thread::sleep(Duration::from_millis(10));
    }
    let process = Some(process);
    Some(Server { url: format!("nats://127.0.0.1:{port}"), store, process })
}

fn this(server: &Server, words: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(words).env(URL, &server.url).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// The number that this program prints, with these words.
fn figure(server: &Server, words: &[&str]) -> f64 {
    let output = this(server, words).output().expect("a process");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().unwrap_or_else(|_| panic!("{words:?} printed {printed:?}"))
}

/// Microseconds a call: the time of all by their number.
fn measure(server: &Server, (way, callers, workers): Cell) -> f64 {
    let _others: Vec<_> = (0..workers)
        .map(|_| {
            let mut other = match way {
                Way::Offload => this(server, &["none"]),
                Way::Request => this(server, &["reply"]),
            };
            if way == Way::Offload {
                other.env("OFFLOAD_REMOTE_WORKER", "remote");
            }
            Running(other.spawn().expect("a process"))
        })
        .collect();
    let name = if way == Way::Offload { "offload" } else { "request" };
    figure(server, &["call", name, &callers.to_string()])
}

fn compare() {
    let Some(server) = start_server() else {
        println!("There is no nats-server on this machine (apt-get install nats-server).");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(make_stream(&server.url));
    let figures = alternate(rounds(5), &CELLS, |cell| measure(&server, cell));
    let mut rows = Rows::new("remote");
    println!("\n| | µs a call (lowest–highest) | calls/s | times a request's |");
    println!("| --- | --- | --- | --- |");
    for (cells, figures) in CELLS.chunks(2).zip(figures.chunks(2)) {
        let [(_, callers, workers), _] = cells else { unreachable!("there are two ways") };
        let what = match (callers, workers) {
            (1, _) => "1 call in flight, 1 worker".to_owned(),
            (callers, 1) => format!("{callers} callers, 1 worker"),
            (callers, workers) => format!("{callers} callers, {workers} workers"),
        };
        let (request, offload) = (&figures[0], &figures[1]);
        for (name, of, against) in [
            ("a request and its answer", request, "–".to_owned()),
            ("remote", offload, ratio(offload, request).to_string()),
        ] {
            let (middle, low, high) = medians(of, |micros| *micros);
            println!(
                "| {what}: {name} | {middle:.0} ({low:.0}–{high:.0}) | {:.0} | {against} |",
                1e6 / middle
            );
        }
        let this = Side("remote", offload);
        let aim = if *callers == 1 { "2.5 at most" } else { "" };
        rows.compare(&what, "µs", this, Side("a request and its answer", request), aim);
    }
    let bytes = figure(&server, &["wait"]);
    println!("\nA call that waits for a worker takes {bytes:.0} bytes where it is awaited.");
    rows.print();
}

/// The stream of the default pool, in memory. One that is there is used as it is.
async fn make_stream(url: &str) {
    let client = async_nats::connect(url).await.expect("a server");
    let config = Config {
        name: "offload-remote".to_owned(),
        subjects: vec!["offload.remote.calls".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        storage: StorageType::Memory,
        ..Config::default()
    };
    jetstream::new(client).create_stream(config).await.expect("a stream");
}

async fn connect() -> Client {
    async_nats::connect(env::var(URL).expect("a server")).await.expect("a server")
}

/// Replies to all requests, with what they have.
async fn reply() {
    let client = connect().await;
    let requests = client.queue_subscribe("bench.echo", "all".to_owned()).await;
    let mut requests = requests.expect("a subscription");
    while let Some(request) = requests.next().await {
        let to = request.reply.expect("a request");
        client.publish(to, request.payload).await.expect("a server");
    }
}

/// Has `callers` call one after the other, until the time is over. Microseconds a call.
async fn call(way: Way, callers: usize) -> f64 {
    let client = connect().await;
    let once = async |client: &Client| match way {
        Way::Offload => assert_eq!(echo(vec![7; BYTES]).await.expect("a worker").len(), BYTES),
        Way::Request => {
            let request = client.request("bench.echo", vec![7; BYTES].into());
            assert_eq!(request.await.expect("a reply").payload.len(), BYTES);
        }
    };
    // Those who reply may not be there yet.
    while way == Way::Request && client.request("bench.echo", "".into()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let warm = Instant::now();
    while warm.elapsed() < TIME / 5 {
        once(&client).await;
    }
    let start = Instant::now();
    let all = (0..callers).map(async |_| {
        let mut count = 0;
        while start.elapsed() < TIME {
            once(&client).await;
            count += 1;
        }
        count
    });
    let count: u32 = futures::future::join_all(all).await.into_iter().sum();
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// Has many calls wait, as there is no worker. The memory that one takes, in bytes.
async fn wait() -> f64 {
    let jetstream = jetstream::new(connect().await);
    let mut stream = jetstream.get_stream("offload-remote").await.expect("a stream");
    let mut first = pin!(echo(vec![7; BYTES]));
    let is_waiting = poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
    assert!(is_waiting, "there is no worker");
    while stream.info().await.expect("a stream").state.messages != 1 {}
    let before = resident_kib();
    let mut calls: Vec<_> = (0..WAITING).map(|_| Box::pin(echo(vec![7; BYTES]))).collect();
    poll_fn(|cx| {
        for call in &mut calls {
            assert!(Pin::new(call).poll(cx).is_pending(), "there is no worker");
        }
        Poll::Ready(())
    })
    .await;
    while stream.info().await.expect("a stream").state.messages != WAITING as u64 + 1 {}
    let after = resident_kib();
    (after - before) as f64 * 1024.0 / WAITING as f64
}
