//! A `Sink<Bytes>` in a worker: what is written there comes here.

use std::io::{self, Write};
use std::process::id;

use axum::body::Bytes;
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use offload_runtime::{Error, ErrorKind, ProcessPool, Sink, offload};
use serde::{Deserialize, Serialize};

use crate::ends::{Told, tell};
use crate::support::{PATIENCE, receives, settle, workers};

/// What ends a body that writes: `io::Error` is no `serde` type.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Failed {
    Io(String),
    Offload(ErrorKind),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error.to_string())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Offload(error.kind())
    }
}

#[offload(process, stream)]
fn table(rows: u32, out: &mut Sink<Bytes>) -> Result<(), Failed> {
    writeln!(out, "process {}", id())?;
    out.flush()?;
    for row in 0..rows {
        writeln!(out, "{row},{}", row * row)?;
    }
    if rows == 1 {
        return Err(io::Error::other("the last row is missing").into());
    }
    Ok(())
}

#[test]
fn what_a_worker_writes_comes_in_pieces() {
    let pieces: Vec<Bytes> = block_on(table(10_000).try_collect()).unwrap();
    let (first, rest) = pieces.split_first().unwrap();
    assert!(first.starts_with(b"process "), "what was flushed is a piece of its own");
    assert_ne!(&first[..], format!("process {}\n", id()).as_bytes());
    let (last, full) = rest.split_last().unwrap();
    assert!(full.iter().all(|piece| piece.len() == 16 << 10) && full.len() > 2);
    assert!(!last.is_empty() && last.len() <= 16 << 10);
    let expected: String = (0..10_000).map(|row| format!("{row},{}\n", row * row)).collect();
    assert_eq!(rest.concat(), expected.as_bytes());
}

/// As with a thread: what was not flushed before an error does not come.
#[test]
fn an_error_of_a_body_that_writes_is_the_last_item() {
    let mut items: Vec<_> = block_on(table(1).collect());
    assert_eq!(items.pop().unwrap(), Err(Failed::Io("the last row is missing".to_owned())));
    assert_eq!(items.len(), 1);
}

#[offload(process, stream = 2)]
fn blocks(sizes: Vec<usize>, out: &mut Sink<Bytes>) -> Result<(), Error> {
    for (number, size) in (0..).zip(sizes) {
        out.send(Bytes::from(vec![number; size]))?;
    }
    Ok(())
}

#[test]
fn bytes_of_any_length_come_as_they_were_sent() {
    // Some are so long that they come beside their message.
    let sizes = [0, 1, 100_000, 128 << 10, (4 << 20) + 1, 7, 3 << 20];
    let blocks: Vec<Bytes> = block_on(blocks(sizes.to_vec()).try_collect()).unwrap();
    assert!(blocks.iter().map(Bytes::len).eq(sizes));
    for (number, block) in (0..).zip(blocks) {
        assert!(block.iter().all(|byte| *byte == number));
    }
}

static KINDLY: ProcessPool = ProcessPool::new("kindly writers").workers(1).grace(PATIENCE);

#[offload(process, stream = 1, pool = KINDLY)]
fn writes_on(path: String, out: &mut Sink<Bytes>) -> Result<(), Failed> {
    out.send(Bytes::from(id().to_string())).map_err(Error::from)?;
    let error = loop {
        if let Err(error) = out.write_all(&[7; 10_000]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    tell(&path);
    Ok(())
}

#[test]
fn who_writes_for_nobody_has_a_broken_pipe() {
    let told = Told::new();
    let mut pieces = Box::pin(writes_on(told.path()));
    let first = block_on(pieces.next()).unwrap().unwrap();
    let pid = std::str::from_utf8(&first).unwrap().parse().unwrap();
    settle("the worker waits", || receives(pid));
    drop(pieces);
    assert_eq!(told.pid(), pid);
    assert_eq!(workers("kindly writers").kills, 0);
}
