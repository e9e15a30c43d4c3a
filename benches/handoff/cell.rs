//! One figure: one peer, one runtime, so many calls in flight.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use offload_benches::peers::{self, Measure, Peer};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, context_switches, processor_time};

/// Where calls are made, how many at a time, and what their bodies do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) runtime: Runtime,
    pub(crate) in_flight: usize,
    /// For so many microseconds a body computes.
    pub(crate) micros: u64,
}

impl Cell {
    pub(crate) const fn new(runtime: Runtime, in_flight: usize, micros: u64) -> Cell {
        Cell { runtime, in_flight, micros }
    }

    /// How long one figure is measured, after a fifth of that to warm up.
    fn time(self) -> Duration {
        Duration::from_millis(if self.micros < 1000 { 250 } else { 500 })
    }

    /// So many calls of a task are not timed before one is: a look at the clock costs as much
    /// as a tenth of a call, if its body does nothing.
    fn untimed(self) -> u32 {
        if self.micros < 100 { 10 } else { 0 }
    }

    /// What tables call it.
    pub(crate) fn name(self) -> String {
        let bodies = match self.micros {
            0 => String::new(),
            micros if micros < 1000 => format!(", bodies of {micros} µs"),
            micros => format!(", bodies of {} ms", micros / 1000),
        };
        format!("{}, {} in flight{bodies}", self.runtime.name(), self.in_flight)
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

impl Figures {
    fn print(self) {
        let Figures { rate, nanos, switches, p50, p99 } = self;
        println!("{rate} {nanos} {switches} {p50} {p99}");
    }
}

/// Measures in a process of its own. So many integer roots take a millisecond.
pub(crate) fn measure_apart(peer: Peer, cell: Cell, in_a_millisecond: u64) -> Figures {
    let [rate, nanos, switches, p50, p99] = apart::figures(&[
        "cell",
        peer.name(),
        cell.runtime.name(),
        &cell.in_flight.to_string(),
        &cell.micros.to_string(),
        &in_a_millisecond.to_string(),
    ]);
    Figures { rate, nanos, switches, p50, p99 }
}

/// What such a process does: `cell PEER RUNTIME IN_FLIGHT MICROS ROOTS_IN_A_MILLISECOND`.
pub(crate) fn main(peer: &str, cell: Cell, in_a_millisecond: u64) {
    peers::set_roots(cell.micros * in_a_millisecond / 1000);
    measure(Peer::from_name(peer), cell, cell.time()).print();
}

/// Measures in this process.
pub(crate) fn measure(peer: Peer, cell: Cell, time: Duration) -> Figures {
    peer.measure(Calls { cell, time })
}

struct Calls {
    cell: Cell,
    time: Duration,
}

impl Measure for Calls {
    type Figures = Figures;

    fn of<C, F>(self, call: C) -> Figures
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Calls { cell, time } = self;
        cell.runtime.build().block_on(async {
            burst(call, cell, time / 5).await;
            let (start, used, switched) = (Instant::now(), processor_time(), context_switches());
            let (calls, times) = burst(call, cell, time).await;
            let (took, used) = (start.elapsed(), processor_time() - used);
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
}

/// So many tasks make one call after the other: how many calls, and what they
/// took, in nanoseconds.
async fn burst<F, C>(call: C, cell: Cell, time: Duration) -> (u64, Histogram<u64>)
where
    C: Fn() -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let untimed = cell.untimed();
    let tasks: Vec<_> = (0..cell.in_flight)
        .map(|_| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut calls = 0;
                loop {
                    let sent = Instant::now();
                    call().await;
                    let now = Instant::now();
                    times.push(now - sent);
                    calls += 1;
                    if now - start >= time {
                        return (calls, times);
                    }
                    for _ in 0..untimed {
                        call().await;
                    }
                    calls += u64::from(untimed);
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
