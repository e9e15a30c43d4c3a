//! How a program becomes its own worker, and who else may not start one.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use offload_tests::{own_process, passes};

/// What it prints to stdout.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn with_the_attribute_on_main() {
    assert_eq!(run(env!("CARGO_BIN_EXE_parent"), &["call"]), "42\n");
}

#[test]
fn with_init_first_in_main() {
    let text = run(env!("CARGO_BIN_EXE_by_hand"), &[]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[2], lines.len()), ("42", "2", 3), "{text}");
    assert!(lines[1].starts_with("Panicked") && lines[1].ends_with(": unlucky"), "{text}");
}

#[test]
fn without_either_the_error_says_what_to_write() {
    let text = run(env!("CARGO_BIN_EXE_without"), &[]);
    assert!(text.starts_with("NotInitialized No"), "{text}");
    for words in ["#[offload_runtime::main]", "offload_runtime::init();", "test_worker!();"] {
        assert!(text.contains(words), "{text}");
    }
}

/// As nextest runs a test: by itself, in a process of its own.
#[test]
fn one_test_alone_has_workers() {
    passes(&mut own_process("shapes::a_body_runs_in_another_process"));
}

#[test]
fn nobody_but_its_parent_starts_a_worker() {
    // By name alone: its standard input is no channel.
    let by_name = |mut command: Command| {
        let output = command.arg0("offload-worker").stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(70), "{text}");
        assert!(text.contains("start it under another name"), "{text}");
    };
    by_name(Command::new(env!("CARGO_BIN_EXE_parent")));
    by_name(Command::new(env!("CARGO_BIN_EXE_by_hand")));

    // With channels, which somebody else than its parent has made: here, the
    // shell between is the parent.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (control, _hold) = std::io::pipe().unwrap();
    let script = "exec 3<&0 4>&1; (exec -a offload-worker \"$0\" <&3 >&4) & wait $!";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_by_hand")])
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .stdout(control)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    drop(ours);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("its parent is none that did so"), "{text}");
}
