//! Blobs: bytes that are so long that they go beside the message that they belong to, as frames of
//! their own ahead of it. They are sent from where they are and read to where they stay: here, neither
//! side copies them.

use std::io::{self, Read};

use super::frames::{AHEAD, HEADER, ROOM, ReadError};

/// The kind of a frame that is a blob of the next message.
pub(crate) const BLOB: u8 = 254;

/// The kind of a frame that says that the message will not come, to which the blobs since the last
/// one belong.
const FORGET: u8 = 255;

/// That frame.
pub(crate) const FORGET_FRAME: [u8; HEADER] = [FORGET, 0, 0, 0, 0];

/// A message has no more of them: each takes some memory, also if it is empty.
pub(super) const MOST: usize = 1 << 16;

/// Sends a blob ahead of its message. False: it cannot be sent, and the message has to have
/// the bytes in it.
pub(crate) type SendBlob = fn(&[u8]) -> bool;

/// What stands before a blob. `None`: it is too long for a frame.
pub(crate) fn header(blob: &[u8]) -> Option<[u8; HEADER]> {
    let [a, b, c, d] = u32::try_from(blob.len()).ok()?.to_le_bytes();
    Some([BLOB, a, b, c, d])
}

/// Those of the next message, as they come.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    pub(super) whole: Vec<Vec<u8>>,
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    /// So many have not come.
    left: usize,
}

impl Blobs {
    /// A frame is about blobs: how many of the `bytes` at its beginning belong to it; 0: it is about
    /// something else. All together may be as long as `limit`.
    pub(super) fn take(&mut self, bytes: &[u8], limit: usize) -> Result<usize, ReadError> {
        let [kind @ (BLOB | FORGET), a, b, c, d, rest @ ..] = bytes else { return Ok(0) };
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if *kind == FORGET {
            self.whole.clear();
            return if length == 0 { Ok(HEADER) } else { Err(ReadError::TooLarge) };
        }
        let all = self.whole.iter().fold(length, |all, blob| all.saturating_add(blob.len()));
        if all > limit || self.whole.len() == MOST {
            return Err(ReadError::TooLarge);
        }
        let here = &rest[..length.min(rest.len())];
        self.partial = Some(Partial { bytes: here.to_vec(), left: length - here.len() });
        Ok(HEADER + here.len())
    }

    /// Reads what is left of the one that has come in part, if one has.
    pub(super) fn receive(&mut self, source: &mut impl Read) -> Result<(), ReadError> {
        let Some(Partial { bytes, left }) = &mut self.partial else { return Ok(()) };
        while *left > 0 {
            // Who announces much has to send some of it first.
            let room = (*left).min(bytes.len().saturating_mul(AHEAD).max(ROOM));
            bytes.reserve_exact(room);
            let before = bytes.len();
            let result = source.by_ref().take(room as u64).read_to_end(bytes);
            let received = bytes.len() - before;
            *left -= received;
            match result {
                _ if received > 0 => {}
                Ok(_) => return Err(ReadError::Truncated),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Io(error)),
            }
        }
        self.whole.extend(self.partial.take().map(|partial| partial.bytes));
        Ok(())
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::cell::RefCell;
    use std::marker::PhantomData;

    use serde::{Deserialize, Deserializer, Serialize};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::wire::arguments::{Encoded, Outbound};
    use crate::wire::codec::{self, Decoder};
    use crate::wire::frames::{Incoming, Outgoing};

    const LIMIT: usize = 1 << 30;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Album {
        name: String,
        pictures: Vec<Picture>,
        cover: Option<ByteBuf>,
        diary: Vec<(u8, String)>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Picture {
        Missing,
        Scan {
            #[serde(with = "serde_bytes")]
            bytes: Vec<u8>,
            width: u32,
        },
    }

    fn scan(byte: u8, length: usize) -> Picture {
        Picture::Scan { bytes: vec![byte; length], width: 7 }
    }

    fn album() -> Album {
        let pictures = vec![scan(1, 1 << 20), Picture::Missing, scan(2, 100), scan(3, 300_000)];
        let cover = Some(ByteBuf::from(vec![4; 200_000]));
        let diary = vec![(1, "ü".repeat(100_000)), (2, "rain".to_owned())];
        Album { name: "summer".into(), pictures, cover, diary }
    }

    /// Where its long bytes are.
    fn places(album: &Album) -> Places {
        let scans = album.pictures.iter().filter_map(|picture| match picture {
            Picture::Scan { bytes, .. } => Some(&**bytes),
            Picture::Missing => None,
        });
        let texts = album.diary.iter().map(|(_, text)| text.as_bytes());
        let all = scans.chain(album.cover.as_deref().map(|bytes| &**bytes)).chain(texts);
        let long = all.filter(|bytes| bytes.len() > 100_000);
        long.map(|bytes| (bytes.as_ptr(), bytes.len())).collect()
    }

    /// Where bytes are, and how many.
    type Places = Vec<(*const u8, usize)>;

    thread_local! {
        static SENT: RefCell<Places> = const { RefCell::new(Vec::new()) };
        static STREAM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes where the bytes are, and writes them as they are sent.
    fn send(blob: &[u8]) -> bool {
        SENT.with_borrow_mut(|places| places.push((blob.as_ptr(), blob.len())));
        STREAM.with_borrow_mut(|stream| stream.extend([&header(blob).unwrap(), blob].concat()));
        true
    }

    #[test]
    fn long_bytes_inside_of_a_value_are_sent_from_where_they_are_and_stay_where_they_are_read_to() {
        let album = album();
        let mut message = Outgoing::new(1, LIMIT).with_blobs(send);
        codec::encode(&album, &mut message).unwrap();
        let frame = message.finish().unwrap();
        let mut stream = STREAM.take();
        assert_eq!(SENT.take(), places(&album));
        // All else is in the message: names, a short scan, and where the long ones belong.
        assert!((100..300).contains(&frame.len()), "{} bytes", frame.len());

        stream.extend(&frame);
        let mut incoming = Incoming::new(LIMIT);
        let frame = incoming.read(&mut &stream[..]).unwrap();
        let blobs = std::mem::take(frame.blobs);
        let came: Places = blobs.iter().map(|blob| (blob.as_ptr(), blob.len())).collect();
        let mut decoder = Decoder::with_blobs(frame.payload, blobs);
        let read: Album = decoder.next().unwrap();
        assert_eq!(places(&read), came);
        assert_eq!(read, album);
    }

    /// How much a type sees that looks at a text, or at bytes, where they stand.
    #[derive(Debug, PartialEq)]
    struct Seen<T: ?Sized>(usize, PhantomData<T>);

    impl<'de> Deserialize<'de> for Seen<str> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Seen<str>, D::Error> {
            <&str>::deserialize(from).map(|text| Seen(text.len(), PhantomData))
        }
    }

    impl<'de> Deserialize<'de> for Seen<[u8]> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Seen<[u8]>, D::Error> {
            <&[u8]>::deserialize(from).map(|bytes| Seen(bytes.len(), PhantomData))
        }
    }

    #[test]
    fn what_is_long_is_lent_to_types_that_look_at_it_where_it_stands() {
        let value = ("a".repeat(200_000), ByteBuf::from([7; 300_000]), vec![8_u8; 400_000]);
        let mut message = Outgoing::new(1, LIMIT).with_blobs(send);
        codec::encode(&value, &mut message).unwrap();
        let frame = message.finish().unwrap();
        assert_eq!(SENT.take().len(), 3);
        let mut stream = STREAM.take();
        stream.extend(&frame);
        let mut incoming = Incoming::new(LIMIT);
        let frame = incoming.read(&mut &stream[..]).unwrap();
        let mut decoder = Decoder::with_blobs(frame.payload, std::mem::take(frame.blobs));
        let seen: (Seen<str>, Seen<[u8]>, Seen<[u8]>) = decoder.next().unwrap();
        assert_eq!((seen.0.0, seen.1.0, seen.2.0), (200_000, 300_000, 400_000));
        decoder.end().unwrap();
    }

    /// As where it is in the message.
    #[test]
    fn what_is_long_is_lent_as_a_text_or_as_bytes_whichever_it_is() {
        for length in [10, 200_000] {
            let value = ("a".repeat(length), ByteBuf::from(vec![b'b'; length]));
            let mut message = Outgoing::new(1, LIMIT).with_blobs(send);
            codec::encode(&value, &mut message).unwrap();
            let frame = message.finish().unwrap();
            SENT.take();
            let mut stream = STREAM.take();
            stream.extend(&frame);
            let mut incoming = Incoming::new(LIMIT);
            let frame = incoming.read(&mut &stream[..]).unwrap();
            let mut decoder = Decoder::with_blobs(frame.payload, std::mem::take(frame.blobs));
            let seen: (Seen<[u8]>, Seen<str>) = decoder.next().unwrap();
            assert_eq!((seen.0.0, seen.1.0), (length, length));
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Photo {
        pixels: Vec<u8>,
        depths: Option<std::collections::VecDeque<u8>>,
    }

    fn photo() -> Photo {
        Photo { pixels: vec![200; 1 << 20], depths: Some([7; 200_000].into()) }
    }

    #[test]
    fn long_lists_of_u8_inside_of_a_value_go_beside_it_from_one_copy() {
        let photo = &photo();
        let mut message = Outgoing::new(1, LIMIT).with_blobs(send);
        codec::encode(photo, &mut message).unwrap();
        let frame = message.finish().unwrap();
        let mut stream = STREAM.take();
        let lengths: Vec<_> = SENT.take().into_iter().map(|(_, length)| length).collect();
        assert_eq!(lengths, [1 << 20, 200_000]);
        assert!(frame.len() < 100, "{} bytes", frame.len());

        stream.extend(&frame);
        let mut incoming = Incoming::new(LIMIT);
        let frame = incoming.read(&mut &stream[..]).unwrap();
        let blobs = std::mem::take(frame.blobs);
        assert_eq!(Decoder::with_blobs(frame.payload, blobs.clone()).next().as_ref(), Ok(photo));
        // Who does not know the type sees a list, and who wants bytes has them.
        let read: serde_json::Value =
            Decoder::with_blobs(frame.payload, blobs.clone()).next().unwrap();
        assert_eq!(read["depths"].as_array().unwrap().len(), 200_000);
        let read: std::collections::BTreeMap<String, ByteBuf> =
            Decoder::with_blobs(frame.payload, blobs).next().unwrap();
        assert_eq!(read["pixels"], photo.pixels);
    }

    #[test]
    fn what_is_lent_goes_beside_its_message_from_where_it_was_copied_to() {
        let (album, text) = (album(), "x".repeat(200_000));
        let list = [7_u8; 150_000];
        let written = || [Encoded::of(&album), Encoded::of(&text[..]), Encoded::of(&list[..])];
        let mut plain = Vec::new();
        codec::encode(&(1_u8, &album, &text, &list[..]), &mut plain).unwrap();
        for send in [send as SendBlob, |_| false] {
            let mut message = Outgoing::new(1, LIMIT).with_blobs(send);
            // A tuple of four, whose first is written here.
            codec::Target::put(&mut message, &[0x94]);
            let mut outbound = Outbound::new(message);
            outbound.push(&1_u8);
            written().into_iter().for_each(|argument| outbound.encoded(&argument));
            let frame = outbound.finish().unwrap().finish().unwrap();
            let mut stream = STREAM.take();
            if stream.is_empty() {
                assert_eq!(frame[HEADER..], plain);
            } else {
                assert!(frame.len() < 300, "{} bytes", frame.len());
            }
            SENT.take();
            stream.extend(&frame);
            let mut incoming = Incoming::new(LIMIT);
            let frame = incoming.read(&mut &stream[..]).unwrap();
            let blobs = std::mem::take(frame.blobs);
            let read: (u8, Album, String, Vec<u8>) =
                Decoder::with_blobs(frame.payload, blobs).next().unwrap();
            assert_eq!((&read.1, &read.2, &read.3[..]), (&album, &text, &list[..]));
        }
    }

    #[test]
    fn a_long_text_that_is_none_is_an_error() {
        // As a text it is the first, as a list the second.
        for (kind, is_fine) in [(3, false), (4, true)] {
            let message = [0xc7, 4, kind, 0, 0, 0, 0];
            let blobs = vec![vec![0xff; 10]];
            let read = Decoder::with_blobs(&message, blobs).next::<serde_json::Value>();
            assert_eq!(read.is_ok(), is_fine);
        }
    }

    #[test]
    fn bytes_that_cannot_be_sent_ahead_are_in_the_message() {
        let all = (album(), photo());
        let mut message = Outgoing::new(1, LIMIT).with_blobs(|_| false);
        codec::encode(&all, &mut message).unwrap();
        let frame = message.finish().unwrap();
        assert!(frame.len() > 2_900_000, "{} bytes", frame.len());
        assert_eq!(Decoder::new(&frame[HEADER..]).next(), Ok(all));
    }

    /// What says that it is beside takes more bytes than its head takes.
    #[test]
    fn what_just_fits_into_the_message_is_no_blob() {
        for (length, blobs) in [(LIMIT_HERE - 7, 1), (LIMIT_HERE - 6, 0), (LIMIT_HERE - 5, 0)] {
            let mut message = Outgoing::new(1, LIMIT_HERE).with_blobs(send);
            codec::encode(&"x".repeat(length), &mut message).unwrap();
            message.finish().unwrap();
            STREAM.take();
            assert_eq!(SENT.take().len(), blobs);
        }
        let mut message = Outgoing::new(1, LIMIT_HERE).with_blobs(send);
        codec::encode(&"x".repeat(LIMIT_HERE - 4), &mut message).unwrap();
        message.finish().unwrap_err();
        assert!(SENT.take().is_empty());
    }

    const LIMIT_HERE: usize = 200_000;
}
