//! One figure: one peer, one runtime, so many calls in flight. It has a process
//! to itself, so that no peer inherits threads or caches of another.

use std::fmt;
use std::future::Future;
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use offload_benches::{context_switches, processor_time, stay_on_one_core};

use crate::peers::{self, Peer};

/// How long one figure is measured, after a fifth of that to warm up.
const TIME: Duration = Duration::from_millis(250);

/// Where the calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    CurrentThread,
    MultiThread,
    /// A `current_thread` runtime and the pool, all on one core.
    OneCore,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runtime::CurrentThread => "current_thread",
            Runtime::MultiThread => "multi_thread",
            Runtime::OneCore => "one core",
        }
    }

    fn from_name(name: &str) -> Option<Runtime> {
        let all = [Runtime::CurrentThread, Runtime::MultiThread, Runtime::OneCore];
        all.into_iter().find(|runtime| runtime.name() == name)
    }

    fn build(self) -> tokio::runtime::Runtime {
        let mut builder = match self {
            Runtime::CurrentThread | Runtime::OneCore => {
                tokio::runtime::Builder::new_current_thread()
            }
            Runtime::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        };
        // As `#[tokio::main]` does.
        builder.enable_all().build().expect("a runtime")
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Calls a second, in thousands.
    pub(crate) rate: f64,
    /// Nanoseconds of processor time a call.
    pub(crate) nanos: f64,
    /// Context switches a call.
    pub(crate) switches: f64,
    /// Microseconds that half of the calls took no longer than.
    pub(crate) p50: f64,
    /// The same of 99 in 100.
    pub(crate) p99: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rate, nanos, switches, p50, p99 } = self;
        write!(f, "{rate} {nanos} {switches} {p50} {p99}")
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(line: &str) -> Result<Figures, String> {
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [rate, nanos, switches, p50, p99] = numbers[..] else {
            return Err(format!("a cell printed {line:?}"));
        };
        Ok(Figures { rate, nanos, switches, p50, p99 })
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Measures in a process of its own. A body computes so many roots.
pub(crate) fn measure_apart(peer: Peer, runtime: Runtime, in_flight: usize, roots: u64) -> Figures {
    let this = std::env::current_exe().expect("this program");
    let child = Command::new(this)
        .args(["cell", peer.name(), runtime.name(), &in_flight.to_string(), &roots.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("a process");
    let line = String::from_utf8_lossy(&child.stdout);
    line.parse().unwrap_or_else(|error| panic!("{}: {error}", peer.name()))
}

/// What such a process does: `cell PEER RUNTIME IN_FLIGHT ROOTS`.
pub(crate) fn main(args: &[String]) {
    let [peer, runtime, in_flight, roots] = args else {
        panic!("cell PEER RUNTIME IN_FLIGHT ROOTS")
    };
    peers::ROOTS.store(roots.parse().expect("a number"), Ordering::Relaxed);
    let runtime = Runtime::from_name(runtime).expect("a runtime");
    let in_flight = in_flight.parse().expect("a number");
    if runtime == Runtime::OneCore {
        stay_on_one_core();
    }
    println!("{}", measure(Peer::from_name(peer).expect("a peer"), runtime, in_flight, TIME));
}

/// Measures in this process.
pub(crate) fn measure(peer: Peer, runtime: Runtime, in_flight: usize, time: Duration) -> Figures {
    match peer {
        Peer::Cpu | Peer::CpuAgain => run(peers::cpu, runtime, in_flight, time),
        Peer::Thread => run(peers::thread, runtime, in_flight, time),
        Peer::CpuRayon => run(peers::cpu_rayon, runtime, in_flight, time),
        Peer::SpawnBlocking => run(peers::spawn_blocking, runtime, in_flight, time),
        Peer::Semaphore => run(peers::semaphore, runtime, in_flight, time),
        Peer::Unblock => run(peers::unblock, runtime, in_flight, time),
        Peer::TokioRayon => run(peers::tokio_rayon, runtime, in_flight, time),
        Peer::RayonOneshot => run(peers::rayon_oneshot, runtime, in_flight, time),
    }
}

fn run<F, C>(call: C, runtime: Runtime, in_flight: usize, time: Duration) -> Figures
where
    C: Fn() -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    runtime.build().block_on(async {
        burst(call, in_flight, time / 5).await;
        let (start, used, switched) = (Instant::now(), processor_time(), context_switches());
        let times = burst(call, in_flight, time).await;
        let (took, used) = (start.elapsed(), processor_time() - used);
        let (calls, times) = times;
        let calls = calls as f64;
        Figures {
            rate: calls / took.as_secs_f64() / 1e3,
            nanos: used.as_nanos() as f64 / calls,
            switches: (context_switches() - switched) as f64 / calls,
            p50: times.value_at_quantile(0.5) as f64 / 1e3,
            p99: times.value_at_quantile(0.99) as f64 / 1e3,
        }
    })
}

/// So many tasks make one call after the other: how many calls, and what they
/// took, in nanoseconds.
async fn burst<F, C>(call: C, in_flight: usize, time: Duration) -> (u64, Histogram<u64>)
where
    C: Fn() -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut calls = 0;
                // Each eleventh is timed: a look at the clock costs as much as
                // a tenth of a call.
                loop {
                    let sent = Instant::now();
                    call().await;
                    let now = Instant::now();
                    times.push(now - sent);
                    calls += 1;
                    if now - start >= time {
                        return (calls, times);
                    }
                    for _ in 0..10 {
                        call().await;
                    }
                    calls += 10;
                }
            })
        })
        .collect();
    let mut calls = 0;
    let mut all = Histogram::new(3).expect("three digits");
    for task in tasks {
        let (made, times) = task.await.expect("no panic");
        calls += made;
        for time in times {
            all.record(time.as_nanos() as u64).expect("resizes");
        }
    }
    (calls, all)
}
