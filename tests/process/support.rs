//! What the tests have in common.

use std::fs;

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
