//! What the tests have in common.

use std::fs;

pub(crate) use offload_tests::{PATIENCE, numbers, settle};

/// Whether a process with this number runs: it is there, and no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Whether a process with this number is there, as a zombie at least.
pub(crate) fn is_there(pid: u32) -> bool {
    state(pid).is_some()
}

fn state(pid: u32) -> Option<char> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have spaces and parentheses.
    line.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The processes that this one started and that are not reaped.
pub(crate) fn children() -> Vec<u32> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").unwrap();
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| parent(*pid) == Some(own)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The numbers of the workers of one pool.
pub(crate) fn workers(pool: &str) -> offload_runtime::WorkerStats {
    offload_tests::pool(pool).workers.expect("it is a pool of processes")
}

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
    let number = if cfg!(target_arch = "x86_64") { "45 " } else { "207 " };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut calls = tasks.filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok());
    calls.any(|call| call.starts_with(number))
}
