//! What bodies say through `tracing`, from the worker to the parent's
//! subscriber.
//!
//! | module | where | what it knows |
//! | --- | --- | --- |
//! | `record` | both | what is said |
//! | `tell` | worker | the subscriber that makes records of what is said |
//! | `replay` | parent | says it again, below the span of the call |
//! | `places` | parent | descriptions of places in the source, which `tracing` wants to keep for ever |
//!
//! A place in the source (a `Metadata`) is described once in the life of a
//! worker and has a number from then on. Spans are known by the numbers that
//! they have in the worker. Which span is the parent of another, or of an event,
//! is always said, so that threads of the body do not get into each other's
//! spans.

mod places;
mod record;
mod replay;
mod tell;

pub(crate) use self::places::Places;
pub(crate) use self::record::level;
pub(crate) use self::replay::Replay;
pub(crate) use self::tell::{begin, end, install};

#[cfg(all(test, not(offload_loom)))]
mod tests;
