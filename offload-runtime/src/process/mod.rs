//! The kind `process`: bodies that run in another process, the same program
//! started again, which can crash and be killed.
//!
//! The way of a call through this folder, in the parent:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `transfer` | what the compiler is asked about types; arguments and results ↔ messages |
//! | `pool` | the pool that users name, with its settings |
//! | `leash` | how a call is ended from outside |
//! | `workers` | the workers of a pool: hired, given back, started ahead of need, replaced |
//! | `lease` | a worker that was hired for a call, until that is over |
//! | `exchange` | one call with a worker: the request out, the answer in |
//! | `worker` | one process: started, talked to, buried |
//! | `stderr` | what workers print |
//!
//! In the worker:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `start` | how the program becomes a worker: `init`, `test_worker!` |
//! | `serve` | reads calls, runs their bodies |
//! | `panics` | what is known of a panic |
//!
//! In both: `registry` (which functions there are), `messages` (what is said),
//! `wire` (frames), `codec` (values ↔ bytes), `events` (what bodies say through
//! `tracing`), `plan` (a pool's settings).

pub(crate) mod codec;
mod events;
pub(crate) mod exchange;
pub(crate) mod lease;
pub(crate) mod leash;
mod messages;
mod panics;
pub(crate) mod plan;
pub(crate) mod pool;
mod registry;
pub(crate) mod serve;
pub(crate) mod start;
mod stderr;
pub(crate) mod transfer;
pub(crate) mod wire;
mod worker;
pub(crate) mod workers;

use self::plan::Plan;
pub(crate) use self::worker::Dead;
use self::workers::Workers;

/// What a pool of processes has beyond what every pool has.
pub(crate) struct Processes {
    pub(crate) plan: Plan,
    pub(crate) workers: Workers,
}

impl Processes {
    pub(crate) const fn new() -> Processes {
        Processes { plan: Plan::DEFAULT, workers: Workers::new() }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
