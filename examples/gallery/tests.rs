//! The gallery as a program: it starts with nothing but a folder, serves, and stops when asked.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    url: String,
}

impl Program {
    /// Starts it on a free port, and waits until it says where.
    fn start(folder: &Path) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gallery"))
            .env("GALLERY_ADDR", "127.0.0.1:0")
            .env("GALLERY_DATA", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.split([' ', ',']).find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("no URL in {line:?}")).to_owned();
        Program { child, output, url }
    }

    fn ask_to_stop(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Waits until it has stopped: with exit code 0, and nothing to complain about.
    fn has_stopped(mut self) {
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

#[tokio::test]
async fn it_starts_serves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let data = folder.path().join("made/by/the/program");
        let program = Program::start(&data);
        assert!(
            reqwest::get(&program.url).await.unwrap().text().await.unwrap().contains("Gallery")
        );
        assert!(data.join("gallery.db").exists());

        // A browser keeps connections open, also some on which it has asked nothing yet.
        let idle = TcpStream::connect(program.address()).unwrap();
        program.ask_to_stop(signal);
        program.has_stopped();
        drop(idle);
    }
}

#[test]
fn it_answers_what_was_asked_before_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let body = r#"{"name": "Anna", "password": "unknown"}"#;
    let mut request = TcpStream::connect(program.address()).unwrap();
    let mut answer = BufReader::new(request.try_clone().unwrap());
    write!(
        request,
        "POST /session HTTP/1.1\r\nHost: gallery\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len(),
    )
    .unwrap();
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n", "it waits for the body");

    program.ask_to_stop(Signal::INT);
    while TcpStream::connect(program.address()).is_ok() {
        std::thread::yield_now(); // it has not heard yet
    }
    request.write_all(body.as_bytes()).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 401") && rest.contains("The name or the password"), "{rest}");
    program.has_stopped();
}

#[test]
fn it_stops_the_moment_it_has_said_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    program.ask_to_stop(Signal::INT);
    program.has_stopped();
}

#[test]
fn it_says_what_is_wrong_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "").unwrap();
    for (address, data, reason) in
        [("127.0.0.1:0", &*file, "a file"), ("nowhere", folder.path(), "nowhere")]
    {
        let program = Command::new(env!("CARGO_BIN_EXE_gallery"))
            .env("GALLERY_ADDR", address)
            .env("GALLERY_DATA", data)
            .output()
            .unwrap();
        let error = String::from_utf8(program.stderr).unwrap();
        assert_eq!(program.status.code(), Some(1), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}
