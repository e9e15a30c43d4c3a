//! Which process it is, since when it runs, and whether it is about to end.

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{fs, process};

use serde::Serialize;

use crate::executor;
use crate::system::program;

/// See the [module](self).
#[derive(Serialize)]
pub(super) struct Process {
    /// `None`: the system does not tell.
    host: Option<String>,
    /// The name of its file.
    program: Option<String>,
    pid: u32,
    /// The version of this crate.
    offload_version: &'static str,
    uptime_seconds: f64,
    /// Calls are not taken any more, or the server was told to stop.
    is_shutting_down: bool,
}

impl Process {
    /// This one. `is_closed`: the page is about to go.
    pub(super) fn look(is_closed: bool) -> Process {
        Process {
            host: program::host(),
            program: program::name(),
            pid: process::id(),
            offload_version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: uptime().as_secs_f64(),
            is_shutting_down: is_closed || executor::is_closed(),
        }
    }
}

/// How long the process has run; where the system does not tell, since the dashboard was made.
pub(super) fn uptime() -> Duration {
    static FIRST: LazyLock<(Instant, Duration)> =
        LazyLock::new(|| (Instant::now(), of_process().unwrap_or_default()));
    let (first, before) = *FIRST;
    before + first.elapsed()
}

/// How long the process has run, on Linux.
fn of_process() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let up = fs::read_to_string("/proc/uptime").ok()?;
    age(&stat, &up)
}

/// The age of a process, from `/proc/PID/stat` and `/proc/uptime`.
fn age(stat: &str, up: &str) -> Option<Duration> {
    /// `USER_HZ`, which is 100 on all that this runs on.
    const TICKS: f64 = 100.0;
    // The name may have any character in it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let started: f64 = rest.split(' ').nth(19)?.parse().ok()?;
    let up: f64 = up.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(up - started / TICKS).ok()
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_process_is_read_as_the_system_writes_it() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 12345 1 1";
        assert_eq!(age(stat, "200.50 10.00\n"), Some(Duration::from_millis(77_050)));
        assert_eq!(age(stat, "1.00 1.00\n"), None);
        assert_eq!(age("", ""), None);
    }
}
