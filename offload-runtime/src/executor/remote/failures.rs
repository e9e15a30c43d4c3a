//! What can go wrong between machines, as errors.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Ran};
use crate::executor;
use crate::wire::frames::TooLarge;

/// There is no room in the stream of the pool, or in its object store.
pub(super) fn full(function: &str, reason: &str) -> Error {
    let what = format!(
        "was rejected, since the server has no room for another call of its pool: {reason}"
    );
    Error::new(ErrorKind::Overloaded, Ran::No, function, what)
}

/// The server will not do it.
pub(super) fn unavailable(function: &str, reason: &str) -> Error {
    let what = format!("was not started, since it could not be sent: {reason}");
    Error::new(ErrorKind::Unavailable, Ran::No, function, what)
}

/// What was to send it, or to run it here, has thrown it away.
pub(super) fn dropped(function: &str) -> Error {
    if executor::is_closed() {
        return Error::shutting_down(function);
    }
    unavailable(function, "no thread of this program could see to it")
}

/// So many bytes of context do not go with a call.
pub(super) fn carries_too_much(function: &str, bytes: usize, most: usize) -> Error {
    let what = format!(
        "was not started, since it carries {bytes} bytes of its caller's context, by `propagate_remote`, and a call \
         carries at most {most}"
    );
    Error::new(ErrorKind::Serialization, Ran::No, function, what)
}

/// Arguments and context are too large together.
pub(super) fn too_large_with(
    function: &str,
    large: &TooLarge,
    carried: usize,
    max_message: usize,
) -> Error {
    let bytes = large.bytes;
    let what = format!(
        "has arguments of {bytes} bytes, and {carried} bytes of context that it carries, and its pool sends at \
         most {max_message}"
    );
    Error::new(ErrorKind::Serialization, Ran::No, function, what)
}

/// Workers are there, and this function is none of theirs.
pub(super) fn unknown(function: &str, workers: usize) -> Error {
    let workers = if workers == 1 {
        "the one worker that is".to_owned()
    } else {
        format!("the {workers} workers that are")
    };
    let what = format!("was not started, since {workers} there have no function of this name");
    Error::new(ErrorKind::Unavailable, Ran::No, function, what)
}

/// Nothing was heard of its worker for too long.
pub(super) fn worker_lost(function: &str, worker: &str, after: Duration) -> Error {
    let what = format!("lost its worker, {worker}, of which nothing was heard for {after:.1?}");
    Error::new(ErrorKind::WorkerDied, Ran::Maybe, function, what)
}

/// The client has ended.
pub(super) fn disconnected(function: &str) -> Error {
    let what = "lost its connection to the server for good, as its client has ended";
    Error::new(ErrorKind::Unavailable, Ran::Maybe, function, what)
}

/// Its arguments are not in the object store.
pub(super) fn no_arguments(function: &str, reason: &str) -> Error {
    let what = format!("was not started, since its worker cannot get its arguments: {reason}");
    Error::new(ErrorKind::Unavailable, Ran::No, function, what)
}

/// Its result cannot be had.
pub(super) fn no_result(function: &str, reason: &str) -> Error {
    let what = format!("returned a result that the object store does not have: {reason}");
    Error::new(ErrorKind::Unavailable, Ran::Yes, function, what)
}

/// The worker has dropped it.
pub(super) fn unstarted(function: &str) -> Error {
    let what = "was not started by its worker, which shuts down, or cannot enter what the call carries along";
    Error::new(ErrorKind::Unavailable, Ran::No, function, what)
}

/// Two functions of a pool have one name.
pub(super) fn ambiguous(function: &str, pool: &str) -> Error {
    Error::config(format!(
        "two functions of the pool `{pool}` are called `{function}`, and workers find a function by its name: give \
         one of them another with `name = \"…\"`"
    ))
    .of(function)
}

/// Nothing says where the server is.
pub(super) fn no_server() -> Error {
    Error::config(
        "there is no server to serve calls of: set `OFFLOAD_NATS_URL`, or call `offload_runtime::remote::connect` first",
    )
}

/// Its worker was lost, and it could not be given to another.
pub(super) fn not_again(function: &str, reason: &Error) -> Error {
    let what = format!("lost its worker, and could not be given to another: {reason}");
    Error::new(ErrorKind::WorkerDied, Ran::Maybe, function, what)
}

/// Its worker was lost, and no other has begun it in time.
pub(super) fn too_late_again(function: &str) -> Error {
    let what = "lost its worker, and no other has begun it before its deadline";
    Error::new(ErrorKind::WorkerDied, Ran::Maybe, function, what)
}
