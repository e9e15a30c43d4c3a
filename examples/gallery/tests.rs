//! The gallery as a program: it starts with nothing but a folder, serves, and stops when asked.
#![cfg(unix)]

#[path = "../browser/program.rs"]
mod program;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Command,
    time::Instant,
};

use program::Program;
use reqwest::Response;
use rustix::process::Signal;

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

#[tokio::test]
async fn it_outlives_scripts_that_kill_and_leaves_none_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    let client = reqwest::Client::builder().cookie_store(true).build().unwrap();
    let at = |path: &str| format!("{}{path}", program.url);
    let anna = serde_json::json!({"name": "Anna", "password": "correct horse"});
    client.post(at("/accounts")).json(&anna).send().await.unwrap();
    // It is asked again where it was too busy to begin, or to end in time.
    let start = Instant::now();
    let is_busy = |answer: &Response| busy(answer) && start.elapsed() < program::PATIENCE;
    let photo = loop {
        let photo = client.post(at("/photos?name=photo")).body(png()).send().await.unwrap();
        if !is_busy(&photo) {
            break photo;
        }
    };
    assert_eq!(photo.status(), 201);

    let scripts = [
        ("[name]", 200),
        ("loop {}", 504),
        ("let text = `x`; loop { text += text; }", 422),
        ("fn deeper(n) { 1 + deeper(n + 1) } deeper(0)", 422),
        ("[name]", 200),
    ];
    let keep = async |script: &'static str| loop {
        let kept = client.put(at("/script")).body(script).send().await.unwrap();
        if !is_busy(&kept) {
            break assert_eq!(kept.status(), 204, "{script}");
        }
    };
    for (script, status) in scripts {
        keep(script).await;
        let answer = loop {
            let answer = client.post(at("/photos/1/tags")).send().await.unwrap();
            if answer.status() == status || !is_busy(&answer) {
                break answer;
            }
        };
        assert_eq!(answer.status(), status, "{script}");
    }

    // Killed itself, in the middle of a script.
    keep("loop {}").await;
    let tags = at("/photos/1/tags");
    let requests = tokio::spawn(async move { while client.post(&tags).send().await.is_ok() {} });
    let workers = loop {
        let workers = children(program.child.id());
        if !workers.is_empty() {
            break workers;
        }
        tokio::task::yield_now().await;
    };
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    requests.await.unwrap();
    while workers.iter().any(|worker| runs(*worker)) {
        tokio::task::yield_now().await;
    }
}

/// The processes that this one has started.
fn children(program: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|process| parent(*process) == Some(program)).collect()
}

fn parent(process: u32) -> Option<u32> {
    Some(state_and_parent(process)?.1)
}

/// Whether it is there, and no zombie.
fn runs(process: u32) -> bool {
    state_and_parent(process).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn state_and_parent(process: u32) -> Option<(String, u32)> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = line.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Whether the server had no time: to begin, or to end in time.
fn busy(answer: &Response) -> bool {
    [503, 504].contains(&answer.status().as_u16())
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(9, 9).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
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
