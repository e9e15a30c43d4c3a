//! Values ↔ bytes: MessagePack, with the names of fields.
//!
//! A format that describes itself is needed for values whose type only the data
//! know: `serde_json::Value`, `flatten`, untagged enums. What this one cannot tell
//! apart: `Some(None)`, `Some(())` and a `Some` of what is written as nothing, such
//! as `Some(Value::Null)`, are read as `None`.
//!
//! Bytes: an argument or a result that is a `Vec<u8>`, and the types of
//! `serde_bytes` anywhere, are copied as a whole. A `Vec<u8>` inside of another
//! value is written number by number (about 11 ns a byte, and as much to read). To
//! guess there which sequences are bytes would be faster, but an untagged enum of a
//! `Vec<u8>` and a `String` would then come back as the wrong one.

mod depth;
mod nesting;
pub(crate) mod top;

use std::io::Write;

use rmp_serde::Serializer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::depth::Bounded;

/// Values may be nested so deeply. A thread of a pool has a stack of 2 MiB, and
/// the code of each level takes some KiB of it in a debug build.
const DEPTH: u16 = 128;

/// Lists and maps that were written here are not in each other so often: a level
/// of a value is up to two of them.
const READ_DEPTH: usize = 2 * DEPTH as usize;

/// Writes a value; the error says why it cannot be written.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, to: &mut impl Write) -> Result<(), String> {
    let mut serializer = Serializer::new(to).with_struct_map();
    let bounded = Bounded::new(&mut serializer, DEPTH);
    value.serialize(bounded).map_err(|error| error.to_string())
}

/// Values that were written one after the other.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: bytes }
    }

    /// The next value; the error says why it cannot be read.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let length = nesting::measure(self.rest, READ_DEPTH)?;
        let (value, rest) = self.rest.split_at(length);
        self.rest = rest;
        rmp_serde::from_slice(value).map_err(|error| error.to_string())
    }

    /// There is no further one.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes are left over")),
        }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
