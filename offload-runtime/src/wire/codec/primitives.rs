//! How numbers, texts, bytes and lengths are written.

use std::borrow::Cow;

use super::marks;
use super::problem::Problem;

/// What values are written to.
pub(crate) trait Target {
    /// Takes these bytes.
    fn put(&mut self, bytes: &[u8]);

    /// All that was taken, to be changed at its end; `None`: it was too much, and is not kept.
    fn taken(&mut self) -> Option<&mut Vec<u8>>;

    /// Whether so many bytes can be put beside the others.
    fn has_room_beside(&self, _: usize) -> bool {
        false
    }

    /// Takes bytes beside the others, and says which of those they are; or gives them back. What is put
    /// next says so in their place, in [`BESIDE`] bytes.
    fn put_blob<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Result<u32, Cow<'a, [u8]>> {
        Err(bytes)
    }
}

impl Target for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn taken(&mut self) -> Option<&mut Vec<u8>> {
        Some(self)
    }
}

/// How long that is which says that bytes are beside the message.
pub(crate) const BESIDE: usize = 7;

/// Bytes of this length or more go beside the message.
pub(super) const LONG: usize = 128 << 10;

/// What a run of bytes is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    Bytes,
    Text,
    /// A list of which every element is a `u8`.
    Numbers,
}

impl Run {
    const ALL: [Run; 3] = [Run::Bytes, Run::Text, Run::Numbers];

    /// What it is as a kind of what goes beside the message.
    const fn mark(self) -> u8 {
        match self {
            Run::Bytes => marks::BLOB,
            Run::Text => marks::TEXT_BLOB,
            Run::Numbers => marks::NUMBERS_BLOB,
        }
    }

    pub(super) fn of_mark(mark: u8) -> Option<Run> {
        Run::ALL.into_iter().find(|run| run.mark() == mark)
    }
}

/// Whether a run of this length goes beside the message.
pub(super) fn is_beside<W: Target>(to: &W, length: usize) -> bool {
    length >= LONG && to.has_room_beside(length)
}

/// A run of bytes: beside the message if it is long, and in it if it is not, or cannot be beside it.
pub(super) fn run<W: Target>(to: &mut W, run: Run, bytes: Cow<'_, [u8]>) -> Result<(), Problem> {
    let mut bytes = bytes;
    if is_beside(to, bytes.len()) {
        match to.put_blob(bytes) {
            Ok(number) => {
                let [a, b, c, d] = number.to_be_bytes();
                let says: [u8; BESIDE] = [marks::EXTENSION[0], 4, run.mark(), a, b, c, d];
                to.put(&says);
                return Ok(());
            }
            Err(back) => bytes = back,
        }
    }
    match run {
        Run::Bytes => sized(to, marks::BYTES, bytes.len())?,
        Run::Text => text_head(to, bytes.len())?,
        Run::Numbers => {
            sized(to, marks::EXTENSION, bytes.len())?;
            to.put(&[marks::NUMBERS]);
        }
    }
    to.put(&bytes);
    Ok(())
}

pub(super) fn too_long(length: usize) -> Problem {
    Problem::of(format!("it has a part of {length} bytes or elements, which is too long"))
}

/// A mark with as many bytes for the length as it needs.
pub(super) fn sized<W: Target>(to: &mut W, marks: [u8; 3], length: usize) -> Result<(), Problem> {
    if let Ok(length) = u8::try_from(length) {
        to.put(&[marks[0], length]);
    } else if let Ok(length) = u16::try_from(length) {
        let [a, b] = length.to_be_bytes();
        to.put(&[marks[1], a, b]);
    } else {
        let length = u32::try_from(length).map_err(|_| too_long(length))?;
        let [a, b, c, d] = length.to_be_bytes();
        to.put(&[marks[2], a, b, c, d]);
    }
    Ok(())
}

/// The same for lists and maps, which may be short.
pub(super) fn counted<W: Target>(
    to: &mut W,
    short: u8,
    marks: [u8; 2],
    length: usize,
) -> Result<(), Problem> {
    match u8::try_from(length) {
        Ok(length @ ..=15) => to.put(&[short | length]),
        Ok(length) => to.put(&[marks[0], 0, length]),
        Err(_) => return sized(to, [0, marks[0], marks[1]], length),
    }
    Ok(())
}

pub(super) fn list_head<W: Target>(to: &mut W, length: usize) -> Result<(), Problem> {
    counted(to, marks::SHORT_LIST, marks::LIST, length)
}

/// A text that is in the message, however long it is: a name.
pub(super) fn text<W: Target>(to: &mut W, text: &str) -> Result<(), Problem> {
    text_head(to, text.len())?;
    to.put(text.as_bytes());
    Ok(())
}

fn text_head<W: Target>(to: &mut W, length: usize) -> Result<(), Problem> {
    match u8::try_from(length) {
        Ok(length @ ..=31) => to.put(&[marks::SHORT_TEXT | length]),
        _ => sized(to, marks::TEXT, length)?,
    }
    Ok(())
}

#[inline]
pub(super) fn unsigned<W: Target>(to: &mut W, number: u64) {
    if let Ok(number) = u8::try_from(number) {
        if number < 0x80 { to.put(&[number]) } else { to.put(&[marks::UNSIGNED[0], number]) }
    } else if let Ok(number) = u16::try_from(number) {
        marked(to, marks::UNSIGNED[1], number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        marked(to, marks::UNSIGNED[2], number.to_be_bytes());
    } else {
        marked(to, marks::UNSIGNED[3], number.to_be_bytes());
    }
}

pub(super) fn signed<W: Target>(to: &mut W, number: i64) {
    if let Ok(number) = u64::try_from(number) {
        unsigned(to, number);
    } else if let Ok(number) = i8::try_from(number) {
        // Those from -32 on are a mark of their own.
        if number >= -32 {
            to.put(&number.to_be_bytes());
        } else {
            marked(to, marks::SIGNED[0], number.to_be_bytes());
        }
    } else if let Ok(number) = i16::try_from(number) {
        marked(to, marks::SIGNED[1], number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        marked(to, marks::SIGNED[2], number.to_be_bytes());
    } else {
        marked(to, marks::SIGNED[3], number.to_be_bytes());
    }
}

pub(super) fn marked<W: Target, const N: usize>(to: &mut W, mark: u8, bytes: [u8; N]) {
    to.put(&[mark]);
    to.put(&bytes);
}
