//! What it costs to have a body run on another machine, beside a request and its reply of the same bytes through
//! the same server: `cargo bench -p offload-benches --bench remote`.
//!
//! A third way is what the delivery costs without this runtime: by hand each request is put into a stream, taken out by a
//! worker, its arrival confirmed, and only then replied to. It is less than what is promised: nobody hears of a worker that dies, and a
//! request cannot be taken back.
//!
//! It starts a server (`nats-server`, on this machine, with the streams in memory), and for each figure the
//! workers, or those who reply, and who calls, each a process of its own; all in turn, forwards and backwards, five times
//! unless `ROUNDS` says otherwise. Ratios are of figures of one round. Without `nats-server` it says so, and that is
//! all.

use std::future::{IntoFuture, poll_fn};
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
use offload_runtime::remote::async_nats::jetstream::consumer::pull;
use offload_runtime::remote::async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType,
};
use offload_runtime::remote::async_nats::{self, Client, HeaderMap, Subscriber, jetstream};
use offload_runtime::{Error, offload};

/// How long a figure is measured, after all are warm.
const TIME: Duration = Duration::from_millis(500);

const CALLERS: usize = 64;

/// So many calls wait for a worker, to see what one takes in memory.
const WAITING: usize = 10_000;

const URL: &str = "OFFLOAD_NATS_URL";

/// The stream of requests that are stored and confirmed by hand, and its subject.
const BY_HAND: &str = "by-hand";

/// The header that says where the reply to one of them goes: where the message says so, the server has its own.
const REPLY: &str = "Reply-To";

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
    /// By a stream, and a confirmed acknowledgement before the reply.
    ByHand,
    /// By an `#[offload(remote)]` function.
    Offload,
}

/// One way, with so many callers, and so many processes that reply or work.
type Cell = (Way, usize, usize);

/// What is measured; a round takes each once.
const CELLS: [Cell; 12] = [
    (Way::Request, 1, 1),
    (Way::ByHand, 1, 1),
    (Way::Offload, 1, 1),
    (Way::Request, CALLERS, 1),
    (Way::ByHand, CALLERS, 1),
    (Way::Offload, CALLERS, 1),
    (Way::Request, CALLERS, 2),
    (Way::ByHand, CALLERS, 2),
    (Way::Offload, CALLERS, 2),
    (Way::Request, CALLERS, 4),
    (Way::ByHand, CALLERS, 4),
    (Way::Offload, CALLERS, 4),
];

impl Way {
    /// As an argument.
    fn word(self) -> &'static str {
        match self {
            Way::Request => "request",
            Way::ByHand => "by-hand",
            Way::Offload => "offload",
        }
    }

    fn of(word: &str) -> Way {
        let ways = [Way::Request, Way::ByHand, Way::Offload];
        ways.into_iter().find(|way| way.word() == word).expect("a way")
    }
}

fn main() {
    offload_runtime::init();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let args = apart::arguments();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["reply"] => runtime().expect("a runtime").block_on(reply()),
        ["work"] => runtime().expect("a runtime").block_on(work()),
        ["call", way, callers] => {
            let way = Way::of(way);
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
                Way::ByHand => this(server, &["work"]),
                Way::Request => this(server, &["reply"]),
            };
            if way == Way::Offload {
                other.env("OFFLOAD_REMOTE_WORKER", "remote");
            }
            Running(other.spawn().expect("a process"))
        })
        .collect();
    figure(server, &["call", way.word(), &callers.to_string()])
}

fn compare() {
    let Some(server) = start_server() else {
        println!("There is no nats-server on this machine (apt-get install nats-server).");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(make_streams(&server.url));
    let figures = alternate(rounds(5), &CELLS, |cell| measure(&server, cell));
    let mut rows = Rows::new("remote");
    println!("\n| | µs a call (lowest–highest) | calls/s | times a request's |");
    println!("| --- | --- | --- | --- |");
    for (cells, figures) in CELLS.chunks(3).zip(figures.chunks(3)) {
        let [(_, callers, workers), ..] = cells else { unreachable!("there are three ways") };
        let what = match (callers, workers) {
            (1, _) => "1 call in flight, 1 worker".to_owned(),
            (callers, 1) => format!("{callers} callers, 1 worker"),
            (callers, workers) => format!("{callers} callers, {workers} workers"),
        };
        let [request, by_hand, offload] = figures else { unreachable!("there are three ways") };
        for (name, of, against) in [
            ("a request and its answer", request, "–".to_owned()),
            ("by hand, stored and confirmed", by_hand, ratio(by_hand, request).to_string()),
            ("remote", offload, ratio(offload, request).to_string()),
        ] {
            let (middle, low, high) = medians(of, |micros| *micros);
            println!(
                "| {what}: {name} | {middle:.0} ({low:.0}–{high:.0}) | {:.0} | {against} |",
                1e6 / middle
            );
        }
        let beside = Side("a request and its answer", request);
        let aim = if *callers == 1 { "2.5 at most" } else { "" };
        rows.compare(&what, "µs", Side("remote", offload), beside, aim);
        rows.compare(&what, "µs", Side("by hand", by_hand), beside, "");
    }
    let bytes = figure(&server, &["wait"]);
    println!("\nA call that waits for a worker takes {bytes:.0} bytes where it is awaited.");
    rows.print();
}

/// Makes two streams whose messages are in memory, one for the default pool and one for the way by hand. A
/// stream that exists is used as it is.
async fn make_streams(url: &str) {
    let jetstream = jetstream::new(async_nats::connect(url).await.expect("a server"));
    for (name, subject) in [("offload-remote", "offload.remote.calls"), (BY_HAND, BY_HAND)] {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            storage: StorageType::Memory,
            ..Config::default()
        };
        jetstream.create_stream(config).await.expect("a stream");
    }
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

/// Takes requests out of the stream, as many at a time as a worker does, and replies to each when the server has
/// confirmed that it is gone.
async fn work() {
    let client = connect().await;
    let stream = jetstream::new(client.clone()).get_stream(BY_HAND).await.expect("a stream");
    let config = pull::Config { durable_name: Some("workers".to_owned()), ..Default::default() };
    let consumer = stream.get_or_create_consumer("workers", config).await.expect("a consumer");
    let slots = thread::available_parallelism().expect("a number").get();
    let each = (0..slots).map(async |_| {
        let messages = consumer.stream().max_messages_per_batch(1).messages();
        let mut messages = messages.await.expect("a server");
        while let Some(message) = messages.next().await {
            let message = message.expect("a message");
            message.double_ack().await.expect("a server");
            let to = message.headers.as_ref().and_then(|headers| headers.get(REPLY));
            let to = to.expect("it says where").to_string();
            client.publish(to, message.payload.clone()).await.expect("a server");
        }
    });
    futures::future::join_all(each).await;
}

/// Calls by the stream, one after the other.
struct ByHand {
    jetstream: jetstream::Context,
    inbox: String,
    replies: Subscriber,
}

impl ByHand {
    async fn new(client: &Client) -> ByHand {
        let inbox = client.new_inbox();
        let replies = client.subscribe(inbox.clone()).await.expect("a server");
        ByHand { jetstream: jetstream::new(client.clone()), inbox, replies }
    }

    async fn call(&mut self) {
        let mut headers = HeaderMap::new();
        headers.insert(REPLY, self.inbox.as_str());
        let bytes = vec![7; BYTES].into();
        let sent = self.jetstream.publish_with_headers(BY_HAND, headers, bytes);
        // That it is stored is heard meanwhile.
        let stored = sent.await.expect("a server").into_future();
        let (stored, reply) = futures::join!(stored, self.replies.next());
        stored.expect("it is stored");
        assert_eq!(reply.expect("a reply").payload.len(), BYTES);
    }
}

/// Has `callers` call one after the other, until the time is over. Microseconds a call.
async fn call(way: Way, callers: usize) -> f64 {
    let client = connect().await;
    let once = async |by_hand: &mut ByHand| match way {
        Way::Offload => assert_eq!(echo(vec![7; BYTES]).await.expect("a worker").len(), BYTES),
        Way::ByHand => by_hand.call().await,
        Way::Request => {
            let request = client.request("bench.echo", vec![7; BYTES].into());
            assert_eq!(request.await.expect("a reply").payload.len(), BYTES);
        }
    };
    // Those who reply may not be there yet.
    while way == Way::Request && client.request("bench.echo", "".into()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut by_hand = ByHand::new(&client).await;
    let warm = Instant::now();
    while warm.elapsed() < TIME / 5 {
        once(&mut by_hand).await;
    }
    let start = Instant::now();
    let all = (0..callers).map(async |_| {
        let mut by_hand = ByHand::new(&client).await;
        let mut count = 0;
        while start.elapsed() < TIME {
            once(&mut by_hand).await;
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
