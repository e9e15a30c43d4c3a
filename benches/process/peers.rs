//! The peers, and how each is called.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use offload_runtime::{Error, ProcessPool, offload};
use serde_bytes::ByteBuf;

use crate::{Work, this};

/// As many as the machine has cores, most likely; the same for all peers.
const WORKERS: usize = 2;

const CALLERS: usize = 64;

const LARGE: usize = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Offload,
    /// Two processes that send eight bytes to and fro: no queue, no codec, no
    /// limit, nobody who waits beside a loop.
    Socketpair,
    Procspawn,
    Python,
}

impl Peer {
    pub(crate) const ALL: [Peer; 4] =
        [Peer::Offload, Peer::Socketpair, Peer::Procspawn, Peer::Python];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Peer::Offload => "offload",
            Peer::Socketpair => "socketpair",
            Peer::Procspawn => "procspawn",
            Peer::Python => "ProcessPoolExecutor",
        }
    }

    /// Whether there is something to compare.
    pub(crate) fn does(self, work: Work) -> bool {
        match self {
            Peer::Offload => true,
            Peer::Socketpair => matches!(work, Work::One | Work::Bytes),
            Peer::Procspawn => true,
            // Python has bytes.
            Peer::Python => !matches!(work, Work::Numbers | Work::Inside) && has_python(),
        }
    }

    /// What measures one figure and prints the number of calls and the seconds
    /// that they took.
    pub(crate) fn command(self, work: Work, time: Duration) -> Command {
        if self == Peer::Python {
            let mut command = Command::new("python3");
            command.args(["-c", include_str!("executor.py"), work.name()]);
            command.arg(time.as_secs_f64().to_string());
            return command;
        }
        let mut command = this();
        command.args(["cell", self.name(), work.name()]);
        command
    }
}

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What a peer did.
pub(crate) struct Calls {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

pub(crate) async fn run(peer: Peer, work: Work, time: Duration) -> Calls {
    match peer {
        Peer::Offload => with_offload(work, time).await,
        Peer::Socketpair => with_socketpair(work, time),
        Peer::Procspawn => with_procspawn(work, time),
        Peer::Python => unreachable!("it has a program of its own"),
    }
}

/// Calls until the time is over.
fn repeat(time: Duration, mut call: impl FnMut()) -> Calls {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        call();
        count += 1;
    }
    Calls { count, time: start.elapsed() }
}

static POOL: ProcessPool = ProcessPool::new("bench").workers(WORKERS);

#[offload(process, pool = POOL)]
fn nothing(number: u64) -> Result<u64, Error> {
    Ok(number)
}

#[offload(process, pool = POOL)]
fn bytes(bytes: ByteBuf) -> Result<ByteBuf, Error> {
    Ok(bytes)
}

/// What does not know that it has bytes.
#[derive(serde::Serialize, serde::Deserialize)]
struct Photo {
    pixels: Vec<u8>,
}

#[offload(process, pool = POOL)]
fn photo(photo: Photo) -> Result<Photo, Error> {
    Ok(photo)
}

#[offload(process, pool = POOL)]
fn numbers(numbers: Vec<u8>) -> Result<Vec<u8>, Error> {
    Ok(numbers)
}

/// Each of its workers runs one call.
static QUIET: ProcessPool =
    ProcessPool::new("panics").workers(1).max_jobs(1).env_remove("RUST_BACKTRACE");

static TOLD: ProcessPool =
    ProcessPool::new("backtraces").workers(1).max_jobs(1).env(&[("RUST_BACKTRACE", "1")]);

#[offload(process, pool = QUIET)]
fn panic_quietly() -> Result<f64, Error> {
    Ok(cost_of_a_panic())
}

#[offload(process, pool = TOLD)]
fn panic_and_tell() -> Result<f64, Error> {
    Ok(cost_of_a_panic())
}

/// Milliseconds of processor time, in this process.
fn cost_of_a_panic() -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("that of this process");
        [usage.user_time(), usage.system_time()]
            .map(|time| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3)
            .iter()
            .sum::<f64>()
    };
    let before = used();
    std::panic::catch_unwind(|| panic!("as is measured")).expect_err("it panics");
    used() - before
}

/// What a panic costs in a new worker, with backtraces or without.
pub(crate) async fn panics(with_backtrace: bool) -> f64 {
    let panicked = if with_backtrace { panic_and_tell().await } else { panic_quietly().await };
    panicked.expect("an answer")
}

async fn with_offload(work: Work, time: Duration) -> Calls {
    // Both workers are there.
    let (first, second) = tokio::join!(nothing(1), nothing(2));
    first.and(second).expect("workers");
    let start = Instant::now();
    let mut count = 0;
    match work {
        Work::One => {
            while start.elapsed() < time {
                nothing(count).await.expect("an answer");
                count += 1;
            }
        }
        Work::Many => {
            let total = AtomicU64::new(0);
            let caller = || async {
                while start.elapsed() < time {
                    nothing(1).await.expect("an answer");
                    total.fetch_add(1, Ordering::Relaxed);
                }
            };
            futures::future::join_all((0..CALLERS).map(|_| caller())).await;
            count = total.into_inner();
        }
        Work::Bytes => {
            let mut large = ByteBuf::from(vec![200; LARGE]);
            while start.elapsed() < time {
                large = bytes(large).await.expect("an answer");
                count += 1;
            }
        }
        Work::Numbers => {
            let mut large = vec![200; LARGE];
            while start.elapsed() < time {
                large = numbers(large).await.expect("an answer");
                count += 1;
            }
        }
        Work::Inside => {
            let mut large = Photo { pixels: vec![200; LARGE] };
            while start.elapsed() < time {
                large = photo(large).await.expect("an answer");
                count += 1;
            }
        }
    }
    let time = start.elapsed();
    // So that the workers are reaped, and counted.
    offload_runtime::shutdown(Duration::from_secs(5)).await;
    while has_children() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Calls { count, time }
}

fn has_children() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads of this process");
    tasks.flatten().any(|task| {
        std::fs::read_to_string(task.path().join("children")).is_ok_and(|list| !list.is_empty())
    })
}

/// The other end of the pair: says again what is said to it.
pub(crate) fn echo() {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("a number for it");
    let mut socket = UnixStream::from(stdin);
    let mut large = vec![0; 1 << 20];
    while let Ok(length @ 1..) = socket.read(&mut large) {
        if socket.write_all(&large[..length]).is_err() {
            break;
        }
    }
}

fn with_socketpair(work: Work, time: Duration) -> Calls {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let mut child = this().arg("echo").stdin(OwnedFd::from(theirs)).spawn().expect("a process");
    let calls = match work {
        Work::One | Work::Many => {
            let mut small = [7; 8];
            let mut call = || {
                ours.write_all(&small).expect("it listens");
                ours.read_exact(&mut small).expect("it answers");
            };
            call();
            repeat(time, call)
        }
        // It says it again while it listens, so somebody has to read.
        Work::Bytes | Work::Numbers | Work::Inside => {
            let large = vec![200; LARGE];
            let mut back = vec![0; LARGE];
            repeat(time, || {
                std::thread::scope(|scope| {
                    let mut writer = ours.try_clone().expect("another number");
                    let large = &large;
                    scope.spawn(move || writer.write_all(large).expect("it listens"));
                    ours.read_exact(&mut back).expect("it answers");
                });
            })
        }
    };
    drop(ours);
    child.wait().expect("a child");
    calls
}

fn with_procspawn(work: Work, time: Duration) -> Calls {
    let pool = procspawn::Pool::new(WORKERS).expect("a pool");
    let nothing = |number: u64| {
        pool.spawn(number, |number| number).join().expect("an answer");
    };
    // Both workers are there.
    let warm = [1, 2].map(|number| pool.spawn(number, |number: u64| number));
    for call in warm {
        call.join().expect("an answer");
    }
    let calls = match work {
        Work::One => repeat(time, || nothing(1)),
        Work::Many => {
            let start = Instant::now();
            let total = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..CALLERS {
                    scope.spawn(|| {
                        total.fetch_add(repeat(time, || nothing(1)).count, Ordering::Relaxed)
                    });
                }
            });
            Calls { count: total.into_inner(), time: start.elapsed() }
        }
        Work::Bytes => {
            let mut large = ByteBuf::from(vec![200; LARGE]);
            repeat(time, || {
                let call = pool.spawn(std::mem::take(&mut large), |bytes| bytes);
                large = call.join().expect("an answer");
            })
        }
        Work::Numbers => {
            let mut large = vec![200_u8; LARGE];
            repeat(time, || {
                let call = pool.spawn(std::mem::take(&mut large), |numbers| numbers);
                large = call.join().expect("an answer");
            })
        }
        Work::Inside => {
            let mut pixels = vec![200_u8; LARGE];
            repeat(time, || {
                let photo = Photo { pixels: std::mem::take(&mut pixels) };
                let call = pool.spawn(photo, |photo| photo);
                pixels = call.join().expect("an answer").pixels;
            })
        }
    };
    pool.shutdown();
    calls
}
