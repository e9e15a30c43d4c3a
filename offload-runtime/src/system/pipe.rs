//! A pipe, as `std::io::pipe` makes one since Rust 1.87.

use std::fs::File;
use std::io;

/// The end that is read from.
pub(crate) type PipeReader = File;

/// The end that is written to.
pub(crate) type PipeWriter = File;

/// Neither end is inherited by the processes that this one starts.
pub(crate) fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    #[cfg(not(target_vendor = "apple"))]
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    let (reader, writer) = {
        let (reader, writer) = rustix::pipe::pipe()?;
        for end in [&reader, &writer] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        (reader, writer)
    };
    Ok((File::from(reader), File::from(writer)))
}
