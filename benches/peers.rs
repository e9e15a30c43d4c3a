//! Ways to have a body run on another thread, as their users write them.

use std::future::Future;
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use offload_runtime::{CpuPool, Priority, offload};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

use crate::{cores, roots};

/// So many integer roots a body computes.
static ROOTS: AtomicU64 = AtomicU64::new(0);

/// From now on each body computes so many integer roots; none unless set.
pub fn set_roots(roots: u64) {
    ROOTS.store(roots, Ordering::Relaxed);
}

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

static NORMAL: CpuPool = CpuPool::new("normal").priority(Priority::Normal);

#[offload(cpu, pool = NORMAL)]
fn on_cpu_normal() {
    body();
}

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `#[offload(cpu)]`.
    Cpu,
    /// The same once more: how far the figures of one and the same thing differ.
    CpuAgain,
    /// `#[offload(thread)]`.
    Thread,
    /// `#[offload(cpu)]` on a pool whose threads have the priority of any other.
    CpuNormal,
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
    const ALL: [Peer; 10] = [
        Peer::Cpu,
        Peer::Thread,
        Peer::CpuNormal,
        Peer::CpuRayon,
        Peer::SpawnBlocking,
        Peer::Semaphore,
        Peer::Unblock,
        Peer::TokioRayon,
        Peer::RayonOneshot,
        Peer::CpuAgain,
    ];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Cpu => "cpu",
            Peer::CpuAgain => "cpu, again",
            Peer::Thread => "thread",
            Peer::CpuNormal => "cpu, normal priority",
            Peer::CpuRayon => "cpu, rayon",
            Peer::SpawnBlocking => "spawn_blocking",
            Peer::Semaphore => "semaphore + spawn_blocking",
            Peer::Unblock => "blocking::unblock",
            Peer::TokioRayon => "tokio-rayon",
            Peer::RayonOneshot => "rayon + oneshot",
        }
    }

    /// The one that tables call so.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn from_name(name: &str) -> Peer {
        let found = Peer::ALL.into_iter().find(|peer| peer.name() == name);
        found.unwrap_or_else(|| panic!("{name} is none of the ways"))
    }

    /// Whether it is another crate's.
    pub fn is_foreign(self) -> bool {
        !matches!(
            self,
            Peer::Cpu | Peer::CpuAgain | Peer::Thread | Peer::CpuNormal | Peer::CpuRayon
        )
    }

    /// Measures this way.
    pub fn measure<M: Measure>(self, measure: M) -> M::Figures {
        match self {
            Peer::Cpu | Peer::CpuAgain => measure.of(cpu),
            Peer::Thread => measure.of(thread),
            Peer::CpuNormal => measure.of(cpu_normal),
            Peer::CpuRayon => measure.of(cpu_rayon),
            Peer::SpawnBlocking => measure.of(spawn_blocking),
            Peer::Semaphore => measure.of(semaphore),
            Peer::Unblock => measure.of(unblock),
            Peer::TokioRayon => measure.of(tokio_rayon),
            Peer::RayonOneshot => measure.of(rayon_oneshot),
        }
    }
}

/// Something that is measured of calls, whatever their types: each way has its own, so that
/// none pays for a box.
pub trait Measure {
    /// What is measured.
    type Figures;

    /// Measures what `call` does.
    fn of<C, F>(self, call: C) -> Self::Figures
    where
        C: Fn() -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static;
}

async fn cpu() {
    on_cpu().await;
}

async fn thread() {
    on_thread().await;
}

async fn cpu_normal() {
    on_cpu_normal().await;
}

async fn cpu_rayon() {
    on_cpu_rayon().await;
}

async fn spawn_blocking() {
    tokio::task::spawn_blocking(body).await.expect("no panic");
}

async fn semaphore() {
    static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(cores()));
    let permit = PERMITS.acquire().await.expect("never closed");
    tokio::task::spawn_blocking(body).await.expect("no panic");
    drop(permit);
}

async fn unblock() {
    blocking::unblock(body).await;
}

async fn tokio_rayon() {
    tokio_rayon::spawn_fifo(body).await;
}

async fn rayon_oneshot() {
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
