//! What a body pushes its items into.

#[cfg(feature = "bytes")]
use std::io;
use std::marker;
use std::{fmt, mem};

use super::channel::Producer;
use super::closed::Closed;
use crate::error::Error;

/// The sink into which the body of a function with `#[offload(…, stream)]` pushes its items.
///
/// It is an argument that callers do not give: what they get is a stream of what is sent here. As
/// many items wait for the consumer as the option `stream` says, or 16.
///
/// A `Sink<Bytes>` (feature `bytes`) is [`std::io::Write`]: it gathers 16 KiB for an item, and
/// [`flush`](std::io::Write::flush) sends what there is. What is left when the body returns `Ok` is
/// sent, too. In a `process` function, bytes of 128 KiB or more that are given to
/// [`send`](Self::send) go to the parent beside their message, without being copied.
///
/// ```
/// use offload_runtime::{Error, Sink, offload};
///
/// #[offload(thread, stream)]
/// fn squares(below: u64, out: &mut Sink<u64>) -> Result<(), Error> {
///     for n in 0..below {
///         out.send(n * n)?;
///     }
///     Ok(())
/// }
///
/// # futures::executor::block_on(async {
/// use futures::TryStreamExt;
///
/// let squares: Vec<u64> = squares(4).try_collect().await?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct Sink<T> {
    target: Target<T>,
    /// What was written: with no capacity, nothing was since the last item.
    gathered: Vec<u8>,
    /// How that becomes an item, once something was written.
    pack: Option<Pack<T>>,
}

/// Where items go.
enum Target<T> {
    /// To a stream of this process.
    Channel(Producer<T>),
    /// To whoever called the function with this label, as it is in another process.
    #[cfg_attr(not(feature = "process"), expect(dead_code, reason = "there is no other process"))]
    Away(&'static str, Away<T>),
}

/// Sends an item. False: nobody takes it.
type Away<T> = Box<dyn FnMut(T) -> bool + marker::Send + marker::Sync>;

/// Makes an item of bytes.
type Pack<T> = fn(Vec<u8>) -> T;

impl<T> Sink<T> {
    fn to(target: Target<T>) -> Sink<T> {
        Sink { target, gathered: Vec::new(), pack: None }
    }

    pub(super) fn new(producer: Producer<T>) -> Sink<T> {
        Sink::to(Target::Channel(producer))
    }

    /// Of the function with this label, whose caller is in another process. `send` sends an item; it
    /// is false if nobody takes it.
    #[cfg(feature = "process")]
    pub(crate) fn away(
        function: &'static str,
        send: impl FnMut(T) -> bool + marker::Send + marker::Sync + 'static,
    ) -> Sink<T> {
        Sink::to(Target::Away(function, Box::new(send)))
    }

    /// The same end of the same stream once more.
    #[cfg(feature = "process")]
    pub(crate) fn again(&self) -> Option<Sink<T>> {
        match &self.target {
            Target::Channel(producer) => Some(Sink::new(producer.again())),
            Target::Away(..) => None,
        }
    }

    /// Sends an item. While the consumer has as many as the stream holds, this blocks the thread,
    /// which no other call can use meanwhile: a stream whose consumer may be slow has a pool of its
    /// own, or a `stall_timeout`, or is an iterator. In a `process` function it blocks the worker, and
    /// an item that cannot be sent to the parent ends the stream with an error that says so.
    ///
    /// # Errors
    ///
    /// [`Closed`], if nobody takes it any more: the stream was dropped, a deadline has passed, the
    /// process shuts down, or the consumer took nothing for the time of `stall_timeout`.
    pub fn send(&mut self, item: T) -> Result<(), Closed> {
        self.send_gathered()?;
        self.put(item)
    }

    fn put(&mut self, item: T) -> Result<(), Closed> {
        match &mut self.target {
            Target::Channel(producer) => producer.put(item),
            Target::Away(function, send) => match send(item) {
                true => Ok(()),
                false => Err(Closed { function }),
            },
        }
    }

    fn send_gathered(&mut self) -> Result<(), Closed> {
        match self.pack {
            Some(pack) if !self.gathered.is_empty() => {
                let bytes = mem::take(&mut self.gathered);
                self.put(pack(bytes))
            }
            _ => Ok(()),
        }
    }

    /// The body has ended. An error: it was ended, since the consumer took nothing for too long.
    pub(crate) fn finish(mut self, is_ok: bool) -> Result<(), Error> {
        if is_ok {
            // Whether somebody takes it is no matter any more, but for what follows.
            let _ = self.send_gathered();
        }
        match self.target {
            Target::Channel(producer) => producer.finish(),
            Target::Away(..) => Ok(()),
        }
    }

    fn function(&self) -> &'static str {
        match &self.target {
            Target::Channel(producer) => producer.function(),
            Target::Away(function, _) => function,
        }
    }
}

/// So many bytes are gathered for an item.
#[cfg(feature = "bytes")]
const GATHERED: usize = 16 * 1024;

#[cfg(feature = "bytes")]
impl Sink<bytes::Bytes> {
    /// Adds this to what is gathered, if that does not make an item: what most writes do, and so
    /// it is compiled into the function that writes.
    #[inline]
    fn gather(&mut self, bytes: &[u8]) -> bool {
        // Of the capacity itself: then nothing has to be asked of it once more.
        let has_room = bytes.len() < self.gathered.capacity() - self.gathered.len();
        if has_room {
            self.gathered.extend_from_slice(bytes);
        }
        has_room
    }

    /// Adds what there is room for, and sends an item if that makes one.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.capacity() == 0 {
            self.gathered = Vec::with_capacity(GATHERED);
            self.pack = Some(bytes::Bytes::from);
        }
        let room = self.gathered.capacity() - self.gathered.len();
        let count = bytes.len().min(room);
        self.gathered.extend_from_slice(&bytes[..count]);
        if count == room {
            self.send_gathered()?;
        }
        Ok(count)
    }

    /// The rest of `write_all`, of which the function that writes has no registers to save.
    #[cold]
    fn write_all_some(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !self.gather(bytes) {
            let count = self.write_some(bytes)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

#[cfg(feature = "bytes")]
impl io::Write for Sink<bytes::Bytes> {
    /// Sends an item when 16 KiB are gathered.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.gather(bytes) {
            true => Ok(bytes.len()),
            false => self.write_some(bytes),
        }
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.gather(bytes) {
            true => Ok(()),
            false => self.write_all_some(bytes),
        }
    }

    /// Sends what is gathered.
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.send_gathered()?)
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("function", &self.function()).finish_non_exhaustive()
    }
}
