//! What a remote pool does with its calls: its settings.

use std::time::Duration;

use crate::executor::process::plan::MAX_MESSAGE;

/// A worker of which nothing is heard is lost after this, unless set.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// No argument list and no result is larger, in bytes.
    pub(crate) max_message: usize,
    /// So many calls may wait in the stream.
    pub(crate) queue: Option<usize>,
    /// A worker of which nothing is heard for so long is lost.
    pub(crate) ack_wait: Duration,
    /// Bodies run in processes of their worker's, each of which has one.
    pub(crate) is_isolated: bool,
}

impl Plan {
    /// Nothing set.
    pub(crate) const DEFAULT: Plan =
        Plan { max_message: MAX_MESSAGE, queue: None, ack_wait: ACK_WAIT, is_isolated: false };
}
