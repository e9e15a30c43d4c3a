//! The gallery as a program: it starts with nothing but a folder, serves, and stops when asked.
#![cfg(unix)]

#[path = "../browser/program.rs"]
mod program;

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use program::Program;
use reqwest::Response;
use rustix::process::Signal;
use serde_json::Value;

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
    let body = r#"{"name": "Anna"}"#; // no password to hash, which takes long on a busy machine
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
    has_heard(&program);
    request.write_all(body.as_bytes()).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 422") && rest.contains("missing field `password`"), "{rest}");
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
    let client = program.member("Anna").await;
    let at = |path: &str| format!("{}{path}", program.url);
    // It is asked again where it was too busy to begin, or to end in time.
    let start = Instant::now();
    let is_busy = |answer: &Response| busy(answer) && start.elapsed() < program::PATIENCE;
    let photo = loop {
        let photo = client.post(at("/photos?name=photo")).body(png(9)).send().await.unwrap();
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

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let anna = program.member("Anna").await;
    let photos = |program: &Program| anna.get(format!("{}/photos", program.url));
    loop {
        let upload = anna.post(format!("{}/photos?name=kept", program.url)).body(png(9));
        let answer = upload.send().await.unwrap();
        if !busy(&answer) {
            break assert_eq!(answer.status(), 201);
        }
    }
    let kept = photos(&program).send().await.unwrap().text().await.unwrap();
    program.ask_to_stop(Signal::INT);
    program.has_stopped();

    let program = Program::start(folder.path());
    let answer = photos(&program).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the session went on");
    assert_eq!(answer.text().await.unwrap(), kept);
    let photo = anna.get(format!("{}/photos/1", program.url)).send().await.unwrap();
    assert_eq!(photo.bytes().await.unwrap(), png(9));
}

#[tokio::test]
async fn what_is_kept_is_for_the_owner_of_the_folder_only() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made/by/the gallery");
    // One that was there keeps its permissions; the files in it are nobody else's all the same.
    let given = folder.path().join("given");
    fs::create_dir(&given).unwrap();
    fs::set_permissions(&given, Permissions::from_mode(0o755)).unwrap();
    fs::write(given.join("gallery.db"), "").unwrap();
    for (folder, expected) in [(made, 0o700), (given, 0o755)] {
        let program = Program::start(&folder);
        program.sign_up("Anna").await;
        assert_eq!(mode(&folder), expected);
        let files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 1, "the journal is there: {files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_database_is_told_before_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gallery.db"), "something else, of a program of another kind")
        .unwrap();
    let reason =
        Program::try_run(Command::new(env!("CARGO_BIN_EXE_gallery")), "127.0.0.1:0", folder.path());
    let reason = reason.map(|_| "it is open").unwrap_err();
    assert!(reason.contains("not a database"), "{reason}");
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

fn png(side: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(side, side)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
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

#[test]
fn a_setting_that_makes_no_sense_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (setting, value, told) in [
        ("OFFLOAD_CPU_THREADS", "abc", "abc"),
        ("OFFLOAD_THREAD_QUEUE", "-1", "-1"),
        ("OFFLOAD_WORKERS", "0", "0"),
        ("OFFLOAD_NATS_URL", "http://user:secret@queue", "scheme"),
        ("OFFLOAD_NATS_URL", "nats://queue:port", "invalid port"),
        ("RUST_LOG", "gallery=loud", "gallery=loud"),
    ] {
        let program = Command::new(env!("CARGO_BIN_EXE_gallery"))
            .env("GALLERY_ADDR", "127.0.0.1:0")
            .env("GALLERY_DATA", &data)
            .env(setting, value)
            .output()
            .unwrap();
        let error = String::from_utf8(program.stderr).unwrap();
        assert_eq!(program.status.code(), Some(1), "{error}");
        assert!(error.contains(setting) && error.contains(told), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(program.stdout, b"", "it is not open");
        assert!(!data.exists(), "{setting}: it has begun already");
    }
}

// What is left when it stops.

/// Half an upload, from somebody who is logged in.
async fn half_an_upload(program: &Program) -> TcpStream {
    let cookie = program.sign_up("Anna").await;
    let mut upload = TcpStream::connect(program.address()).unwrap();
    write!(
        upload,
        "POST /photos?name=half HTTP/1.1\r\nHost: gallery\r\nCookie: {cookie}\r\n\
         Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(upload.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n", "it waits for the body");
    upload.write_all(&[0; 500]).unwrap();
    upload
}

/// Copies of an album that take minutes, for somebody who waits for them.
async fn copies_that_take_long(program: &Program, folder: &Path) -> TcpStream {
    let cookie = program.sign_up("Anna").await;
    let upload = reqwest::Client::new()
        .post(format!("{}/photos?name=photo", program.url))
        .header("cookie", &cookie)
        .body(png(1400));
    assert_eq!(upload.send().await.unwrap().status(), 201);
    let database = rusqlite::Connection::open(folder.join("gallery.db")).unwrap();
    database.busy_timeout(program::PATIENCE).unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 2000)
             INSERT INTO photos (owner, name, width, height, media_type, thumbnail, photo)
             SELECT owner, name, width, height, media_type, thumbnail, photo FROM photos, more",
        )
        .unwrap();
    let mut copies = TcpStream::connect(program.address()).unwrap();
    write!(
        copies,
        "POST /album/copies HTTP/1.1\r\nHost: gallery\r\nCookie: {cookie}\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .unwrap();
    let mut lines = BufReader::new(copies.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(r#""done":1,"#)), "a photo was read");
    // What comes is read, as a browser does.
    std::thread::spawn(move || lines.all(|line| line.is_ok()));
    copies
}

/// What takes longer than the program has when it is told to stop.
async fn what_takes_long(what: &str, program: &Program, folder: &Path) -> TcpStream {
    match what {
        "half an upload" => half_an_upload(program).await,
        _ => copies_that_take_long(program, folder).await,
    }
}

const WHAT_TAKES_LONG: [&str; 2] = ["half an upload", "copies of an album"];

/// Waits until the program has heard that it should stop.
fn has_heard(program: &Program) {
    while TcpStream::connect(program.address()).is_ok() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_before_docker_kills_and_the_exit_code_says_so() {
    for what in WHAT_TAKES_LONG {
        let start = Instant::now();
        loop {
            let folder = tempfile::tempdir().unwrap();
            let program = Program::start(folder.path());
            let client = what_takes_long(what, &program, folder.path()).await;
            let asked = Instant::now();
            program.ask_to_stop(Signal::TERM);
            let (code, log) = program.ended();
            assert_eq!(code, Some(1), "{what}: {log}");
            assert!(log.contains("1 connections were cut off"), "{what}: {log}");
            assert!(!log.contains("panicked"), "{what}: {log}");
            drop(client);
            // A busy machine is late now and then, but not each time.
            let took = asked.elapsed();
            if took < Duration::from_secs(9) {
                break;
            }
            assert!(start.elapsed() < program::PATIENCE, "{what}: it takes {took:?} to stop");
        }
    }
}

/// The database is at something without end, and the client whose call it is has gone.
#[tokio::test]
async fn a_call_that_outlives_the_stop_is_abandoned_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let cookie = program.sign_up("Anna").await;
    let client = program.member("Ben").await;
    let database = rusqlite::Connection::open(folder.path().join("gallery.db")).unwrap();
    database
        .execute_batch(
            "CREATE VIEW endless AS WITH RECURSIVE more (n) AS
                 (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 1000000000000)
                 SELECT n FROM more;
             CREATE TRIGGER hangs AFTER DELETE ON sessions BEGIN SELECT max(n) FROM endless; END",
        )
        .unwrap();
    let running = async || {
        let stats = client.get(format!("{}/offload/stats.json", program.url)).send().await.unwrap();
        let stats: Value = stats.json().await.unwrap();
        let functions = stats["functions"].as_array().unwrap();
        let log_out = functions.iter().find(|one| {
            one["name"].as_str().is_some_and(|name| name.ends_with("accounts::log_out"))
        });
        log_out.is_some_and(|one| one["running"] == 1)
    };
    let mut log_out = TcpStream::connect(program.address()).unwrap();
    write!(log_out, "DELETE /session HTTP/1.1\r\nHost: gallery\r\nCookie: {cookie}\r\n\r\n")
        .unwrap();
    while !running().await {}
    drop(log_out);
    program.ask_to_stop(Signal::TERM);
    let (code, log) = program.ended();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("0 connections were cut off, 1 calls abandoned"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_second_signal_stops_it_at_once() {
    for what in WHAT_TAKES_LONG {
        for (first, second) in [(Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)] {
            let folder = tempfile::tempdir().unwrap();
            let program = Program::start(folder.path());
            let client = what_takes_long(what, &program, folder.path()).await;
            program.ask_to_stop(first);
            has_heard(&program);
            program.ask_to_stop(second);
            let (code, log) = program.ended();
            assert_eq!(code, Some(1), "{what}: {log}");
            assert!(log.contains("asked twice") && !log.contains("cut off"), "{what}: {log}");
            assert!(!log.contains("panicked"), "{what}: {log}");
            drop(client);
        }
    }
}

// What is logged.

#[tokio::test]
async fn an_event_loop_that_is_stuck_is_named_in_the_log_and_on_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let client = program.member("Anna").await;
    let at = |path: &str| format!("{}{path}", program.url);
    // It is stuck for a moment only: one look may miss it.
    let start = Instant::now();
    let named = |line: &str| line.contains("WARN") && line.contains("inline");
    while !program.log().lines().any(named) {
        assert!(start.elapsed() < program::PATIENCE, "{}", program.log());
        assert_eq!(client.post(at("/burst/inline")).send().await.unwrap().status(), 200);
    }
    let stats = client.get(at("/offload/stats.json")).send().await.unwrap();
    let stats: Value = stats.json().await.unwrap();
    let has_span = |spans: &Value| spans.to_string().contains("inline");
    let stalls = stats["loops"][0]["stalls"].as_array().unwrap();
    assert!(stalls.iter().any(|stall| has_span(&stall["spans"])), "{stats}");
    // Among what went wrong last, too.
    let incidents = stats["incidents"].as_array().unwrap();
    let stall = incidents.iter().find(|one| one["what"] == "stalled" && has_span(&one["span"]));
    let stall = stall.unwrap_or_else(|| panic!("{stats}"));
    assert!(stall["times"].as_u64() >= Some(1), "{stall}");
}

#[cfg(target_os = "linux")]
/// All file descriptors that the program has are less than the connections that come, each of which sends this.
async fn serves_others_beside(connections: usize, sends: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\"", env!("CARGO_BIN_EXE_gallery")]);
    let program = Program::try_run(command, "127.0.0.1:0", folder.path()).unwrap();
    let strangers: Vec<_> = (0..connections)
        .map(|_| {
            let mut stranger = TcpStream::connect(program.address()).unwrap();
            stranger.write_all(sends).unwrap();
            stranger
        })
        .collect();
    let client = reqwest::Client::builder().timeout(program::PATIENCE).build().unwrap();
    let page = client.get(&program.url).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Gallery"));
    assert!(program.log().contains("Too many open files"), "{}", program.log());
    drop(strangers);
}

#[tokio::test]
async fn heads_that_never_end_keep_nobody_else_out_for_long() {
    serves_others_beside(150, b"GET / HTTP/1.1\r\nHost: ").await;
}

#[tokio::test]
async fn answers_that_nobody_reads_keep_nobody_else_out_for_long() {
    // More than the system keeps for a client that reads nothing.
    let asks = "GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1500);
    serves_others_beside(110, asks.as_bytes()).await;
}
