//! A process that is forked after the first call has no threads that would run one: it is told so.

#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
fn a_call_in_a_child_that_was_forked_says_so_and_does_not_hang() {
    for _ in 0..20 {
        forks();
    }
}

fn forks() {
    let output = Command::new(env!("CARGO_BIN_EXE_forks")).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with("`forks::fallible`"), "{out}");
    assert!(lines.iter().all(|line| line.contains("was forked")), "{out}");
}
