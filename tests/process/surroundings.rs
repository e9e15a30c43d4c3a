//! Programs in surroundings in which a worker cannot be started, or talked of, as elsewhere.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use offload_tests::skipped;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Once, its workers waited for a minute, and the error said nothing of it.
#[test]
fn a_program_that_reads_its_input_before_it_can_be_a_worker_is_told_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_by_hand"))
        .env("OFFLOAD_TEST_READS_FIRST", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("Unavailable"), "{text}");
    assert!(text.contains("is `offload_runtime::init()` first in `main`"), "{text}");
    assert!(text.contains("the first line"), "{text}");
}

/// Once, the body waited for ever for somebody to read what it printed.
#[test]
fn where_nobody_reads_what_workers_print_they_go_on() {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_parent"))
        .arg("print")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "all is printed\n");
    // It was not read until now.
    drop(parent.stderr.take());
    parent.wait().unwrap();
}

#[test]
fn where_ends_of_children_are_ignored_errors_say_that_more_is_not_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_parent")).arg("ignore").output().unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[3]), ("42", "2"), "{text}");
    assert!(lines[1].contains("SIGCHLD"), "{text}");
    assert!(lines[2].contains("timed out"), "{text}");
}

#[test]
fn where_proc_is_not_mounted_the_error_says_so() {
    let script = "mount -t tmpfs none /proc && exec \"$0\" start";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_parent"))
        .output();
    let Ok(output) = output else { return skipped("there is no `unshare`") };
    let text = said(&output);
    if text.contains("unshare:") || text.contains("mount:") {
        return skipped(&text);
    }
    assert!(text.starts_with("Unavailable: "), "{text}");
    assert!(text.contains("`/proc` is not mounted"), "{text}");
}
