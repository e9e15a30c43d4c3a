//! A server of the test's own, workers, and a process of its own for each test: a program has one connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use offload_runtime::remote::async_nats::{self, jetstream};
use offload_tests::{numbers, skipped};

use crate::network::{self, Network};
use crate::proxy::Proxy;

/// Of this test binary: in such a process the test itself runs.
const INSIDE: &str = "OFFLOAD_TEST_INSIDE";
/// Where the server is.
const SERVER: &str = "OFFLOAD_TEST_SERVER";
/// What the runtime is told of that.
pub(crate) const URL: &str = "OFFLOAD_NATS_URL";

/// Longer than anything takes that does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The same within a test, which says what it has waited for before its own time is over.
const WAIT: Duration = Duration::from_secs(200);

/// Runs a test in a process of its own, with a server. Without the program it says so and does nothing;
/// where `CI` is set it fails.
pub(crate) fn with_server(test: &str, run: impl AsyncFnOnce(&mut Server)) {
    Setup::new(test).run(run);
}

/// A test that runs in a process of its own, with a server.
pub(crate) struct Setup<'a> {
    test: &'a str,
    patience: Duration,
    config: &'a str,
    user: &'a str,
    has_tls: bool,
    way: Way,
}

/// How calls of the test's process get to the server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Direct,
    Proxy,
    /// The test connects by itself.
    Own,
    /// Over a network of the test's own, as those of workers.
    Network,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(test: &'a str) -> Setup<'a> {
        let (config, user, has_tls, way) = ("", "", false, Way::Direct);
        Setup { test, patience: PATIENCE, config, user, has_tls, way }
    }

    /// The time after which the test fails.
    pub(crate) fn patience(self, patience: Duration) -> Self {
        Setup { patience, ..self }
    }

    /// What the server's own configuration says.
    pub(crate) fn config(self, config: &'a str) -> Self {
        Setup { config, ..self }
    }

    /// As this, `NAME:PASSWORD@`, all others but the test's calls connect.
    pub(crate) fn user(self, user: &'a str) -> Self {
        Setup { user, ..self }
    }

    /// The server takes connections with TLS only, and has a [certificate](Server::certificate) that no system trusts.
    pub(crate) fn tls(self) -> Self {
        Setup { has_tls: true, ..self }
    }

    /// The server is in another network namespace than the test and its workers, at the other end of a [`Network`]. Where
    /// these may not be made the test is skipped.
    pub(crate) fn over_a_network(self) -> Self {
        Setup { way: Way::Network, ..self }
    }

    /// Calls of the test's process go through [`Server::proxy`]; workers do not.
    pub(crate) fn through_proxy(self) -> Self {
        Setup { way: Way::Proxy, ..self }
    }

    /// The test's process is not told where the server is.
    pub(crate) fn without_url(self) -> Self {
        Setup { way: Way::Own, ..self }
    }

    pub(crate) fn run(self, run: impl AsyncFnOnce(&mut Server)) {
        let Setup { test, patience, config, user, has_tls, way } = self;
        if env::var(INSIDE).is_ok_and(|inside| inside == test) {
            let mut server = Server::start(config, has_tls, way);
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
            return skipped("nats-server is not installed (apt-get install nats-server)");
        }
        let url = |user, host| {
            let scheme = if has_tls { "tls" } else { "nats" };
            format!("{scheme}://{user}{host}:{}", free_port())
        };
        let host = if way == Way::Network { network::FAR } else { Ipv4Addr::LOCALHOST };
        let server = url(user, host);
        let this = env::current_exe().unwrap();
        let mut inside = if way == Way::Network {
            let Some(mut apart) = network::apart() else {
                return skipped("no network namespaces can be made (unshare --net, ip)");
            };
            apart.arg(this);
            apart
        } else {
            Command::new(this)
        };
        match way {
            Way::Direct | Way::Network => inside.env(URL, &server),
            Way::Proxy => inside.env(URL, url("", host)),
            Way::Own => inside.env_remove(URL),
        };
        let mut inside = inside
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, test)
            .env(SERVER, server)
            .process_group(0)
            .spawn()
            .unwrap();
        let status = inside.wait().unwrap();
        // Kills the processes of the test that still run: servers and workers are in its group.
        let _ = killpg(pid(&inside), Signal::SIGKILL);
        assert!(status.success(), "{test}: {status}");
    }
}

/// Not one of those that the system gives away by itself, nor one that another process of these tests asks for, so
/// that it is still free when the server is started, or started again.
fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let next = || {
        let own = std::process::id().wrapping_mul(64) + ASKED.fetch_add(1, Ordering::Relaxed);
        u16::try_from(10_000 + own % 20_000).unwrap()
    };
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(next).find(is_free).unwrap()
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn host_of(url: &str) -> Ipv4Addr {
    let address: async_nats::ServerAddr = url.parse().unwrap();
    address.host().parse().unwrap()
}

/// A server, killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    store: tempfile::TempDir,
    has_tls: bool,
    /// Between it and the test's own process, if the test wants that.
    proxy: Option<Proxy>,
    /// The same, if it is in a network of its own.
    network: Option<Network>,
}

impl Server {
    fn start(config: &str, has_tls: bool, way: Way) -> Server {
        let store = tempfile::tempdir().unwrap();
        let mut config = config.to_owned();
        if has_tls {
            config += &make_certificate(store.path());
        }
        fs::write(store.path().join("config"), config).unwrap();
        let (process, network) = start_server(store.path(), way);
        let proxy = (way == Way::Proxy)
            .then(|| Proxy::start(port_of(&env::var(URL).unwrap()), port_of(&server_url())));
        Server { process, store, has_tls, proxy, network }
    }

    /// Where it is, for who has credentials of its own.
    pub(crate) fn address(&self) -> String {
        let scheme = if self.has_tls { "tls" } else { "nats" };
        format!("{scheme}://127.0.0.1:{}", port_of(&server_url()))
    }

    /// The file with what it shows of itself, if it has TLS.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.store.path().join(CERTIFICATE)
    }

    /// What its configuration says when it is started again.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.store.path().join("config"), config).unwrap();
    }

    pub(crate) fn network(&self) -> &Network {
        self.network.as_ref().expect("the test has one")
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the test goes through one")
    }

    /// Another one, for a worker, and where that finds it.
    pub(crate) fn own_proxy(&self) -> (Proxy, String) {
        let port = free_port();
        (Proxy::start(port, port_of(&server_url())), format!("nats://127.0.0.1:{port}"))
    }

    /// The log of the server.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.store.path().join("log")).unwrap()
    }

    /// Kills it, with all that it has not stored.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        (self.process, self.network) = start_server(self.store.path(), Way::Direct);
    }

    /// A client of the test's own.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let url = server_url();
        let address: async_nats::ServerAddr = url.parse().unwrap();
        let (user, password) = (address.username().unwrap_or(""), address.password().unwrap_or(""));
        let mut options =
            async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        if self.has_tls {
            options = options.add_root_certificates(self.certificate());
        }
        options.connect(url).await.unwrap()
    }

    /// The stream of a pool, when there is one.
    pub(crate) async fn stream(&self, pool: &str) -> jetstream::stream::Stream {
        let jetstream = jetstream::new(self.client().await);
        let began = Instant::now();
        loop {
            match jetstream.get_stream(format!("offload-{pool}")).await {
                Ok(stream) => return stream,
                Err(error) => {
                    assert!(began.elapsed() < WAIT, "there is no stream of `{pool}`: {error}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Waits until so many calls are in the stream of a pool.
    pub(crate) async fn has_messages(&self, pool: &str, count: u64) {
        let mut stream = self.stream(pool).await;
        let began = Instant::now();
        loop {
            let messages = stream.info().await.unwrap().state.messages;
            if messages == count {
                return;
            }
            let is_over = began.elapsed() >= WAIT;
            assert!(!is_over, "`{pool}` has {messages} messages, and never came to {count}");
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

/// Where the server is, for all but the test's own calls.
pub(crate) fn server_url() -> String {
    env::var(SERVER).unwrap()
}

/// In the folder of a server that has TLS.
const CERTIFICATE: &str = "certificate.pem";

/// Makes a certificate that nobody else has signed. What the configuration of its server says of it.
fn make_certificate(store: &Path) -> String {
    let made = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()]).unwrap();
    let (certificate, key) = (store.join(CERTIFICATE), store.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    // A handshake may take its time, on a busy machine.
    format!("\ntls {{ cert_file: {certificate:?}, key_file: {key:?}, timeout: 60 }}\n")
}

fn start_server(store: &Path, way: Way) -> (Child, Option<Network>) {
    let (host, port) = (host_of(&server_url()), port_of(&server_url()));
    let mut command = match way {
        Way::Network => network::further("nats-server"),
        _ => Command::new("nats-server"),
    };
    // Its host is there only when it has a network.
    let listens = if way == Way::Network { Ipv4Addr::UNSPECIFIED } else { host };
    command.args(["-js", "-a", &listens.to_string(), "-p", &port.to_string(), "-sd"]).arg(store);
    command.arg("-c").arg(store.join("config")).arg("-l").arg(store.join("log"));
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let network = (way == Way::Network).then(|| Network::to(process.id()));
    let began = Instant::now();
    loop {
        let greeting = TcpStream::connect((host, port)).and_then(|mut connection| {
            connection.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut room = [0; 5];
            connection.read_exact(&mut room).map(|()| room)
        });
        match greeting {
            Ok(room) if &room == b"INFO " => return (process, network),
            _ => {
                assert_eq!(process.try_wait().unwrap(), None, "the server has ended");
                assert!(began.elapsed() < PATIENCE, "the server does not start");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

pub(crate) fn pid(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap())
}

/// A process that takes the calls of a pool, killed when this is dropped.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(pools: &str) -> Worker {
        Worker::start_at(&server_url(), pools)
    }

    /// A worker that connects to the server at `url`.
    pub(crate) fn start_at(url: &str, pools: &str) -> Worker {
        Worker::of(Worker::command(pools).env(URL, url))
    }

    /// What starts one.
    pub(crate) fn command(pools: &str) -> Command {
        Worker::command_of(env!("CARGO_BIN_EXE_remote_worker"), pools)
    }

    /// The same of this program.
    pub(crate) fn command_of(program: &str, pools: &str) -> Command {
        let mut command = Command::new(program);
        command.env(URL, server_url()).env("OFFLOAD_REMOTE_WORKER", pools);
        // So many at a time, on any machine.
        command.env("OFFLOAD_CPU_THREADS", "4");
        command
    }

    pub(crate) fn of(command: &mut Command) -> Worker {
        Worker(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Tells it to end, as a service manager does with SIGTERM, and a terminal with SIGINT.
    pub(crate) fn tell(&self, signal: Signal) {
        kill(pid(&self.0), signal).unwrap();
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

/// A body that runs, until it may end or nobody waits for it, also where this is dropped.
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

    /// Waits until its process is gone.
    pub(crate) async fn has_ended(mut self) {
        let read = move || self.connection.read_to_end(&mut Vec::new());
        let _ = tokio::task::spawn_blocking(read).await.unwrap();
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
    remote_stats_of("jobs")
}

pub(crate) fn remote_stats_of(pool: &str) -> offload_runtime::RemoteStats {
    let stats = offload_runtime::stats();
    let pool = stats.pools.iter().find(|found| found.name == pool).expect("it was called");
    pool.remote.expect("there is a server")
}

/// Waits until so many calls of this function have begun, and each of them has ended.
pub(crate) async fn have_ended(function: &str, calls: u64) {
    until("the counts add up", || {
        let numbers = numbers(function);
        let ended = numbers.finished + numbers.panicked + numbers.failed + numbers.cancelled;
        numbers.running + numbers.waiting == 0 && [numbers.started, ended] == [calls; 2]
    })
    .await;
}

/// Waits until this is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < WAIT, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
