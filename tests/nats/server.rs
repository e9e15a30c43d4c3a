//! A server of the test's own, workers, and a process of its own for each test: a program has one connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use offload_runtime::remote::async_nats::{self, jetstream};

/// Of this test binary: in such a process the test itself runs.
const INSIDE: &str = "OFFLOAD_TEST_INSIDE";
const URL: &str = "OFFLOAD_NATS_URL";

/// Longer than anything takes that does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test in a process of its own, with a server. Without the program it says so and does nothing;
/// where `CI` is set it fails.
pub(crate) fn with_server(test: &str, run: impl AsyncFnOnce(&mut Server)) {
    with_server_for(PATIENCE, test, run);
}

/// The same, of a test that may take so long.
pub(crate) fn with_server_for(patience: Duration, test: &str, run: impl AsyncFnOnce(&mut Server)) {
    if env::var(INSIDE).is_ok_and(|inside| inside == test) {
        let mut server = Server::start();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let result =
            runtime.block_on(async { tokio::time::timeout(patience, run(&mut server)).await });
        // A thread may still wait for a body.
        runtime.shutdown_background();
        assert!(result.is_ok(), "it takes too long");
        return;
    }
    if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(env::var_os("CI").is_none(), "nats-server is not installed, and this is CI");
        println!("skipped: nats-server is not installed (apt-get install nats-server)");
        return;
    }
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut inside = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .env(URL, format!("nats://127.0.0.1:{port}"))
        .process_group(0)
        .spawn()
        .unwrap();
    let status = inside.wait().unwrap();
    // What it has started and not ended.
    let _ = killpg(pid(&inside), Signal::SIGKILL);
    assert!(status.success(), "{test}: {status}");
}

/// A server, killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    store: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let store = tempfile::tempdir().unwrap();
        Server { process: start_server(store.path()), store }
    }

    /// Kills it, with all that it has not stored.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.process = start_server(self.store.path());
    }

    /// A client of the test's own.
    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::connect(url()).await.unwrap()
    }

    /// The stream of a pool, when there is one.
    pub(crate) async fn stream(&self, pool: &str) -> jetstream::stream::Stream {
        let jetstream = jetstream::new(self.client().await);
        loop {
            match jetstream.get_stream(format!("offload-{pool}")).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Waits until so many calls are in the stream of a pool.
    pub(crate) async fn has_messages(&self, pool: &str, count: u64) {
        let mut stream = self.stream(pool).await;
        while stream.info().await.unwrap().state.messages != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url() -> String {
    env::var(URL).unwrap()
}

fn start_server(store: &Path) -> Child {
    let url = url();
    let (_, port) = url.rsplit_once(':').unwrap();
    let mut command = Command::new("nats-server");
    command.args(["-js", "-a", "127.0.0.1", "-p", port, "-sd"]).arg(store);
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    loop {
        let greeting =
            TcpStream::connect(("127.0.0.1", port.parse().unwrap())).and_then(|mut connection| {
                connection.set_read_timeout(Some(Duration::from_secs(5)))?;
                let mut room = [0; 5];
                connection.read_exact(&mut room).map(|()| room)
            });
        match greeting {
            Ok(room) if &room == b"INFO " => return process,
            _ => {
                assert_eq!(process.try_wait().unwrap(), None, "the server has ended");
                assert!(began.elapsed() < PATIENCE, "the server does not start");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap())
}

/// A process that takes the calls of a pool, killed when this is dropped.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(pools: &str) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remote_worker"));
        // So many at a time, on any machine.
        command.env("OFFLOAD_REMOTE_WORKER", pools).env("OFFLOAD_CPU_THREADS", "4");
        Worker(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Tells it to end.
    pub(crate) fn terminate(&self) {
        kill(pid(&self.0), Signal::SIGTERM).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where bodies say that they run, and wait.
pub(crate) struct Line(TcpListener);

/// A body that runs.
pub(crate) struct Body {
    connection: TcpStream,
    /// Of its worker.
    pub(crate) process: u32,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// The next body that starts.
    pub(crate) async fn next(&self) -> Body {
        let listener = self.0.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut process = [0; 4];
            connection.read_exact(&mut process).unwrap();
            Body { connection, process: u32::from_le_bytes(process) }
        })
        .await
        .unwrap()
    }

    /// Whether a body has started that nobody has met.
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let is_quiet = self.0.accept().is_err();
        self.0.set_nonblocking(false).unwrap();
        is_quiet
    }
}

impl Body {
    /// It may end.
    pub(crate) fn go_on(mut self) {
        // It may have been killed.
        let _ = self.connection.write_all(b"g");
    }

    /// Waits until it has seen that nobody waits for it.
    pub(crate) async fn was_told(mut self) -> bool {
        let read = move || {
            let mut said = Vec::new();
            self.connection.read_to_end(&mut said).map(|_| said)
        };
        tokio::task::spawn_blocking(read).await.unwrap().is_ok_and(|said| said == b"c")
    }
}

/// What this process has seen of the pool `jobs`.
pub(crate) fn remote_stats() -> offload_runtime::RemoteStats {
    let stats = offload_runtime::stats();
    let pool = stats.pools.iter().find(|pool| pool.name == "jobs").expect("it was called");
    pool.remote.expect("there is a server")
}

/// Waits until this is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
