use std::thread;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
    Fields { next: Box<Chain>, after: Option<Vec<Chain>> },
}

fn links(count: u16) -> Chain {
    (0..count).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)))
}

fn fields(count: u16) -> Chain {
    (0..count).fold(Chain::End, |chain, _| Chain::Fields { next: Box::new(chain), after: None })
}

fn lists(count: u16) -> Chain {
    (0..count).fold(Chain::End, |chain, _| Chain::Fields {
        next: Box::new(Chain::End),
        after: Some(vec![chain]),
    })
}

fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, String> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes)?;
    let mut decoder = Decoder::new(&bytes);
    let value = decoder.next()?;
    decoder.end()?;
    Ok(value)
}

/// As a pool's thread has it.
fn on_a_small_stack(test: fn()) {
    thread::Builder::new().stack_size(2 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn what_may_be_written_can_be_read_and_what_is_deeper_cannot_be_written() {
    on_a_small_stack(|| {
        for (chain, levels) in [(links as fn(u16) -> Chain, 1), (fields, 1), (lists, 3)] {
            let most = DEPTH / levels;
            assert_eq!(there_and_back(&chain(most)).unwrap(), chain(most));
            let error = there_and_back(&chain(most + 1)).unwrap_err();
            assert!(error.contains("nested too deeply"), "{error}");
            there_and_back(&chain(2000)).unwrap_err();
        }
    });
}

#[test]
fn bytes_that_nest_without_end_are_refused() {
    on_a_small_stack(|| {
        // Lists, maps, and the links of a chain.
        for level in [&[0x91][..], &[0x81, 0xa1, b'a'], &[0x81, 0xa4, b'L', b'i', b'n', b'k']] {
            // As deep as may be, and far deeper.
            for levels in [READ_DEPTH, 100_000] {
                let bytes = [&level.repeat(levels)[..], b"\xa3End"].concat();
                let value = Decoder::new(&bytes).next::<serde_json::Value>();
                let ignored = Decoder::new(&bytes).next::<serde::de::IgnoredAny>();
                assert_eq!((value.is_ok(), ignored.is_ok()), (levels == READ_DEPTH, value.is_ok()));
                let chain = Decoder::new(&bytes).next::<Chain>();
                assert_eq!(chain.is_ok(), levels == READ_DEPTH && level.ends_with(b"Link"));
            }
        }
    });
}

#[test]
fn values_follow_each_other_and_nothing_follows_them() {
    let mut bytes = Vec::new();
    encode(&1_u8, &mut bytes).unwrap();
    encode("two", &mut bytes).unwrap();
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next(), Ok(1_u8));
    decoder.end().unwrap_err();
    assert_eq!(decoder.next(), Ok("two".to_owned()));
    decoder.end().unwrap();
    decoder.next::<u8>().unwrap_err();
}

#[test]
fn every_cut_is_an_error() {
    let value = (1_u32, "text".to_owned(), vec![(2_u8, Some(3.5_f64))], fields(3));
    let mut bytes = Vec::new();
    encode(&value, &mut bytes).unwrap();
    for length in 0..bytes.len() {
        let mut decoder = Decoder::new(&bytes[..length]);
        decoder.next::<(u32, String, Vec<(u8, Option<f64>)>, Chain)>().unwrap_err();
    }
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // A list, a map, a text and bytes of four thousand million.
    for head in [0xdd, 0xdf, 0xdb, 0xc6] {
        let bytes = [head, 0xff, 0xff, 0xff, 0xff];
        Decoder::new(&bytes).next::<Vec<u64>>().unwrap_err();
        Decoder::new(&bytes).next::<String>().unwrap_err();
        Decoder::new(&bytes).next::<serde_json::Value>().unwrap_err();
        Decoder::new(&bytes).next::<serde_bytes::ByteBuf>().unwrap_err();
        Decoder::new(&bytes).next::<std::collections::HashMap<u8, u8>>().unwrap_err();
    }
}

#[test]
fn a_value_of_every_sort_is_measured() {
    let values = (
        (0_u8, 200_u8, u16::MAX, u32::MAX, u64::MAX, u128::MAX),
        (-1_i8, i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN),
        (0.5_f32, 0.5_f64, true, false, None::<u8>, 'x'),
        ["a".repeat(3), "a".repeat(40), "a".repeat(300), "a".repeat(70_000)],
        [3, 300, 70_000].map(|length| serde_bytes::ByteBuf::from(vec![7_u8; length])),
        [3, 300, 70_000].map(|length| vec![1_u8; length]),
        [3, 300, 70_000].map(|length| (0..length).map(|n| (n, n)).collect()),
    );
    let values: (_, _, _, _, _, _, [std::collections::BTreeMap<u32, u32>; 3]) = values;
    let mut bytes = Vec::new();
    encode(&values, &mut bytes).unwrap();
    // An extension, which nothing here is written as.
    for extension in [&[0xd4, 1, 2][..], &[0xd8, 1], &[0xc7, 2, 1, 2, 3], &[0xc8, 0, 1, 2, 3]] {
        let length = if extension[0] == 0xd8 { 18 } else { extension.len() };
        let whole = [extension, &[0; 20]].concat();
        assert_eq!(nesting::measure(&whole, 0), Ok(length));
        nesting::measure(&whole[..length - 1], 0).unwrap_err();
    }
    let length = bytes.len();
    bytes.extend(b"more");
    assert_eq!(nesting::measure(&bytes, 3), Ok(length));
    nesting::measure(&bytes, 2).unwrap_err();
    nesting::measure(&bytes[..length - 1], 3).unwrap_err();
    nesting::measure(&[0xc1], 2).unwrap_err();
}

#[test]
fn what_is_lost() {
    assert_eq!(there_and_back(&Some(None::<u8>)), Ok(None));
    assert_eq!(there_and_back(&Some(())), Ok(None));
    assert_eq!(there_and_back(&Some(serde_json::Value::Null)), Ok(None));
}

#[test]
fn bytes_that_are_a_whole_argument_are_bytes() {
    use super::top::{Lent, Top};

    let mut written = Vec::new();
    encode(&Lent(&vec![200_u8; 1000]), &mut written).unwrap();
    assert_eq!(written.len(), 1003);
    let Top(bytes): Top<Vec<u8>> = Decoder::new(&written).next().unwrap();
    assert_eq!(bytes, [200; 1000]);
    // Other types are what they always are.
    let mut written = Vec::new();
    encode(&Lent(&Some(vec![200_u8; 1000])), &mut written).unwrap();
    let plain = there_and_back(&Some(vec![200_u8; 1000])).unwrap();
    let Top(bytes): Top<Option<Vec<u8>>> = Decoder::new(&written).next().unwrap();
    assert_eq!(bytes, plain);
}
