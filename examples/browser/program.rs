//! The gallery as a program, started for a test.
#![allow(dead_code, reason = "each of the two test programs uses a part")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// So long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Program {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_gallery"))
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
        Ok(Program { child, output, url })
    }

    pub(crate) fn ask_to_stop(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Waits until it has stopped: with exit code 0, and nothing to complain about.
    pub(crate) fn has_stopped(mut self) {
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert_eq!(complaints, "");
        self.output.read_line(&mut String::new()).unwrap(); // the end of its output
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // when a test has failed; else it is gone
        let _ = self.child.wait();
    }
}
