//! The only names that expanded code may use.
//!
//! Also what the standard library provides comes from here: a crate may call
//! its own types `Duration` or its own module `core`.

pub use core::any::type_name;
pub use core::option::Option::{None, Some};
pub use core::result::Result;
pub use core::{concat, module_path};
pub use std::borrow::Borrow;
pub use std::boxed::Box;
pub use std::time::Duration;

pub use futures_core::Stream;
pub use std::vec::Vec;

pub use crate::api::answer::Answer;
pub use crate::api::bounds::{
    Argument, Asked, Carrier, CarriesNothing, Copied, Fail, Fallible, Lent, Returned,
};
pub use crate::api::lends::{LentMut, LentShared};
pub use crate::api::pools::{CPU, THREAD};
pub use crate::api::streams::{
    Ends, Iterates, OfOpening, Opening, Opens, Pushes, StreamError, Streams,
};
pub use crate::call::started::Started;
pub use crate::call::starting::start;
pub use crate::call::stream::shape::Shape;
pub use crate::function::Function;
pub use crate::limiter::{Limit, Limiter, OwnLimiter};
pub use crate::resource::Lends;
pub use crate::resource::borrowed::Borrowed;

#[cfg(feature = "process")]
pub use self::process::*;

/// What the kind `process` needs besides.
#[cfg(feature = "process")]
mod process {
    pub use core::result::Result::Ok;
    pub use core::{column, file, line};
    pub use inventory;

    pub use crate::api::in_worker::{InWorker, Known, Unknown};
    pub use crate::api::process_pool::PROCESS;
    pub use crate::api::process_streams::{RemoteEnds, RemoteItem};
    #[cfg(feature = "remote")]
    pub use crate::api::remote_pool::REMOTE;
    pub use crate::api::transfer::{Remote, Transfer, TransferLent};
    #[cfg(fuzzing)]
    pub use crate::executor::process::check::{check_frames, check_values};
    pub use crate::executor::process::serve::in_worker;
    pub use crate::executor::process::start::{TestWorker, be_test_worker};
    pub use crate::wire::arguments::{Arguments, Malformed, Outbound};
    pub use crate::wire::registry::{Listed, Place};
}
