//! What is known to be a `u8`, and so needs no look at what else it could be.

use std::any::type_name;

use serde::ser::{Impossible, Serialize, Serializer};

use super::problem::Problem;

/// Whether values of this type are `u8`. That a name says so decides about speed only: what is none
/// all the same is an error.
pub(super) fn is_u8<T>() -> bool {
    ["u8", "&u8"].contains(&type_name::<T>())
}

/// The number that a value is.
#[inline]
pub(super) fn number<T: Serialize>(value: &T) -> Result<u8, Problem> {
    value.serialize(Number)
}

/// All elements of a list that is as long as this. They are given one by one, so they are copied, once: what
/// is returned is sent from where it is.
pub(super) fn gather<T: Serialize>(
    items: impl Iterator<Item = T>,
    length: usize,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(length);
    let mut problem = None;
    // An error does not end the loop, which so can be one of many bytes at a time.
    let numbers = items.map(|item| {
        number(&item).unwrap_or_else(|other| {
            problem.get_or_insert(other);
            0
        })
    });
    bytes.extend(numbers.take(length.saturating_add(1)));
    match problem {
        Some(problem) => Err(problem),
        None => Problem::unless_as_long(bytes.len(), length).map(|()| bytes),
    }
}

struct Number;

/// What else a value could be.
macro_rules! no {
    ($($method:ident($($argument:ident: $ty:ty),*) $(of $of:ident)? -> $ok:ty;)*) => {
        $(fn $method$(<$of: Serialize + ?Sized>)?(self, $($argument: $ty),*) -> Result<$ok, Problem> {
            Err(Problem::of("it has something else among numbers"))
        })*
    };
}

type No = Impossible<u8, Problem>;

impl Serializer for Number {
    type Ok = u8;
    type Error = Problem;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8, Problem> {
        Ok(value)
    }

    no! {
        serialize_bool(_value: bool) -> u8;
        serialize_i8(_value: i8) -> u8;
        serialize_i16(_value: i16) -> u8;
        serialize_i32(_value: i32) -> u8;
        serialize_i64(_value: i64) -> u8;
        serialize_u16(_value: u16) -> u8;
        serialize_u32(_value: u32) -> u8;
        serialize_u64(_value: u64) -> u8;
        serialize_f32(_value: f32) -> u8;
        serialize_f64(_value: f64) -> u8;
        serialize_char(_value: char) -> u8;
        serialize_str(_value: &str) -> u8;
        serialize_bytes(_value: &[u8]) -> u8;
        serialize_none() -> u8;
        serialize_some(_value: &T) of T -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(_name: &'static str) -> u8;
        serialize_unit_variant(_name: &'static str, _index: u32, _variant: &'static str) -> u8;
        serialize_newtype_struct(_name: &'static str, _value: &T) of T -> u8;
        serialize_newtype_variant(
            _name: &'static str, _index: u32, _variant: &'static str, _value: &T
        ) of T -> u8;
        serialize_seq(_length: Option<usize>) -> No;
        serialize_tuple(_length: usize) -> No;
        serialize_tuple_struct(_name: &'static str, _length: usize) -> No;
        serialize_tuple_variant(
            _name: &'static str, _index: u32, _variant: &'static str, _length: usize
        ) -> No;
        serialize_map(_length: Option<usize>) -> No;
        serialize_struct(_name: &'static str, _length: usize) -> No;
        serialize_struct_variant(
            _name: &'static str, _index: u32, _variant: &'static str, _length: usize
        ) -> No;
    }
}
