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
            let bytes = level.repeat(100_000);
            Decoder::new(&bytes).next::<serde_json::Value>().unwrap_err();
            Decoder::new(&bytes).next::<Chain>().unwrap_err();
            Decoder::new(&bytes).next::<serde::de::IgnoredAny>().unwrap_err();
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
fn what_is_lost() {
    assert_eq!(there_and_back(&Some(None::<u8>)), Ok(None));
    assert_eq!(there_and_back(&Some(())), Ok(None));
    assert_eq!(there_and_back(&Some(serde_json::Value::Null)), Ok(None));
}
