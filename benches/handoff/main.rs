//! What it costs to have a body that does nothing, or little, run elsewhere, beside the
//! peers: `cargo bench -p offload-benches --bench handoff`.
//!
//! Every figure is taken in a process of its own, all peers in turn, again and
//! again, forwards and backwards; `ROUNDS` sets how often. What is compared is
//! compared within a round, since the machine is not the same a minute later.
//! It prints a table for each cell, then one of all cells and its rows, both of `benches/RESULTS.md`,
//! and draws its picture. `-- current_thread 64 1000` does one cell alone: its runtime, the calls in flight,
//! and for how many microseconds a body computes.

mod cell;
mod floor;

use std::time::Duration;

use offload_benches::page::Rows;
use offload_benches::paired::{Ratio, alternate, medians, ratio, rounds};
use offload_benches::peers::Peer;
use offload_benches::picture::{self, Bars};
use offload_benches::runtime::Runtime;
use offload_benches::{apart, median, roots_in_a_millisecond};

use self::cell::{Cell, Figures};

const CELLS: [Cell; 18] = [
    Cell::new(Runtime::CurrentThread, 1, 0),
    Cell::new(Runtime::CurrentThread, 64, 0),
    Cell::new(Runtime::CurrentThread, 1000, 0),
    Cell::new(Runtime::MultiThread, 1, 0),
    Cell::new(Runtime::MultiThread, 64, 0),
    Cell::new(Runtime::MultiThread, 1000, 0),
    Cell::new(Runtime::OneCore, 1, 0),
    Cell::new(Runtime::OneCore, 64, 0),
    Cell::new(Runtime::CurrentThread, 64, 10),
    Cell::new(Runtime::MultiThread, 64, 10),
    Cell::new(Runtime::CurrentThread, 4, 100),
    Cell::new(Runtime::CurrentThread, 64, 100),
    Cell::new(Runtime::MultiThread, 4, 100),
    Cell::new(Runtime::MultiThread, 64, 100),
    Cell::new(Runtime::CurrentThread, 4, 1000),
    Cell::new(Runtime::CurrentThread, 64, 1000),
    Cell::new(Runtime::MultiThread, 4, 1000),
    Cell::new(Runtime::MultiThread, 64, 1000),
];

const PEERS: [Peer; 9] = [
    Peer::Cpu,
    Peer::Thread,
    Peer::CpuRayon,
    Peer::SpawnBlocking,
    Peer::Semaphore,
    Peer::Unblock,
    Peer::TokioRayon,
    Peer::RayonOneshot,
    Peer::CpuAgain,
];

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text}: no number"));
    let cell = |runtime, in_flight, micros| {
        Cell::new(Runtime::from_name(runtime), number(in_flight) as usize, number(micros))
    };
    match args[..] {
        [] => compare(&CELLS),
        ["cell", peer, runtime, in_flight, micros, in_a_millisecond] => {
            cell::main(peer, cell(runtime, in_flight, micros), number(in_a_millisecond));
        }
        ["floor"] => floor::main(),
        ["counting"] => counting(),
        [runtime, in_flight, micros] => compare(&[cell(runtime, in_flight, micros)]),
        _ => panic!("no arguments, or: RUNTIME IN_FLIGHT MICROS, or: counting"),
    }
}

/// What was measured of all peers in one cell.
struct Measured {
    cell: Cell,
    /// By peer, by round.
    figures: Vec<Vec<Figures>>,
}

impl Measured {
    fn of(&self, peer: Peer) -> &[Figures] {
        let at = PEERS.iter().position(|known| *known == peer).expect("one of them");
        &self.figures[at]
    }

    fn numbers(&self, peer: Peer, number: fn(&Figures) -> f64) -> Vec<f64> {
        self.of(peer).iter().map(number).collect()
    }

    fn ratio(&self, this: Peer, that: Peer, number: fn(&Figures) -> f64) -> Ratio {
        ratio(&self.numbers(this, number), &self.numbers(that, number))
    }

    fn middle(&self, peer: Peer, number: fn(&Figures) -> f64) -> f64 {
        medians(self.of(peer), number).0
    }

    /// Whom ours is set beside: the peer that makes the most calls. Bodies that compute belong
    /// on as many threads as there are cores, so there it is the better of rayon's two.
    fn rival(&self) -> Peer {
        let is_rival = |peer: &Peer| match self.cell.micros >= 100 {
            true => [Peer::TokioRayon, Peer::RayonOneshot].contains(peer),
            false => peer.is_foreign(),
        };
        let rate = |peer: Peer| self.middle(peer, |figures| figures.rate);
        let rivals = PEERS.into_iter().filter(is_rival);
        rivals.max_by(|this, that| rate(*this).total_cmp(&rate(*that))).expect("some")
    }
}

fn compare(cells: &[Cell]) {
    let rounds = rounds(5);
    let in_a_millisecond = roots_in_a_millisecond();
    let mut all = Vec::new();
    for cell in cells {
        let is_beside_the_floor = cell.runtime == Runtime::OneCore && cell.in_flight == 1;
        let mut floors = Vec::new();
        let figures = alternate(rounds, &PEERS, |peer| {
            if is_beside_the_floor && peer == Peer::Cpu {
                let [floor] = apart::figures(&["floor"]);
                floors.push(floor);
            }
            cell::measure_apart(peer, *cell, in_a_millisecond)
        });
        let measured = Measured { cell: *cell, figures };
        println!("\n### {}\n", cell.name());
        print_cell(&measured);
        if is_beside_the_floor {
            print_floor(&measured, &floors);
        }
        all.push(measured);
    }
    println!("\n### Cells of benches/RESULTS.md\n");
    print_summary(&all);
    rows_of(&all).print();
    let empty = |measured: &&Measured| {
        measured.cell.micros == 0 && measured.cell.runtime != Runtime::OneCore
    };
    let groups: Vec<_> = all.iter().filter(empty).map(bars_of).collect();
    if cells.len() == CELLS.len() {
        let bars = Bars {
            title: "Calls of a body that does nothing, thousands a second (more is better)",
            series: PEERS.map(Peer::name).to_vec(),
            groups,
            logarithmic: false,
        };
        picture::save("handoff.svg", &bars.draw());
    }
}

fn bars_of(measured: &Measured) -> (String, Vec<f64>) {
    let Cell { runtime, in_flight, .. } = measured.cell;
    let rates = PEERS.map(|peer| measured.middle(peer, |figures| figures.rate));
    (format!("{}, {in_flight}", runtime.name()), rates.to_vec())
}

fn print_cell(measured: &Measured) {
    println!(
        "| | thousand calls/s (lowest–highest) | CPU ns/call | switches/call | p50 µs | p99 µs | `cpu` makes … times as many | `thread` makes … |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for peer in PEERS {
        let (rate, low, high) = medians(measured.of(peer), |figures| figures.rate);
        let against = |ours: Peer| match ours == peer {
            true => "–".to_owned(),
            false => measured.ratio(ours, peer, |figures| figures.rate).to_string(),
        };
        println!(
            "| {} | {rate:.1} ({low:.1}–{high:.1}) | {:.0} | {:.2} | {:.1} | {:.0} | {} | {} |",
            peer.name(),
            measured.middle(peer, |figures| figures.nanos),
            measured.middle(peer, |figures| figures.switches),
            measured.middle(peer, |figures| figures.p50),
            measured.middle(peer, |figures| figures.p99),
            against(Peer::Cpu),
            against(Peer::Thread),
        );
    }
}

/// A line for each cell, with ours beside the best peer.
fn print_summary(all: &[Measured]) {
    println!(
        "| | beside | `cpu`: calls a second, times the peer's | p99, times the peer's | `thread`: calls a second | p99 | `blocking`: calls, p99 | CPU µs a call: `cpu`, `thread`, peer | switches a call |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for measured in all {
        let rival = measured.rival();
        let rate = |peer| measured.ratio(peer, rival, |figures| figures.rate);
        let p99 = |peer| measured.ratio(peer, rival, |figures| figures.p99);
        let three = |number: fn(&Figures) -> f64, digits: usize| {
            [Peer::Cpu, Peer::Thread, rival]
                .map(|peer| format!("{:.digits$}", measured.middle(peer, number)))
                .join(", ")
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.2}, {:.2} | {} | {} |",
            measured.cell.name(),
            rival.name(),
            rate(Peer::Cpu),
            p99(Peer::Cpu),
            rate(Peer::Thread),
            p99(Peer::Thread),
            rate(Peer::Unblock).middle,
            p99(Peer::Unblock).middle,
            three(|figures| figures.nanos / 1e3, 1),
            three(|figures| figures.switches, 2),
        );
    }
}

/// A row for each question that cells of both runtimes answer together.
fn rows_of(all: &[Measured]) -> Rows {
    const OURS: [Peer; 2] = [Peer::Thread, Peer::Cpu];
    let mut rows = Rows::new("handoff");
    let cells = |peer, number: fn(&Figures) -> f64, is_in: &dyn Fn(Cell) -> bool| -> Vec<_> {
        let some = all.iter().filter(|measured| is_in(measured.cell));
        let cells = some.map(|measured| {
            let Cell { runtime, in_flight, .. } = measured.cell;
            let ratio = measured.ratio(peer, measured.rival(), number);
            (format!("{} {in_flight}", runtime.name()), ratio)
        });
        cells.collect()
    };
    let rate = |figures: &Figures| figures.rate;
    for (peer, aim) in OURS.into_iter().zip(["0.97 at least, but for 1 in flight", ""]) {
        let question = format!("`{}`: a body that does nothing, calls a second", peer.name());
        let is_in = |cell: Cell| cell.micros == 0 && cell.runtime != Runtime::OneCore;
        rows.cells(&question, "the best peer", &cells(peer, rate, &is_in), aim);
    }
    for (micros, bodies) in [(100, "100 µs"), (1000, "1 ms")] {
        for peer in OURS {
            let mut add = |what, number, aim| {
                let question = format!("`{}`: bodies of {bodies}, {what}", peer.name());
                let cells = cells(peer, number, &|cell| cell.micros == micros);
                rows.cells(&question, "the better of rayon's", &cells, aim);
            };
            add("calls a second", rate, "0.95 at least");
            add("p99", |figures| figures.p99, "1.05 at most");
        }
    }
    rows
}

/// What a call takes, beside a bare round trip.
fn print_floor(measured: &Measured, floors: &[f64]) {
    let (floor, low, high) = median(floors.to_vec());
    println!("\nA bare park/unpark round trip: {floor:.2} µs ({low:.2}–{high:.2}). A call takes …");
    for peer in PEERS {
        let micros = measured.numbers(peer, |figures| 1e3 / figures.rate);
        println!("- {}: {} times that", peer.name(), ratio(&micros, floors));
    }
}

/// Ours alone, in this process, for `benches/counting.sh`.
fn counting() {
    for peer in [Peer::Cpu, Peer::Thread] {
        for in_flight in [1, 64, 1000] {
            let cell = Cell::new(Runtime::CurrentThread, in_flight, 0);
            let Figures { rate, nanos, .. } = cell::measure(peer, cell, Duration::from_millis(600));
            println!("{} {in_flight} {rate:.1} thousand/s {nanos:.0} ns/call", peer.name());
        }
    }
}
