//! Bodies that run in another process, the same program started again, which can crash and be
//! killed.
//!
//! The way of a call through this folder, in the parent:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `executor` | a thread for each call: it checks a worker out, and has it run the body |
//! | `begun` | a call that begins where its caller is |
//! | `workers` | the workers of a pool: checked out, returned, lost |
//! | `state` | what is known of them under their lock, and when another is started |
//! | `starting` | how that is done |
//! | `ready` | waits until those that are kept ready are there |
//! | `lifecycle` | tells of their starts and ends |
//! | `checked_out` | a worker that a call has, until that is over |
//! | `exchange` | one call with a worker: its arguments, and what the answer means |
//! | `conversation` | what is said about it: the request out, the answer in |
//! | `items` | what comes before the answer, of a call that is a stream |
//! | `descendants` | what a worker has started, in both |
//! | `kill_handle` | how a call is ended from outside |
//! | `control` | what a worker is told during a call |
//! | `worker` | one worker: started, talked to |
//! | `child` | its process: how that ends, with all that it has started |
//! | `memory` | what it holds in memory |
//! | `stderr`, `printer` | what workers print |
//! | `failures` | what can go wrong, as errors |
//!
//! In the worker:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `start`, `way` | how the program becomes a worker: `init`, `test_worker!` |
//! | `inherited` | what it does not keep of its parent: files, what signals do |
//! | `serve` | from the first line of `main` to the last call |
//! | `one_call` | from its arguments to the answer |
//! | `to_parent` | the channel to the parent |
//! | `outlet` | where the items of a stream go |
//! | `in_place` | a stream that a body of a worker makes use of: it runs there |
//! | `panics` | what is known of a panic |
//!
//! In both: `messages` (what is said), `events` (what bodies say through `tracing`), `plan` (a
//! pool's settings, with `environment`).

mod begun;
#[cfg(any(fuzzing, all(test, not(offload_loom))))]
pub(crate) mod check;
mod checked_out;
mod child;
mod control;
mod conversation;
mod descendants;
mod environment;
mod events;
pub(crate) mod exchange;
mod executor;
pub(crate) mod failures;
pub(crate) mod in_place;
mod inherited;
pub(crate) mod items;
mod kill_handle;
mod lifecycle;
mod memory;
pub(crate) mod messages;
mod one_call;
mod outlet;
pub(crate) mod panics;
pub(crate) mod plan;
mod printer;
mod ready;
pub(crate) mod serve;
pub(crate) mod start;
mod starting;
mod state;
mod stderr;
mod to_parent;
mod way;
mod worker;
mod workers;

pub(crate) use self::executor::{PROCESS, Processes};

#[cfg(all(test, not(offload_loom)))]
mod tests;
