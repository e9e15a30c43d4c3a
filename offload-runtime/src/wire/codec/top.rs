//! A value that is a whole argument or a whole result.
//!
//! Of such a value both sides know the type, so a `Vec<u8>` can go as bytes,
//! which are copied as a whole. Inside of other values it cannot: an untagged
//! enum, say, would not know them from a text.

use std::any::Any;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Written as what it is.
pub(crate) struct Lent<'a, T>(pub(crate) &'a T);

impl<T: Serialize + 'static> Serialize for Lent<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0 as &dyn Any).downcast_ref::<Vec<u8>>() {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => self.0.serialize(serializer),
        }
    }
}

/// What was read of it.
pub(crate) struct Top<T>(pub(crate) T);

impl<'de, T: Deserialize<'de> + 'static> Deserialize<'de> for Top<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Top<T>, D::Error> {
        let mut value = None::<T>;
        match (&mut value as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() {
            Some(bytes) => *bytes = Some(deserializer.deserialize_byte_buf(Bytes)?),
            None => value = Some(T::deserialize(deserializer)?),
        }
        Ok(Top(value.expect("it was read in either way")))
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}
