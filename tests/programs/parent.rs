//! A program with worker processes, for tests of how it starts and ends:
//! `parent MODE [FOLDER]`.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use offload_runtime::{Error, ProcessPool, offload};
use offload_tests::{children, runs};
use serde::{Deserialize, Serialize, Serializer};
use tokio::signal::unix::{SignalKind, signal};

/// Two bodies spin at once, also where there is one core.
static POOL: ProcessPool = ProcessPool::new("spinning").workers(2);

/// A worker for each call.
static ONCE: ProcessPool = ProcessPool::new("once").workers(1).max_jobs(1);

static PATIENT: ProcessPool =
    ProcessPool::new("patient").workers(1).grace(Duration::from_millis(1));

#[offload(process)]
fn double(n: u32) -> Result<(u32, u32), Error> {
    Ok((n * 2, std::process::id()))
}

/// Spins for ever, beside a process that it started, and tells their numbers.
#[expect(clippy::zombie_processes, reason = "it never ends by itself")]
#[offload(process, pool = POOL)]
fn spins(path: String) -> Result<(), Error> {
    let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(format!("{path}.new"), format!("{} {}", std::process::id(), child.id()))
        .unwrap();
    std::fs::rename(format!("{path}.new"), path).unwrap();
    loop {
        std::hint::spin_loop();
    }
}

/// A long answer, once the file is there.
#[offload(process)]
fn answers_at_length(path: String) -> Result<String, Error> {
    std::fs::write(format!("{path}.new"), std::process::id().to_string()).unwrap();
    std::fs::rename(format!("{path}.new"), &path).unwrap();
    while !std::fs::exists(format!("{path}.go")).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok("x".repeat(32 << 20))
}

/// Starts two processes: one in the group of the worker, one that is in none of its.
#[expect(clippy::zombie_processes, reason = "it is what is tested")]
fn start_two(folder: &str) {
    let daemon = format!("{folder}/daemon");
    let script = format!(
        "setsid sh -c 'echo $$ > {daemon}.new; mv {daemon}.new {daemon}; exec sleep 1000' &"
    );
    std::process::Command::new("sh").arg("-c").arg(script).status().unwrap();
    let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(format!("{folder}/child"), child.id().to_string()).unwrap();
    while !Path::new(&daemon).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns, and leaves processes behind.
#[offload(process, pool = ONCE)]
fn leaves(folder: String) -> Result<(), Error> {
    start_two(&folder);
    Ok(())
}

/// The same, of a worker that is idle then.
#[offload(process)]
fn leaves_and_stays(folder: String) -> Result<(), Error> {
    start_two(&folder);
    Ok(())
}

/// The same, and crashes.
#[offload(process, pool = ONCE)]
fn crashes(folder: String) -> Result<(), Error> {
    start_two(&folder);
    std::process::abort()
}

/// Says who it is, and sleeps.
#[offload(process, pool = PATIENT)]
fn sleeps(path: String) -> Result<(), Error> {
    std::fs::write(format!("{path}.new"), std::process::id().to_string()).unwrap();
    std::fs::rename(format!("{path}.new"), path).unwrap();
    std::thread::sleep(Duration::from_secs(1000));
    Ok(())
}

/// As in a program that sets it so: who writes where nobody reads is killed.
fn die_of_closed_pipes() {
    // SAFETY: no handler is set, and the old one is not asked for.
    #[expect(unsafe_code, reason = "there is no safe way to set what a signal does")]
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Takes what is long, in the message and beside it.
#[offload(process)]
fn takes(numbers: Vec<u16>, text: String) -> Result<usize, Error> {
    Ok(numbers.len() + text.len())
}

/// Kills a worker as it is written.
#[derive(Deserialize)]
struct Kills(u32);

impl Serialize for Kills {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let process = rustix::process::Pid::from_raw(self.0.cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        while runs(self.0) {}
        serializer.serialize_newtype_struct("Kills", &self.0)
    }
}

#[offload(process)]
fn takes_last(text: String, last: Kills) -> Result<bool, Error> {
    Ok(text.len() == 1 << 20 && last.0 != std::process::id())
}

/// Stops a worker as it is written, and tells which.
#[derive(Deserialize)]
struct Stops(u32, PathBuf);

impl Serialize for Stops {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Stops(worker, path) = self;
        let process = rustix::process::Pid::from_raw(worker.cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
        let stat = format!("/proc/{worker}/stat");
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {}
        tell(path, *worker);
        (worker, path).serialize(serializer)
    }
}

fn tell(path: &Path, worker: u32) {
    std::fs::write(path.with_extension("new"), worker.to_string()).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

#[offload(process)]
fn takes_more(text: String, between: Stops, more: String) -> Result<usize, Error> {
    let _ = (between.0, between.1);
    Ok(text.len() + more.len())
}

/// Workers die after they were chosen for a call, and before all of that is written: once before any of it.
async fn send_to_dead_ones() {
    for text in [0, 1 << 20] {
        let (_, worker) = double(0).await.unwrap();
        let sent = takes_last("x".repeat(text), Kills(worker)).await;
        println!("{:?}", sent.map_err(|error| (error.kind(), error.ran())));
    }
}

/// Sends more than there is room for to a worker that is stopped: in the message, beside it, and beside it when a part was sent.
/// Each time it tells which worker it is, and waits until somebody has killed that.
async fn send_to_one_that_dies(folder: &str) {
    let text = || "x".repeat(1 << 20);
    for n in 0..3 {
        let (_, worker) = double(0).await.unwrap();
        let process = rustix::process::Pid::from_raw(worker.cast_signed()).unwrap();
        let path = PathBuf::from(folder).join(n.to_string());
        if n < 2 {
            rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
            tell(&path, worker);
        }
        let sent = match n {
            0 => takes(vec![300; 1 << 20], String::new()).await,
            1 => takes(Vec::new(), text()).await,
            _ => takes_more(text(), Stops(worker, path), text()).await,
        };
        println!("{:?}", sent.map_err(|error| (error.kind(), error.ran())));
    }
}

/// Returns once the file `go` is there.
#[offload(process, pool = POOL)]
fn goes_on(folder: String, n: u32) -> Result<u32, Error> {
    let folder = PathBuf::from(folder);
    std::fs::write(
        folder.join("new").with_extension(n.to_string()),
        std::process::id().to_string(),
    )
    .unwrap();
    std::fs::rename(folder.join("new").with_extension(n.to_string()), folder.join(n.to_string()))
        .unwrap();
    while !folder.join("go").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(n)
}

/// Ends as services do: by a signal, when what is under way has come to its end.
async fn serve(folder: &str) {
    let mut terminates = signal(SignalKind::terminate()).unwrap();
    let mut interrupts = signal(SignalKind::interrupt()).unwrap();
    let calls = [0, 1].map(|n| tokio::spawn(goes_on(folder.to_owned(), n)));
    tokio::select! {
        _ = terminates.recv() => println!("terminated"),
        _ = interrupts.recv() => println!("interrupted"),
    }
    let mut end = pin!(offload_runtime::shutdown(Duration::from_secs(60)));
    assert!(end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    std::fs::write(Path::new(folder).join("ends"), "").unwrap();
    end.await;
    for call in calls {
        println!("{:?}", call.await.unwrap());
    }
}

/// Workers are killed, and then their calls are cancelled, which is told to the dead ones.
async fn cancel_after_death(folder: &str) {
    die_of_closed_pipes();
    for n in 0..30 {
        let path = format!("{folder}/{n}");
        let mut call = Box::pin(sleeps(path.clone()));
        assert!(pin!(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        while !Path::new(&path).exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let pid: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let number = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
        while runs(pid) {}
        drop(call);
    }
}

/// More than a pipe holds.
#[offload(process)]
fn prints_much() -> Result<(), Error> {
    for _ in 0..3000 {
        eprintln!("{:1000}", "");
    }
    Ok(())
}

/// How many arguments a worker has, its program's name among them, and its working directory.
#[offload(process)]
fn surroundings() -> Result<(usize, PathBuf), Error> {
    Ok((std::env::args_os().len(), std::env::current_dir().unwrap()))
}

#[offload(process)]
fn exits() -> Result<(), Error> {
    std::process::exit(3)
}

#[offload(process, timeout = "300ms")]
fn never_returns() -> Result<(), Error> {
    loop {
        std::hint::spin_loop();
    }
}

#[offload_runtime::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, rest @ ..] = &arguments[..] else { panic!("say what to do") };
    match &**mode {
        "call" => {
            let (doubled, pid) = double(21).await.unwrap();
            assert_ne!(pid, std::process::id());
            println!("{doubled}");
        }
        "answer" => match answers_at_length(format!("{}/answers", rest[0])).await {
            Ok(answer) => println!("an answer of {} bytes", answer.len()),
            Err(error) => println!("{:?} {:?} {error}", error.kind(), error.signal()),
        },
        "leave" => leaves(rest[0].clone()).await.unwrap(),
        "stay" => leaves_and_stays(rest[0].clone()).await.unwrap(),
        "surroundings" => {
            let (arguments, folder) = surroundings().await.unwrap();
            println!("{arguments} {}", folder.display());
        }
        "first" => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
            for n in 0..5 {
                let folder = |of: &str| {
                    let folder = format!("{}/{of}{n}", rest[0]);
                    std::fs::create_dir(&folder).unwrap();
                    folder
                };
                leaves(folder("leaves")).await.unwrap();
                crashes(folder("crashes")).await.unwrap_err();
            }
            offload_runtime::shutdown(Duration::ZERO).await;
            let start = std::time::Instant::now();
            while !children().is_empty() && start.elapsed() < Duration::from_secs(30) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match &*children() {
                [] => println!("no children"),
                left => println!("{} children are left", left.len()),
            }
        }
        "print" => {
            prints_much().await.unwrap();
            println!("all is printed");
        }
        "ignore" => {
            // SAFETY: no handler is set, and the old one is not asked for.
            #[expect(unsafe_code, reason = "there is no safe way to set what a signal does")]
            unsafe {
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            }
            println!("{}", double(21).await.unwrap().0);
            println!("{}", exits().await.unwrap_err());
            println!("{}", never_returns().await.unwrap_err());
            println!("{}", double(1).await.unwrap().0);
            offload_runtime::shutdown(Duration::from_secs(10)).await;
        }
        "start" => match double(21).await {
            Ok((doubled, _)) => println!("{doubled}"),
            Err(error) => println!("{:?}: {error}", error.kind()),
        },
        "cancel" => cancel_after_death(&rest[0]).await,
        "send" => {
            die_of_closed_pipes();
            send_to_one_that_dies(&rest[0]).await;
            send_to_dead_ones().await;
        }
        "serve" => serve(&rest[0]).await,
        _ => {
            let calls = [0, 1].map(|n| spins(format!("{}/{n}", rest[0])));
            let mut calls = calls.map(Box::pin);
            for call in &mut calls {
                assert!(pin!(call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            while ![0, 1].iter().all(|n| Path::new(&rest[0]).join(n.to_string()).exists()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match &**mode {
                "return" => std::mem::forget(calls),
                "exit" => std::process::exit(0),
                "panic" => panic!("as was asked for"),
                "abort" => std::process::abort(),
                "wait" => {
                    std::fs::write(Path::new(&rest[0]).join("waits"), "").unwrap();
                    std::future::pending().await
                }
                other => panic!("{other:?} is nothing it can do"),
            }
        }
    }
}
