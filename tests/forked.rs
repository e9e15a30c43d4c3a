//! A process that is forked after the first call has no threads that would run one: it is told so.

#![cfg(target_os = "linux")]

use std::process::{Child, Command, Stdio};

#[test]
fn a_call_in_a_child_that_was_forked_says_so_and_does_not_hang() {
    // Each waits for a second. Not all at once: the busier the machine, the longer a fork takes.
    for _ in 0..4 {
        let processes = [(); 5].map(|()| start());
        processes.into_iter().for_each(says_so);
    }
}

fn start() -> Child {
    let mut forks = Command::new(env!("CARGO_BIN_EXE_forks"));
    forks.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn says_so(process: Child) {
    let output = process.wait_with_output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with("`forks::fallible`"), "{out}");
    assert!(lines.iter().all(|line| line.contains("was forked")), "{out}");
}
