//! What a call takes on a machine whose cores are busy with something else:
//! `cargo bench -p offload-benches --bench busy`.
//!
//! One after the other, so there is never more than one call in flight. First calls of a body
//! that does nothing, in a process in which two threads a core spin, from a `current_thread`
//! runtime with a task that is always ready. Then bodies that compute for a millisecond, in a
//! process beside others that spin, one for each core. Each figure in a process of its own, all
//! in turn; `ROUNDS` sets how often. `-- empty` and `-- beside` do one of the two alone.

use std::future::Future;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{hint, io, thread};

use offload_benches::page::{Rows, Side};
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::peers::{self, Measure, Peer};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, cores, percentile, roots_in_a_millisecond};

/// So many calls, or as many as there are in the time below.
const CALLS: usize = 300;

/// Threads of low priority get a core so seldom that all the calls would take half a minute.
const TIME: Duration = Duration::from_secs(2);

const EMPTY: [Peer; 5] =
    [Peer::SpawnBlocking, Peer::Thread, Peer::Cpu, Peer::CpuNormal, Peer::RayonOneshot];

const BESIDE: [Peer; 3] = [Peer::CpuNormal, Peer::Cpu, Peer::SpawnBlocking];

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => {
            let mut rows = Rows::new("busy");
            empty(&mut rows);
            beside(&mut rows);
            rows.print();
        }
        ["empty"] => empty(&mut Rows::new("busy")),
        ["beside"] => beside(&mut Rows::new("busy")),
        ["empty", peer] => spinning(|| print(Peer::from_name(peer), true)),
        ["beside", peer, roots] => {
            peers::set_roots(roots.parse().expect("a number"));
            print(Peer::from_name(peer), false);
        }
        ["neighbour"] => neighbour(),
        _ => panic!("no arguments, or: empty, or: beside"),
    }
}

/// Beside spinning threads of the same process.
fn empty(rows: &mut Rows) {
    println!("\n### An empty body, one call at a time, two spinning threads a core\n");
    let what = "an empty body, two spinning threads a core, p50";
    table(&EMPTY, "µs", (what, "1.5 at most"), rows, |peer| {
        apart::figures(&["empty", peer.name()])
    });
}

/// Beside busy processes.
fn beside(rows: &mut Rows) {
    let roots = roots_in_a_millisecond().to_string();
    println!("\n### A body of 1 ms, one call at a time, a busy process for each core\n");
    let what = "a body of 1 ms, a busy process for each core, p50";
    table(&BESIDE, "ms", (what, "5 at most"), rows, |peer| {
        let neighbours: Vec<_> = (0..cores()).map(|_| Neighbour::start()).collect();
        let figures = apart::figures(&["beside", peer.name(), &roots]);
        drop(neighbours);
        figures.map(|micros| micros / 1e3)
    });
}

/// p50 and p99, and the times that of the first.
fn table(
    all: &[Peer],
    unit: &str,
    (question, aim): (&str, &str),
    rows: &mut Rows,
    measure: impl FnMut(Peer) -> [f64; 2],
) {
    let figures = alternate(rounds(9), all, measure);
    let first = all[0].name();
    println!("| | p50 {unit} | p99 {unit} | p50, times that of {first} | p99, times that |");
    println!("| --- | --- | --- | --- | --- |");
    let column = |at: usize, number: usize| -> Vec<f64> {
        figures[at].iter().map(|figures| figures[number]).collect()
    };
    for (at, peer) in all.iter().enumerate() {
        if at > 0 && !peer.is_foreign() {
            let this = Side(peer.name(), &column(at, 0));
            // At low priority an empty body has no aim beside threads that never rest.
            let aim = if all == EMPTY && *peer == Peer::Cpu { "" } else { aim };
            rows.compare(question, unit, this, Side(first, &column(0, 0)), aim);
        }
        let against = |number| match at {
            0 => "–".to_owned(),
            _ => ratio(&column(at, number), &column(0, number)).to_string(),
        };
        println!(
            "| {} | {:.1} | {:.1} | {} | {} |",
            peer.name(),
            medians(&figures[at], |figures| figures[0]).0,
            medians(&figures[at], |figures| figures[1]).0,
            against(0),
            against(1),
        );
    }
}

/// Measures in this process.
fn print(peer: Peer, is_loop_busy: bool) {
    let mut times = peer.measure(Calls { is_loop_busy });
    let [p50, p99] = [0.5, 0.99].map(|share| percentile(&mut times, share).as_nanos() as f64 / 1e3);
    println!("{p50} {p99}");
}

struct Calls {
    is_loop_busy: bool,
}

impl Measure for Calls {
    type Figures = Vec<Duration>;

    fn of<C, F>(self, call: C) -> Vec<Duration>
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Runtime::CurrentThread.build().block_on(async {
            if self.is_loop_busy {
                tokio::spawn(async {
                    loop {
                        tokio::task::yield_now().await;
                    }
                });
            }
            // The pool has a thread then.
            call().await;
            let start = Instant::now();
            let mut times = Vec::new();
            while times.len() < CALLS && start.elapsed() < TIME {
                let sent = Instant::now();
                call().await;
                times.push(sent.elapsed());
            }
            times
        })
    }
}

/// Does something while two threads a core never rest.
fn spinning(something: impl FnOnce()) {
    let is_over = Arc::new(AtomicBool::new(false));
    let spin = |_| {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        })
    };
    let threads: Vec<_> = (0..2 * cores()).map(spin).collect();
    something();
    is_over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// A process that never rests, until this is dropped.
struct Neighbour {
    process: Child,
    /// It ends when this is closed, so also when this process is killed.
    input: Option<ChildStdin>,
}

impl Neighbour {
    fn start() -> Neighbour {
        let this = std::env::current_exe().expect("this program");
        let mut command = Command::new(this);
        let mut process =
            command.arg("neighbour").stdin(Stdio::piped()).spawn().expect("a process");
        let input = process.stdin.take();
        Neighbour { process, input }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// What such a process does.
fn neighbour() {
    thread::spawn(|| {
        loop {
            hint::spin_loop();
        }
    });
    // Until its input is closed.
    io::copy(&mut io::stdin(), &mut io::sink()).expect("an input");
}
