//! Pools and limits that make no sense, closures that cannot go to them, and context that cannot go along.

use std::rc::Rc;
use std::sync::LazyLock;

use offload_runtime::{CpuPool, Limiter, ThreadPool, offload, propagate_with};

static NO_THREADS: ThreadPool = ThreadPool::new("none").threads(0); //~
static NO_CORES: CpuPool = CpuPool::new("none").threads(0); //~
static NOBODY: Limiter = Limiter::new(0); //~

static COMPUTES: LazyLock<CpuPool> = LazyLock::new(|| CpuPool::new("computes"));
static WAITS: LazyLock<ThreadPool> = LazyLock::new(|| ThreadPool::new("waits"));

#[offload(thread, pool = COMPUTES)] //~
fn on_the_other_kind(n: u64) -> u64 {
    n
}

#[offload(cpu, pool = WAITS)] //~
fn on_the_other_kind_too(n: u64) -> u64 {
    n
}

#[offload(thread, limit = WAITS)] //~
fn limited_by_a_pool(n: u64) -> u64 {
    n
}

static POOL: ThreadPool = ThreadPool::new("pool");

fn on_a_local_pool() {
    let pool = ThreadPool::new("local");
    drop(pool.run(|| 1)); //~
}

fn started_on_a_local_pool() {
    let pool = CpuPool::new("local");
    pool.spawn(|| 1); //~
}

fn holds_what_is_not_send() {
    let shared = Rc::new(1);
    drop(POOL.run(move || *shared + 1)); //~
}

fn returns_what_is_not_send() {
    drop(POOL.run(|| Rc::new(1))); //~
}

fn borrows() {
    let text = String::from("text");
    POOL.spawn(|| text.len()); //~
}

fn captures(n: usize) {
    drop(CpuPool::new("sized").threads_with(move || n)); //~
}

fn carries_what_is_not_send() {
    propagate_with(|| Some(Rc::new(1)), |_| ()); //~
}

fn main() {}
