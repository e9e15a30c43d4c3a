//! What holds for any bytes that come in: shared by the tests and the fuzzer.

use std::fmt;
use std::io::{self, Read};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{events, messages};
use crate::wire::codec::{self, Decoder};
use crate::wire::frames::{HEADER, Incoming, ReadError};

/// No payload is longer here.
const LIMIT: usize = 3000;

/// Gives out bytes in pieces, with pauses between them.
struct Pieces<'a> {
    bytes: &'a [u8],
    /// The lengths of the pieces, over and over; 0 is a pause.
    lengths: &'a [u8],
    number: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.get(self.number % self.lengths.len().max(1)).copied();
        self.number += 1;
        // So that lengths of 0 alone do not pause for ever.
        match length.filter(|_| self.number % 7 != 0) {
            Some(0) => Err(io::ErrorKind::WouldBlock.into()),
            Some(1) => Err(io::ErrorKind::Interrupted.into()),
            length => {
                let length = length.map_or(usize::MAX, |length| usize::from(length) * 16);
                let length = length.min(room.len()).min(self.bytes.len());
                let (piece, rest) = self.bytes.split_at(length);
                room[..length].copy_from_slice(piece);
                self.bytes = rest;
                Ok(length)
            }
        }
    }
}

/// Any input as frames. The first byte says how many of the next are the lengths of the pieces in which it comes.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "the fuzzer calls it from outside"))]
pub fn check_frames(input: &[u8]) {
    if let Some((lengths, bytes)) = lengths(input, 16) {
        check(lengths, bytes);
    }
}

/// Any input as values, as if they were arguments or a result: those that are values can be written and read
/// again. The first byte says how many of the next are the lengths of what came beside, in 16 bytes each.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "the fuzzer calls it from outside"))]
pub fn check_values(input: &[u8]) {
    let Some((lengths, mut rest)) = lengths(input, 8) else { return };
    let beside = lengths.iter().map(|length| {
        let (blob, after) = rest.split_at(rest.len().min(usize::from(*length) * 16));
        rest = after;
        blob.to_vec()
    });
    let beside = beside.collect();
    values(rest, beside);
}

/// The lengths at the beginning of an input, fewer than `most`, and the rest of it.
fn lengths(input: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (count, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(*count) % most)
}

/// Reads `bytes` as frames, in pieces, and finds those that stand there, and
/// the end that is to be expected; then reads each payload as values.
fn check(lengths: &[u8], bytes: &[u8]) {
    let mut incoming = Incoming::new(LIMIT);
    let mut source = Pieces { bytes, lengths, number: 0 };
    let mut rest = bytes;
    loop {
        let expected = frame(rest);
        let found = loop {
            match incoming.read(&mut source) {
                Err(ReadError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                found => break found,
            }
        };
        match (expected, found) {
            (Expected::Frame(kind, payload, blobs, after), Ok(frame)) => {
                assert_eq!((frame.kind, frame.payload, &*frame.blobs), (kind, payload, &blobs));
                values(payload, std::mem::take(frame.blobs));
                rest = after;
            }
            (Expected::Closed, Err(ReadError::Closed))
            | (Expected::Truncated, Err(ReadError::Truncated))
            | (Expected::TooLarge, Err(ReadError::TooLarge)) => return,
            (_, found) => panic!("{found:?} is not what stands there"),
        }
    }
}

enum Expected<'a> {
    /// Its kind, its payload, its blobs, and what is behind it.
    Frame(u8, &'a [u8], Vec<Vec<u8>>, &'a [u8]),
    Closed,
    Truncated,
    TooLarge,
}

/// The same, said in another way.
fn frame(mut bytes: &[u8]) -> Expected<'_> {
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    loop {
        if bytes.is_empty() {
            return Expected::Closed;
        }
        let &[kind, a, b, c, d, ..] = bytes else { return Expected::Truncated };
        let length = [a, b, c, d].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let others: usize = blobs.iter().map(Vec::len).sum();
        let most = match kind {
            254 => LIMIT - others,
            255 => 0,
            _ => LIMIT,
        };
        if length > most {
            return Expected::TooLarge;
        }
        let Some((payload, after)) = bytes[HEADER..].split_at_checked(length) else {
            return Expected::Truncated;
        };
        match kind {
            // A blob, and that those so far belong to nothing.
            254 => blobs.push(payload.to_vec()),
            255 => blobs.clear(),
            _ => return Expected::Frame(kind, payload, blobs, after),
        }
        bytes = after;
    }
}

/// Bytes are a value or an error, and a value can be written and read again.
fn values(payload: &[u8], blobs: Vec<Vec<u8>>) {
    let _ = Decoder::with_blobs(payload, blobs.clone()).next::<serde_json::Value>();
    let _ = Decoder::with_blobs(payload, blobs.clone()).next::<(Vec<u8>, Box<[u8]>)>();
    type Mixed = Vec<Result<(String, Vec<u8>), String>>;
    let _ = Decoder::with_blobs(payload, blobs.clone()).next::<Mixed>();
    let texts = Decoder::with_blobs(payload, blobs.clone()).next::<Vec<String>>();
    let seen = Decoder::with_blobs(payload, blobs.clone()).next::<Vec<SeenText>>();
    assert_eq!(seen.ok(), texts.ok().map(|texts| texts.into_iter().map(SeenText).collect()));
    let bytes = Decoder::with_blobs(payload, blobs.clone()).next::<Vec<OwnBytes>>();
    let seen = Decoder::with_blobs(payload, blobs).next::<Vec<SeenBytes>>();
    assert_eq!(
        seen.ok(),
        bytes.ok().map(|bytes| bytes.into_iter().map(|OwnBytes(bytes)| SeenBytes(bytes)).collect())
    );
    again::<serde_json::Value>(payload);
    again::<messages::CallHead>(payload);
    again::<messages::Panic>(payload);
    again::<messages::Failure>(payload);
    again::<messages::Hello>(payload);
    again::<Result<Vec<(u8, String)>, crate::Error>>(payload);
    again::<std::collections::BTreeMap<u32, Option<Vec<u8>>>>(payload);
    again::<(i128, u128, f32, Vec<Result<u8, bool>>, Box<[u8]>)>(payload);
    events::Replay::new(events::Places::default()).replay(payload);
}

/// A copy of a text that was looked at where it stands.
#[derive(Debug, PartialEq)]
struct SeenText(String);

impl<'de> Deserialize<'de> for SeenText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SeenText, D::Error> {
        <&str>::deserialize(from).map(|text| SeenText(text.to_owned()))
    }
}

/// The same of bytes.
#[derive(Debug, PartialEq)]
struct SeenBytes(Vec<u8>);

impl<'de> Deserialize<'de> for SeenBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SeenBytes, D::Error> {
        <&[u8]>::deserialize(from).map(|bytes| SeenBytes(bytes.to_vec()))
    }
}

/// Bytes that are given, and not lent.
struct OwnBytes(Vec<u8>);

impl<'de> Deserialize<'de> for OwnBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OwnBytes, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = OwnBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OwnBytes, E> {
                Ok(OwnBytes(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<OwnBytes, E> {
                Ok(OwnBytes(bytes.to_vec()))
            }
        }

        from.deserialize_byte_buf(Bytes)
    }
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(payload: &[u8]) {
    let Ok(value) = Decoder::new(payload).next::<T>() else { return };
    let mut first = Vec::new();
    // It may be nested more deeply than may be written.
    if codec::encode(&value, &mut first).is_err() {
        return;
    }
    let value: T = Decoder::new(&first).next().expect("what was written can be read");
    let mut second = Vec::new();
    codec::encode(&value, &mut second).expect("what was read can be written");
    // As text: that a number is not one is not equal to itself.
    assert_eq!(first, second);
}

#[cfg(all(test, not(offload_loom)))]
mod seeds;

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::wire::codec::Target;
    use crate::wire::frames::Outgoing;

    fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut message = Outgoing::new(kind, LIMIT);
        message.put(payload);
        message.finish().unwrap()
    }

    fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).unwrap();
        bytes
    }

    /// The second and the first.
    const BLOBS: &[u8] = b"\x92\xc7\x04\x02\0\0\0\x01\xc7\x04\x02\0\0\0\0";

    /// Inputs that once were of interest, or look as if they could be.
    fn corpus() -> Vec<Vec<u8>> {
        let json = serde_json::json!({ "a": [1, -2, 3.5, "x", null, { "b": true }] });
        let mut corpus = vec![
            vec![],
            vec![1],
            vec![1, 0, 0, 0],
            message(1, b""),
            message(2, &encoded(&json)),
            message(3, &[0xc1; 3]),
            message(4, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
            message(5, &vec![0x91; LIMIT]),
            message(6, &vec![7; LIMIT]),
            // Lists of `u8`, one of them of a length that lies, and a kind that nothing has.
            message(5, &encoded(&BTreeMap::from([(7_u32, Some(vec![200_u8; 300]))]))),
            message(5, &[0x81, 7, 0xc9, 0xff, 0xff, 0xff, 0xff, 1]),
            message(5, &[0xc7, 2, 3, 0, 0]),
            // Blobs: two that belong to a message, one that does not come, and one that is forgotten.
            [message(254, b"one"), message(254, b"two"), message(5, BLOBS)].concat(),
            message(5, BLOBS),
            [message(254, &[7; 2000]), message(255, b""), message(5, b"\x01")].concat(),
            [message(7, &encoded(&(1_u64, 2_u32, 3_u8))), message(8, &encoded(&"two"))].concat(),
            // One byte too many, and far too many.
            [&[9][..], &(LIMIT as u32 + 1).to_le_bytes()].concat(),
            [10, 0xff, 0xff, 0xff, 0xff].to_vec(),
        ];
        corpus.push(corpus.concat());
        corpus
    }

    #[test]
    fn the_corpus_in_pieces_of_all_sorts() {
        for bytes in corpus() {
            for lengths in [&[][..], &[255], &[2], &[0, 2], &[1, 3, 0, 200], &[0]] {
                check(lengths, &bytes);
            }
        }
    }

    #[test]
    fn frames_that_went_wrong_on_the_way() {
        let mut random = SmallRng::seed_from_u64(20);
        let corpus = corpus();
        for _ in 0..20_000 {
            let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
            for _ in 0..random.random_range(0..6) {
                let at = random.random_range(0..=bytes.len());
                match random.random_range(0..4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, random.random()),
                    2 if at < bytes.len() => bytes[at] = random.random(),
                    _ => {
                        let other = &corpus[random.random_range(0..corpus.len())];
                        bytes.extend_from_slice(&other[..other.len().min(200)]);
                    }
                }
            }
            let lengths: [u8; 5] = random.random();
            check(&lengths, &bytes);
        }
    }
}
