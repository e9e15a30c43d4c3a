//! The older build.

#[macro_use]
mod orders;

orders! {}
