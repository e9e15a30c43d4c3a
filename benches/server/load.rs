//! The load: pings that come when they come, whether or not those before them
//! were answered, and callers who have something computed, one call after the
//! other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use offload_benches::sleep_exactly;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What pings took, from when they were to be sent.
#[derive(Debug)]
pub(crate) struct Pings {
    /// In nanoseconds. One that was not answered counts with the time that it
    /// had waited at the end.
    pub(crate) times: Histogram<u64>,
    /// The share that was answered in time for the end.
    pub(crate) served: f64,
}

/// A connection of the pinger.
struct Connection {
    stream: TcpStream,
    /// When the ping that it waits for was to be sent.
    due: Option<Duration>,
    answer: Vec<u8>,
}

/// So many pings a second for so long, over this many connections, from this
/// thread.
pub(crate) fn ping(server: SocketAddr, rate: u32, time: Duration, connections: usize) -> Pings {
    sleep_exactly();
    let mut connections: Vec<_> = (0..connections).map(|_| Connection::open(server)).collect();
    let mut times = Histogram::new(3).expect("three digits");
    let count = (f64::from(rate) * time.as_secs_f64()) as u32;
    let due = |number: u32| Duration::from_secs_f64(f64::from(number) / f64::from(rate));
    let (mut sent, mut served) = (0, 0);
    let start = Instant::now();
    loop {
        let now = start.elapsed();
        // What was sent just before the end has a moment to be answered.
        if now > time + Duration::from_millis(20) || served == count {
            break;
        }
        let mut all_busy = true;
        for connection in &mut connections {
            if connection.due.is_none() {
                if sent == count || due(sent) > now {
                    all_busy = false;
                    break;
                }
                connection.send(due(sent));
                sent += 1;
            }
        }
        let patience = match all_busy || sent == count {
            true => Duration::from_millis(10),
            false => due(sent).saturating_sub(start.elapsed()),
        };
        for at in ready(&connections, patience) {
            if let Some(due) = connections[at].receive() {
                served += 1;
                let took = start.elapsed().saturating_sub(due);
                times.record(took.as_nanos() as u64).expect("resizes");
            }
        }
    }
    let end = start.elapsed();
    let waiting = connections.iter().filter_map(|connection| connection.due);
    for due in waiting.chain((sent..count).map(due)) {
        times.record(end.saturating_sub(due).as_nanos() as u64).expect("resizes");
    }
    Pings { times, served: f64::from(served) / f64::from(count) }
}

/// The connections of which something can be read, once there are some.
fn ready(connections: &[Connection], patience: Duration) -> Vec<usize> {
    let busy: Vec<usize> =
        (0..connections.len()).filter(|at| connections[*at].due.is_some()).collect();
    let mut polled: Vec<_> =
        busy.iter().map(|at| PollFd::new(&connections[*at].stream, PollFlags::IN)).collect();
    let patience = Timespec { tv_sec: 0, tv_nsec: patience.as_nanos() as i64 };
    poll(&mut polled, Some(&patience)).expect("a wait for answers");
    busy.into_iter()
        .zip(polled)
        .filter(|(_, polled)| !polled.revents().is_empty())
        .map(|(at, _)| at)
        .collect()
}

impl Connection {
    fn open(server: SocketAddr) -> Connection {
        let stream = TcpStream::connect(server).expect("the server");
        stream.set_nodelay(true).expect("a socket");
        stream.set_nonblocking(true).expect("a socket");
        Connection { stream, due: None, answer: Vec::new() }
    }

    fn send(&mut self, due: Duration) {
        self.stream.write_all(&request("/ping")).expect("room for a request");
        self.due = Some(due);
    }

    /// When the ping was due whose answer is complete now.
    fn receive(&mut self) -> Option<Duration> {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(read) => self.answer.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        body(&self.answer)?;
        self.answer.clear();
        self.due.take()
    }
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// The body of an answer, if it is all there.
fn body(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer).expect("a text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1);
    assert_eq!(status, Some("200"), "{text}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.expect("a length").expect("a number");
    (body.len() >= length).then_some(body)
}

/// Asks, and waits for the answer.
fn ask(stream: &mut TcpStream, path: &str) -> std::io::Result<String> {
    stream.write_all(&request(path))?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&buffer[..read]);
        if let Some(body) = body(&answer) {
            return Ok(body.to_owned());
        }
    }
}

/// How much the server has computed so far.
pub(crate) fn done(server: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(server).expect("the server");
    ask(&mut stream, "/done").expect("an answer").parse().expect("a number")
}

/// Callers who have something computed, one call after the other.
#[derive(Debug)]
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    /// Answers so far.
    pub(crate) answered: Arc<AtomicU64>,
    threads: Vec<(TcpStream, thread::JoinHandle<()>)>,
}

impl Callers {
    /// So many, of this path.
    pub(crate) fn start(server: SocketAddr, path: &str, callers: usize) -> Callers {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let threads = (0..callers).map(|_| {
            let mut stream = TcpStream::connect(server).expect("the server");
            let ends = stream.try_clone().expect("a socket");
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let path = path.to_owned();
            let calls = move || {
                while !stop.load(Ordering::Relaxed) && ask(&mut stream, &path).is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            };
            (ends, thread::spawn(calls))
        });
        let threads = threads.collect();
        Callers { stop, answered, threads }
    }

    /// Ends them, and their calls.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for (stream, thread) in self.threads {
            // The call that is under way has no answer then.
            let _ = stream.shutdown(Shutdown::Both);
            thread.join().expect("no panic");
        }
    }
}
