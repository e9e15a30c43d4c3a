//! What the tests have in common.

use std::fs;
use std::os::fd::BorrowedFd;
use std::process::Command;

pub(crate) use offload_tests::{PATIENCE, children, is_there, numbers, runs, settle, workers};

/// The system call in which the main thread of a process waits, of those that
/// are of interest.
pub(crate) fn syscall(pid: u32) -> &'static str {
    let line = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    match (std::env::consts::ARCH, line.split(' ').next()) {
        ("x86_64", Some("1")) | ("aarch64", Some("64")) => "write",
        ("x86_64", Some("44")) | ("aarch64", Some("206")) => "sendto",
        _ => "another",
    }
}

/// Whether a thread of a worker waits for what its parent sends, and not only for the end of that.
pub(crate) fn receives(pid: u32) -> bool {
    is_in(pid, if cfg!(target_arch = "x86_64") { &["45 "] } else { &["207 "] })
}

/// Whether a thread of a process sends, and waits for room.
pub(crate) fn sends(pid: u32) -> bool {
    is_in(pid, if cfg!(target_arch = "x86_64") { &["1 ", "44 "] } else { &["64 ", "206 "] })
}

/// Whether a thread of a process waits in one of these system calls.
fn is_in(pid: u32, numbers: &[&str]) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut calls = tasks.filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok());
    calls.any(|call| numbers.iter().any(|number| call.starts_with(number)))
}

/// In a body: a process that holds all files of its worker open, as one does that was made by `fork` alone. From here,
/// it is a program that does so: `fork` is foreign. Its number.
pub(crate) fn start_with_all_files() -> u32 {
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let number: i32 = entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        // SAFETY: none that matters: the files are those of this process, and stay open.
        #[expect(unsafe_code, reason = "a worker whose files are inherited is the subject")]
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty());
    }
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id();
    std::mem::forget(child);
    pid
}

/// In a body: a process that leaves the group of the worker, and its parent too, and tells its [`number`].
pub(crate) fn start_daemon(path: &str) {
    let script =
        format!("setsid sh -c 'echo $$ > {path}.new; mv {path}.new {path}; exec sleep 1000' &");
    assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
}

/// Waits until a process has told its number there.
pub(crate) fn number(path: &str) -> u32 {
    let mut pid = None;
    settle("it has told its number", || {
        pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}
