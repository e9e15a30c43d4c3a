//! What can go wrong with other processes, as errors.

use std::os::unix::process::ExitStatusExt;

use super::messages::{Failure, Panic};
use super::worker::Dead;
use crate::error::{Error, ErrorKind, Ran, Remains};
use crate::executor;
use crate::wire::frames::TooLarge;

pub(crate) fn no_worker(function: &str, reason: &str) -> Error {
    let what = format!("was not started, as no worker process could be: {reason}");
    Error::new(ErrorKind::Unavailable, Ran::No, function, what)
}

/// The workers of a pool that are to be ready.
pub(crate) fn not_ready(pool: &str, reason: &str) -> Error {
    let what = format!("the workers of the pool `{pool}` are not ready: {reason}");
    Error::new(ErrorKind::Unavailable, Ran::No, "", what)
}

/// Nobody waits for it any more. Whether its body was started the worker did not say.
pub(crate) fn killed(function: &str) -> Error {
    Error::new(ErrorKind::Cancelled, Ran::Maybe, function, "was cancelled, and its process killed")
}

/// It has ended in its grace, and nobody waits for its result.
pub(crate) fn unawaited(function: &str) -> Error {
    Error::new(ErrorKind::Cancelled, Ran::Yes, function, "was cancelled, and has ended since")
}

/// As with [`killed`].
pub(crate) fn killed_by_shutdown(function: &str) -> Error {
    let what = match executor::is_closed() {
        true => "had not ended when the process shut down, and its worker was killed",
        false => "had not ended when its pool was closed, and its worker was killed",
    };
    Error::new(ErrorKind::ShuttingDown, Ran::Maybe, function, what)
}

pub(crate) fn worker_died(function: &str, dead: Dead) -> Error {
    let what = format!("lost its worker, process {}, which {}", dead.pid, dead.how());
    lost(function, what, Ran::Maybe, dead)
}

/// The worker died before it had read the call, and so did others, or there is no other.
pub(crate) fn worker_died_idle(function: &str, dead: Dead) -> Error {
    let what = format!(
        "lost its worker, process {}, before that had read what to do; it {}",
        dead.pid,
        dead.how()
    );
    lost(function, what, Ran::No, dead)
}

impl Dead {
    /// How it ended.
    pub(super) fn how(&self) -> String {
        let how = match self.status {
            _ if self.closed => {
                "closed its channel, as by `exec` or by closing files that are not its own, and was \
                 killed"
                    .to_owned()
            }
            Some(status) => format!("died of {status}"),
            None => "died; the system does not tell how, as where this process ignores SIGCHLD".to_owned(),
        };
        let said = last_words(&self.stderr).map(|line| format!("; it said last: {line}"));
        how + &said.unwrap_or_default()
    }
}

/// The worker was killed for what it said.
pub(crate) fn worker_invalid(function: &str, dead: Dead) -> Error {
    let what = format!(
        "lost its worker, process {}, which was killed: it sent what no worker sends, as if \
         something had written over its memory or into its files",
        dead.pid
    );
    lost(function, what, Ran::Maybe, dead)
}

fn lost(function: &str, what: String, ran: Ran, dead: Dead) -> Error {
    Error::new(ErrorKind::WorkerDied, ran, function, what).with_remains(remains(dead))
}

/// Arguments that cannot be written.
pub(crate) fn unsendable(function: &str, reason: &str) -> Error {
    let what = format!("has arguments that cannot be sent to another process: {reason}");
    Error::new(ErrorKind::Serialization, Ran::No, function, what)
}

/// Arguments that are longer than agreed.
pub(crate) fn too_large(function: &str, large: &TooLarge) -> Error {
    let TooLarge { bytes, limit } = large;
    let what = format!("has arguments of {bytes} bytes, and its pool sends at most {limit}");
    Error::new(ErrorKind::Serialization, Ran::No, function, what)
}

/// A result that is none.
pub(crate) fn unreadable(function: &str, reason: &str) -> Error {
    let what = format!("returned a result that cannot be read: {reason}");
    Error::new(ErrorKind::Serialization, Ran::Yes, function, what)
}

/// An item that is none; its worker was killed.
pub(crate) fn unreadable_item(function: &str, reason: &str) -> Error {
    let what = format!("made an item that cannot be read: {reason}");
    Error::new(ErrorKind::Serialization, Ran::Yes, function, what)
}

/// What the worker says of the transfer.
pub(crate) fn failed(function: &str, failure: &Failure, max_message: usize) -> Error {
    let (ran, what) = match failure {
        Failure::Unstarted(error) => return error.clone(),
        Failure::Arguments(reason) => {
            (Ran::No, format!("has arguments that another process cannot read: {reason}"))
        }
        Failure::Result(reason) => {
            (Ran::Yes, format!("returned a result that cannot be sent back: {reason}"))
        }
        Failure::TooLarge(bytes) => {
            let what = format!(
                "returned a result of {bytes} bytes, and its pool sends at most {max_message}"
            );
            (Ran::Yes, what)
        }
        Failure::Item(reason) => {
            (Ran::Yes, format!("made an item that cannot be sent back: {reason}"))
        }
        Failure::ItemTooLarge(bytes) => {
            let what =
                format!("made an item of {bytes} bytes, and its pool sends at most {max_message}");
            (Ran::Yes, what)
        }
    };
    Error::new(ErrorKind::Serialization, ran, function, what)
}

pub(crate) fn panicked(function: &str, panic: Panic, dead: Option<Dead>) -> Error {
    let Panic { message, place, backtrace, ran } = panic;
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    let what = format!("panicked{place}: {message}");
    let remains = dead.map(remains).unwrap_or_default();
    Error::new(ErrorKind::Panicked, ran, function, what)
        .with_remains(Remains { backtrace, ..remains })
}

/// The last line that a process printed; not that of a backtrace or of advice how to get one, if
/// it ends with that.
fn last_words(stderr: &str) -> Option<&str> {
    let (words, _) = stderr.rsplit_once("stack backtrace:\n").unwrap_or((stderr, ""));
    let is_advice = |line: &&str| line.starts_with("note: ") && line.contains("RUST_BACKTRACE");
    words.trim_end().lines().rev().find(|line| !is_advice(line))
}

fn remains(dead: Dead) -> Remains {
    Remains {
        pid: Some(dead.pid),
        signal: dead.status.and_then(|status| status.signal()),
        code: dead.status.and_then(|status| status.code()),
        stderr: Some(dead.stderr),
        backtrace: None,
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_those_that_say_what_happened() {
        let advice =
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        let trace = "stack backtrace:\n   0: render::page\n             at src/render.rs:10:5\n";
        let details = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n";
        for end in ["", "\n\n", advice, trace, &[trace, details].concat(), &[advice, "\n"].concat()]
        {
            let said = format!("it begins\nmemory allocation of 7 bytes failed\n{end}");
            assert_eq!(last_words(&said), Some("memory allocation of 7 bytes failed"), "{end}");
        }
        // What is no advice of the standard library is said.
        for said in ["note: no fonts", "RUST_BACKTRACE is 1", "  indented"] {
            assert_eq!(last_words(&format!("first\n{said}\n")), Some(said));
        }
        for nothing in ["", "\n \n", advice] {
            assert_eq!(last_words(nothing), None);
        }
    }
}
