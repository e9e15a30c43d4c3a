//! What looks on: it reads numbers, and nobody imports it.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum")]
mod dashboard;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "watch")]
pub(crate) mod watch;
