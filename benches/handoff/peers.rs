//! Ways to have a body that does nothing, or little, run on another thread, as their users
//! write them.

use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use offload_benches::roots;
use offload_runtime::{CpuPool, offload};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

/// So many integer roots a body computes.
pub(crate) static ROOTS: AtomicU64 = AtomicU64::new(0);

fn body() {
    black_box(roots(0..ROOTS.load(Ordering::Relaxed)));
}

#[offload(cpu)]
fn on_cpu() {
    body();
}

#[offload(thread)]
fn on_thread() {
    body();
}

static OF_RAYON: CpuPool = CpuPool::new("rayon").rayon();

#[offload(cpu, pool = OF_RAYON)]
fn on_cpu_rayon() {
    body();
}

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// `#[offload(cpu)]`.
    Cpu,
    /// The same once more: how far the figures of one and the same thing differ.
    CpuAgain,
    /// `#[offload(thread)]`.
    Thread,
    /// `#[offload(cpu)]` on a pool with rayon's threads.
    CpuRayon,
    /// `tokio::task::spawn_blocking`.
    SpawnBlocking,
    /// The same, below a semaphore with a permit for each core.
    Semaphore,
    /// `blocking::unblock`.
    Unblock,
    /// `tokio_rayon::spawn_fifo`.
    TokioRayon,
    /// A rayon pool, which answers through a tokio `oneshot`.
    RayonOneshot,
}

impl Peer {
    pub(crate) const ALL: [Peer; 9] = [
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

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Cpu => "cpu",
            Peer::CpuAgain => "cpu, again",
            Peer::Thread => "thread",
            Peer::CpuRayon => "cpu, rayon",
            Peer::SpawnBlocking => "spawn_blocking",
            Peer::Semaphore => "semaphore + spawn_blocking",
            Peer::Unblock => "blocking::unblock",
            Peer::TokioRayon => "tokio-rayon",
            Peer::RayonOneshot => "rayon + oneshot",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Peer> {
        Peer::ALL.into_iter().find(|peer| peer.name() == name)
    }
}

pub(crate) async fn cpu() {
    on_cpu().await;
}

pub(crate) async fn thread() {
    on_thread().await;
}

pub(crate) async fn cpu_rayon() {
    on_cpu_rayon().await;
}

pub(crate) async fn spawn_blocking() {
    tokio::task::spawn_blocking(body).await.expect("no panic");
}

pub(crate) async fn semaphore() {
    static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(crate::cell::cores()));
    let permit = PERMITS.acquire().await.expect("never closed");
    tokio::task::spawn_blocking(body).await.expect("no panic");
    drop(permit);
}

pub(crate) async fn unblock() {
    blocking::unblock(body).await;
}

pub(crate) async fn tokio_rayon() {
    tokio_rayon::spawn_fifo(body).await;
}

pub(crate) async fn rayon_oneshot() {
    static POOL: LazyLock<ThreadPool> =
        LazyLock::new(|| ThreadPoolBuilder::new().build().expect("a pool"));
    let (answer, answered) = oneshot::channel();
    POOL.spawn_fifo(move || {
        body();
        // Nobody may be left to take the answer.
        answer.send(()).unwrap_or_default();
    });
    answered.await.expect("no panic");
}
