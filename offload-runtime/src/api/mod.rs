//! What users and expanded code call.

pub(crate) mod answer;
pub mod bounds;
pub(crate) mod cancel;
pub(crate) mod chosen_pool;
mod closing;
pub(crate) mod closures;
#[cfg(feature = "process")]
mod default_processes;
#[cfg(feature = "process")]
pub(crate) mod in_worker;
pub(crate) mod lends;
#[cfg(feature = "watch")]
pub(crate) mod loops;
pub(crate) mod moved;
pub(crate) mod pools;
#[cfg(feature = "process")]
pub(crate) mod process_pool;
#[cfg(feature = "process")]
pub(crate) mod process_stream;
#[cfg(feature = "process")]
pub(crate) mod process_streams;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "remote")]
pub(crate) mod remote_pool;
pub(crate) mod shutdown;
pub(crate) mod stats;
pub(crate) mod streams;
#[cfg(feature = "process")]
pub(crate) mod transfer;
