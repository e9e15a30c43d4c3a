//! An attribute that lets async code await a synchronous function.
//!
//! A synchronous call inside async code blocks a worker of the runtime: until it returns, that worker
//! polls no other task. One attribute moves the body to a pool of its own
//! and turns the function into an async one:
//!
//! ```
//! use offload_runtime::offload;
//!
//! #[offload(thread)] // it waits: files, locks, drivers without async
//! fn read_report(path: std::path::PathBuf) -> std::io::Result<String> {
//!     std::fs::read_to_string(path)
//! }
//!
//! #[offload(cpu)] // it computes
//! fn checksum(data: Vec<u8>) -> u32 {
//!     data.iter().fold(0, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
//! }
//!
//! # futures::executor::block_on(async {
//! # let path = std::env::temp_dir().join(format!("offload-doc-{}", std::process::id()));
//! # std::fs::write(&path, "report").unwrap();
//! let report = read_report(path.clone()).await?;
//! let sum = checksum(report.into_bytes()).await;
//! # assert_ne!(sum, 0);
//! # std::fs::remove_file(path)
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Features
//!
//! * `axum` (default): [`Error`] is a response, and there is a
//!   [dashboard](crate::axum::dashboard).
//! * `bytes` (part of `axum`): a [`Sink`] of `Bytes` is [`std::io::Write`].
//! * `tracing` (default): bodies run in their caller's span.
//! * `serde` (default): [`Error`] and [`Stats`] are serde types.
//! * `watch` (default): [`watch`](fn@watch) says how late the event loop is and what
//!   blocks its workers.
//! * `watch-spans`: … and in which span; needs `tracing-subscriber`.
//! * `process`: `#[offload(process)]`, for bodies that may crash or never end, in
//!   processes that can be killed. Unix only.
//! * `remote`: `#[offload(remote)]`, for bodies that run on other machines, through NATS JetStream,
//!   or here where there is no server. Unix only.
//! * `rayon`: a [`CpuPool`] can have rayon's threads.
//! * `metrics`: `publish_metrics_every` gives the numbers of [`stats`] to the `metrics` facade.

#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]
// On docs.rs each item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod call;
mod error;
mod executor;
mod function;
mod gate;
mod limiter;
mod observe;
mod resource;
mod sync;
mod system;
mod task;
#[cfg(feature = "process")]
mod wire;

#[cfg(all(feature = "process", not(unix)))]
compile_error!(
    "the feature `process` of offload-runtime needs Unix: leave it out of the features on this \
     system, and use `#[offload(cpu)]` or `#[offload(thread)]`"
);

#[doc(hidden)]
pub mod __private;
#[cfg(doc)]
pub mod guide;

pub use api::bounds;
pub use api::cancel::{check_cancelled, is_cancelled};
pub use api::closures::{spawn_cpu, spawn_thread, to_cpu, to_thread};
#[cfg(feature = "watch")]
pub use api::loops::{Doing, LoopStats, StallStats};
pub use api::pools::{CpuPool, ThreadPool};
#[cfg(feature = "process")]
pub use api::process_pool::ProcessPool;
#[cfg(feature = "remote")]
pub use api::remote;
#[cfg(feature = "remote")]
pub use api::remote_pool::RemotePool;
pub use api::shutdown::{Report, shutdown};
#[cfg(feature = "remote")]
pub use api::stats::RemoteStats;
#[cfg(feature = "process")]
pub use api::stats::WorkerStats;
pub use api::stats::{
    FunctionStats, LimitStats, Percentiles, PoolStats, QueueStats, ResourceStats, Stats, stats,
};
pub use call::Call;
pub use call::started::Started;
pub use call::stream::closed::Closed;
pub use call::stream::sink::Sink;
pub use error::{Error, ErrorKind, Ran};
#[cfg(feature = "process")]
pub use executor::process::start::init;
pub use executor::settings::Builder;
pub use limiter::Limiter;
#[cfg(feature = "axum")]
pub use observe::axum;
#[cfg(feature = "metrics")]
pub use observe::metrics::{publish_metrics, publish_metrics_every};
#[cfg(feature = "watch-spans")]
pub use observe::watch::spans::WatchLayer;
#[cfg(feature = "watch")]
pub use observe::watch::watch;
#[cfg(feature = "process")]
pub use offload_macros::main;
pub use offload_macros::offload;
pub use resource::exclusive::Resource;
pub use resource::per_thread::ThreadResource;
pub use resource::shared::SharedResource;
pub use system::priority::Priority;
#[cfg(feature = "remote")]
pub use task::context::propagate_remote;
pub use task::context::{propagate, propagate_with};
