//! How lists and maps are written.
//!
//! A list is expected to be one of `u8`, and becomes another at the first element that is none:
//! what a list has in it is not known before.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::marks;
use super::number::number;
use super::primitives::{Target, list_head, text, too_long, unsigned};
use super::problem::Problem;
use super::write::Serializer;

/// A list that has nothing but `u8` so far.
pub(super) struct Numbers {
    /// Where its head stands.
    start: usize,
    announced: Option<usize>,
    /// It is none any more.
    is_over: bool,
}

impl Numbers {
    pub(super) fn new(start: usize, announced: Option<usize>) -> Numbers {
        Numbers { start, announced, is_over: false }
    }

    /// Writes what is there as a list of anything.
    pub(super) fn spell_out<W: Target>(&mut self, to: &mut W) {
        self.is_over = true;
        let Some(taken) = to.taken() else { return };
        let numbers = taken.split_off(self.start + head_length(taken[self.start]));
        taken.truncate(self.start);
        // As it was announced, or to be filled in.
        match self.announced.map(|length| list_head(taken, length)) {
            Some(Ok(())) => {}
            _ => taken.extend_from_slice(&[marks::LIST[1], 0, 0, 0, 0]),
        }
        numbers.iter().for_each(|number| unsigned(taken, (*number).into()));
    }
}

/// So many numbers are written together.
const CHUNK: usize = 1024;

/// How long the head of a list of numbers is.
fn head_length(mark: u8) -> usize {
    let wide = marks::EXTENSION.iter().position(|known| *known == mark).unwrap_or(2);
    2 + (1 << wide)
}

/// A list or a map that is being written.
pub(super) struct Compound<'a, W> {
    pub(super) to: &'a mut W,
    pub(super) left: u16,
    /// How many elements, or entries, it is to have.
    pub(super) announced: Option<usize>,
    /// How many it has.
    pub(super) count: usize,
    /// Where its head stands, if it was not announced how many there are.
    pub(super) start: usize,
    /// It has nothing but `u8` so far.
    pub(super) numbers: Option<Numbers>,
}

impl<W: Target> Compound<'_, W> {
    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        let left = self.left.checked_sub(1).ok_or_else(Problem::too_deep)?;
        let numbers = self.numbers.as_mut().filter(|numbers| !numbers.is_over);
        value.serialize(Serializer { to: self.to, left, numbers })
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.count += 1;
        self.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Problem> {
        text(self.to, name)?;
        self.element(value)
    }

    /// All elements of a list, which are `u8` as far as is known.
    pub(super) fn numbers<T: Serialize>(
        mut self,
        mut items: impl Iterator<Item = T>,
    ) -> Result<(), Problem> {
        let mut chunk = [0; CHUNK];
        loop {
            let mut filled = 0;
            for (place, item) in chunk.iter_mut().zip(&mut items) {
                *place = number(&item)?;
                filled += 1;
            }
            if filled == 0 {
                return self.finish();
            }
            self.count += filled;
            self.to.put(&chunk[..filled]);
        }
    }

    /// All elements of a list.
    pub(super) fn elements<T: Serialize>(
        mut self,
        items: impl Iterator<Item = T>,
    ) -> Result<(), Problem> {
        for item in items {
            self.element(&item)?;
        }
        self.finish()
    }

    fn finish(self) -> Result<(), Problem> {
        match self.announced {
            Some(announced) => Problem::unless_as_long(self.count, announced),
            None => {
                let count = u32::try_from(self.count).map_err(|_| too_long(self.count))?;
                if let Some(taken) = self.to.taken() {
                    taken[self.start + 1..][..4].copy_from_slice(&count.to_be_bytes());
                }
                Ok(())
            }
        }
    }
}

/// The parts of lists, and of maps whose keys are names.
macro_rules! parts {
    ($($compound:ident: $method:ident($($name:ident)?);)*) => {
        $(impl<W: Target> $compound for Compound<'_, W> {
            type Ok = ();
            type Error = Problem;

            parts!(@ $method $($name)?);

            fn end(self) -> Result<(), Problem> {
                self.finish()
            }
        })*
    };
    (@ $method:ident name) => {
        fn $method<T: Serialize + ?Sized>(
            &mut self,
            name: &'static str,
            value: &T,
        ) -> Result<(), Problem> {
            self.field(name, value)
        }
    };
    (@ $method:ident) => {
        #[inline]
        fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
            self.element(value)
        }
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(name);
    SerializeStructVariant: serialize_field(name);
}

impl<W: Target> SerializeMap for Compound<'_, W> {
    type Ok = ();
    type Error = Problem;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Problem> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }

    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}
