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
fn bytes_that_nest_without_end_are_rejected() {
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
    // A list, a map, a text, bytes and a list of `u8` of four thousand million.
    for head in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
        let bytes = [head, 0xff, 0xff, 0xff, 0xff, 1];
        Decoder::new(&bytes).next::<Vec<u64>>().unwrap_err();
        Decoder::new(&bytes).next::<String>().unwrap_err();
        Decoder::new(&bytes).next::<serde_json::Value>().unwrap_err();
        Decoder::new(&bytes).next::<serde_bytes::ByteBuf>().unwrap_err();
        Decoder::new(&bytes).next::<std::collections::HashMap<u8, u8>>().unwrap_err();
    }
}

#[test]
fn a_value_of_every_sort_comes_back() {
    type Numbers<T> = [T; 4];

    fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        assert_eq!(&there_and_back(value).unwrap(), value);
    }

    comes_back::<Numbers<u8>>(&[0, 127, 128, 255]);
    comes_back::<Numbers<u16>>(&[0, 255, 256, u16::MAX]);
    comes_back::<Numbers<u32>>(&[0, 65_535, 65_536, u32::MAX]);
    comes_back::<Numbers<u64>>(&[0, 4_294_967_295, 4_294_967_296, u64::MAX]);
    comes_back::<Numbers<u128>>(&[0, 1 << 63, 1 << 64, u128::MAX]);
    comes_back::<Numbers<i8>>(&[-32, -33, i8::MIN, i8::MAX]);
    comes_back::<Numbers<i16>>(&[-128, -129, i16::MIN, i16::MAX]);
    comes_back::<Numbers<i32>>(&[-32_768, -32_769, i32::MIN, i32::MAX]);
    comes_back::<Numbers<i64>>(&[-2_147_483_648, -2_147_483_649, i64::MIN, i64::MAX]);
    comes_back::<Numbers<i128>>(&[-1, 1 << 64, i128::MIN, i128::MAX]);
    comes_back(&(0.5_f32, -0.5_f64, f64::INFINITY, true, false, None::<u8>, 'ß'));
    comes_back(&["a".repeat(3), "ü".repeat(20), "a".repeat(300), "a".repeat(70_000)]);
    comes_back(&[3, 300, 70_000].map(|length| serde_bytes::ByteBuf::from(vec![7_u8; length])));
    comes_back(&[0, 3, 15, 16, 300, 70_000].map(|length| vec![1_u32; length]));
    let map = |length| (0..length).map(|n| (n, n)).collect::<std::collections::BTreeMap<_, _>>();
    comes_back(&[3, 300, 70_000_u32].map(map));
}

#[test]
fn numbers_and_texts_are_those_of_messagepack() {
    fn written<T: Serialize>(value: T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).unwrap();
        bytes
    }

    assert_eq!(written((127, 128, 256, -32, -33)), *b"\x95\x7f\xcc\x80\xcd\x01\0\xe0\xd0\xdf");
    assert_eq!(written(("a", None::<u8>, true)), *b"\x93\xa1a\xc0\xc3");
    assert_eq!(written(0.5_f32), *b"\xca\x3f\0\0\0");
    assert_eq!(written(vec![300_u16, 1]), *b"\x92\xcd\x01\x2c\x01");
    assert_eq!(written(Chain::Link(Box::new(Chain::End))), *b"\x81\xa4Link\xa3End");
    // A kind of its own: three bytes of the kind 1.
    assert_eq!(written(vec![200_u8, 1, 255]), *b"\xc7\x03\x01\xc8\x01\xff");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Mixed {
    Number(u8),
    Text(String),
    List(Vec<u8>),
}

#[test]
fn a_list_of_u8_is_one_byte_an_element_wherever_it_stands() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Photo {
        pixels: Vec<u8>,
        thumbnails: Vec<Option<std::collections::VecDeque<u8>>>,
    }

    for length in [0, 1, 255, 256, 65_536] {
        let pixels: Vec<u8> = (0..length).map(|n| (n % 256) as u8).collect();
        let thumbnails = vec![None, Some(pixels.clone().into()), Some([].into())];
        let photo = Photo { pixels, thumbnails };
        let mut bytes = Vec::new();
        encode(&photo, &mut bytes).unwrap();
        assert!(bytes.len() < 2 * length as usize + 50, "{} of {length}", bytes.len());
        assert_eq!(there_and_back(&photo), Ok(photo));
    }
}

#[test]
fn a_list_that_begins_with_u8_and_goes_on_with_others_is_a_list() {
    let number = || Mixed::Number(200);
    let text = || Mixed::Text("text".to_owned());
    let lists = [
        vec![],
        vec![number(), number()],
        vec![text(), number()],
        vec![number(), text(), number()],
        vec![number(), Mixed::List(vec![1, 2]), text()],
        (0..300).map(|_| number()).chain([text()]).collect(),
    ];
    for list in lists {
        let again: Result<Vec<Mixed>, _> = there_and_back(&list);
        assert_eq!(again, Ok(list));
    }
    // A list of `u8` is no text, also if nobody knows of what type it is.
    let list = || Mixed::List(b"text".to_vec());
    assert_eq!(there_and_back(&list()), Ok(list()));
}

#[test]
fn lists_and_maps_whose_length_nobody_knows() {
    struct Unsized<'a>(&'a [Mixed]);

    impl Serialize for Unsized<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().filter(|_| true))
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, u32>,
    }

    for list in [vec![], vec![Mixed::Number(1)], vec![Mixed::Number(1), Mixed::Text("a".into())]] {
        let mut bytes = Vec::new();
        encode(&Unsized(&list), &mut bytes).unwrap();
        assert_eq!(Decoder::new(&bytes).next(), Ok(list));
    }
    for length in [0, 1, 100] {
        let flat = Flat { rest: (0..length).map(|n| (n.to_string(), n)).collect() };
        assert_eq!(there_and_back(&flat), Ok(flat));
    }
}

#[test]
fn a_value_that_has_not_as_many_elements_as_it_says_cannot_be_written() {
    struct Liar;

    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut list = serializer.serialize_seq(Some(2))?;
            list.serialize_element("one")?;
            list.end()
        }
    }

    let error = encode(&Liar, &mut Vec::new()).unwrap_err();
    assert!(error.contains("2 elements, and has 1"), "{error}");
}

/// One of `u8` is gathered before it is sent, if it is long: not more of it than it says.
#[test]
fn a_long_list_that_has_not_as_many_elements_as_it_says_cannot_be_written() {
    struct Liar(usize);

    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(Says(self.0))
        }
    }

    struct Says(usize);

    impl Iterator for Says {
        type Item = u8;

        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(7)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (200_000, Some(200_000))
        }
    }

    for (has, found) in [(100, 100), (usize::MAX, 200_001)] {
        let error = encode(&Liar(has), &mut Kept::default()).unwrap_err();
        assert!(error.contains(&format!("200000 elements, and has {found}")), "{error}");
    }
}

#[test]
fn what_nothing_is_written_as_is_an_error() {
    // A byte that means nothing, extensions of other kinds, and what nests without taking a byte.
    for bytes in [&[0xc1][..], &[0xd4, 1, 2], &[0xc7, 1, 2, 3], &[0x81]] {
        Decoder::new(bytes).next::<serde_json::Value>().unwrap_err();
        Decoder::new(bytes).next::<Vec<u8>>().unwrap_err();
        Decoder::new(bytes).next::<Chain>().unwrap_err();
    }

    #[derive(Debug, Deserialize)]
    struct Endless(#[expect(dead_code, reason = "it is never there")] Option<Box<Endless>>);

    on_a_small_stack(|| {
        Decoder::new(&[7]).next::<Endless>().unwrap_err();
    });
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
