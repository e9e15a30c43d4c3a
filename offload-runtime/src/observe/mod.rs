//! Observers: they read counters and snapshots, and no other module imports them.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum")]
mod dashboard;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "watch")]
pub(crate) mod watch;
