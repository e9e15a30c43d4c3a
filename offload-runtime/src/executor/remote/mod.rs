//! Bodies that run on other machines, in the same program, or here if there is no server.
//!
//! The way of a call through this folder:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `parcel` | what a call sends, and what came back |
//! | `executor` | how a call is submitted, cancelled, counted |
//! | `calls` | the calls of a pool that have not ended |
//! | `in_flight` | one of them: waiting, begun, ended |
//! | `call_guard` | that whoever holds it ends it |
//! | `carried` | what it takes along of its caller's context |
//! | `embedded` | how a call is made on this machine where there is no server |
//! | `seen` | what was seen of a pool at the broker, in numbers |
//! | `served` | a body that runs on this machine, or in a process there, for whoever called it |
//!
//! Where there is a server, at the caller's end:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `sending` | how arguments are written, and handed on |
//! | `caller` | the calls that are out: sent, claimed, granted, answered, lost |
//! | `known_workers` | which workers there are, and which functions they know |
//! | `failures` | what can go wrong, as errors |
//!
//! At the worker's:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `serve` | how a program becomes a worker, and stops being one |
//! | `worker` | how many calls it gets out of the stream |
//! | `job` | one of them: claimed, begun, answered |
//! | `survey` | what it sees of the others, while somebody wants to know |
//!
//! At both: `broker` (the connection), `queue` (the stream of a pool), `subjects` (what things are
//! called there), `messages` (what is said past the stream), `objects` (what is too large for a message), `plan` (a pool's settings).

pub(crate) mod broker;
mod call_guard;
mod caller;
mod calls;
mod carried;
mod embedded;
mod executor;
mod failures;
mod in_flight;
mod job;
mod known_workers;
mod messages;
mod objects;
pub(crate) mod parcel;
pub(crate) mod plan;
mod queue;
mod seen;
mod sending;
pub(crate) mod serve;
mod served;
mod subjects;
mod survey;
mod worker;

pub(crate) use self::executor::{REMOTE, Remotes};
