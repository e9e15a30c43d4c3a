//! Values ↔ bytes: MessagePack, with the names of fields and variants.
//!
//! A format that describes itself is needed for values whose type only the data
//! know: `serde_json::Value`, `flatten`, untagged enums. What this one cannot tell
//! apart: `Some(None)`, `Some(())` and a `Some` of what is written as nothing, such
//! as `Some(Value::Null)`, are read as `None`.
//!
//! Bytes, in any type: what `serde_bytes` has, and an argument or a result that is a `Vec<u8>`, are
//! copied as a whole. A list whose elements are all `u8`, wherever it stands, is written one byte
//! an element, as an extension of the format, so that a reader that does not know the type still
//! sees a list: an untagged enum of a `Vec<u8>` and a `String` comes back as what it was. Bytes,
//! texts and such lists that are long can go beside the message (see [`blobs`](super::blobs)): bytes and texts
//! without being copied, lists with one copy on each side, since `serde` takes and gives them one by one.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `write`, `compound`, `primitives` | how values are written, what is in them, numbers, texts and bytes |
//! | `kept` | values that are written before there is a message for them |
//! | `number` | the elements of a list that is known to be one of `u8` |
//! | `read`, `parts` | how values are read, and what is in them |
//! | `marks` | the bytes that say what follows |
//! | `top` | what is a whole argument or result |

mod compound;
mod kept;
mod marks;
mod number;
mod parts;
mod primitives;
mod problem;
mod read;
pub(crate) mod top;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::kept::Kept;
pub(crate) use self::primitives::{BESIDE, Target};
use self::read::Reader;
use self::write::Serializer;

/// Values may be nested so deeply. A thread of a pool has a stack of 2 MiB, and
/// the code of each level takes some KiB of it in a debug build.
const DEPTH: u16 = 128;

/// The same for reading, which counts up to two levels where writing counts one.
const READ_DEPTH: usize = 2 * DEPTH as usize;

/// Writes a value; the error says why it cannot be written.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, to: &mut impl Target) -> Result<(), String> {
    value.serialize(Serializer::new(to, DEPTH)).map_err(|problem| problem.to_string())
}

/// Writes what was written before there was a message for it.
pub(crate) fn put(kept: &Kept, to: &mut impl Target) -> Result<(), String> {
    kept.put_to(to).map_err(|problem| problem.to_string())
}

/// Values that were written one after the other.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    blobs: Vec<Vec<u8>>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder::with_blobs(bytes, Vec::new())
    }

    /// The same, if these came beside.
    pub(crate) fn with_blobs(bytes: &'a [u8], blobs: Vec<Vec<u8>>) -> Decoder<'a> {
        Decoder { rest: bytes, blobs }
    }

    /// The next value; the error says why it cannot be read.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut reader = Reader::new(self.rest, READ_DEPTH, &mut self.blobs);
        let value = T::deserialize(&mut reader).map_err(|problem| problem.to_string())?;
        let left = reader.rest().len();
        self.rest = &self.rest[self.rest.len() - left..];
        Ok(value)
    }

    /// What was not read, for who reads it elsewhere.
    #[cfg(feature = "remote")]
    pub(crate) fn into_rest(self) -> &'a [u8] {
        self.rest
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
