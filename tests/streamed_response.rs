//! A table of a million rows goes to an HTTP client that reads slowly, or closes its connection.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::StreamExt;
use offload_runtime::{Sink, offload};
use tokio::net::TcpListener;

const ROWS: usize = 1_000_000;
/// Of a row, with its end.
const BYTES: usize = 61;
/// What lies in the buffers of both sockets, and a little more.
const AHEAD: usize = 24 << 20;

/// Rows that were made.
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

fn row(n: usize) -> String {
    MADE.fetch_add(1, Ordering::Relaxed);
    format!("{n:010},{:049}\n", n * n)
}

#[offload(thread, stream)]
fn pushed(out: &mut Sink<Bytes>) -> io::Result<()> {
    let _told = Told;
    for n in 0..ROWS {
        out.write_all(row(n).as_bytes())?;
    }
    Ok(())
}

#[offload(thread, stream)]
fn made() -> impl Iterator<Item = Bytes> {
    let told = Told;
    (0..ROWS / 100).map(move |hundred| {
        let _ = &told;
        let mut rows = String::new();
        (0..100).for_each(|n| rows.write_str(&row(hundred * 100 + n)).unwrap());
        Bytes::from(rows)
    })
}

fn app() -> Router {
    let pushed = async || Body::from_stream(pushed());
    let made = async || Body::from_stream(made().map(Ok::<_, io::Error>));
    Router::new().route("/pushed", get(pushed)).route("/made", get(made))
}

/// Serves as long as the test is there.
fn serve() -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app()).await });
    (runtime, address)
}

/// Asks for it, in the version whose bodies come as they are, and reads up to the body.
fn ask(address: SocketAddr, path: &str) -> TcpStream {
    MADE.store(0, Ordering::Relaxed);
    let mut client = TcpStream::connect(address).unwrap();
    write!(client, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&head));
    client
}

/// Until no more rows are made, since nobody takes them.
fn until_it_waits() -> usize {
    loop {
        let before = MADE.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(200));
        if before > 0 && before == MADE.load(Ordering::Relaxed) {
            return before;
        }
    }
}

/// Of this process, in bytes.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(not(target_os = "linux"))]
fn memory() -> usize {
    0
}

/// One test after the other, since they count the same rows.
#[test]
fn a_million_rows_are_made_as_a_slow_client_reads_them_and_no_more_if_it_goes_away() {
    let (runtime, address) = serve();
    let (sender, ended) = mpsc::channel();
    *ENDED.lock().unwrap() = Some(sender);
    for path in ["/pushed", "/made"] {
        let mut client = ask(address, path);
        let before = memory();
        assert!(until_it_waits() * BYTES < AHEAD);
        let mut row = [0; BYTES];
        for n in 0..ROWS {
            client.read_exact(&mut row).unwrap();
            assert_eq!(row[..], *format!("{n:010},{:049}\n", n * n).as_bytes());
            if n % 100_000 == 0 {
                assert!(MADE.load(Ordering::Relaxed) * BYTES < n * BYTES + AHEAD);
                assert!(memory() < before + AHEAD, "{} after {before}", memory());
            }
        }
        assert_eq!(client.read(&mut row).unwrap(), 0);
        ended.recv().unwrap();
        assert_eq!(MADE.load(Ordering::Relaxed), ROWS);

        // And one that reads a row, and closes its connection while more of them wait.
        let mut client = ask(address, path);
        client.read_exact(&mut row).unwrap();
        until_it_waits();
        drop(client);
        ended.recv().unwrap();
        assert!(MADE.load(Ordering::Relaxed) < ROWS);
    }
    drop(runtime);
}
