//! The server: `/ping` answers at once, `/work` computes, `/done` says how much
//! was computed so far.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use offload_benches::roots;
use offload_runtime::offload;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How what computes is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing computes.
    Idle,
    /// The same once more: how far the figures of one and the same thing differ.
    IdleAgain,
    /// `#[offload(cpu)]`.
    Cpu,
    /// The same, with `OFFLOAD_CPU_PRIORITY=normal`.
    CpuNormal,
    /// The same, with `OFFLOAD_CPU_PRIORITY=idle`.
    CpuIdle,
    /// A rayon pool of as many threads, which answers through a `oneshot`.
    Rayon,
    /// `tokio::task::spawn_blocking`.
    SpawnBlocking,
}

impl Way {
    pub(crate) const ALL: [Way; 7] = [
        Way::Idle,
        Way::Cpu,
        Way::CpuNormal,
        Way::CpuIdle,
        Way::Rayon,
        Way::SpawnBlocking,
        Way::IdleAgain,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Idle => "idle",
            Way::IdleAgain => "idle, again",
            Way::Cpu => "cpu",
            Way::CpuNormal => "cpu, normal",
            Way::CpuIdle => "cpu, idle",
            Way::Rayon => "rayon",
            Way::SpawnBlocking => "spawn_blocking",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.name() == name)
    }

    /// What `OFFLOAD_CPU_PRIORITY` is set to.
    pub(crate) fn priority(self) -> Option<&'static str> {
        match self {
            Way::CpuNormal => Some("normal"),
            Way::CpuIdle => Some("idle"),
            _ => None,
        }
    }

    pub(crate) fn computes(self) -> bool {
        !matches!(self, Way::Idle | Way::IdleAgain)
    }
}

/// Bodies count what they have done in pieces of so many roots: one that is
/// half done counts half.
const PIECE: u64 = 10_000;

static DONE: AtomicU64 = AtomicU64::new(0);

/// The work of the article: integer roots.
fn count_roots(below: u64) -> u64 {
    let mut sum = 0;
    for from in (0..below).step_by(PIECE as usize) {
        sum += roots(from..from + PIECE);
        DONE.fetch_add(1, Ordering::Relaxed);
    }
    sum
}

#[offload(cpu)]
fn on_cpu(below: u64) -> u64 {
    count_roots(below)
}

async fn on_rayon(below: u64) -> u64 {
    static POOL: LazyLock<ThreadPool> =
        LazyLock::new(|| ThreadPoolBuilder::new().build().expect("a pool"));
    let (answer, answered) = oneshot::channel();
    POOL.spawn_fifo(move || answer.send(count_roots(below)).map_or((), drop));
    answered.await.expect("no panic")
}

async fn on_spawn_blocking(below: u64) -> u64 {
    tokio::task::spawn_blocking(move || count_roots(below)).await.expect("no panic")
}

/// Serves until it is killed; prints its port. `below`: the roots of one body.
pub(crate) fn main(way: Way, below: u64) {
    let work = get(move || async move {
        let sum = match way {
            Way::Idle | Way::IdleAgain => 0,
            Way::Cpu | Way::CpuNormal | Way::CpuIdle => on_cpu(below).await,
            Way::Rayon => on_rayon(below).await,
            Way::SpawnBlocking => on_spawn_blocking(below).await,
        };
        sum.to_string()
    });
    let app = Router::new()
        .route("/ping", get(async || "pong"))
        .route("/work", work)
        .route("/done", get(async || DONE.load(Ordering::Relaxed).to_string()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        println!("{}", listener.local_addr().expect("bound").port());
        axum::serve(listener, app).await.expect("a server");
    });
}
