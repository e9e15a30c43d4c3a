//! What is asked of the operating system: threads, what they are like, how many cores there
//! are.

pub(crate) mod abort;
pub(crate) mod cores;
pub(crate) mod fork;
pub(crate) mod masks;
#[cfg(all(unix, feature = "process"))]
pub(crate) mod pipe;
pub(crate) mod priority;
pub(crate) mod sleepers;
pub(crate) mod spawner;
