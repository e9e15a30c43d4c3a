//! What it costs to have a body run in another process, beside the peers:
//! `cargo bench -p offload-benches --bench process`.
//!
//! Every figure is taken in a process of its own with two workers, all peers in
//! turn, forwards and backwards, five times unless `ROUNDS` says otherwise. Ratios
//! are of figures of one round. Processor time and context switches are those of
//! the process and all that it started, the start included. Without `python3`, its
//! rows are left out. At the end: what a panic costs in a new worker, with a backtrace
//! and without.

mod peers;

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use offload_benches::apart;
use offload_benches::page::{Rows, Side};
use offload_benches::paired::{alternate, medians, ratio, rounds};

use self::peers::Peer;

/// How long a figure is measured, after the workers are warm.
const TIME: Duration = Duration::from_millis(500);

/// What the calls of a figure do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A body that does nothing, one call in flight.
    One,
    /// The same, with 64 callers.
    Many,
    /// 16 MiB there and back, as bytes.
    Bytes,
    /// The same as a `Vec<u8>`.
    Numbers,
    /// The same inside of a struct.
    Inside,
}

impl Work {
    const ALL: [Work; 5] = [Work::One, Work::Many, Work::Bytes, Work::Numbers, Work::Inside];

    const fn name(self) -> &'static str {
        match self {
            Work::One => "one",
            Work::Many => "many",
            Work::Bytes => "bytes",
            Work::Numbers => "numbers",
            Work::Inside => "inside",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Work::One => "a body that does nothing, 1 call in flight",
            Work::Many => "a body that does nothing, 64 callers",
            Work::Bytes => "16 MiB of bytes there and back",
            Work::Numbers => "16 MiB as a `Vec<u8>` there and back",
            Work::Inside => "16 MiB as a `Vec<u8>` in a struct there and back",
        }
    }

    /// How much longer than this peer a call may take, where there is such an aim.
    fn aim(self, peer: Peer) -> Option<&'static str> {
        Some(match (self, peer) {
            (Work::One, Peer::Socketpair) => "3 at most",
            (Work::One, Peer::Procspawn) => "0.6 at most",
            (Work::Many, Peer::Procspawn) => "0.77 at most",
            (_, Peer::Procspawn) => "1 at most",
            _ => return None,
        })
    }
}

/// What was measured of one peer in one round.
struct Figures {
    /// Microseconds a call: the time of all by their number.
    micros: f64,
    /// Microseconds of processor time a call.
    processor: f64,
    /// Context switches a call.
    switches: f64,
}

fn main() {
    offload_runtime::init();
    procspawn::init();
    let args = apart::arguments();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["echo"] => peers::echo(),
        ["panic", with_backtrace] => {
            let with_backtrace = with_backtrace.parse().expect("true or false");
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            println!("{}", runtime.expect("a runtime").block_on(peers::panics(with_backtrace)));
        }
        ["cell", peer, work] => {
            let peer = Peer::ALL.into_iter().find(|known| known.name() == *peer).expect("a peer");
            let work = Work::ALL.into_iter().find(|known| known.name() == *work).expect("work");
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let calls = runtime.expect("a runtime").block_on(peers::run(peer, work, TIME));
            println!("{} {}", calls.count, calls.time.as_secs_f64());
        }
        other => panic!("{other:?} is nothing to measure"),
    }
}

/// All work, all peers.
fn compare() {
    let rounds = rounds(5);
    let mut rows = Rows::new("process");
    for work in Work::ALL {
        let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| peer.does(work)).collect();
        let figures = alternate(rounds, &peers, |peer| measure_apart(peer, work));
        println!("\n### {}\n", work.title());
        println!(
            "| | µs a call (lowest–highest) | calls/s | CPU µs a call | switches a call | ours takes … times as long |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        let micros = |of: &[Figures]| of.iter().map(|figures| figures.micros).collect::<Vec<_>>();
        for (peer, of) in peers.iter().zip(&figures) {
            if let Some(aim) = work.aim(*peer) {
                let this = Side("process", &micros(&figures[0]));
                rows.compare(work.title(), "µs", this, Side(peer.name(), &micros(of)), aim);
            }
            let (middle, low, high) = medians(of, |figures| figures.micros);
            let against = match peer {
                Peer::Offload => "–".to_owned(),
                _ => ratio(&micros(&figures[0]), &micros(of)).to_string(),
            };
            println!(
                "| {} | {middle:.1} ({low:.1}–{high:.1}) | {:.0} | {:.1} | {:.2} | {against} |",
                peer.name(),
                1e6 / middle,
                medians(of, |figures| figures.processor).0,
                medians(of, |figures| figures.switches).0,
            );
        }
    }
    compare_panics(rounds, &mut rows);
    rows.print();
}

/// What a panic costs in a new worker.
fn compare_panics(rounds: usize, rows: &mut Rows) {
    let question = "a panic in a new worker, processor time";
    let figures = alternate(rounds, &[false, true], |with_backtrace| {
        // The backtraces are printed, too.
        let output = this()
            .args(["panic", if with_backtrace { "true" } else { "false" }])
            .stderr(Stdio::null())
            .output()
            .expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse::<f64>().unwrap_or_else(|_| panic!("{text:?} is no time"))
    });
    println!("\n### {question}\n\n| | ms (lowest–highest) |\n| --- | --- |");
    for (name, of) in ["without backtraces", "with `RUST_BACKTRACE=1`"].iter().zip(&figures) {
        let (middle, low, high) = medians(of, |millis| *millis);
        println!("| {name} | {middle:.2} ({low:.2}–{high:.2}) |");
    }
    let (this, that) = (Side("process", &figures[0]), Side("with `RUST_BACKTRACE=1`", &figures[1]));
    rows.compare(question, "ms", this, that, "");
}

fn measure_apart(peer: Peer, work: Work) -> Figures {
    let usage = || getrusage(UsageWho::RUSAGE_CHILDREN).expect("the children of this process");
    let before = usage();
    let output = peer
        .command(work, TIME)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("a process");
    let after = usage();
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[count, seconds] = &numbers[..] else { panic!("{peer:?} {work:?}: {text}") };
    let switches = |usage: &Usage| {
        (usage.voluntary_context_switches() + usage.involuntary_context_switches()) as f64
    };
    let processor = |usage: &Usage| {
        [usage.user_time(), usage.system_time()]
            .map(|time| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64)
            .iter()
            .sum::<f64>()
    };
    Figures {
        micros: seconds * 1e6 / count,
        processor: (processor(&after) - processor(&before)) / count,
        switches: (switches(&after) - switches(&before)) / count,
    }
}

/// This program again.
fn this() -> Command {
    Command::new(std::env::current_exe().expect("this program"))
}
