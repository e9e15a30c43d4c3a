//! What calls take that come when they come, at half and at nine tenths of what the cores can
//! do: `cargo bench -p offload-benches --bench open_loop`.
//!
//! A bench whose callers wait for their answers asks a slow pool less often, and so flatters it.
//! Here each call is timed from when it was due, whether or not it could be made then. Bodies
//! compute for a millisecond; gaps are random, and the same for all. Each figure in a process of
//! its own, all in turn; `ROUNDS` sets how often. `-- 0.5` does one load alone.

use std::future::Future;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use offload_benches::arrivals::{Gaps, at_rate};
use offload_benches::page::Rows;
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::peers::{self, Measure, Peer};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, cores, roots, roots_in_a_millisecond};

/// How long calls come.
const TIME: Duration = Duration::from_millis(1500);

/// Of what the cores can do.
const LOADS: [f64; 2] = [0.5, 0.9];

const PEERS: [Peer; 8] = [
    Peer::Cpu,
    Peer::Thread,
    Peer::CpuRayon,
    Peer::SpawnBlocking,
    Peer::Unblock,
    Peer::TokioRayon,
    Peer::RayonOneshot,
    Peer::CpuAgain,
];

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => compare(&LOADS),
        ["cell", peer, rate, body] => {
            peers::set_roots(body.parse().expect("a number"));
            let rate = rate.parse().expect("calls a second");
            let times = Peer::from_name(peer).measure(Calls { rate });
            let [p50, p99, worst] =
                [0.5, 0.99, 1.0].map(|share| times.value_at_quantile(share) as f64 / 1e6);
            println!("{p50} {p99} {worst}");
        }
        [load] => compare(&[load.parse().expect("a share of what the cores can do")]),
        _ => panic!("no arguments, or: LOAD"),
    }
}

struct Calls {
    rate: f64,
}

impl Measure for Calls {
    /// Nanoseconds from when calls were due to their answers.
    type Figures = Histogram<u64>;

    fn of<C, F>(self, call: C) -> Histogram<u64>
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Runtime::MultiThread.build().block_on(async {
            let warm_up = TIME / 10;
            at_rate(self.rate, Gaps::Random, warm_up, move |_| call()).await;
            let timed = move |due: Instant| async move {
                call().await;
                due.elapsed()
            };
            let mut all = Histogram::new(3).expect("three digits");
            for time in at_rate(self.rate, Gaps::Random, TIME, timed).await {
                all.record(time.as_nanos() as u64).expect("resizes");
            }
            all
        })
    }
}

/// Bodies that the cores can run in a second, if nothing is handed to anybody.
fn capacity(body: u64) -> f64 {
    const TIME: Duration = Duration::from_millis(300);
    let threads: Vec<_> = (0..cores())
        .map(|_| {
            thread::spawn(move || {
                let start = Instant::now();
                let mut bodies = 0_u32;
                while start.elapsed() < TIME {
                    black_box(roots(0..body));
                    bodies += 1;
                }
                f64::from(bodies) / start.elapsed().as_secs_f64()
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
}

fn compare(loads: &[f64]) {
    let body = roots_in_a_millisecond();
    let mut ours = [Peer::Cpu, Peer::Thread].map(|peer| (peer, Vec::new()));
    for load in loads {
        // What the machine can do is not the same a minute later: it is measured once a round,
        // and all calls of a round come at the same rate.
        let (mut rate, mut measured) = (0.0, 0);
        let figures = alternate(rounds(5), &PEERS, |peer| {
            if measured % PEERS.len() == 0 {
                rate = load * capacity(body);
            }
            measured += 1;
            apart::figures::<3>(&["cell", peer.name(), &rate.to_string(), &body.to_string()])
        });
        println!("\n### Bodies of 1 ms, at {load} of what the cores can do\n");
        print_table(&figures);
        let p99 = |peer| p99(&figures, peer);
        // Of rayon's two ways the better one.
        let rayon = [Peer::TokioRayon, Peer::RayonOneshot];
        let rayon = rayon.map(|peer| (medians(&p99(peer), |p99| *p99).0, peer));
        let (_, beside) = if rayon[0].0 < rayon[1].0 { rayon[0] } else { rayon[1] };
        for (peer, cells) in &mut ours {
            cells.push((format!("load {load}"), ratio(&p99(*peer), &p99(beside))));
        }
    }
    let mut rows = Rows::new("open_loop");
    for (peer, cells) in ours {
        let name = peer.name();
        let question = format!("`{name}`: bodies of 1 ms that come when they come, p99");
        rows.cells(&question, "the better of rayon's", &cells, "");
    }
    rows.print();
}

fn p99(figures: &[Vec<[f64; 3]>], peer: Peer) -> Vec<f64> {
    let at = PEERS.iter().position(|known| *known == peer).expect("one of them");
    figures[at].iter().map(|figures| figures[1]).collect()
}

fn print_table(figures: &[Vec<[f64; 3]>]) {
    println!(
        "| | p50 ms | p99 ms | worst ms | p99 of `cpu`, times this | p99 of `thread`, times this |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let p99 = |peer| p99(figures, peer);
    for (peer, of) in PEERS.into_iter().zip(figures) {
        let middle = |number: usize| medians(of, |figures| figures[number]).0;
        let against = |ours: Peer| match ours == peer {
            true => "–".to_owned(),
            false => ratio(&p99(ours), &p99(peer)).to_string(),
        };
        println!(
            "| {} | {:.2} | {:.2} | {:.1} | {} | {} |",
            peer.name(),
            middle(0),
            middle(1),
            middle(2),
            against(Peer::Cpu),
            against(Peer::Thread)
        );
    }
}
