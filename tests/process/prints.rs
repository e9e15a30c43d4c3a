//! What bodies print.

use std::process::Command;

use futures::executor::block_on;
use offload_runtime::{Error, offload};

#[offload(process)]
fn prints() -> Result<u32, Error> {
    print!("out, without an end of line");
    eprintln!("err, from Rust");
    // As foreign code does.
    let status =
        Command::new("sh").args(["-c", "echo out of a child; echo err of a child >&2"]).status();
    assert!(status.unwrap().success());
    rustix::io::write(rustix::stdio::stdout(), b"out, by its number\n").unwrap();
    Ok(7)
}

#[test]
fn what_is_printed_goes_to_stderr_and_not_into_the_protocol() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "prints::child_prints", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for line in [
        "out, without an end of line",
        "err, from Rust",
        "out of a child",
        "err of a child",
        "out, by its number",
    ] {
        assert!(err.contains(line), "{line}: {err}");
        assert!(!out.contains(line), "{line}: {out}");
    }
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_prints() {
    for _ in 0..3 {
        assert_eq!(block_on(prints()).unwrap(), 7);
    }
    // What was printed is passed on by another thread.
    std::thread::sleep(std::time::Duration::from_millis(300));
}

#[test]
fn a_worker_that_prints_much_is_not_held_up() {
    #[offload(process)]
    fn prints_much() -> Result<(), Error> {
        for _ in 0..300 {
            eprint!("{:1000}", "");
        }
        std::process::abort()
    }

    let error = block_on(prints_much()).unwrap_err();
    assert_eq!(error.stderr().unwrap().len(), 16 << 10);
}

#[test]
fn standard_input_is_empty() {
    #[offload(process)]
    fn reads() -> Result<String, Error> {
        Ok(std::io::read_to_string(std::io::stdin()).unwrap())
    }

    assert_eq!(block_on(reads()).unwrap(), "");
}
