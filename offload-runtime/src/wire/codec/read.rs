//! How values are read.
//!
//! Nothing that stands there is trusted: no level is entered without being counted, no length is
//! believed that goes beyond the end, and every byte that is read is looked for first.

use std::mem;

use serde::Deserializer;
use serde::de::Visitor;

use super::marks;
use super::parts::{Items, Numbers, Variant};
use super::primitives::Run;
use super::problem::Problem;

/// What comes next.
enum Head<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    /// A list that has nothing but `u8` in it.
    Numbers(&'de [u8]),
    /// The same three that came beside. They are lent or taken, as the type asks for them.
    TextBeside(&'de mut Vec<u8>),
    BytesBeside(&'de mut Vec<u8>),
    NumbersBeside(&'de mut Vec<u8>),
    List(usize),
    Map(usize),
}

/// Reads values that stand one after the other.
pub(super) struct Reader<'de> {
    rest: &'de [u8],
    /// So many levels may be below the next value.
    left: usize,
    /// What came beside, each until it is read.
    blobs: Vec<Option<&'de mut Vec<u8>>>,
}

impl<'de> Reader<'de> {
    pub(super) fn new(bytes: &'de [u8], levels: usize, blobs: &'de mut [Vec<u8>]) -> Reader<'de> {
        Reader { rest: bytes, left: levels, blobs: blobs.iter_mut().map(Some).collect() }
    }

    /// What was not read.
    pub(super) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Result<&'de [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(Problem::cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(Problem::cut_off)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A number in so many bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, Problem> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A length in so many bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, Problem> {
        usize::try_from(self.number(bytes)?).map_err(|_| Problem::cut_off())
    }

    fn text(&mut self, length: usize) -> Result<Head<'de>, Problem> {
        let text = std::str::from_utf8(self.take(length)?);
        Ok(Head::Text(text.map_err(|_| no_text())?))
    }

    fn extension(&mut self, length: usize) -> Result<Head<'de>, Problem> {
        let [mark] = self.array()?;
        if mark == marks::NUMBERS {
            return Ok(Head::Numbers(self.take(length)?));
        }
        let run = Run::of_mark(mark).filter(|_| length == 4).ok_or_else(meaningless)?;
        let number = self.length(4)?;
        let missing = || Problem::of("it has bytes that did not come");
        let blob = self.blobs.get_mut(number).and_then(Option::take).ok_or_else(missing)?;
        Ok(match run {
            Run::Bytes => Head::BytesBeside(blob),
            Run::Text => Head::TextBeside(blob),
            Run::Numbers => Head::NumbersBeside(blob),
        })
    }

    #[inline]
    fn head(&mut self) -> Result<Head<'de>, Problem> {
        let [mark] = self.array()?;
        match mark {
            0..=0x7f => Ok(Head::Unsigned(mark.into())),
            0xe0..=0xff => Ok(Head::Signed(i8::from_be_bytes([mark]).into())),
            0x80..=0x8f => Ok(Head::Map((mark & 0x0f).into())),
            0x90..=0x9f => Ok(Head::List((mark & 0x0f).into())),
            0xa0..=0xbf => self.text((mark & 0x1f).into()),
            _ => self.long_head(mark),
        }
    }

    fn long_head(&mut self, mark: u8) -> Result<Head<'de>, Problem> {
        let among = |marks: &[u8]| marks.iter().position(|known| *known == mark);
        Ok(match mark {
            marks::NIL => Head::Nil,
            marks::FALSE | marks::TRUE => Head::Bool(mark == marks::TRUE),
            marks::F32 => Head::F32(f32::from_be_bytes(self.array()?)),
            marks::F64 => Head::F64(f64::from_be_bytes(self.array()?)),
            _ => {
                if let Some(wide) = among(&marks::UNSIGNED) {
                    Head::Unsigned(self.number(1 << wide)?)
                } else if let Some(wide) = among(&marks::SIGNED) {
                    // Its sign is that of its first byte.
                    let bytes = self.take(1 << wide)?;
                    let sign = i64::from(i8::from_be_bytes([bytes[0]]) >> 7);
                    Head::Signed(bytes.iter().fold(sign, |n, byte| n << 8 | i64::from(*byte)))
                } else if let Some(wide) = among(&marks::BYTES) {
                    let length = self.length(1 << wide)?;
                    Head::Bytes(self.take(length)?)
                } else if let Some(wide) = among(&marks::TEXT) {
                    let length = self.length(1 << wide)?;
                    return self.text(length);
                } else if let Some(wide) = among(&marks::EXTENSION) {
                    let length = self.length(1 << wide)?;
                    return self.extension(length);
                } else if let Some(wide) = among(&marks::LIST) {
                    Head::List(self.length(2 << wide)?)
                } else if let Some(wide) = among(&marks::MAP) {
                    Head::Map(self.length(2 << wide)?)
                } else {
                    return Err(meaningless());
                }
            }
        })
    }

    /// Reads what is one level below.
    fn below<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'de>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.left = self.left.checked_sub(1).ok_or_else(Problem::too_deep)?;
        let value = read(self);
        self.left += 1;
        value
    }

    fn list<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, Problem> {
        self.below(|reader| {
            let mut items = Items::new(reader, length);
            let value = visitor.visit_seq(&mut items)?;
            items.end()?;
            Ok(value)
        })
    }

    fn map<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, Problem> {
        self.below(|reader| {
            let mut items = Items::new(reader, length);
            let value = visitor.visit_map(&mut items)?;
            items.end()?;
            Ok(value)
        })
    }

    fn visit<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value, Problem> {
        match head {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Signed(number) => visitor.visit_i64(number),
            Head::F32(number) => visitor.visit_f32(number),
            Head::F64(number) => visitor.visit_f64(number),
            Head::Text(text) => visitor.visit_borrowed_str(text),
            Head::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::Numbers(numbers) => numbers_as_list(numbers.iter().copied(), visitor),
            // As if they were not beside: what reads before it knows the type, as `serde` does for
            // an untagged enum, may look for a `&str` in it later.
            Head::TextBeside(text) => visitor.visit_borrowed_str(lent(text)?),
            Head::BytesBeside(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::NumbersBeside(numbers) => {
                numbers_as_list(mem::take(numbers).into_iter(), visitor)
            }
            Head::List(length) => self.list(length, visitor),
            Head::Map(length) => self.map(length, visitor),
        }
    }

    /// For who wants to keep a text, or bytes.
    fn visit_kept<V: Visitor<'de>>(
        &mut self,
        head: Head<'de>,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match head {
            Head::TextBeside(text) => {
                let text = String::from_utf8(mem::take(text)).map_err(|_| no_text())?;
                visitor.visit_string(text)
            }
            Head::BytesBeside(bytes) => visitor.visit_byte_buf(mem::take(bytes)),
            head => self.visit(head, visitor),
        }
    }

    /// What is either a list or bytes, as a list.
    pub(super) fn visit_list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Bytes(bytes) => numbers_as_list(bytes.iter().copied(), visitor),
            Head::BytesBeside(bytes) => numbers_as_list(mem::take(bytes).into_iter(), visitor),
            head => self.visit(head, visitor),
        }
    }
}

fn meaningless() -> Problem {
    Problem::of("it has a byte that means nothing")
}

fn lent(text: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(text).map_err(|_| no_text())
}

fn no_text() -> Problem {
    Problem::of("it has a text that is not UTF-8")
}

fn numbers_as_list<'de, V: Visitor<'de>>(
    bytes: impl ExactSizeIterator<Item = u8>,
    visitor: V,
) -> Result<V::Value, Problem> {
    let mut numbers = Numbers::new(bytes);
    let value = visitor.visit_seq(&mut numbers)?;
    numbers.end()?;
    Ok(value)
}

/// A number of 128 bits that did not fit into fewer.
fn long_number(bytes: &[u8]) -> Result<[u8; 16], Problem> {
    bytes.try_into().map_err(|_| Problem::of("it has bytes in the place of a number"))
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Problem;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let head = self.head()?;
        self.visit(head, visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Bytes(bytes) => visitor.visit_i128(i128::from_be_bytes(long_number(bytes)?)),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Bytes(bytes) => visitor.visit_u128(u128::from_be_bytes(long_number(bytes)?)),
            head => self.visit(head, visitor),
        }
    }

    // A `String` asks for this, and a `&str`, which has to be lent, for the other.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let head = self.head()?;
        self.visit_kept(head, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Numbers(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::NumbersBeside(bytes) => visitor.visit_borrowed_bytes(bytes),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Numbers(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::NumbersBeside(bytes) => visitor.visit_byte_buf(mem::take(bytes)),
            head => self.visit_kept(head, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.rest.first() == Some(&marks::NIL) {
            self.rest = &self.rest[1..];
            return visitor.visit_none();
        }
        self.below(|reader| visitor.visit_some(reader))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::List(0) => visitor.visit_unit(),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.below(|reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit_list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.visit_list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.visit_list(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.head()? {
            Head::Text(name) => visitor.visit_enum(Variant::new(self, name, true)),
            Head::Map(1) => {
                let Head::Text(name) = self.head()? else {
                    return Err(Problem::of("it has a variant without a name"));
                };
                self.below(|reader| visitor.visit_enum(Variant::new(reader, name, false)))
            }
            _ => Err(Problem::of("it has something else in the place of a variant")),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str unit map struct identifier
        ignored_any
    }
}
