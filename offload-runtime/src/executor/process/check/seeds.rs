//! What the fuzzer starts from: messages as they are sent, kept in `tests/fuzz/corpus`. A file that is not as it
//! would be written today fails the test; `SNAPSHOTS=overwrite` writes all of them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use serde::Serialize;
use serde_json::json;

use super::super::messages::{CallHead, Failure, Hello, Kind, PING_FRAME, Panic};
use super::super::to_parent::message;
use super::{LIMIT, check_frames, check_values};
use crate::error::{Error, ErrorKind, Ran};
use crate::system::priority::Priority;
use crate::wire::blobs::{FORGET_FRAME, header};
use crate::wire::codec;
use crate::wire::frames::Outgoing;

/// A name, and the bytes.
type Seeds = BTreeMap<String, Vec<u8>>;

/// What checks an input, as the fuzzer calls it.
type Check = fn(&[u8]);

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

/// A message of two values, as a call and an answer are.
fn two<A: Serialize, B: Serialize>(kind: Kind, first: &A, second: &B) -> Vec<u8> {
    let mut message = Outgoing::new(kind as u8, LIMIT);
    codec::encode(first, &mut message).unwrap();
    codec::encode(second, &mut message).unwrap();
    message.finish().unwrap()
}

fn head(window: u32) -> CallHead {
    CallHead { number: 7, function: 300, level: 3, window, is_relayed: false }
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    [&header(bytes).unwrap()[..], bytes].concat()
}

/// Three values that are beside: bytes, a text and a list of `u8`.
const BESIDE: &[u8] = b"\x93\xc7\x04\x02\0\0\0\0\xc7\x04\x03\0\0\0\x01\xc7\x04\x04\0\0\0\x02";

fn panic() -> Panic {
    let place = Some("src/render.rs:10:5".to_owned());
    Panic { message: "no page".to_owned(), place, backtrace: None, ran: Ran::Yes }
}

fn error() -> Error {
    Error::new(ErrorKind::WorkerDied, Ran::Maybe, "render", "was run by a process that died")
}

/// What bodies say, as it is written.
fn records() -> Vec<u8> {
    let place = json!({ "Place": {
        "is_span": false, "name": "event", "target": "page", "level": 3, "module": null,
        "file": "src/page.rs", "line": 10, "fields": ["message", "n"],
    }});
    let values = json!([[0, { "Printed": "a page" }], [1, { "Signed": -1 }]]);
    let event = json!({ "Event": { "place": 0, "parent": 0, "values": values } });
    [encoded(&"Anew"), encoded(&place), encoded(&event)].concat()
}

/// What the parent and a worker send.
fn frames() -> Seeds {
    let hello = Hello {
        build: u64::MAX,
        parent: 70_000,
        function: 0,
        max_message: 64 << 20,
        max_memory: Some(1 << 30),
        priority: Priority::Low,
        level: 5,
    };
    let arguments = (7_u8, "a text", vec![1_u8, 200, 3], Some(-2.5), [300_u16; 4]);
    let answer = Ok::<_, Error>(json!({ "pages": ["one", "two"], "size": [1, -1] }));
    let failures = [
        Failure::Arguments("they are none".to_owned()),
        Failure::Result("it has no words".to_owned()),
        Failure::TooLarge(1 << 40),
        Failure::Item("it has no words".to_owned()),
        Failure::ItemTooLarge(70_000),
        Failure::Unstarted(error()),
    ];
    let mut event = Outgoing::new(Kind::Event as u8, LIMIT);
    codec::Target::put(&mut event, &records());
    let mut more = Outgoing::new(Kind::More as u8, LIMIT);
    codec::Target::put(&mut more, &8_u32.to_le_bytes());
    let mut beside = Outgoing::new(Kind::Item as u8, LIMIT);
    codec::Target::put(&mut beside, BESIDE);
    let beside = beside.finish().unwrap();
    let blobs = [blob(b"bytes"), blob("täxt".as_bytes()), blob(&[0, 200, 255])].concat();
    let seeds = [
        ("hello", message(Kind::Hello, &hello)),
        ("ready", [message(Kind::Here, &()), message(Kind::Ready, &())].concat()),
        ("ping", PING_FRAME.to_vec()),
        ("call", two(Kind::Call, &head(0), &arguments)),
        ("call-of-stream", two(Kind::Call, &head(8), &"document")),
        ("more", more.finish().unwrap()),
        ("done", two(Kind::Done, &7_u64, &answer)),
        ("done-error", two(Kind::Done, &7_u64, &Err::<(), _>(error()))),
        ("panicked", two(Kind::Panicked, &7_u64, &panic())),
        ("panicking", message(Kind::Panicking, &panic())),
        ("failed", failures.iter().flat_map(|it| two(Kind::Failed, &7_u64, it)).collect()),
        ("event", event.finish().unwrap()),
        ("blobs", [&blobs[..], &beside].concat()),
        ("blobs-missing", beside.clone()),
        ("blobs-forgotten", [&blobs[..], &FORGET_FRAME, &beside].concat()),
        ("blobs-cut-off", blob(&[7; 1000])[..500].to_vec()),
        ("too-large", [9, 0xff, 0xff, 0xff, 0xff].to_vec()),
    ];
    let whole = seeds.iter().filter(|(name, _)| !["blobs-cut-off", "too-large"].contains(name));
    let all: Vec<u8> = whole.flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut inputs = Seeds::new();
    for (name, bytes) in seeds {
        // All at once.
        inputs.insert(name.to_owned(), [&[0][..], &bytes].concat());
    }
    // In pieces, with pauses and interruptions.
    inputs.insert("all-in-pieces".to_owned(), [&[4, 0, 2, 1, 9][..], &all].concat());
    inputs
}

/// Arguments and results of many types.
fn values() -> Seeds {
    let numbers = (i128::MIN, u128::MAX, 0.5_f32, [i64::MIN, -33, -32, 127, 128, 70_000]);
    let text = ["", "a", "text of more than thirty-one bytes"];
    let map: BTreeMap<u32, Option<Vec<u8>>> = [(1, None), (70_000, Some(vec![7; 300]))].into();
    let nested = (0..20).fold(json!(null), |inner, _| json!([{ "a": inner }]));
    let seeds = [
        ("numbers", encoded(&numbers)),
        ("texts", encoded(&text)),
        ("map", encoded(&map)),
        ("nested", encoded(&nested)),
        ("error", encoded(&Err::<Vec<(u8, String)>, _>(error()))),
        ("list-of-tuples", encoded(&Ok::<_, Error>(vec![(7_u8, "seven"), (8, "eight")]))),
        ("head", encoded(&head(0))),
        ("panic", encoded(&panic())),
        ("records", records()),
        ("bytes", encoded(&(serde_bytes::Bytes::new(b"bytes"), b"list".to_vec()))),
    ];
    let mut inputs = Seeds::new();
    for (name, bytes) in seeds {
        inputs.insert(name.to_owned(), [&[0][..], &bytes].concat());
    }
    let beside = [b"sixteen bytes ..", &"ü".repeat(8).into_bytes()[..], &[200; 32]].concat();
    inputs.insert("beside".to_owned(), [&[3, 1, 1, 2][..], &beside, BESIDE].concat());
    // Looked at where they stand: a text and bytes, each beside and in the message.
    let lent = b"\x94\xc7\x04\x03\0\0\0\0\xa5a tex\xc7\x04\x02\0\0\0\x01\xc4\x05bytes";
    inputs.insert("lent".to_owned(), [&[2, 1, 1][..], &beside[..32], lent].concat());
    inputs
}

#[test]
fn the_corpus_of_the_fuzzer_has_what_is_sent_today_and_holds() {
    let corpora: [(&str, Seeds, Check); 2] =
        [("frames", frames(), check_frames), ("values", values(), check_values)];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    for (target, seeds, check) in corpora {
        let folder = folder.join(target);
        if env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in &seeds {
                fs::write(folder.join(format!("seed-{name}")), bytes).unwrap();
            }
        }
        // What the fuzzer has found here itself is in the same folder.
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut there = Seeds::new();
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = fs::read(&file).unwrap();
            check(&bytes);
            if let Some(name) = name.strip_prefix("seed-") {
                there.insert(name.to_owned(), bytes);
            }
        }
        assert!(there == seeds, "the corpus `{target}` is another: `SNAPSHOTS=overwrite`");
    }
}
