//! Await a synchronous function.
//!
//! A synchronous call inside async code stops the event loop: nothing else is
//! served until it returns. One attribute moves the body to a pool of its own
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
//! * `tracing` (default): bodies run in their caller's span.
//! * `serde` (default): [`Error`] and [`Stats`] are serde types.
//! * `watch` (default): [`watch`](fn@watch) says how late the event loop is and what
//!   stops it.
//! * `watch-spans`: … and in which span; needs `tracing-subscriber`.
//! * `process`: `#[offload(process)]`, for bodies that may crash or never end, in
//!   processes that can be killed. Unix only.
//! * `rayon`: a [`CpuPool`] can have rayon's threads.
//! * `metrics`: `publish_metrics` gives the numbers of [`stats`] to the `metrics` facade.

mod admission;
#[cfg(feature = "axum")]
pub mod axum;
pub mod bounds;
mod call;
mod context;
mod cores;
mod counts;
mod courier;
mod current;
#[cfg(feature = "axum")]
mod dashboard;
#[cfg(feature = "watch")]
mod effort;
mod error;
mod function;
mod histogram;
mod job;
mod limiter;
mod linger;
mod meta;
#[cfg(feature = "metrics")]
mod metrics;
mod outcome;
mod pace;
mod perform;
mod pool;
mod pools;
#[cfg(feature = "process")]
mod process;
mod reply;
mod schedule;
mod settings;
mod shutdown;
#[cfg(feature = "tracing")]
mod spans;
mod stats;
mod streak;
mod sync;
mod timer;
#[cfg(feature = "watch")]
mod watch;

#[cfg(all(feature = "process", not(unix)))]
compile_error!(
    "the feature `process` of offload-runtime needs Unix: leave it out of the features on this \
     system, and use `#[offload(cpu)]` or `#[offload(thread)]`"
);

#[doc(hidden)]
pub mod __private;

pub use call::{Call, to_cpu, to_thread};
pub use context::propagate;
pub use current::{check_cancelled, is_cancelled};
pub use error::{Error, ErrorKind, Ran};
pub use limiter::Limiter;
#[cfg(feature = "metrics")]
pub use metrics::publish_metrics;
#[cfg(feature = "process")]
pub use offload_macros::main;
pub use offload_macros::offload;
pub use pools::{CpuPool, ThreadPool};
#[cfg(feature = "process")]
pub use process::pool::ProcessPool;
#[cfg(feature = "process")]
pub use process::start::init;
#[cfg(feature = "process")]
pub use process::workers::WorkerStats;
pub use schedule::Priority;
pub use settings::Builder;
pub use shutdown::{Report, shutdown};
pub use stats::{FunctionStats, LimitStats, Percentiles, PoolStats, QueueStats, Stats, stats};
#[cfg(feature = "watch-spans")]
pub use watch::spans::WatchLayer;
#[cfg(feature = "watch")]
pub use watch::{Doing, LoopStats, StallStats, watch};
