//! The guide: one page a question.

#[doc = include_str!("../docs/databases.md")]
pub mod databases {}

#[doc = include_str!("../docs/foreign_code.md")]
pub mod foreign_code {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}
