//! What survives the trip, and what is refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Sends a value there and back, as the type that it is.
macro_rules! round_trip {
    ($ty:ty: $($value:expr),+ $(,)?) => {{
        #[offload(process)]
        fn there_and_back(value: $ty) -> Result<$ty, Error> {
            Ok(value)
        }

        $({
            let value: $ty = $value;
            let back = block_on(there_and_back(value.clone())).unwrap();
            assert_eq!(back, value);
        })+
    }};
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(u32),
    Box { width: u32, height: u32 },
    Group(Vec<Shape>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Point { x: f64, y: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    A { n: u8 },
    B,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Adjacent {
    A(u8),
    B { text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u8>,
    second: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[test]
fn numbers_and_text() {
    round_trip!(u64: 0, u64::MAX);
    round_trip!(i128: i128::MIN, -1, i128::MAX);
    round_trip!(u128: u128::MAX);
    round_trip!(f64: f64::MIN_POSITIVE, f64::INFINITY, -0.0);
    round_trip!(char: 'a', '🦀');
    round_trip!(String: String::new(), "ä€🦀".repeat(1000));
    round_trip!(Cow<'static, str>: "a".into());
    round_trip!((): ());
    round_trip!((u8, Option<i8>, [u16; 3]): (1, None, [2, 3, 4]), (1, Some(-1), [0; 3]));
}

#[test]
fn not_a_number() {
    #[offload(process)]
    fn there_and_back(value: f32) -> Result<f32, Error> {
        Ok(value)
    }

    assert!(block_on(there_and_back(f32::NAN)).unwrap().is_nan());
}

#[test]
fn enums_of_all_sorts() {
    round_trip!(Shape: Shape::Dot, Shape::Circle(1), Shape::Box { width: 1, height: 2 },
        Shape::Group(vec![Shape::Dot, Shape::Group(vec![])]));
    round_trip!(Untagged: Untagged::Number(-1), Untagged::Text("a".into()), Untagged::Point { x: 0.5, y: 1.0 });
    round_trip!(Tagged: Tagged::A { n: 1 }, Tagged::B);
    round_trip!(Adjacent: Adjacent::A(1), Adjacent::B { text: "b".into() });
}

#[test]
fn structs_that_leave_out_and_take_in() {
    let rest = [("more".to_owned(), serde_json::json!({ "a": [1, 2.5, "x", null, true] }))];
    round_trip!(Skipping:
        Skipping { first: None, second: 1, rest: BTreeMap::new() },
        Skipping { first: Some(2), second: 1, rest: rest.into() });
}

#[test]
fn values_whose_type_only_the_data_know() {
    round_trip!(serde_json::Value:
        serde_json::json!(null),
        serde_json::json!({ "a": [1, -2, 3.5, "x", null, true, { "b": {} }], "ü": u64::MAX }));
}

#[test]
fn collections() {
    round_trip!(HashMap<u32, String>: [(1, "a".to_owned()), (2, "b".to_owned())].into());
    round_trip!(BTreeMap<(u8, i8), Vec<u8>>: [((1, -1), vec![1, 2])].into());
    round_trip!(BTreeMap<Shape, u8>: [(Shape::Dot, 1), (Shape::Box { width: 1, height: 2 }, 2)].into());
    round_trip!(HashSet<u8>: [1, 2, 255].into());
    round_trip!(Vec<Vec<Option<u8>>>: vec![vec![Some(1), None], vec![]]);
    round_trip!(std::collections::VecDeque<u8>: [1, 2, 3].into());
    round_trip!([u8; 32]: [7; 32]);
}

#[test]
fn types_of_the_standard_library() {
    round_trip!(Duration: Duration::from_nanos(1), Duration::MAX);
    round_trip!(SystemTime: SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    round_trip!(IpAddr: "::1".parse().unwrap(), "127.0.0.1".parse().unwrap());
    round_trip!(std::num::NonZero<u8>: std::num::NonZero::new(3).unwrap());
    round_trip!(Box<str>: "a".into());
    round_trip!(std::path::PathBuf: "/a/b".into());
    round_trip!(Result<u8, String>: Ok(1), Err("no".to_owned()));
}

#[test]
fn bytes() {
    let all: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    round_trip!(Vec<u8>: vec![], all.clone());
    round_trip!(serde_bytes::ByteBuf: serde_bytes::ByteBuf::from(all.clone()));
}

/// What comes out of another process is not what went in: users are told.
#[test]
fn what_the_codec_loses() {
    #[offload(process)]
    fn value(value: Option<serde_json::Value>) -> Result<Option<serde_json::Value>, Error> {
        Ok(value)
    }

    assert_eq!(block_on(value(Some(serde_json::Value::Null))).unwrap(), None);
}

/// A type whose two halves do not fit.
#[derive(Debug)]
struct Broken {
    sends: bool,
}

impl Serialize for Broken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.sends {
            serializer.serialize_str("text")
        } else {
            Err(serde::ser::Error::custom("it has no words"))
        }
    }
}

impl<'de> Deserialize<'de> for Broken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Broken, D::Error> {
        u64::deserialize(deserializer).map(|_| Broken { sends: true })
    }
}

static ONE: ProcessPool = ProcessPool::new("one for data").workers(1);

#[offload(process, pool = ONE)]
fn pid() -> Result<u32, Error> {
    Ok(std::process::id())
}

fn is_refused<T: Debug>(result: Result<T, Error>, ran: Ran, words: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, ran), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn what_cannot_be_sent_costs_that_call_and_no_worker() {
    #[offload(process, pool = ONE, limit = 1)]
    fn takes(value: Broken) -> Result<u8, Error> {
        let _ = value.sends;
        Ok(1)
    }

    #[offload(process, pool = ONE, limit = 1)]
    fn lends(#[to_owned] value: &Lent) -> Result<u8, Error> {
        let _ = value;
        Ok(1)
    }

    #[offload(process, pool = ONE, limit = 1)]
    fn gives(sends: bool) -> Result<Broken, Error> {
        Ok(Broken { sends })
    }

    let before = block_on(pid()).unwrap();
    is_refused(block_on(takes(Broken { sends: false })), Ran::No, "it has no words");
    is_refused(block_on(takes(Broken { sends: true })), Ran::No, "arguments");
    is_refused(block_on(lends(&Lent)), Ran::No, "not to be lent");
    is_refused(block_on(gives(false)), Ran::Yes, "it has no words");
    is_refused(block_on(gives(true)), Ran::Yes, "result");
    // The permits came back, and the worker is the same.
    assert_eq!(block_on(pid()).unwrap(), before);
}

#[derive(Clone, Debug, Deserialize)]
struct Lent;

impl Serialize for Lent {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not to be lent"))
    }
}

#[test]
fn what_is_too_large_is_refused_with_its_size() {
    static SMALL: ProcessPool = ProcessPool::new("small").workers(1).max_message(100_000);

    #[offload(process, pool = SMALL)]
    fn takes(text: String) -> Result<usize, Error> {
        Ok(text.len())
    }

    #[offload(process, pool = SMALL)]
    fn gives(bytes: usize) -> Result<String, Error> {
        Ok("x".repeat(bytes))
    }

    assert_eq!(block_on(takes("x".repeat(99_000))).unwrap(), 99_000);
    assert_eq!(block_on(gives(99_000)).unwrap().len(), 99_000);
    let error = block_on(takes("x".repeat(200_000))).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No));
    assert!(error.to_string().contains("arguments of 200"), "{error}");
    assert!(error.to_string().contains("100000"), "{error}");
    let error = block_on(gives(300_000)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes));
    assert!(error.to_string().contains("result of 300"), "{error}");
    assert_eq!(block_on(takes("still there".into())).unwrap(), 11);
}

/// Bytes that are longer than what goes along with a message.
fn long(byte: u8) -> serde_bytes::ByteBuf {
    serde_bytes::ByteBuf::from(vec![byte; 300_000])
}

#[test]
fn long_bytes_there_and_back_whatever_they_are_in() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Part {
        Number(i32),
        Bytes(serde_bytes::ByteBuf),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Photo {
        name: String,
        pixels: Vec<u8>,
        parts: Vec<Written>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        List(Vec<u8>),
    }

    let text = || "ü".repeat(150_000);
    round_trip!(String: text());
    round_trip!(Vec<Written>: vec![Written::List(long(1).into_vec()), Written::Text(text())]);
    round_trip!(Photo: Photo {
        name: text(),
        pixels: long(2).into_vec(),
        parts: vec![Written::Text(text()), Written::List(long(7).into_vec())],
    });
    round_trip!(BTreeMap<String, serde_json::Value>: [(text(), text().into())].into());
    round_trip!(Vec<u8>: long(1).into_vec());
    round_trip!(Vec<Part>: vec![Part::Bytes(long(1)), Part::Number(2), Part::Bytes(long(3))]);
    round_trip!(BTreeMap<u8, (Vec<u8>, serde_bytes::ByteBuf)>: [(1, (long(2).into_vec(), long(3)))].into());

    #[offload(process, pool = ONE)]
    fn swaps(
        first: Vec<u8>,
        number: u8,
        second: serde_bytes::ByteBuf,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        assert_eq!(number, 7);
        Ok((second.into_vec(), first))
    }

    #[offload(process, pool = ONE)]
    fn lent(
        #[to_owned] text: &str,
        number: u8,
        #[to_owned] list: &[u8],
    ) -> Result<(String, Vec<u8>), Error> {
        assert_eq!(number, 7);
        Ok((text.to_owned(), list.to_owned()))
    }

    let list = long(2).into_vec();
    assert_eq!(block_on(lent(&text(), 7, &list)).unwrap(), (text(), list));

    let swapped = block_on(swaps(long(1).into_vec(), 7, long(2))).unwrap();
    assert_eq!(swapped, (long(2).into_vec(), long(1).into_vec()));
}

/// A text that is only looked at where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
struct Looked(String);

impl<'de> Deserialize<'de> for Looked {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Looked, D::Error> {
        <&str>::deserialize(deserializer).map(|text| Looked(text.to_owned()))
    }
}

/// Bytes that are only looked at where they stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
struct LookedBytes(serde_bytes::ByteBuf);

impl<'de> Deserialize<'de> for LookedBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<LookedBytes, D::Error> {
        let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
        Ok(LookedBytes(bytes.to_vec().into()))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    text: Looked,
    bytes: LookedBytes,
    taken: String,
    #[serde(with = "serde_bytes")]
    buffer: Vec<u8>,
    list: Box<[u8]>,
}

/// An inner one, in whatever serde reads before it knows the type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    number: u8,
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOf {
    Number(u8),
    Text(Looked),
    Bytes(LookedBytes),
    Inner(Inner),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Inside {
    Inner(Inner),
    Flat(Flat),
    Text { text: Looked },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "a tag", content = "a content")]
enum Beside {
    Inner(Inner),
    Text(Looked),
    Bytes { bytes: LookedBytes },
}

/// Its content comes ahead of its tag, and is kept until that is known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Beside")]
struct Ahead(Beside);

impl From<Beside> for Ahead {
    fn from(beside: Beside) -> Ahead {
        Ahead(beside)
    }
}

impl Serialize for Ahead {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(2))?;
        match &self.0 {
            Beside::Inner(inner) => {
                map.serialize_entry("a content", inner)?;
                map.serialize_entry("a tag", "Inner")?;
            }
            Beside::Text(text) => {
                map.serialize_entry("a content", text)?;
                map.serialize_entry("a tag", "Text")?;
            }
            Beside::Bytes { bytes } => {
                map.serialize_entry("a content", &BTreeMap::from([("bytes", bytes)]))?;
                map.serialize_entry("a tag", "Bytes")?;
            }
        }
        map.end()
    }
}

/// What is lent or owned, as it is written and as it is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Cows<'a> {
    text: Cow<'a, str>,
    #[serde(with = "serde_bytes")]
    bytes: Cow<'a, [u8]>,
}

impl<'de> Deserialize<'de> for Cows<'static> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read<'a> {
            #[serde(borrow)]
            text: Cow<'a, str>,
            #[serde(borrow, with = "serde_bytes")]
            bytes: Cow<'a, [u8]>,
        }

        let Read { text, bytes } = Read::deserialize(deserializer)?;
        assert!(matches!((&text, &bytes), (Cow::Borrowed(_), Cow::Borrowed(_))), "{text:.9}");
        Ok(Cows { text: text.into_owned().into(), bytes: bytes.into_owned().into() })
    }
}

/// From 128 KiB they go beside their message, of which no type is to notice anything.
#[test]
fn what_a_type_reads_does_not_depend_on_its_length() {
    for length in [127 << 10, 129 << 10] {
        let text = || "x".repeat(length);
        let bytes = || serde_bytes::ByteBuf::from(vec![0xff; length]);
        let inner = || Inner {
            text: Looked(text()),
            bytes: LookedBytes(bytes()),
            taken: text(),
            buffer: bytes().into_vec(),
            list: bytes().into_vec().into(),
        };
        let flat = || Flat { number: 1, inner: inner() };
        round_trip!(Looked: Looked(text()));
        round_trip!(LookedBytes: LookedBytes(bytes()));
        round_trip!(Flat: flat());
        round_trip!(OneOf:
            OneOf::Text(Looked(text())), OneOf::Bytes(LookedBytes(bytes())), OneOf::Inner(inner()));
        round_trip!(Inside:
            Inside::Inner(inner()), Inside::Flat(flat()), Inside::Text { text: Looked(text()) });
        round_trip!(Beside:
            Beside::Inner(inner()), Beside::Text(Looked(text())),
            Beside::Bytes { bytes: LookedBytes(bytes()) });
        round_trip!(Ahead:
            Ahead(Beside::Inner(inner())), Ahead(Beside::Text(Looked(text()))),
            Ahead(Beside::Bytes { bytes: LookedBytes(bytes()) }));
        round_trip!(Cows<'static>: Cows { text: text().into(), bytes: bytes().into_vec().into() });
        round_trip!(BTreeMap<Looked, LookedBytes>: [(Looked(text()), LookedBytes(bytes()))].into());
        round_trip!(BTreeMap<LookedBytes, Looked>: [(LookedBytes(bytes()), Looked(text()))].into());
        round_trip!(Option<Box<Looked>>: Some(Box::new(Looked(text()))));
        round_trip!(Option<Box<LookedBytes>>: Some(Box::new(LookedBytes(bytes()))));
        round_trip!(Box<[u8]>: bytes().into_vec().into());
        // As which `serde` reads those in an `Arc`, too.
        round_trip!(Box<str>: text().into());
    }
    let text = || Looked("x".repeat(16 << 20));
    round_trip!(OneOf: OneOf::Text(text()));
}

#[test]
fn long_bytes_whose_message_does_not_come_are_forgotten() {
    static HALF: ProcessPool = ProcessPool::new("half").workers(1).max_message(500_000);

    #[offload(process, pool = HALF)]
    fn takes(
        first: serde_bytes::ByteBuf,
        second: serde_bytes::ByteBuf,
    ) -> Result<(u32, usize), Error> {
        Ok((std::process::id(), first.len() + second.len()))
    }

    #[offload(process, pool = HALF)]
    fn takes_lent(bytes: serde_bytes::ByteBuf, lent: Lent) -> Result<(), Error> {
        drop((bytes, lent));
        Ok(())
    }

    #[offload(process, pool = HALF)]
    fn gives(both: bool) -> Result<(serde_bytes::ByteBuf, Option<serde_bytes::ByteBuf>), Error> {
        Ok((long(1), both.then(|| long(2))))
    }

    #[offload(process, pool = HALF)]
    fn gives_lent() -> Result<(serde_bytes::ByteBuf, Lent), Error> {
        Ok((long(1), Lent))
    }

    let short = || serde_bytes::ByteBuf::from(vec![5]);
    let before = block_on(takes(long(1), short())).unwrap();
    assert_eq!(before.1, 300_001);
    for _ in 0..3 {
        // The first goes, the second is too much.
        let error = block_on(takes(long(1), long(2))).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No));
        assert!(error.to_string().contains("arguments of 600"), "{error}");
        let error = block_on(takes_lent(long(1), Lent)).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No));
        let error = block_on(gives(true)).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes));
        assert!(error.to_string().contains("result of 600"), "{error}");
        let error = block_on(gives_lent()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes));
        assert_eq!(block_on(gives(false)).unwrap(), (long(1), None));
    }
    // It is the same worker, and has nothing of all that.
    assert_eq!(block_on(takes(long(1), short())).unwrap(), before);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
    }

    fn chain(links: u32) -> Chain {
        (0..links).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)))
    }

    #[offload(process, pool = ONE)]
    fn takes(chain: Chain) -> Result<u32, Error> {
        let (mut links, mut chain) = (0, &chain);
        while let Chain::Link(next) = chain {
            links += 1;
            chain = next;
        }
        Ok(links)
    }

    #[offload(process, pool = ONE)]
    fn gives(links: u32) -> Result<Chain, Error> {
        Ok(chain(links))
    }

    let before = block_on(pid()).unwrap();
    assert_eq!(block_on(takes(chain(50))).unwrap(), 50);
    is_refused(block_on(takes(chain(1000))), Ran::No, "arguments");
    is_refused(block_on(gives(1000)), Ran::Yes, "result");
    assert_eq!(block_on(pid()).unwrap(), before);
}

#[test]
fn many_megabytes_there_and_back() {
    #[offload(process)]
    fn there_and_back(text: String) -> Result<String, Error> {
        Ok(text)
    }

    let text = "0123456789abcdef".repeat(1 << 20);
    assert!(block_on(there_and_back(text.clone())).unwrap() == text);
}

fn is_serde<T: Serialize + DeserializeOwned>() {}

#[test]
fn an_error_of_ours_is_one_of_theirs() {
    #[offload(process)]
    fn fails() -> Result<(), Error> {
        std::process::exit(9)
    }

    is_serde::<Error>();
    let error = block_on(fails()).unwrap_err();
    let text = serde_json::to_string(&error).unwrap();
    let back: Error = serde_json::from_str(&text).unwrap();
    assert_eq!((back.kind(), back.exit_code(), back.pid()), (error.kind(), Some(9), error.pid()));
    assert_eq!(back.to_string(), error.to_string());
}

/// Panics when it is written, or when it is read.
#[derive(Debug)]
struct Treacherous(bool);

impl Serialize for Treacherous {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "it does not want to be written");
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Treacherous {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Treacherous, D::Error> {
        panic!("it does not want to be read")
    }
}

/// Foreign code runs on the way there and back. Once such a panic took the worker
/// with it, and nobody noticed: the pool was one smaller for good.
#[test]
fn a_panic_on_the_way_costs_its_call_only() {
    static POOL: ProcessPool = ProcessPool::new("treacherous").workers(1);

    #[offload(process, pool = POOL, limit = 1)]
    fn takes(value: Treacherous) -> Result<u8, Error> {
        Ok(u8::from(value.0))
    }

    #[offload(process, pool = POOL, limit = 1)]
    fn gives() -> Result<Treacherous, Error> {
        Ok(Treacherous(false))
    }

    #[offload(process, pool = POOL)]
    fn one() -> Result<u8, Error> {
        Ok(1)
    }

    let panics = |result: std::thread::Result<()>, words: &str| {
        let payload = result.unwrap_err();
        let text = payload.downcast_ref::<&str>().unwrap();
        assert!(text.contains(words), "{text}");
    };
    for _ in 0..3 {
        // In this process: as with a body on a thread.
        let call = std::panic::catch_unwind(|| drop(block_on(takes(Treacherous(true)))));
        panics(call, "to be written");
        let call = std::panic::catch_unwind(|| drop(block_on(gives())));
        panics(call, "to be read");
        // In the worker: it is the body's.
        let error = block_on(takes(Treacherous(false))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        assert_eq!(block_on(one()).unwrap(), 1);
    }
}

#[test]
fn what_is_told_beside_a_result_is_cut() {
    static TINY: ProcessPool = ProcessPool::new("tiny").workers(1).max_message(20);

    #[offload(process, pool = TINY)]
    fn says_much(way: u8) -> Result<u32, Error> {
        let text = "é".repeat(2 << 20);
        match way {
            0 => panic!("{text}"),
            1 => tracing::info!("{text}"),
            _ => {}
        }
        Ok(std::process::id())
    }

    let pid = block_on(says_much(2)).unwrap();
    let error = block_on(says_much(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("ééé"), "it is cut, not dropped");
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        assert_eq!(block_on(says_much(1)).unwrap(), pid);
    });
    assert_eq!(block_on(says_much(2)).unwrap(), pid);
}
