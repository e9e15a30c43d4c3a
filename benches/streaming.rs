//! How fast items come out of a body: `cargo bench -p offload-benches --bench streaming`.
//!
//! Numbers that cost nothing to make, blocks of 16 KiB that are filled, and a table that is written line
//! by line; beside what one would write by hand for the same, a bounded channel that a body of
//! `spawn_blocking` sends into, and for bytes `tokio_util::io::SyncIoBridge` over a pipe in memory. A
//! consumer takes all of it, on a `current_thread` runtime. All in turn, in one process; the ratios
//! are those of a round's figures, `ROUNDS` sets how many rounds.
//!
//! Blocks come twice: at first without the pipe, whose buffer is the first large one that this process frees,
//! after which glibc keeps more of what is free.

use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::pin::pin;
use std::time::Instant;

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};
use offload_benches::page::Rows;
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::runtime::Runtime;
use offload_runtime::{Error, Sink, offload};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;

/// The most items that wait for the consumer.
const ROOM: usize = 16;
/// The size of a block, in bytes.
const BLOCK: usize = 16 * 1024;

const NUMBERS: u64 = 200_000;
const BLOCKS: u64 = 2_000;
const LINES: u64 = 400_000;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Iterator,
    Sink,
    Channel,
    Bridge,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Iterator => "an iterator",
            Way::Sink => "a `Sink`",
            Way::Channel => "a channel and `spawn_blocking`",
            Way::Bridge => "`SyncIoBridge` and `spawn_blocking`",
        }
    }

    fn is_foreign(self) -> bool {
        matches!(self, Way::Channel | Way::Bridge)
    }
}

#[offload(thread, stream = ROOM)]
fn numbers() -> impl Iterator<Item = u64> {
    0..NUMBERS
}

#[offload(thread, stream = ROOM)]
fn pushed_numbers(out: &mut Sink<u64>) -> Result<(), Error> {
    (0..NUMBERS).try_for_each(|n| Ok(out.send(n)?))
}

fn block(n: u64) -> Bytes {
    vec![n.to_le_bytes()[0]; BLOCK].into()
}

#[offload(thread, stream = ROOM)]
fn blocks() -> impl Iterator<Item = Bytes> {
    (0..BLOCKS).map(block)
}

#[offload(thread, stream = ROOM)]
fn pushed_blocks(out: &mut Sink<Bytes>) -> Result<(), Error> {
    (0..BLOCKS).try_for_each(|n| Ok(out.send(block(n))?))
}

fn write_table(out: &mut impl Write) -> io::Result<()> {
    (0..LINES).try_for_each(|n| writeln!(out, "{n},a row of a table,{}", n * n))
}

#[offload(thread, stream = ROOM)]
fn table(out: &mut Sink<Bytes>) -> io::Result<()> {
    write_table(out)
}

/// What a body sends, as a stream.
fn channel<T: Send + 'static>(
    body: impl FnOnce(mpsc::Sender<T>) + Send + 'static,
) -> impl Stream<Item = T> {
    let (sender, receiver) = mpsc::channel(ROOM);
    drop(spawn_blocking(move || body(sender)));
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

/// A writer that sends each write as one item; a `BufWriter` before it gathers them.
struct Blocks(mpsc::Sender<Bytes>);

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes all, and adds up how large they are.
async fn take<T>(stream: impl Stream<Item = T>, size: impl Fn(&T) -> usize) -> usize {
    let mut stream = pin!(stream);
    let mut all = 0;
    while let Some(item) = stream.next().await {
        all += size(black_box(&item));
    }
    all
}

async fn take_numbers(way: Way) -> usize {
    match way {
        Way::Iterator => take(numbers(), |_| 1).await,
        Way::Sink => take(pushed_numbers(), |item| usize::from(item.is_ok())).await,
        _ => {
            let send = |sender: mpsc::Sender<u64>| {
                let _ = (0..NUMBERS).try_for_each(|n| sender.blocking_send(n));
            };
            take(channel(send), |_| 1).await
        }
    }
}

/// What a body writes into one end of a pipe in memory, as blocks, of which the other end reads what is there.
async fn through_bridge<F>(body: F) -> usize
where
    F: FnOnce(SyncIoBridge<DuplexStream>) -> io::Result<()> + Send + 'static,
{
    let (mut reader, writer) = tokio::io::duplex(ROOM * BLOCK);
    let body = spawn_blocking(|| body(SyncIoBridge::new(writer)));
    let (mut block, mut all) = (Vec::with_capacity(BLOCK), 0);
    while reader.read_buf(&mut block).await.expect("a pipe in memory") > 0 {
        all += Bytes::from(std::mem::replace(&mut block, Vec::with_capacity(BLOCK))).len();
    }
    body.await.expect("no panic").expect("nobody closes it");
    all
}

async fn take_blocks(way: Way) -> usize {
    match way {
        Way::Bridge => {
            let write =
                |mut out: SyncIoBridge<_>| (0..BLOCKS).try_for_each(|n| out.write_all(&block(n)));
            through_bridge(write).await
        }
        Way::Iterator => take(blocks(), Bytes::len).await,
        Way::Sink => take(pushed_blocks(), |item| item.as_ref().map_or(0, Bytes::len)).await,
        _ => {
            let send = |sender: mpsc::Sender<Bytes>| {
                let _ = (0..BLOCKS).try_for_each(|n| sender.blocking_send(block(n)));
            };
            take(channel(send), Bytes::len).await
        }
    }
}

async fn take_table(way: Way) -> usize {
    match way {
        Way::Bridge => {
            let write = |out| {
                let mut out = BufWriter::with_capacity(BLOCK, out);
                write_table(&mut out)?;
                out.flush()
            };
            through_bridge(write).await
        }
        Way::Sink => take(table(), |item| item.as_ref().map_or(0, Bytes::len)).await,
        _ => {
            let send = |sender| {
                let _ = write_table(&mut BufWriter::with_capacity(BLOCK, Blocks(sender)));
            };
            take(channel(send), Bytes::len).await
        }
    }
}

/// Each way's figures, and the ratios to the best of those that are written by hand.
fn measure(rows: &mut Rows, what: &str, unit: f64, ways: &[Way], of: impl AsyncFn(Way) -> usize) {
    let runtime = Runtime::CurrentThread.build();
    let expected = runtime.block_on(of(ways[0]));
    let figures = alternate(rounds(9), ways, |way| {
        let start = Instant::now();
        assert_eq!(runtime.block_on(of(way)), expected, "{}", way.name());
        expected as f64 / unit / start.elapsed().as_secs_f64()
    });
    let by_hand = ways.iter().zip(&figures).filter(|(way, _)| way.is_foreign());
    let best = by_hand.max_by(|(_, one), (_, other)| middle(one).total_cmp(&middle(other)));
    let (best, of_best) = best.expect("one is written by hand");
    println!("| {what} | | times that of {} |", best.name());
    for (way, figures) in ways.iter().zip(&figures) {
        println!("| {} | {:.1} | {} |", way.name(), middle(figures), ratio(figures, of_best));
    }
    let ours = ways.iter().zip(&figures).filter(|(way, _)| !way.is_foreign());
    let cells = ours.map(|(way, figures)| (way.name().to_owned(), ratio(figures, of_best)));
    let question = format!("`stream`: {what} a second");
    rows.cells(&question, best.name(), &cells.collect::<Vec<_>>(), "0.97 at least");
}

fn middle(figures: &[f64]) -> f64 {
    medians(figures, |figure| *figure).0
}

fn main() {
    const MILLION: f64 = 1e6;
    const MIB: f64 = (1 << 20) as f64;
    println!("\n### Streams, whose consumer takes what comes\n");
    println!("| | a second | |\n| --- | --- | --- |");
    let mut rows = Rows::new("streaming");
    let items = [Way::Iterator, Way::Sink, Way::Channel];
    let blocks = [Way::Iterator, Way::Sink, Way::Channel, Way::Bridge];
    let bytes = [Way::Sink, Way::Channel, Way::Bridge];
    measure(&mut rows, "numbers, millions", MILLION, &items, take_numbers);
    measure(
        &mut rows,
        "blocks of 16 KiB before a large one was freed, MiB",
        MIB,
        &items,
        take_blocks,
    );
    measure(&mut rows, "blocks of 16 KiB, MiB", MIB, &blocks, take_blocks);
    measure(&mut rows, "a table line by line, MiB", MIB, &bytes, take_table);
    rows.print();
}
