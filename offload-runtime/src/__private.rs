//! The only names that expanded code may use.
//!
//! Also what the standard library provides comes from here: a crate may call
//! its own types `Duration` or its own module `core`.

pub use core::option::Option::None;
pub use core::{concat, module_path};
pub use std::borrow::Borrow;
pub use std::boxed::Box;
pub use std::time::Duration;

pub use crate::bounds::{
    Answer, Argument, Asked, Carrier, CarriesNothing, Copied, Fail, Fallible, Lent, Returned,
};
pub use crate::function::{Function, Limit, OwnLimiter, limiter};
pub use crate::limiter::Limiter;
pub use crate::pools::{CPU, THREAD};

#[cfg(feature = "process")]
pub use self::process::*;

/// What the kind `process` needs besides.
#[cfg(feature = "process")]
mod process {
    pub use core::result::Result::Ok;
    pub use core::{column, file, line};
    pub use inventory;

    pub use crate::process::pool::PROCESS;
    pub use crate::process::serve::in_worker;
    pub use crate::process::start::{TestWorker, be_test_worker};
    pub use crate::process::transfer::{
        Arguments, Encoded, Listed, Malformed, Outbound, Place, Remote, Transfer, TransferLent,
    };
    #[cfg(fuzzing)]
    pub use crate::process::wire::check::check as check_frames;
}
