//! Whether an event loop feels what computes beside it:
//! `cargo bench -p offload-benches --bench server`.
//!
//! An axum server on all cores answers pings that come at a fixed rate, while
//! 16 callers keep it computing; and the same server with nothing to compute.
//! A fresh server each, in turn, again and again; what is compared is compared
//! within a round. `-- 20 500` does bodies of 20 ms at 500 pings a second only;
//! `ROUNDS` sets how often.

mod load;
mod serve;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use offload_benches::apart;
use offload_benches::page::Rows;
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::picture::{self, Bars};

use self::load::{Callers, Pings};
use self::serve::Way;

/// Milliseconds that a body takes.
const BODIES: [u64; 3] = [1, 20, 200];

/// Pings a second.
const RATES: [u32; 2] = [500, 20_000];

const CALLERS: usize = 16;

/// The load is on for this long before anything is measured.
const SETTLE: Duration = Duration::from_millis(400);

/// How long one figure is measured.
const TIME: Duration = Duration::from_millis(2400);

fn main() {
    let args = apart::arguments();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => compare(&BODIES, &RATES),
        ["serve", way, below] => {
            serve::main(Way::from_name(way).expect("a way"), below.parse().expect("a number"));
        }
        ["one", way, body, rate] => {
            let way = Way::from_name(way).expect("a way");
            let below =
                body.parse::<u64>().expect("ms") * offload_benches::roots_in_a_millisecond();
            println!("{:.3?}", measure(way, below, rate.parse().expect("pings a second")));
        }
        ["load", server, path] => load(server.parse().expect("an address"), path),
        [body, rate] => {
            compare(&[body.parse().expect("ms")], &[rate.parse().expect("pings a second")]);
        }
        _ => panic!(
            "no arguments, or: BODY_MS RATE, or: one WAY BODY_MS RATE, or: load ADDRESS PATH"
        ),
    }
}

/// What was measured of one server.
#[derive(Debug)]
struct Figures {
    /// Milliseconds that pings took.
    p50: f64,
    p99: f64,
    p999: f64,
    worst: f64,
    /// The share of pings that was answered.
    served: f64,
    /// How much was computed in a second.
    done: f64,
}

impl Figures {
    fn new(pings: &Pings, done: f64) -> Figures {
        let at = |share| pings.times.value_at_quantile(share) as f64 / 1e6;
        Figures {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            worst: pings.times.max() as f64 / 1e6,
            served: pings.served,
            done,
        }
    }
}

fn compare(bodies: &[u64], rates: &[u32]) {
    let rounds = rounds(3);
    let in_a_millisecond = offload_benches::roots_in_a_millisecond();
    let mut groups = Vec::new();
    let mut rows = Rows::new("server");
    for rate in rates {
        let [mut cpu, mut blocking, mut computed] = [const { Vec::new() }; 3];
        for body in bodies {
            let figures =
                alternate(rounds, &Way::ALL, |way| measure(way, body * in_a_millisecond, *rate));
            println!("\n### Bodies of {body} ms, {rate} pings a second\n");
            print_table(&figures);
            let p99 = |way: Way| numbers(&figures, way, |figures| figures.p99);
            let done = |way: Way| numbers(&figures, way, |figures| figures.done);
            for (cells, ratio) in [
                (&mut cpu, ratio(&p99(Way::Cpu), &p99(Way::Idle))),
                (&mut blocking, ratio(&p99(Way::SpawnBlocking), &p99(Way::Idle))),
                (&mut computed, ratio(&done(Way::Cpu), &done(Way::Rayon))),
            ] {
                cells.push((format!("bodies of {body} ms"), ratio));
            }
            let p99s = figures.iter().take(Way::ALL.len() - 1);
            let p99s = p99s.map(|all| medians(all, |figures| figures.p99).0).collect();
            groups.push((format!("{body} ms, {rate}/s"), p99s));
        }
        let pings = format!("{rate} pings a second beside a pool that computes");
        let is_seldom = *rate == RATES[0];
        let aim = if is_seldom { "1.1 at most" } else { "2 at most" };
        rows.cells(&format!("`cpu`: {pings}, p99"), "an idle server", &cpu, aim);
        rows.cells(&format!("`spawn_blocking`: {pings}, p99"), "an idle server", &blocking, "");
        let aim = if is_seldom { "0.95 at least" } else { "" };
        rows.cells(&format!("`cpu`: {pings}, how much it computes"), "rayon", &computed, aim);
    }
    if groups.len() > 1 {
        let bars = Bars {
            title: "p99 of a ping beside bodies that compute, ms (less is better)",
            series: Way::ALL.iter().take(Way::ALL.len() - 1).map(|way| way.name()).collect(),
            groups,
            logarithmic: true,
        };
        picture::save("ping.svg", &bars.draw());
    }
    rows.print();
}

fn numbers(figures: &[Vec<Figures>], way: Way, number: fn(&Figures) -> f64) -> Vec<f64> {
    let at = Way::ALL.iter().position(|known| *known == way).expect("one of all");
    figures[at].iter().map(number).collect()
}

fn print_table(figures: &[Vec<Figures>]) {
    println!(
        "| | p50 ms | p99 ms | p99.9 ms | worst ms | pings served | p99, times idle | computed, times rayon |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let of = |way, what| numbers(figures, way, what);
    for (way, all) in Way::ALL.into_iter().zip(figures) {
        let middle = |what: fn(&Figures) -> f64| medians(all, what).0;
        let p99 = |figures: &Figures| figures.p99;
        let done = |figures: &Figures| figures.done;
        let beside_idle = match way {
            Way::Idle => "–".to_owned(),
            _ => ratio(&of(way, p99), &of(Way::Idle, p99)).to_string(),
        };
        let beside_rayon = match way.computes() && way != Way::Rayon {
            true => ratio(&of(way, done), &of(Way::Rayon, done)).to_string(),
            false => "–".to_owned(),
        };
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} % | {beside_idle} | {beside_rayon} |",
            way.name(),
            middle(|figures| figures.p50),
            middle(p99),
            middle(|figures| figures.p999),
            medians(all, |figures| figures.worst).2,
            middle(|figures| figures.served) * 100.0,
        );
    }
}

/// A server in a process of its own, which ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(way: Way, below: u64) -> Server {
        let this = std::env::current_exe().expect("this program");
        let mut command = Command::new(this);
        command.args(["serve", way.name(), &below.to_string()]).stdout(Stdio::piped());
        if let Some(priority) = way.priority() {
            command.env("OFFLOAD_CPU_PRIORITY", priority);
        }
        let mut process = command.spawn().expect("a process");
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port: u16 = line.trim().parse().expect("a port");
        Server { process, address: (Ipv4Addr::LOCALHOST, port).into() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn measure(way: Way, below: u64, rate: u32) -> Figures {
    let server = Server::start(way, below);
    let callers = way.computes().then(|| Callers::start(server.address, "/work", CALLERS));
    load::ping(server.address, rate, SETTLE, connections(rate));
    let (start, before) = (Instant::now(), load::done(server.address));
    let pings = load::ping(server.address, rate, TIME, connections(rate));
    let done = (load::done(server.address) - before) as f64 / start.elapsed().as_secs_f64();
    drop(server);
    if let Some(callers) = callers {
        callers.stop();
    }
    Figures::new(&pings, done)
}

fn connections(rate: u32) -> usize {
    if rate > 1000 { 64 } else { 16 }
}

/// The same load for any server, for `benches/fastapi`: pings at 500 a second
/// of one that has nothing else to do, then while 16 callers ask for `path`.
fn load(server: SocketAddr, path: &str) {
    let rate = RATES[0];
    load::ping(server, rate, SETTLE, connections(rate));
    let idle = Figures::new(&load::ping(server, rate, TIME, connections(rate)), 0.0);
    let callers = Callers::start(server, path, CALLERS);
    thread::sleep(SETTLE);
    let before = callers.answered.load(std::sync::atomic::Ordering::Relaxed);
    let busy = load::ping(server, rate, TIME, connections(rate));
    let answered = callers.answered.load(std::sync::atomic::Ordering::Relaxed) - before;
    let busy = Figures::new(&busy, answered as f64 / TIME.as_secs_f64());
    callers.stop();
    println!(
        "| {path} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} % | {:.1} | {:.1} |",
        busy.p50,
        busy.p99,
        busy.p999,
        busy.worst,
        busy.served * 100.0,
        busy.p99 / idle.p99,
        busy.done
    );
}
