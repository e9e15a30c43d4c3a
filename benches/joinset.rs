//! The hand-off in a second harness, so that no way is tuned for the first:
//! `cargo bench -p offload-benches --bench joinset`.
//!
//! 40 000 calls in all of a body that does nothing, from the tasks of a `JoinSet`, from the
//! first spawn to the last task's end. Each figure in a process of its own, all in turn;
//! `ROUNDS` sets how often. `-- multi_thread 64` does one cell alone.

use std::future::Future;
use std::time::Instant;

use offload_benches::apart;
use offload_benches::page::Rows;
use offload_benches::paired::{alternate, medians, ratio, rounds};
use offload_benches::peers::{Measure, Peer};
use offload_benches::runtime::Runtime;
use tokio::task::JoinSet;

const CALLS: usize = 40_000;

/// So many calls are made before, so that the threads are there.
const WARM_UP: usize = 4_000;

const CELLS: [(Runtime, usize); 4] = [
    (Runtime::CurrentThread, 64),
    (Runtime::CurrentThread, 1000),
    (Runtime::MultiThread, 64),
    (Runtime::MultiThread, 1000),
];

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
        [] => compare(&CELLS),
        ["cell", peer, runtime, tasks] => {
            let (runtime, tasks) = cell(runtime, tasks);
            println!("{}", Peer::from_name(peer).measure(Calls { runtime, tasks }));
        }
        [runtime, tasks] => compare(&[cell(runtime, tasks)]),
        _ => panic!("no arguments, or: RUNTIME IN_FLIGHT"),
    }
}

fn cell(runtime: &str, tasks: &str) -> (Runtime, usize) {
    (Runtime::from_name(runtime), tasks.parse().expect("a number of tasks"))
}

struct Calls {
    runtime: Runtime,
    tasks: usize,
}

impl Measure for Calls {
    /// Thousand calls a second.
    type Figures = f64;

    fn of<C, F>(self, call: C) -> f64
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.build().block_on(async {
            all(call, self.tasks, WARM_UP).await;
            let start = Instant::now();
            all(call, self.tasks, CALLS).await;
            CALLS as f64 / start.elapsed().as_secs_f64() / 1e3
        })
    }
}

/// So many tasks that make so many calls between them.
async fn all<C, F>(call: C, tasks: usize, calls: usize)
where
    C: Fn() -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut set = JoinSet::new();
    for task in 0..tasks {
        let calls = calls / tasks + usize::from(task < calls % tasks);
        set.spawn(async move {
            for _ in 0..calls {
                call().await;
            }
        });
    }
    while let Some(ended) = set.join_next().await {
        ended.expect("no panic");
    }
}

fn compare(cells: &[(Runtime, usize)]) {
    let rounds = rounds(9);
    let mut rows = Rows::new("joinset");
    let mut ours = [Peer::Thread, Peer::Cpu].map(|peer| (peer, Vec::new()));
    println!("\n### 40 000 calls from the tasks of a `JoinSet`\n");
    println!(
        "| | best peer | `cpu` makes … times its calls | `thread` makes … | {} |",
        PEERS.map(|peer| format!("{}, thousand/s", peer.name())).join(" | ")
    );
    println!("| --- | --- | --- | --- |{}", " --- |".repeat(PEERS.len()));
    for (runtime, tasks) in cells {
        let rates = alternate(rounds, &PEERS, |peer| {
            let [rate] = apart::figures(&["cell", peer.name(), runtime.name(), &tasks.to_string()]);
            rate
        });
        let of = |peer| &rates[PEERS.iter().position(|known| *known == peer).expect("one")];
        let middle = |peer| medians(of(peer), |rate| *rate).0;
        let foreign = PEERS.into_iter().filter(|peer| peer.is_foreign());
        let best = foreign.max_by(|this, that| middle(*this).total_cmp(&middle(*that)));
        let best = best.expect("some");
        let cell = format!("{}, {tasks} in flight", runtime.name());
        let against = |ours| ratio(of(ours), of(best));
        for (peer, cells) in &mut ours {
            cells.push((format!("{} {tasks}", runtime.name()), against(*peer)));
        }
        let [cpu, thread] = [Peer::Cpu, Peer::Thread].map(against);
        println!(
            "| {cell} | {} | {cpu} | {thread} | {} |",
            best.name(),
            PEERS.map(|peer| format!("{:.0}", middle(peer))).join(" | ")
        );
    }
    for ((peer, cells), aim) in ours.iter().zip(["0.97 at least", ""]) {
        let question = format!("`{}`: 40 000 calls from a `JoinSet`, calls a second", peer.name());
        rows.cells(&question, "the best peer", cells, aim);
    }
    rows.print();
}
