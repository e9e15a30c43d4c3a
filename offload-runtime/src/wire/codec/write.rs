//! How values are written.

use serde::ser::Serialize;

use super::compound::{Compound, Numbers};
use super::marks;
use super::number::{gather, is_u8};
use super::primitives::{
    Run, Target, counted, is_beside, list_head, marked, run, signed, sized, text, unsigned,
};
use super::problem::Problem;

/// Writes one value.
pub(super) struct Serializer<'a, W> {
    pub(super) to: &'a mut W,
    /// So many levels may be below this value.
    pub(super) left: u16,
    /// The list that it is in, if that had nothing but `u8` so far.
    pub(super) numbers: Option<&'a mut Numbers>,
}

impl<'a, W: Target> Serializer<'a, W> {
    pub(super) fn new(to: &'a mut W, left: u16) -> Serializer<'a, W> {
        Serializer { to, left, numbers: None }
    }

    /// The output for a value that is no `u8`: a list that was taken to be one of `u8` is written anew first,
    /// as any other list.
    fn target(&mut self) -> &mut W {
        if let Some(numbers) = self.numbers.take() {
            numbers.spell_out(self.to);
        }
        self.to
    }

    /// A value one level below.
    fn below<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Problem> {
        let left = self.left.checked_sub(1).ok_or_else(Problem::too_deep)?;
        value.serialize(Serializer::new(self.target(), left))
    }

    fn compound(mut self, announced: Option<usize>, start: usize) -> Compound<'a, W> {
        self.target();
        Compound { to: self.to, left: self.left, announced, count: 0, start, numbers: None }
    }

    fn list(mut self, length: usize) -> Result<Compound<'a, W>, Problem> {
        list_head(self.target(), length)?;
        Ok(self.compound(Some(length), 0))
    }

    fn map(mut self, length: usize) -> Result<Compound<'a, W>, Problem> {
        counted(self.target(), marks::SHORT_MAP, marks::MAP, length)?;
        Ok(self.compound(Some(length), 0))
    }

    /// A map of one, whose key is the name of a variant.
    fn variant(&mut self, name: &str) -> Result<(), Problem> {
        counted(self.target(), marks::SHORT_MAP, marks::MAP, 1)?;
        text(self.to, name)
    }
}

impl<'a, W: Target> serde::Serializer for Serializer<'a, W> {
    type Ok = ();
    type Error = Problem;
    type SerializeSeq = Compound<'a, W>;
    type SerializeTuple = Compound<'a, W>;
    type SerializeTupleStruct = Compound<'a, W>;
    type SerializeTupleVariant = Compound<'a, W>;
    type SerializeMap = Compound<'a, W>;
    type SerializeStruct = Compound<'a, W>;
    type SerializeStructVariant = Compound<'a, W>;

    fn serialize_bool(mut self, value: bool) -> Result<(), Problem> {
        self.target().put(&[if value { marks::TRUE } else { marks::FALSE }]);
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Problem> {
        match self.numbers {
            Some(_) => self.to.put(&[value]),
            None => unsigned(self.to, value.into()),
        }
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Problem> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Problem> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(mut self, value: u64) -> Result<(), Problem> {
        unsigned(self.target(), value);
        Ok(())
    }

    fn serialize_u128(mut self, value: u128) -> Result<(), Problem> {
        match u64::try_from(value) {
            Ok(value) => unsigned(self.target(), value),
            Err(_) => self.serialize_bytes(&value.to_be_bytes())?,
        }
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Problem> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Problem> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Problem> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(mut self, value: i64) -> Result<(), Problem> {
        signed(self.target(), value);
        Ok(())
    }

    fn serialize_i128(mut self, value: i128) -> Result<(), Problem> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => signed(self.target(), value),
            (_, Ok(value)) => unsigned(self.target(), value),
            _ => self.serialize_bytes(&value.to_be_bytes())?,
        }
        Ok(())
    }

    fn serialize_f32(mut self, value: f32) -> Result<(), Problem> {
        marked(self.target(), marks::F32, value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(mut self, value: f64) -> Result<(), Problem> {
        marked(self.target(), marks::F64, value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Problem> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(mut self, value: &str) -> Result<(), Problem> {
        run(self.target(), Run::Text, value.as_bytes().into())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), Problem> {
        run(self.target(), Run::Bytes, value.into())
    }

    fn serialize_none(self) -> Result<(), Problem> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Problem> {
        self.below(value)
    }

    fn serialize_unit(mut self) -> Result<(), Problem> {
        self.target().put(&[marks::NIL]);
        Ok(())
    }

    fn serialize_unit_struct(mut self, _: &'static str) -> Result<(), Problem> {
        // An empty list, so that a `Some` of it is not `None`.
        list_head(self.target(), 0)
    }

    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Problem> {
        text(self.target(), variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        self.below(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        self.variant(variant)?;
        self.below(value)
    }

    fn serialize_seq(mut self, length: Option<usize>) -> Result<Compound<'a, W>, Problem> {
        if length == Some(0) {
            return self.list(0);
        }
        let start = self.target().taken().map_or(0, |taken| taken.len());
        match length {
            Some(length) => sized(self.to, marks::EXTENSION, length)?,
            None => self.to.put(&[marks::EXTENSION[2], 0, 0, 0, 0]),
        }
        self.to.put(&[marks::NUMBERS]);
        let numbers = Some(Numbers::new(start, length));
        Ok(Compound { numbers, ..self.compound(length, start) })
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'a, W>, Problem> {
        self.list(length)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Compound<'a, W>, Problem> {
        self.list(length)
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, W>, Problem> {
        self.variant(variant)?;
        self.list(length)
    }

    fn serialize_map(mut self, length: Option<usize>) -> Result<Compound<'a, W>, Problem> {
        if let Some(length) = length {
            return self.map(length);
        }
        let start = self.target().taken().map_or(0, |taken| taken.len());
        self.to.put(&[marks::MAP[1], 0, 0, 0, 0]);
        Ok(self.compound(None, start))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Compound<'a, W>, Problem> {
        self.map(length)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, W>, Problem> {
        self.variant(variant)?;
        self.map(length)
    }

    fn collect_seq<I: IntoIterator<Item: Serialize>>(mut self, items: I) -> Result<(), Problem> {
        let items = items.into_iter();
        let (least, most) = items.size_hint();
        let announced = most.filter(|most| *most == least);
        if !is_u8::<I::Item>() {
            return self.serialize_seq(announced)?.elements(items);
        }
        match announced {
            Some(length) if is_beside(self.target(), length) => {
                run(self.to, Run::Numbers, gather(items, length)?.into())
            }
            _ => self.serialize_seq(announced)?.numbers(items),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
