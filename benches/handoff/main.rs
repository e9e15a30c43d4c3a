//! What it costs to have a body that does nothing, or little, run elsewhere, beside the
//! peers: `cargo bench -p offload-benches --bench handoff`.
//!
//! Every figure is taken in a process of its own, all peers in turn, again and
//! again, forwards and backwards; `ROUNDS` sets how often. What is compared is
//! compared within a round, since the machine is not the same a minute later.
//! It prints the tables of `benches/README.md`, and draws its picture.

mod cell;
mod floor;
mod peers;

use std::process::Command;
use std::time::Duration;

use offload_benches::paired::{medians, ratio};
use offload_benches::picture::{self, Bars};
use offload_benches::roots_in_a_millisecond;

use self::cell::{Figures, Runtime};
use self::peers::Peer;

/// The runtime, the calls in flight, and for how many microseconds a body computes.
const CELLS: [(Runtime, usize, u64); 12] = [
    (Runtime::CurrentThread, 1, 0),
    (Runtime::CurrentThread, 64, 0),
    (Runtime::CurrentThread, 1000, 0),
    (Runtime::MultiThread, 1, 0),
    (Runtime::MultiThread, 64, 0),
    (Runtime::MultiThread, 1000, 0),
    (Runtime::OneCore, 1, 0),
    (Runtime::OneCore, 64, 0),
    (Runtime::CurrentThread, 64, 10),
    (Runtime::MultiThread, 64, 10),
    (Runtime::CurrentThread, 64, 100),
    (Runtime::MultiThread, 64, 100),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        None => compare(),
        Some("cell") => cell::main(&args[1..]),
        Some("floor") => floor::main(),
        Some("counting") => counting(),
        Some(other) => panic!("{other} is none of: cell, floor, counting"),
    }
}

/// All cells, all peers.
fn compare() {
    let rounds = std::env::var("ROUNDS").map_or(5, |rounds| rounds.parse().expect("a number"));
    let in_a_millisecond = roots_in_a_millisecond();
    let mut groups = Vec::new();
    for (runtime, in_flight, micros) in CELLS {
        let roots = micros * in_a_millisecond / 1000;
        let mut figures = Peer::ALL.map(|_| Vec::new());
        let mut floors = Vec::new();
        let is_beside_the_floor = runtime == Runtime::OneCore && in_flight == 1;
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..Peer::ALL.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for peer in order {
                figures[peer].push(cell::measure_apart(Peer::ALL[peer], runtime, in_flight, roots));
            }
            if is_beside_the_floor {
                floors.push(floor_apart());
            }
        }
        let bodies = match micros {
            0 => String::new(),
            _ => format!(", bodies of {micros} µs"),
        };
        println!("\n### {}, {in_flight} in flight{bodies}\n", runtime.name());
        print_cell(&figures);
        if is_beside_the_floor {
            print_floor(&figures, &floors);
        } else if micros == 0 {
            let rates = figures.iter().map(|of| medians(of, |figures| figures.rate).0);
            groups.push((format!("{}, {in_flight}", runtime.name()), rates.collect()));
        }
    }
    let bars = Bars {
        title: "Calls of a body that does nothing, thousands a second (more is better)",
        series: Peer::ALL.map(Peer::name).to_vec(),
        groups,
        logarithmic: false,
    };
    picture::save("handoff.svg", &bars.draw());
}

fn print_cell(figures: &[Vec<Figures>]) {
    println!(
        "| | thousand calls/s (lowest–highest) | CPU ns/call | switches/call | p50 µs | p99 µs | `cpu` makes … times as many | `thread` makes … |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let of = |peer: Peer| {
        let at = Peer::ALL.iter().position(|known| *known == peer).expect("one of all");
        figures[at].iter().map(|figures| figures.rate).collect::<Vec<_>>()
    };
    for (peer, all) in Peer::ALL.into_iter().zip(figures) {
        let (rate, low, high) = medians(all, |figures| figures.rate);
        let middle = |what: fn(&Figures) -> f64| medians(all, what).0;
        let against = |ours: Peer| match ours == peer {
            true => "–".to_owned(),
            false => ratio(&of(ours), &of(peer)).to_string(),
        };
        println!(
            "| {} | {rate:.0} ({low:.0}–{high:.0}) | {:.0} | {:.2} | {:.1} | {:.0} | {} | {} |",
            peer.name(),
            middle(|figures| figures.nanos),
            middle(|figures| figures.switches),
            middle(|figures| figures.p50),
            middle(|figures| figures.p99),
            against(Peer::Cpu),
            against(Peer::Thread),
        );
    }
}

/// What a call takes, beside a bare round trip.
fn print_floor(figures: &[Vec<Figures>], floors: &[f64]) {
    let (floor, low, high) = offload_benches::median(floors.to_vec());
    println!("\nA bare park/unpark round trip: {floor:.2} µs ({low:.2}–{high:.2}). A call takes …");
    for (peer, all) in Peer::ALL.into_iter().zip(figures) {
        let micros: Vec<f64> = all.iter().map(|figures| 1e3 / figures.rate).collect();
        println!("- {}: {} times that", peer.name(), ratio(&micros, floors));
    }
}

fn floor_apart() -> f64 {
    let this = std::env::current_exe().expect("this program");
    let child = Command::new(this).arg("floor").output().expect("a process");
    String::from_utf8_lossy(&child.stdout).trim().parse().expect("a number")
}

/// Ours alone, in this process, for `benches/counting.sh`.
fn counting() {
    for peer in [Peer::Cpu, Peer::Thread] {
        for in_flight in [1, 64, 1000] {
            let time = Duration::from_millis(600);
            let Figures { rate, nanos, .. } =
                cell::measure(peer, Runtime::CurrentThread, in_flight, time);
            println!("{} {in_flight} {rate:.1} thousand/s {nanos:.0} ns/call", peer.name());
        }
    }
}
