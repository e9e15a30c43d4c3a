//! How far a stream goes ahead of its consumer.

use std::fmt;
use std::time::Duration;

/// What the options `stream` and `stall_timeout` say.
#[derive(Clone, Copy)]
pub struct Shape {
    /// So many items are made ahead.
    pub room: usize,
    /// The body ends when the consumer takes nothing for so long. An expression, which is asked at the first poll.
    pub stall_timeout: Option<fn() -> Duration>,
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("room", &self.room).finish_non_exhaustive()
    }
}
