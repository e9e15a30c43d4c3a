//! What a remote pool does with its calls: its settings.

use crate::executor::process::plan::MAX_MESSAGE;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// No argument list and no result is larger, in bytes.
    pub(crate) max_message: usize,
}

impl Plan {
    /// Nothing set.
    pub(crate) const DEFAULT: Plan = Plan { max_message: MAX_MESSAGE };
}
