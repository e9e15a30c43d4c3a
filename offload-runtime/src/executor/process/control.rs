//! What a worker is told during a call, and knows its parent's life by: it ends when this is
//! closed.

use std::io::{self, Write};

use crate::system::pipe::{PipeReader, PipeWriter, pipe};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Control {
    writer: PipeWriter,
    /// Kept open, so that no write to a worker that has died raises a signal.
    _reader: PipeReader,
}

impl Control {
    /// The other end is for the worker.
    pub(crate) fn new() -> io::Result<(PipeReader, Control)> {
        let (reader, writer) = pipe()?;
        // Non-blocking: a worker that does not read misses what it is told, and blocks no thread here.
        rustix::io::ioctl_fionbio(&writer, true)?;
        let control = Control { writer, _reader: reader.try_clone()? };
        Ok((reader, control))
    }

    /// Nobody waits for this call any more. False: that could not be told.
    pub(super) fn cancel(&self, number: u64) -> bool {
        // So few bytes are written as a whole, or not.
        (&self.writer).write(&number.to_le_bytes()).is_ok()
    }
}
