//! A figure that is taken in a process of its own: it inherits no threads, no caches and
//! no heap of the one before.

use std::process::{Command, Stdio};

/// What this bench was called with; `cargo bench` adds a word of its own.
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| argument != "--bench").collect()
}

/// This program with other arguments, run to its end: the numbers that it prints.
pub fn figures<const N: usize>(arguments: &[&str]) -> [f64; N] {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this);
    let child = child.args(arguments).stderr(Stdio::inherit()).output().expect("a process");
    let printed = String::from_utf8_lossy(&child.stdout);
    let numbers: Option<Vec<f64>> = printed.split_whitespace().map(|n| n.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[f64; N]>::try_from(numbers).ok());
    numbers.unwrap_or_else(|| panic!("{arguments:?} printed {printed:?}, not {N} numbers"))
}
