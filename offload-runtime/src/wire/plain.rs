//! Which values are written by code of this crate and the standard library alone, and in no time: `()`, `bool`, `char`,
//! numbers, texts and bytes that are not long, and an `Option` of one of them, but for bytes. What else `Serialize` does
//! is the program's.

use std::any::Any;

/// Whether it is one, of so many bytes at most.
pub(super) fn is_plain<T: 'static>(value: &T, most: usize) -> bool {
    let value: &dyn Any = value;
    macro_rules! is_any_of {
        ($($number:ty)*) => { $(value.is::<$number>() || value.is::<Option<$number>>())||* };
    }
    let has_length =
        |length: fn(&dyn Any) -> Option<usize>| length(value).is_some_and(|length| length <= most);
    is_any_of!(() bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
        || has_length(|value| value.downcast_ref().map(String::len))
        || has_length(|value| value.downcast_ref().map(Vec::<u8>::len))
        || has_length(|value| {
            let text: &Option<String> = value.downcast_ref()?;
            Some(text.as_ref().map_or(0, String::len))
        })
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use serde::Serialize;

    use super::*;

    #[test]
    fn numbers_texts_and_bytes_are_plain_that_are_not_long_and_nothing_else_is() {
        #[derive(Serialize)]
        struct Own(u8);

        assert!(is_plain(&(), 0));
        assert!(is_plain(&1_u8, 0) && is_plain(&1.5_f64, 0) && is_plain(&'x', 0));
        assert!(is_plain(&Some(1_u64), 0) && is_plain(&None::<bool>, 0));
        assert!(is_plain(&"four".to_owned(), 4) && !is_plain(&"fives".to_owned(), 4));
        assert!(is_plain(&vec![0_u8; 4], 4) && !is_plain(&vec![0_u8; 5], 4));
        assert!(is_plain(&Some("four".to_owned()), 4) && !is_plain(&Some("fives".to_owned()), 4));
        assert!(
            !is_plain(&Own(1), 4) && !is_plain(&Some(Own(1)), 4) && !is_plain(&vec![Own(1)], 4)
        );
        // `serde` gives its elements one by one, so it is not written as bytes.
        assert!(!is_plain(&Some(vec![0_u8]), 4));
    }
}
