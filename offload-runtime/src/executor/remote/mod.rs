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
//! | `here` | how a call is made on this machine where there is no server |
//! | `served` | a body that runs on this machine, for whoever called it |
//!
//! `plan` has a pool's settings.

mod calls;
mod executor;
mod here;
mod in_flight;
pub(crate) mod parcel;
pub(crate) mod plan;
mod served;

pub(crate) use self::executor::{REMOTE, Remotes};
