//! Calls whose results are streams: items leave as they are made.

mod items;
mod pushed;
pub(crate) mod sink;

pub(crate) use self::items::Items;
pub(crate) use self::pushed::Pushed;
pub(crate) use self::sink::wake_blocked;
