//! What is asked of the operating system: threads, what they are like, how many cores there
//! are; and what the program is called.

pub(crate) mod abort;
pub(crate) mod cores;
pub(crate) mod fork;
pub(crate) mod masks;
#[cfg(all(unix, feature = "process"))]
pub(crate) mod pipe;
pub(crate) mod priority;
#[cfg(any(feature = "axum", feature = "remote"))]
pub(crate) mod program;
pub(crate) mod sleepers;
pub(crate) mod spawner;
