//! Long bytes and texts inside of arguments and results of processes, of which no copy is made on their way: neither where
//! they are sent from, nor where they are read to. Of a long list of `u8` one is made on each side.

use dhat::{Alloc, HeapStats, Profiler};
use futures::StreamExt;
use futures::executor::block_on;
use offload_runtime::{Error, ProcessPool, offload};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[global_allocator]
static ALLOC: Alloc = Alloc;

offload_runtime::test_worker!();

static ONE: ProcessPool = ProcessPool::new("one").workers(1);

const LONG: usize = 8 << 20;

/// They are somewhere in it.
#[derive(Serialize, Deserialize)]
struct Parcel {
    name: String,
    parts: Vec<Option<Part>>,
}

#[derive(Serialize, Deserialize)]
enum Part {
    Number(u8),
    Bytes {
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    Buffer(ByteBuf),
}

impl Parcel {
    fn new(bytes: usize) -> Parcel {
        let half = || vec![7; bytes / 2];
        let parts =
            [Part::Bytes { bytes: half() }, Part::Number(1), Part::Buffer(ByteBuf::from(half()))];
        Parcel { name: "a parcel".to_owned(), parts: parts.map(Some).into() }
    }

    fn length(&self) -> usize {
        let length = |part: &Part| match part {
            Part::Number(_) => 0,
            Part::Bytes { bytes } => bytes.len(),
            Part::Buffer(bytes) => bytes.len(),
        };
        assert_eq!(self.name, "a parcel");
        self.parts.iter().flatten().map(length).sum()
    }
}

#[offload(process, pool = ONE)]
fn takes(parcel: Parcel, _bytes: Vec<u8>) -> Result<usize, Error> {
    Ok(parcel.length())
}

#[offload(process, pool = ONE)]
fn gives(bytes: usize) -> Result<(Parcel, u8), Error> {
    Ok((Parcel::new(bytes), 7))
}

#[offload(process, pool = ONE, stream = 1)]
fn streams(bytes: usize) -> impl Iterator<Item = Result<Parcel, Error>> {
    (0..3).map(move |_| Ok(Parcel::new(bytes)))
}

#[derive(Serialize, Deserialize)]
struct Page {
    text: String,
    number: u32,
}

#[offload(process, pool = ONE)]
fn takes_page(page: Page) -> Result<usize, Error> {
    Ok(page.text.len() + page.number as usize)
}

#[offload(process, pool = ONE)]
fn gives_page(bytes: usize) -> Result<Page, Error> {
    Ok(Page { text: "x".repeat(bytes), number: 1 })
}

#[offload(process, pool = ONE)]
fn takes_lent(#[to_owned] text: &str, #[to_owned] list: &[u8]) -> Result<usize, Error> {
    Ok(text.len() + list.len())
}

#[derive(Serialize, Deserialize)]
struct Photo {
    width: u32,
    pixels: Vec<u8>,
}

#[offload(process, pool = ONE)]
fn takes_photo(photo: Photo) -> Result<usize, Error> {
    Ok(photo.pixels.len() + photo.width as usize)
}

#[offload(process, pool = ONE)]
fn gives_photo(bytes: usize) -> Result<Photo, Error> {
    Ok(Photo { width: 1, pixels: vec![7; bytes] })
}

/// The most memory that this process had at once for it, in bytes, beyond what it had before.
fn most(of: impl FnOnce()) -> usize {
    let _profiler = Profiler::builder().testing().build();
    of();
    HeapStats::get().max_bytes
}

/// One copy, and some for what goes with it.
const ONE_COPY: std::ops::Range<usize> = LONG..LONG + LONG / 4;

const TWO_COPIES: std::ops::Range<usize> = 2 * LONG..2 * LONG + LONG / 4;

#[test]
fn long_bytes_in_structures_are_sent_from_where_they_are_and_read_to_where_they_stay() {
    // The first call starts threads and a worker, whose memory is not to be measured.
    assert_eq!(block_on(takes(Parcel::new(2), Vec::new())).unwrap(), 2);
    let sent = most(|| {
        let call = takes(Parcel::new(LONG / 2), vec![7; LONG / 2]);
        assert_eq!(block_on(call).unwrap(), LONG / 2);
    });
    assert!(ONE_COPY.contains(&sent), "{sent} bytes");
    let read = most(|| assert_eq!(block_on(gives(LONG)).unwrap().0.length(), LONG));
    assert!(ONE_COPY.contains(&read), "{read} bytes");
    let streamed = most(|| {
        let items = block_on(streams(LONG / 4).collect::<Vec<_>>());
        assert_eq!(items.len(), 3);
        for item in items {
            assert_eq!(item.unwrap().length(), LONG / 4);
        }
    });
    // All three, once each.
    assert!((LONG * 3 / 4..LONG).contains(&streamed), "{streamed} bytes");

    let page = || Page { text: "x".repeat(LONG), number: 1 };
    let sent = most(|| assert_eq!(block_on(takes_page(page())).unwrap(), LONG + 1));
    assert!(ONE_COPY.contains(&sent), "{sent} bytes");
    let read = most(|| assert_eq!(block_on(gives_page(LONG)).unwrap().text.len(), LONG));
    assert!(ONE_COPY.contains(&read), "{read} bytes");
    // What was lent is not counted, and the call's own copy of it is.
    let (text, list) = ("x".repeat(LONG / 2), vec![7; LONG / 2]);
    let sent = most(|| assert_eq!(block_on(takes_lent(&text, &list)).unwrap(), LONG));
    assert!(ONE_COPY.contains(&sent), "{sent} bytes");

    // Each element is given by itself: to the copy that is sent, and from the one that has come.
    let photo = || Photo { width: 1, pixels: vec![7; LONG] };
    let sent = most(|| assert_eq!(block_on(takes_photo(photo())).unwrap(), LONG + 1));
    assert!(TWO_COPIES.contains(&sent), "{sent} bytes");
    let read = most(|| assert_eq!(block_on(gives_photo(LONG)).unwrap().pixels.len(), LONG));
    assert!(TWO_COPIES.contains(&read), "{read} bytes");
}
