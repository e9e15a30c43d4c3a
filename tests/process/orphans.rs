//! No worker outlives its parent, however that ends, nor does what it started.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures::executor::block_on;
use offload_runtime::{Error, offload};
use offload_tests::own_process;
use rustix::process::{Pid, Signal, kill_process};

use crate::ends::{Told, spin};
use crate::support::{number, runs, sends, settle, start_daemon, syscall};

fn parent(mode: &str, folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_parent"))
        .arg(mode)
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The workers that spin, and what they started.
fn spinning(folder: &Path) -> Vec<u32> {
    let numbers = |n: u32| fs::read_to_string(folder.join(n.to_string())).unwrap();
    let all = numbers(0) + " " + &numbers(1);
    all.split(' ').map(|pid| pid.parse().unwrap()).collect()
}

fn all_end_with(mode: &str) {
    let folder = tempfile::tempdir().unwrap();
    parent(mode, folder.path()).wait().unwrap();
    let pids = spinning(folder.path());
    assert_eq!(pids.len(), 4);
    settle(mode, || pids.iter().all(|pid| !runs(*pid)));
}

#[test]
fn when_main_returns() {
    all_end_with("return");
}

#[test]
fn when_it_exits() {
    all_end_with("exit");
}

#[test]
fn when_it_panics() {
    all_end_with("panic");
}

#[test]
fn when_it_aborts() {
    all_end_with("abort");
}

#[test]
fn when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = parent("wait", folder.path());
    settle("all spin", || folder.path().join("waits").exists());
    let pids = spinning(folder.path());
    assert!(pids.iter().all(|pid| runs(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    settle("they have ended", || pids.iter().all(|pid| !runs(*pid)));
}

/// What its calls have left behind, whose workers are idle.
#[test]
fn when_it_is_killed_while_no_call_runs() {
    let told = Told::new();
    let mut parent = own_process("orphans::child_is_idle");
    let parent =
        parent.env("OFFLOAD_TEST_TOLD", told.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut parent = parent.spawn().unwrap();
    let other = number(&(told.path() + ".idle"));
    assert!(runs(other));
    parent.kill().unwrap();
    parent.wait().unwrap();
    settle("it has ended", || !runs(other));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_idle() {
    #[offload(process)]
    fn leaves(path: String) -> Result<u32, Error> {
        start_daemon(&path);
        Ok(number(&path))
    }

    let path = std::env::var("OFFLOAD_TEST_TOLD").unwrap();
    let other = block_on(leaves(path.clone() + ".daemon")).unwrap();
    fs::write(path.clone() + ".new", other.to_string()).unwrap();
    fs::rename(path.clone() + ".new", path + ".idle").unwrap();
    spin()
}

/// Long bytes are on their way, and there is no file through which they go: none could be left.
#[test]
fn when_it_is_killed_while_it_sends_much_no_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_parent"))
        .args(["send".as_ref(), folder.path()])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = folder.path().join("0");
    settle("it sends", || told.exists() && sends(parent.id()));
    let worker: u32 = fs::read_to_string(&told).unwrap().parse().unwrap();
    for pid in [parent.id(), worker] {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let names: Vec<String> = open.map(|path| path.to_str().unwrap().to_owned()).collect();
        for name in names.iter().map(String::as_str).chain(maps.lines()) {
            let is_shared = ["/dev/shm", "/memfd:", "/SYSV"].iter().any(|of| name.contains(of));
            assert!(!is_shared, "{name}");
        }
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    settle("its worker has ended", || !runs(worker));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// A worker is killed while it writes: what had come of the answer is no answer.
#[test]
fn a_kill_in_the_middle_of_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers");
    let parent = parent("answer", folder.path());
    let own = Pid::from_child(&parent);
    settle("the body runs", || path.exists());
    // So that nobody reads, and the worker cannot write to the end.
    kill_process(own, Signal::STOP).unwrap();
    let worker: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
    fs::write(folder.path().join("answers.go"), "").unwrap();
    settle("it writes", || ["write", "sendto"].contains(&syscall(worker)));
    kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    kill_process(own, Signal::CONT).unwrap();
    let output = parent.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("WorkerDied Some(9)"), "{text}");
}
