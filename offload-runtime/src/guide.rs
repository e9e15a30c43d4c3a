//! The guide: one page a question.

#[doc = include_str!("../docs/costs.md")]
pub mod costs {}

#[doc = include_str!("../docs/databases.md")]
pub mod databases {}

#[doc = include_str!("../docs/foreign_code.md")]
pub mod foreign_code {}

#[doc = include_str!("../docs/functions.md")]
pub mod functions {}

#[doc = include_str!("../docs/load.md")]
pub mod load {}

#[cfg(feature = "metrics")]
#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

#[doc = include_str!("../docs/platforms.md")]
pub mod platforms {}

#[cfg(feature = "process")]
#[doc = include_str!("../docs/processes.md")]
pub mod processes {}

#[doc = include_str!("../docs/promises.md")]
pub mod promises {}

#[cfg(feature = "remote")]
#[doc = include_str!("../docs/remote.md")]
pub mod remote {}

#[doc = include_str!("../docs/streaming.md")]
pub mod streaming {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
