//! A server of NATS and two workers of the gallery, started by the commands of its README.
#![allow(dead_code, reason = "each of the test programs uses a part")]

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    program::{PATIENCE, Program},
    skipped::skipped,
};

/// What the README says.
pub(crate) const COMMANDS: [&str; 3] = [
    "nats-server -js",
    "OFFLOAD_NATS_URL=nats://127.0.0.1:4222 OFFLOAD_REMOTE_WORKER=thumbnails cargo run --bin gallery",
    "OFFLOAD_NATS_URL=nats://127.0.0.1:4222 cargo run --bin gallery",
];

/// One of these commands: with the program that is built already, and a server of the test's own.
fn command(line: &str, server: &str) -> Command {
    let line = line
        .replace("nats://127.0.0.1:4222", server)
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

/// Starts `nats-server` on a port that the system chooses, and returns when it listens there, and its URL. `None`: it is
/// not installed.
fn server(folder: &Path) -> Option<(Killed, String)> {
    let mut command = command(COMMANDS[0], "");
    command.args(["-a", "127.0.0.1", "-p", "-1", "-sd"]).arg(folder);
    command.arg("--ports_file_dir").arg(folder);
    let Ok(server) = command.stderr(Stdio::null()).spawn() else {
        assert!(env::var_os("CI").is_none(), "nats-server is not installed, and this is CI");
        skipped("nats-server is not installed (apt-get install nats-server)");
        return None;
    };
    let mut server = Killed(server);
    let start = Instant::now();
    // It writes the file when it listens. The file is not there in one step.
    let file = folder.join(format!("nats-server_{}.ports", server.0.id()));
    let url = || {
        let ports: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        Some(ports["nats"][0].as_str()?.to_owned())
    };
    loop {
        if let Some(url) = url() {
            return Some((server, url));
        }
        assert_eq!(server.0.try_wait().unwrap(), None, "the server has ended");
        assert!(start.elapsed() < PATIENCE, "the server does not start");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The server, and two workers.
pub(crate) struct Workers {
    pub(crate) workers: [Killed; 2],
    _server: Killed,
    /// Where it is.
    url: String,
}

impl Workers {
    /// Starts them. None: the server is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Workers> {
        let (server, url) = server(folder)?;
        let workers = [1, 2].map(|_| Killed(command(COMMANDS[1], &url).spawn().unwrap()));
        Some(Workers { workers, _server: server, url })
    }

    /// The process ids of both workers.
    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.workers[0].0.id(), self.workers[1].0.id()]
    }

    /// The gallery whose thumbnails they make.
    pub(crate) fn gallery(&self, folder: &Path) -> Program {
        Program::try_run(command(COMMANDS[2], &self.url), "127.0.0.1:0", folder).unwrap()
    }
}
