//! In the parent: the items of a call that is a stream. What a worker has sent is taken in its
//! order, and the worker is told how many more may come (see [`outlet`](super::outlet)).

use super::messages::{Kind, MORE};
use crate::wire::codec::Decoder;

/// Who takes items.
pub(crate) trait Take: Send {
    /// Reads one, which runs foreign code. An error: it is none.
    fn read(&mut self, item: Decoder<'_>) -> Result<(), String>;

    /// Passes on what was read, when there is room for it. False: nobody wants any more.
    fn pass_on(&mut self) -> bool;
}

/// See the [module](self).
pub(crate) struct Items {
    /// So many may be on their way.
    window: u32,
    /// So many were taken since the worker was told so last.
    taken: u32,
    take: Box<dyn Take>,
    is_closed: bool,
}

impl Items {
    /// At most `room` of them are on their way.
    pub(crate) fn new(room: usize, take: Box<dyn Take>) -> Items {
        let window = u32::try_from(room).unwrap_or(u32::MAX).max(1);
        Items { window, taken: 0, take, is_closed: false }
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// One has come. It runs foreign code.
    pub(super) fn read(&mut self, item: Decoder<'_>) -> Result<(), String> {
        self.taken += 1;
        if self.is_closed { Ok(()) } else { self.take.read(item) }
    }

    /// One has come, and nobody wants any more.
    pub(super) fn skip(&mut self) {
        self.taken += 1;
        self.is_closed = true;
    }

    /// Waits until there is room for what was read.
    pub(super) fn pass_on(&mut self) {
        if !self.is_closed {
            self.is_closed = !self.take.pass_on();
        }
    }

    /// Nobody wants any more: what comes is thrown away.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What the worker is told now, if it has to know.
    pub(super) fn more(&mut self) -> Option<[u8; MORE]> {
        if self.taken < self.window.div_ceil(2) {
            return None;
        }
        let [a, b, c, d] = std::mem::take(&mut self.taken).to_le_bytes();
        Some([Kind::More as u8, 4, 0, 0, 0, a, b, c, d])
    }
}
