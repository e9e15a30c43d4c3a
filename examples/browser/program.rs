//! The gallery as a program, started for a test.
#![allow(dead_code, reason = "each of the test programs uses a part")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use reqwest::{Client, header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// How long a test waits for something before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Program {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    logged: Option<JoinHandle<()>>,
    pub(crate) url: String,
}

impl Program {
    /// Starts it on a free port, and waits until it says where.
    pub(crate) fn start(folder: &Path) -> Program {
        Program::start_at("127.0.0.1:0", folder)
    }

    /// Another program may have the port for a moment: it is asked for again.
    pub(crate) fn start_at(address: &str, folder: &Path) -> Program {
        let start = Instant::now();
        loop {
            match Program::try_start_at(address, folder) {
                Ok(program) => return program,
                Err(reason) => {
                    let again = reason.contains("Address already in use");
                    assert!(again && start.elapsed() < PATIENCE, "{reason}");
                }
            }
        }
    }

    fn try_start_at(address: &str, folder: &Path) -> Result<Program, String> {
        Program::try_run(Command::new(env!("CARGO_BIN_EXE_gallery")), address, folder)
    }

    /// By a command that ends up as the program.
    pub(crate) fn try_run(
        mut command: Command,
        address: &str,
        folder: &Path,
    ) -> Result<Program, String> {
        let mut child = command
            .env("GALLERY_ADDR", address)
            .env("GALLERY_DATA", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.split([' ', ',']).find(|word| word.starts_with("http://"));
        let Some(url) = url.map(str::to_owned) else {
            assert!(line.is_empty(), "no URL in {line:?}");
            let ended = child.wait_with_output().unwrap();
            return Err(String::from_utf8_lossy(&ended.stderr).into_owned());
        };
        // It is read all the time: a pipe that is full would hold up whoever logs.
        let log = Arc::<Mutex<String>>::default();
        let (mut lines, written) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        let logged = thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap() > 0 {
                written.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Ok(Program { child, output, log, logged: Some(logged), url })
    }

    /// Makes an account. The cookie of whoever is logged in with it.
    pub(crate) async fn sign_up(&self, name: &str) -> String {
        let account = json!({"name": name, "password": "correct horse"});
        let start = Instant::now();
        // Where the machine is too busy the request is given up, and the account may be there.
        for path in ["accounts", "session"].into_iter().cycle() {
            let request = Client::new().post(format!("{}/{path}", self.url)).json(&account);
            let answer = request.send().await.unwrap();
            if answer.status().is_success() {
                let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
                return cookie.split(';').next().unwrap().to_owned();
            }
            let is_busy = matches!(answer.status().as_u16(), 401 | 408 | 409 | 503 | 504);
            assert!(is_busy && start.elapsed() < PATIENCE, "{path}: {}", answer.status());
        }
        unreachable!("it tries for as long as it may")
    }

    /// Somebody with a fresh account, and logged in.
    pub(crate) async fn member(&self, name: &str) -> Client {
        let cookie = self.sign_up(name).await.parse().unwrap();
        let headers = [(header::COOKIE, cookie)].into_iter().collect();
        Client::builder().default_headers(headers).build().unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn ask_to_stop(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Waits until it has stopped: with exit code 0, and nothing to complain about.
    pub(crate) fn has_stopped(self) {
        let (code, log) = self.ended();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }

    /// Waits until it has stopped. Its exit code, and all that it has logged.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        self.logged.take().unwrap().join().unwrap();
        self.output.read_to_string(&mut String::new()).unwrap(); // the end of its output
        (self.child.wait().unwrap().code(), self.log())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // when a test has failed; else it is gone
        let _ = self.child.wait();
    }
}
