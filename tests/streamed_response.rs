//! A table of a million rows, and an archive, go to an HTTP client that reads slowly, or closes its connection.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use offload_runtime::{Sink, ThreadPool, offload};
use offload_tests::PATIENCE;
use tokio::net::TcpSocket;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const ROWS: usize = 1_000_000;
/// The bytes of a row, with its end.
const ROW: usize = 63;
const FILES: usize = 24;
/// The bytes of a file in the archive. They are packed no smaller.
const FILE: usize = 1 << 20;
/// Fewer bytes than a stream holds, which is what is made ahead at least.
const BUFFER: usize = 64 << 10;
/// The system's buffer of a socket, which it doubles for what it needs itself.
const SOCKET: u32 = 64 << 10;
/// More than lies in the buffers of both sockets, in the stream, and in what packs a file.
const AHEAD: usize = 4 << 20;
/// More than the memory of a process changes in any case.
const MEMORY: usize = 24 << 20;
/// Bytes that were made.
static MADE: AtomicUsize = AtomicUsize::new(0);
/// Who is told that a body has ended.
static ENDED: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(ended) = &*ENDED.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = ended.send(());
        }
    }
}

/// What a row has to be quoted for.
fn row(n: usize) -> [String; 2] {
    [format!("{n:010}"), format!("{:048},", n * n)]
}

fn write_row(table: &mut csv::Writer<impl Write>, n: usize) -> io::Result<()> {
    MADE.fetch_add(ROW, Ordering::Relaxed);
    Ok(table.write_record(row(n))?)
}

fn write_rows(out: &mut Sink<Bytes>) -> io::Result<()> {
    let _told = Told;
    let mut table = csv::Writer::from_writer(out);
    (0..ROWS).try_for_each(|n| write_row(&mut table, n))?;
    table.flush()
}

#[offload(thread, stream)]
fn pushed(out: &mut Sink<Bytes>) -> io::Result<()> {
    write_rows(out)
}

#[offload(thread, stream)]
fn made() -> impl Iterator<Item = io::Result<Bytes>> {
    let told = Told;
    (0..ROWS / 100).map(move |hundred| {
        let _ = &told;
        let mut rows = csv::Writer::from_writer(Vec::new());
        (0..100).try_for_each(|n| write_row(&mut rows, hundred * 100 + n))?;
        Ok(rows.into_inner().map_err(csv::IntoInnerError::into_error)?.into())
    })
}

/// The content of a file: noise, the same each time.
fn content(file: usize) -> Vec<u8> {
    MADE.fetch_add(FILE, Ordering::Relaxed);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ file as u64;
    let words = (0..FILE / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

#[offload(thread, stream)]
fn archive(out: &mut Sink<Bytes>) -> io::Result<()> {
    let _told = Told;
    let mut archive = ZipWriter::new_stream(out);
    let packed = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1));
    for file in 0..FILES {
        archive.start_file(format!("{file}.bin"), packed)?;
        archive.write_all(&content(file))?;
    }
    archive.finish()?;
    Ok(())
}

static READERS: ThreadPool = ThreadPool::new("readers").threads(2);

/// Whoever takes nothing for so long is cut off.
#[offload(thread, stream, pool = READERS, stall_timeout = "50ms")]
fn impatient(out: &mut Sink<Bytes>) -> io::Result<()> {
    write_rows(out)
}

fn app() -> Router {
    Router::new()
        .route("/pushed", get(async || Body::from_stream(pushed())))
        .route("/made", get(async || Body::from_stream(made())))
        .route("/archive", get(async || Body::from_stream(archive())))
        .route("/impatient", get(async || Body::from_stream(impatient())))
}

/// One that holds little; what a server accepts by it does so, too.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SOCKET).unwrap();
    socket.set_recv_buffer_size(SOCKET).unwrap();
    socket
}

/// Serves as long as the test is there, which is alone: all count the same bytes.
struct Server {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    ended: mpsc::Receiver<()>,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Server {
    fn start() -> Server {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, ended) = mpsc::channel();
        *ENDED.lock().unwrap() = Some(sender);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(async {
            let socket = socket();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(16).unwrap()
        });
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app()).await });
        Server { runtime, address, ended, _alone: alone }
    }

    /// Asks for it, in the version whose bodies come as they are, and reads up to the body.
    fn ask(&self, path: &str) -> TcpStream {
        MADE.store(0, Ordering::Relaxed);
        let client = self.runtime.block_on(async { socket().connect(self.address).await.unwrap() });
        let mut client = client.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        write!(client, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&head));
        client
    }

    /// Waits until the body has ended.
    fn body_has_ended(&self) {
        self.ended.recv_timeout(PATIENCE).unwrap();
    }

    /// One that reads a little, and closes its connection while more of it waits. How much was made.
    fn close_early(&self, path: &str) -> usize {
        let mut client = self.ask(path);
        client.read_exact(&mut [0]).unwrap();
        until_made(BUFFER);
        drop(client);
        self.body_has_ended();
        MADE.load(Ordering::Relaxed)
    }
}

/// A client that has read so much pauses, until more was made than it has read.
fn until_made(bytes: usize) {
    let start = Instant::now();
    while MADE.load(Ordering::Relaxed) < bytes {
        assert!(start.elapsed() < PATIENCE, "{} of {bytes}", MADE.load(Ordering::Relaxed));
        thread::yield_now();
    }
}

/// A client that reads nothing waits until as much is made as ever is: nothing more for a while. What was made is not
/// much more than what was read; and no more memory is in use.
fn until_it_waits(read: usize, before: usize) {
    until_made(read + BUFFER);
    let mut made = 0;
    while made < MADE.load(Ordering::Relaxed) {
        made = MADE.load(Ordering::Relaxed);
        // On a busy machine it may not have waited yet, and then less is seen.
        thread::sleep(Duration::from_millis(50));
    }
    let made = MADE.load(Ordering::Relaxed);
    assert!(made < read + AHEAD, "{made} when {read} were read");
    let memory = memory();
    assert!(memory < before + MEMORY, "{memory} after {before}");
}

/// The memory that this process has, in bytes.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

#[cfg(not(target_os = "linux"))]
fn memory() -> usize {
    0
}

#[test]
fn a_million_rows_are_made_as_a_slow_client_reads_them_and_no_more_if_it_closes() {
    let server = Server::start();
    for path in ["/pushed", "/made"] {
        let client = server.ask(path);
        let before = memory();
        // Its buffer is smaller than the distance between two looks.
        let mut table = csv::ReaderBuilder::new().has_headers(false).from_reader(client);
        let mut record = csv::StringRecord::new();
        for n in 0..ROWS {
            if n % 250_000 == 0 {
                until_it_waits(n * ROW, before);
            }
            assert!(table.read_record(&mut record).unwrap());
            assert_eq!(record, row(n)[..]);
        }
        assert!(!table.read_record(&mut record).unwrap());
        server.body_has_ended();
        assert_eq!(MADE.load(Ordering::Relaxed), ROWS * ROW);
        assert!(server.close_early(path) < ROWS * ROW);
    }
}

#[test]
fn an_archive_is_packed_as_a_slow_client_reads_it_and_no_further_if_it_closes() {
    let server = Server::start();
    let mut client = server.ask("/archive");
    let before = memory();
    let mut file = tempfile::tempfile().unwrap();
    let mut part = vec![0; FILE];
    for n in 0..FILES {
        if n % 6 == 0 {
            until_it_waits(n * FILE, before);
        }
        client.read_exact(&mut part).unwrap();
        file.write_all(&part).unwrap();
    }
    io::copy(&mut client, &mut file).unwrap();
    server.body_has_ended();
    is_unharmed(file);
    assert!(server.close_early("/archive") < FILES * FILE);
}

fn is_unharmed(mut file: File) {
    file.rewind().unwrap();
    let mut archive = ZipArchive::new(file).unwrap();
    assert_eq!(archive.len(), FILES);
    for n in 0..FILES {
        let mut found = Vec::new();
        archive.by_name(&format!("{n}.bin")).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == content(n), "file {n}");
    }
}

/// Its bodies have threads of their own, and no more than two wait at once, each for as long as it may.
#[test]
fn clients_that_read_nothing_are_cut_off_one_after_the_other() {
    let server = Server::start();
    let clients: Vec<_> = (0..6).map(|_| server.ask("/impatient")).collect();
    clients.iter().for_each(|_| server.body_has_ended());
    let mut last = clients.into_iter().next_back().unwrap();
    let mut table = Vec::new();
    // It is not told that this is all.
    let end = last.read_to_end(&mut table);
    assert!(end.is_err() || table.len() < ROWS * ROW, "{} bytes", table.len());
}
