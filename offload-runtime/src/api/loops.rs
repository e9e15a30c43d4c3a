//! What is known of event loops that are watched. Who watches them says where to ask.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use super::stats::Percentiles;

/// Tells of the loops that are watched.
type Tell = fn() -> Vec<LoopStats>;

static WATCHED: OnceLock<Tell> = OnceLock::new();

/// From now on this is asked.
pub(crate) fn set_watched(tell: Tell) {
    let _ = WATCHED.set(tell);
}

/// The loops that are watched.
pub(crate) fn watched() -> Vec<LoopStats> {
    WATCHED.get().map_or_else(Vec::new, |tell| tell())
}

/// Numbers of one runtime that is [watched](fn@crate::watch).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LoopStats {
    /// Its flavor: `current_thread` or `multi_thread`.
    pub flavor: &'static str,
    /// The threads that poll its tasks.
    pub workers: usize,
    /// The lag: how late a task was polled that had been woken.
    pub lag: Percentiles,
    /// Workers that are in a stall now.
    pub stuck_workers: usize,
    /// The places where its workers were blocked, the first one first; at most 64.
    pub stalls: Vec<StallStats>,
}

/// A place where a worker of a runtime was blocked; or all times that one had no processor.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StallStats {
    /// The name of the thread that was blocked last.
    pub thread: String,
    /// What it did there last.
    pub doing: Doing,
    /// The spans that it was in, the outermost first. Without a `WatchLayer`
    /// (feature `watch-spans`) none is known.
    pub spans: Vec<String>,
    /// How often a worker was blocked there.
    pub count: u64,
    /// The longest time for which one was blocked there, so far.
    pub longest: Duration,
}

/// What a thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Doing {
    /// Using a processor.
    Computing,
    /// Waiting, in the system call of this name, if that is known.
    Waiting(Option<&'static str>),
    /// Being ready to run while others had the processors: the machine has more to do than it can.
    Starved,
    /// Something unknown: this system does not tell, or it is not known which of several threads it was.
    Unknown,
}

impl Doing {
    /// As a label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Doing::Computing => "computing",
            Doing::Waiting(_) => "waiting",
            Doing::Starved => "starved",
            Doing::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Computing => f.write_str("it computes"),
            Doing::Waiting(Some(call)) => write!(f, "it waits in the system call `{call}`"),
            Doing::Waiting(None) => f.write_str("it waits"),
            Doing::Starved => f.write_str("it is ready to run, but others have the processors"),
            Doing::Unknown => f.write_str("what it does is not known"),
        }
    }
}
