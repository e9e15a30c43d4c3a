//! Calls whose results are streams: items leave as they are made.

mod channel;
pub(crate) mod closed;
mod items;
mod pushed;
pub(crate) mod shape;
pub(crate) mod sink;

pub(crate) use self::channel::wake_blocked;
pub(crate) use self::items::Items;
pub(crate) use self::pushed::Pushed;
