//! Values whose type does not fit. What the compiler says, at the value.

use std::time::Duration;

use offload_runtime::{CpuPool, Error, Limiter, ThreadPool, offload};

static READERS: ThreadPool = ThreadPool::new("readers");
static RENDERERS: CpuPool = CpuPool::new("renderers");
static SHARED: Limiter = Limiter::new(2);

#[offload(cpu, pool = READERS)] //~
fn pool_of_another_kind(n: u32) -> u32 {
    n
}

#[offload(thread, pool = RENDERERS)] //~
fn and_the_other_way_round(n: u32) -> u32 {
    n
}

#[offload(thread, pool = SHARED)] //~
fn pool_is_a_limiter(n: u32) -> u32 {
    n
}

#[offload(cpu, limit = "4")] //~
fn limit_is_a_string(n: u32) -> u32 {
    n
}

#[offload(cpu, limit = READERS)] //~
fn limit_is_a_pool(n: u32) -> u32 {
    n
}

#[offload(cpu, queue = Duration::ZERO)] //~
fn queue_is_a_duration(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, timeout = 30_u64 * 2)] //~
fn timeout_is_a_number(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, crate = missing)] //~
fn runtime_is_elsewhere(n: u32) -> u32 {
    n
}

async fn caller() {
    pool_of_another_kind(1).await;
    and_the_other_way_round(2).await;
    pool_is_a_limiter(3).await;
    limit_is_a_string(4).await;
    limit_is_a_pool(5).await;
    queue_is_a_duration(6).await.unwrap();
    timeout_is_a_number(7).await.unwrap();
    runtime_is_elsewhere(8).await;
}

fn main() {}
