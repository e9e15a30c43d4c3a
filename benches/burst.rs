//! Whether blocking calls wait behind each other: `cargo bench -p offload-benches --bench burst`.
//!
//! First 500 calls of a second each, at once, to a pool that has no threads yet: how long until
//! all have ended. Then 10 000 calls a second of 0.9 ms each, on two cores: how long the
//! unluckiest waited for a thread. Each figure in a process of its own, in turn; `ROUNDS` sets
//! how often. `-- cold` and `-- steady` do one of the two alone.

use std::thread;
use std::time::{Duration, Instant};

use offload_benches::arrivals::{Gaps, at_rate};
use offload_benches::page::{Rows, Side};
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, percentile, stay_on_cores};
use offload_runtime::offload;
use tokio::task::{JoinSet, spawn_blocking};

/// Calls at once.
const BURST: usize = 500;

/// Calls a second.
const RATE: f64 = 10_000.0;

/// What each of those blocks for.
const BRIEF: Duration = Duration::from_micros(900);

/// For so long they come.
const TIME: Duration = Duration::from_millis(1500);

/// Blocks, and says how long after `sent` it began.
fn body(sent: Instant, time: Duration) -> Duration {
    let waited = sent.elapsed();
    thread::sleep(time);
    waited
}

#[offload(thread)]
fn on_thread(sent: Instant, time: Duration) -> Duration {
    body(sent, time)
}

/// Where they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Thread,
    SpawnBlocking,
}

impl Way {
    const ALL: [Way; 2] = [Way::Thread, Way::SpawnBlocking];

    fn name(self) -> &'static str {
        match self {
            Way::Thread => "thread",
            Way::SpawnBlocking => "spawn_blocking",
        }
    }

    fn from_name(name: &str) -> Way {
        Way::ALL.into_iter().find(|way| way.name() == name).expect("a way")
    }

    async fn call(self, time: Duration) -> Duration {
        let sent = Instant::now();
        match self {
            Way::Thread => on_thread(sent, time).await,
            Way::SpawnBlocking => spawn_blocking(move || body(sent, time)).await.expect("no panic"),
        }
    }
}

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => {
            let mut rows = Rows::new("burst");
            compare_cold(&mut rows);
            compare_steady(&mut rows);
            rows.print();
        }
        ["cold"] => compare_cold(&mut Rows::new("burst")),
        ["steady"] => compare_steady(&mut Rows::new("burst")),
        ["cold", way] => cold(Way::from_name(way)),
        ["steady", way] => steady(Way::from_name(way)),
        _ => panic!("no arguments, or: cold, or: steady"),
    }
}

fn compare_cold(rows: &mut Rows) {
    println!("\n### {BURST} blocking calls of 1 s at once, no threads yet\n");
    println!("| | seconds until all have ended (lowest–highest) | times `spawn_blocking` |");
    println!("| --- | --- | --- |");
    let seconds = alternate(rounds(9), &Way::ALL, |way| {
        let [seconds] = apart::figures(&["cold", way.name()]);
        seconds
    });
    let [ours, theirs] = [&seconds[0], &seconds[1]];
    let question = format!("{BURST} blocking calls of 1 s at once, no threads yet");
    rows.compare(
        &question,
        "s",
        Side("thread", ours),
        Side("spawn_blocking", theirs),
        "1.1 at most",
    );
    for (way, of) in Way::ALL.into_iter().zip(&seconds) {
        let (middle, low, high) = medians(of, |seconds| *seconds);
        let against = match way {
            Way::Thread => ratio(ours, theirs).to_string(),
            Way::SpawnBlocking => "–".to_owned(),
        };
        println!("| {} | {middle:.3} ({low:.3}–{high:.3}) | {against} |", way.name());
    }
}

fn compare_steady(rows: &mut Rows) {
    println!("\n### {RATE} blocking calls a second of {BRIEF:?}, on two cores\n");
    println!(
        "| | ms a call waits for a thread: p50 | p99 | the longest (lowest–highest of all rounds) |"
    );
    println!("| --- | --- | --- | --- |");
    let figures =
        alternate(rounds(9), &Way::ALL, |way| apart::figures::<3>(&["steady", way.name()]));
    let longest =
        |at: usize| -> Vec<f64> { figures[at].iter().map(|figures| figures[2]).collect() };
    let question = format!("{RATE} blocking calls a second of {BRIEF:?}, two cores, longest wait");
    let (this, that) = (longest(0), longest(1));
    let (this, that) = (Side("thread", &this), Side("spawn_blocking", &that));
    rows.compare(&question, "ms", this, that, "20 ms at most");
    for (way, of) in Way::ALL.into_iter().zip(&figures) {
        let (longest, low, high) = medians(of, |figures| figures[2]);
        println!(
            "| {} | {:.2} | {:.2} | {longest:.1} ({low:.1}–{high:.1}) |",
            way.name(),
            medians(of, |figures| figures[0]).0,
            medians(of, |figures| figures[1]).0,
        );
    }
}

/// Measures in this process.
fn cold(way: Way) {
    let start = Instant::now();
    Runtime::MultiThread.build().block_on(async {
        let mut calls = JoinSet::new();
        for _ in 0..BURST {
            calls.spawn(way.call(Duration::from_secs(1)));
        }
        calls.join_all().await;
    });
    println!("{}", start.elapsed().as_secs_f64());
}

/// The same.
fn steady(way: Way) {
    stay_on_cores(2);
    let calls = at_rate(RATE, Gaps::Even, TIME, move |_| way.call(BRIEF));
    let mut waits = Runtime::MultiThread.build().block_on(calls);
    let [p50, p99, longest] =
        [0.5, 0.99, 1.0].map(|share| percentile(&mut waits, share).as_secs_f64() * 1e3);
    println!("{p50} {p99} {longest}");
}
