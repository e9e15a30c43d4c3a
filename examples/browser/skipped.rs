//! Tests for which something is missing here.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    thread,
};

/// Says that this test is not run here, and why: past the capture of its output, and once more at the
/// end of `.ci/run`.
pub(crate) fn skipped(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {why}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(list) = env::var_os("OFFLOAD_SKIPPED") {
        let list = OpenOptions::new().append(true).create(true).open(list);
        list.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
