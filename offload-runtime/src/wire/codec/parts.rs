//! What values have in them, as they are read.

use serde::Deserializer;
use serde::de::value::{StrDeserializer, U8Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::problem::Problem;
use super::read::Reader;

fn end(left: usize) -> Result<(), Problem> {
    match left {
        0 => Ok(()),
        left => Err(Problem::of(format!("it has {left} elements too many"))),
    }
}

/// The elements of a list of `u8`.
pub(super) struct Numbers<I>(I);

impl<I: ExactSizeIterator<Item = u8>> Numbers<I> {
    pub(super) fn new(bytes: I) -> Numbers<I> {
        Numbers(bytes)
    }

    /// None is left.
    pub(super) fn end(&self) -> Result<(), Problem> {
        end(self.0.len())
    }
}

impl<'de, I: ExactSizeIterator<Item = u8>> SeqAccess<'de> for Numbers<I> {
    type Error = Problem;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(number) = self.0.next() else { return Ok(None) };
        let number: U8Deserializer<Problem> = number.into_deserializer();
        seed.deserialize(number).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The elements of a list, or the entries of a map.
pub(super) struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'a, 'de> Items<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, count: usize) -> Items<'a, 'de> {
        Items { reader, left: count }
    }

    /// None is left.
    pub(super) fn end(&self) -> Result<(), Problem> {
        end(self.left)
    }

    /// Each takes a byte at least.
    fn hint(&self) -> usize {
        self.left.min(self.reader.rest().len())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint())
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint())
    }
}

/// A variant of an enum, and what is in it.
pub(super) struct Variant<'a, 'de> {
    reader: &'a mut Reader<'de>,
    name: &'de str,
    /// There is nothing in it.
    is_unit: bool,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Problem;
    type Variant = Variant<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Variant<'a, 'de>), Problem> {
        let name: StrDeserializer<'de, Problem> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, name: &'de str, is_unit: bool) -> Self {
        Variant { reader, name, is_unit }
    }

    fn has_content(&self) -> Result<(), Problem> {
        let empty = || Problem::of(format!("its variant `{}` has nothing in it", self.name));
        if self.is_unit { Err(empty()) } else { Ok(()) }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        let full = || Problem::of(format!("its variant `{}` has something in it", self.name));
        if self.is_unit { Ok(()) } else { Err(full()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        self.has_content()?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.has_content()?;
        self.reader.visit_list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.has_content()?;
        self.reader.deserialize_any(visitor)
    }
}
