//! How long an event loop stands still at worst while a pool's threads compete for its cores:
//! `cargo bench -p offload-benches --bench stall`.
//!
//! A task of a `current_thread` runtime sleeps for a millisecond, again and again, and notes how
//! long it was until it ran again. Beside it 16 tasks make one call after the other, so that the
//! pool always has work and the loop always has callers to wake: of bodies that compute for a
//! millisecond, and of bodies that compute for 10 µs, where queue and wakers are used most.
//! Threads of low priority can be stopped while they hold what the loop wants: this is where
//! it would show. Each figure in a process of its own, all in turn; `ROUNDS` sets how often.
//! `-- 1000` does one kind of body alone, that takes so many microseconds.

use std::future::Future;
use std::time::{Duration, Instant};

use offload_benches::page::Rows;
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::peers::{self, Measure, Peer};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, percentile, roots_in_a_millisecond, sleep_exactly};

/// How long one figure is measured.
const TIME: Duration = Duration::from_millis(1500);

/// Tasks that make calls.
const CALLERS: usize = 16;

/// Microseconds that a body computes.
const BODIES: [u64; 2] = [1000, 10];

/// `None`: nobody calls.
const WAYS: [Option<Peer>; 7] = [
    None,
    Some(Peer::Cpu),
    Some(Peer::CpuNormal),
    Some(Peer::Thread),
    Some(Peer::RayonOneshot),
    Some(Peer::TokioRayon),
    Some(Peer::SpawnBlocking),
];

fn name(way: Option<Peer>) -> &'static str {
    way.map_or("idle", Peer::name)
}

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => compare(&BODIES),
        ["cell", "idle", _] => print(ticks(|| {})),
        ["cell", peer, roots] => {
            peers::set_roots(roots.parse().expect("a number"));
            print(Peer::from_name(peer).measure(Ticks));
        }
        [micros] => compare(&[micros.parse().expect("microseconds")]),
        _ => panic!("no arguments, or: MICROS"),
    }
}

fn print(mut gaps: Vec<Duration>) {
    let [p99, p999, worst] =
        [0.99, 0.999, 1.0].map(|share| percentile(&mut gaps, share).as_secs_f64() * 1e3);
    println!("{p99} {p999} {worst}");
}

struct Ticks;

impl Measure for Ticks {
    type Figures = Vec<Duration>;

    fn of<C, F>(self, call: C) -> Vec<Duration>
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        ticks(|| {
            for _ in 0..CALLERS {
                tokio::spawn(async move {
                    loop {
                        call().await;
                    }
                });
            }
        })
    }
}

/// The gaps between ticks that are meant to be a millisecond apart, beside what `start` starts.
fn ticks(start: impl FnOnce()) -> Vec<Duration> {
    // That of the loop's thread, whose waits tokio rounds up to the next whole millisecond.
    sleep_exactly();
    let runtime = Runtime::CurrentThread.build();
    let gaps = runtime.block_on(async {
        start();
        let warm_up = TIME / 5;
        tokio::time::sleep(warm_up).await;
        let start = Instant::now();
        let mut gaps = Vec::new();
        let mut last = start;
        while last - start < TIME {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = Instant::now();
            gaps.push(now - last);
            last = now;
        }
        gaps
    });
    // Its callers would call for ever.
    runtime.shutdown_background();
    gaps
}

fn compare(bodies: &[u64]) {
    let in_a_millisecond = roots_in_a_millisecond();
    let mut beside = [None, Some(Peer::RayonOneshot)].map(|way| (way, Vec::new()));
    for micros in bodies {
        let roots = (micros * in_a_millisecond / 1000).to_string();
        let figures =
            alternate(rounds(5), &WAYS, |way| apart::figures::<3>(&["cell", name(way), &roots]));
        println!("\n### Ticks of 1 ms beside bodies of {micros} µs\n");
        println!(
            "| | ms between ticks: p99 | p99.9 | longest (lowest–highest of all rounds) | longest, times idle | longest of `cpu`, times this |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        let longest = |at: usize| -> Vec<f64> { figures[at].iter().map(|of| of[2]).collect() };
        let at = |way| WAYS.iter().position(|known| *known == way).expect("one of them");
        let (idle, cpu) = (at(None), at(Some(Peer::Cpu)));
        for (way, cells) in &mut beside {
            let ratio = ratio(&longest(cpu), &longest(at(*way)));
            cells.push((format!("bodies of {micros} µs"), ratio));
        }
        for (at, way) in WAYS.into_iter().enumerate() {
            let (middle, low, high) = medians(&figures[at], |of| of[2]);
            let against = |this: usize, that: usize| match this == that {
                true => "–".to_owned(),
                false => ratio(&longest(this), &longest(that)).to_string(),
            };
            println!(
                "| {} | {:.2} | {:.2} | {middle:.2} ({low:.2}–{high:.2}) | {} | {} |",
                name(way),
                medians(&figures[at], |of| of[0]).0,
                medians(&figures[at], |of| of[1]).0,
                against(at, idle),
                against(cpu, at),
            );
        }
    }
    let mut rows = Rows::new("stall");
    for (way, cells) in beside {
        let question = "`cpu`: the longest gap between ticks of the event loop, 1 ms apart";
        rows.cells(question, name(way), &cells, "");
    }
    rows.print();
}
