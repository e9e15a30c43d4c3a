//! Behaviour of offload-runtime through the public macro.

/// The README's code, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
