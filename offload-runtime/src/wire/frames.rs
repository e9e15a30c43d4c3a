//! Frames: how the two processes tell where a message begins and ends.
//!
//! A frame is a byte that says what it is, the length of the payload in four
//! bytes, little end first, and the payload. Nothing that the other side says is
//! trusted: a frame that is longer than agreed is rejected before memory is taken
//! for it, and memory grows with the bytes that come, not with those announced.

use std::borrow::Cow;
use std::io::{self, Read};

use super::blobs::{self, Blobs, SendBlob};
use super::codec::{BESIDE, Target};

/// Before the payload.
pub(crate) const HEADER: usize = 5;

/// The room for what comes next; most frames fit.
pub(super) const ROOM: usize = 8 << 10;

/// Room is made for so many times what has come of a long frame: it is moved a few times only.
pub(super) const AHEAD: usize = 7;

/// A buffer that grew beyond this is not kept.
const KEPT: usize = 1 << 20;

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The header, then as much of the payload as may be.
    bytes: Vec<u8>,
    limit: usize,
    /// So many bytes of it were too many, and not kept.
    lost: u64,
    /// So much of it stands before what the limit is about.
    head: usize,
    /// How its blobs are sent, if any may be.
    send: Option<SendBlob>,
    /// How many were, and how many bytes they have.
    blobs: u32,
    away: usize,
}

/// A message that is longer than agreed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// Of its payload, without the head.
    pub(crate) bytes: u64,
    pub(crate) limit: usize,
}

impl Outgoing {
    /// An empty message, whose payload may be as long as `limit`.
    pub(crate) fn new(kind: u8, limit: usize) -> Outgoing {
        Outgoing::reuse(Vec::new(), kind, limit)
    }

    /// The same, in the buffer of an earlier one.
    pub(crate) fn reuse(buffer: Vec<u8>, kind: u8, limit: usize) -> Outgoing {
        let mut bytes = if buffer.capacity() > KEPT { Vec::new() } else { buffer };
        bytes.clear();
        bytes.extend_from_slice(&[kind, 0, 0, 0, 0]);
        let limit = limit.min(u32::MAX as usize);
        Outgoing { bytes, limit, lost: 0, head: 0, send: None, blobs: 0, away: 0 }
    }

    /// Long bytes in it are sent by `send` while it is written.
    pub(crate) fn with_blobs(mut self, send: SendBlob) -> Outgoing {
        self.send = Some(send);
        self
    }

    /// What was written so far does not count: the rest may be as long as `limit`.
    pub(crate) fn end_head(&mut self, limit: usize) {
        self.head = self.kept();
        self.limit = self.head.saturating_add(limit).min(u32::MAX as usize);
    }

    /// How much of the payload is there.
    fn kept(&self) -> usize {
        self.bytes.len() - HEADER
    }

    /// The whole frame, in one piece.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, TooLarge> {
        let length = (self.kept() + self.away) as u64 + self.lost;
        match u32::try_from(self.kept()) {
            Ok(announced) if length <= self.limit as u64 => {
                self.bytes[1..HEADER].copy_from_slice(&announced.to_le_bytes());
                Ok(self.bytes)
            }
            _ => Err(TooLarge { bytes: length - self.head as u64, limit: self.limit - self.head }),
        }
    }
}

/// What is too long is counted, so that the error can say how long it was, but not kept.
impl Target for Outgoing {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.lost == 0 && self.kept() + self.away + bytes.len() <= self.limit {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.lost += bytes.len() as u64;
        }
    }

    fn taken(&mut self) -> Option<&mut Vec<u8>> {
        (self.lost == 0).then_some(&mut self.bytes)
    }

    fn has_room_beside(&self, length: usize) -> bool {
        let all = (self.kept() + self.away + BESIDE).saturating_add(length);
        self.send.is_some()
            && self.lost == 0
            && all <= self.limit
            && (self.blobs as usize) < blobs::MOST
    }

    fn put_blob<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Result<u32, Cow<'a, [u8]>> {
        if !self.has_room_beside(bytes.len()) || !self.send.is_some_and(|send| send(&bytes)) {
            return Err(bytes);
        }
        self.away += bytes.len();
        self.blobs += 1;
        Ok(self.blobs - 1)
    }
}

/// What comes in, frame by frame.
#[derive(Debug)]
pub(crate) struct Incoming {
    buffer: Vec<u8>,
    /// What one read fills, made once: zeros cost as much as most messages.
    room: Box<[u8]>,
    /// Up to here the buffer was given out.
    start: usize,
    limit: usize,
    blobs: Blobs,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// Those that came since they were taken the last time.
    pub(crate) blobs: &'a mut Vec<Vec<u8>>,
}

/// Why there is no frame.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The stream has ended, after a whole frame.
    Closed,
    /// It has ended within one.
    Truncated,
    /// The next one is longer than agreed.
    TooLarge,
    /// What the source says. If it only has nothing now, the next read goes on.
    Io(io::Error),
}

impl Incoming {
    /// No payload is longer than `limit`, nor are the blobs of a message.
    pub(crate) fn new(limit: usize) -> Incoming {
        let room = vec![0; ROOM].into_boxed_slice();
        Incoming { buffer: Vec::new(), room, start: 0, limit, blobs: Blobs::default() }
    }

    /// Another bound, for what comes from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next frame. A small one takes one read, and what came with it is kept
    /// for later.
    pub(crate) fn read(&mut self, source: &mut impl Read) -> Result<Frame<'_>, ReadError> {
        self.forget();
        let end = loop {
            self.blobs.receive(source)?;
            let taken = self.blobs.take(&self.buffer, self.limit)?;
            if taken > 0 {
                self.buffer.drain(..taken);
                continue;
            }
            let wanted = match self.next_length()? {
                Some(length) if self.buffer.len() >= HEADER + length => break HEADER + length,
                Some(length) => HEADER + length - self.buffer.len(),
                None => ROOM,
            };
            self.receive(source, wanted)?;
        };
        self.start = end;
        let blobs = &mut self.blobs.whole;
        Ok(Frame { kind: self.buffer[0], payload: &self.buffer[HEADER..end], blobs })
    }

    /// Whether all that came was given out.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && self.blobs.whole.is_empty()
    }

    /// Drops what was given out.
    fn forget(&mut self) {
        let left = self.buffer.len() - self.start;
        if self.buffer.capacity() > KEPT && left < ROOM {
            self.buffer = self.buffer.split_off(self.start);
        } else {
            self.buffer.drain(..self.start);
        }
        self.start = 0;
    }

    /// How long the payload of the next frame is.
    fn next_length(&self) -> Result<Option<usize>, ReadError> {
        let Some(length) = self.buffer.get(1..HEADER) else { return Ok(None) };
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        if length > self.limit { Err(ReadError::TooLarge) } else { Ok(Some(length)) }
    }

    /// Takes what is there, and at most a little more than `wanted`.
    fn receive(&mut self, source: &mut impl Read, wanted: usize) -> Result<(), ReadError> {
        // Who announces much has to send some of it first.
        let room = wanted.min(self.buffer.len().saturating_mul(AHEAD)).max(ROOM);
        let before = self.buffer.len();
        loop {
            let result = if room > ROOM {
                let room = room - (self.buffer.len() - before);
                self.buffer.reserve_exact(room);
                // It appends without writing zeros first, until the source has
                // no more; an error loses nothing of what came before it.
                source.by_ref().take(room as u64).read_to_end(&mut self.buffer)
            } else {
                self.read_once(source)
            };
            let received = self.buffer.len() > before;
            return match result {
                Ok(_) if received => Ok(()),
                Ok(_) if before == 0 => Err(ReadError::Closed),
                Ok(_) => Err(ReadError::Truncated),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) if received => Ok(()),
                Err(error) => Err(ReadError::Io(error)),
            };
        }
    }

    fn read_once(&mut self, source: &mut impl Read) -> io::Result<usize> {
        let length = source.read(&mut self.room)?;
        self.buffer.extend_from_slice(&self.room[..length]);
        Ok(length)
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    /// No payload is longer here.
    const LIMIT: usize = 3000;

    fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut message = Outgoing::new(kind, LIMIT);
        message.put(payload);
        message.finish().unwrap()
    }

    #[test]
    fn a_message_that_is_too_long_is_counted_and_not_kept() {
        let mut message = Outgoing::new(1, 10);
        for _ in 0..1000 {
            message.put(&[0; 1000]);
        }
        assert!(message.bytes.capacity() < 1000);
        assert_eq!(message.finish(), Err(TooLarge { bytes: 1_000_000, limit: 10 }));
        let mut message = Outgoing::new(1, 10);
        message.put(&[7; 10]);
        assert_eq!(message.finish().unwrap(), [&[1, 10, 0, 0, 0][..], &[7; 10]].concat());
    }

    #[test]
    fn a_small_frame_takes_one_read_and_so_do_two() {
        struct Once(Option<Vec<u8>>);

        impl Read for Once {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                let bytes = self.0.take().expect("it is read once");
                room[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }

        let mut incoming = Incoming::new(LIMIT);
        let mut source = Once(Some([message(1, b"one"), message(2, b"two")].concat()));
        assert_eq!(incoming.read(&mut source).unwrap().payload, b"one");
        assert_eq!(incoming.read(&mut source).unwrap().payload, b"two");
    }

    #[test]
    fn a_length_that_lies_takes_no_memory_and_a_long_frame_leaves_none() {
        let mut incoming = Incoming::new(1 << 30);
        let lie = [1, 0, 0, 0, 0x20, 1, 2, 3];
        incoming.read(&mut &lie[..]).unwrap_err();
        assert!(incoming.buffer.capacity() < 1 << 16);

        let mut incoming = Incoming::new(1 << 30);
        let mut long = Outgoing::new(1, 1 << 30);
        long.put(&vec![7; 20 << 20]);
        let bytes = [long.finish().unwrap(), message(2, b"short")].concat();
        let mut source = &bytes[..];
        assert_eq!(incoming.read(&mut source).unwrap().payload.len(), 20 << 20);
        assert_eq!(incoming.read(&mut source).unwrap().payload, b"short");
        assert!(incoming.buffer.capacity() < KEPT_AT_MOST);
    }

    /// What may be left after a long frame.
    const KEPT_AT_MOST: usize = KEPT + (1 << 16);
}
