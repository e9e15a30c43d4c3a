//! A server of NATS and two workers of the gallery, started by the commands of its README.
#![allow(dead_code, reason = "each of the test programs uses a part")]

use std::{
    env,
    io::Read,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::program::{PATIENCE, Program};

/// What the README says.
pub(crate) const COMMANDS: [&str; 3] = [
    "nats-server -js",
    "OFFLOAD_NATS_URL=nats://127.0.0.1:4222 OFFLOAD_REMOTE_WORKER=thumbnails cargo run --bin gallery",
    "OFFLOAD_NATS_URL=nats://127.0.0.1:4222 cargo run --bin gallery",
];

/// One of these commands: with a port of the test's own, and the program that is built already.
fn command(line: &str, port: u16) -> Command {
    let line = line
        .replace("4222", &port.to_string())
        .replace("cargo run --bin gallery", env!("CARGO_BIN_EXE_gallery"));
    let mut words = line.split(' ').peekable();
    let mut variables = Vec::new();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        variables.push((name.to_owned(), value.to_owned()));
        words.next();
    }
    let mut command = Command::new(words.next().unwrap());
    command.args(words).envs(variables).stdin(Stdio::null());
    command
}

/// Killed when this is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `nats-server`, and returns when it answers. `None`: it is not installed.
fn server(port: u16, folder: &Path) -> Option<Killed> {
    let mut command = command(COMMANDS[0], port);
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(folder);
    let Ok(server) = command.stderr(Stdio::null()).spawn() else {
        assert!(env::var_os("CI").is_none(), "nats-server is not installed, and this is CI");
        println!("skipped: nats-server is not installed (apt-get install nats-server)");
        return None;
    };
    let mut server = Killed(server);
    let start = Instant::now();
    let greets = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut room = [0; 5];
        connection.read_exact(&mut room).ok()?;
        (&room == b"INFO ").then_some(())
    };
    while greets().is_none() {
        assert_eq!(server.0.try_wait().unwrap(), None, "the server has ended");
        assert!(start.elapsed() < PATIENCE, "the server does not start");
        thread::sleep(Duration::from_millis(10));
    }
    Some(server)
}

/// The server, and two workers.
pub(crate) struct Workers {
    port: u16,
    pub(crate) workers: [Killed; 2],
    _server: Killed,
}

impl Workers {
    /// Starts them. None: the server is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Workers> {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let server = server(port, folder)?;
        let workers = [1, 2].map(|_| Killed(command(COMMANDS[1], port).spawn().unwrap()));
        Some(Workers { port, workers, _server: server })
    }

    /// The process ids of both workers.
    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.workers[0].0.id(), self.workers[1].0.id()]
    }

    /// The gallery whose thumbnails they make.
    pub(crate) fn gallery(&self, folder: &Path) -> Program {
        Program::try_run(command(COMMANDS[2], self.port), "127.0.0.1:0", folder).unwrap()
    }
}
