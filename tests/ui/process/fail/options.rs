//! Options mean what they mean for the other kinds.

use offload_runtime::{CpuPool, Error, ProcessPool, ThreadPool, offload};

static COMPUTES: CpuPool = CpuPool::new("computes");
static WAITS: ThreadPool = ThreadPool::new("waits");
static RENDERS: ProcessPool = ProcessPool::new("renders");

#[offload(process, pool = COMPUTES)] //~
fn in_cpu_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(process, pool = WAITS)] //~
fn in_thread_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(cpu, pool = RENDERS)] //~
fn in_process_pool() {}

#[offload(process, cpu)] //~
fn two_kinds() -> Result<(), Error> {
    Ok(())
}

#[offload(process, workers = 4)] //~
fn unknown() -> Result<(), Error> {
    Ok(())
}

#[offload(process = 2)] //~
fn value() -> Result<(), Error> {
    Ok(())
}

#[offload(process, timeout = "0s")] //~
fn zero() -> Result<(), Error> {
    Ok(())
}

#[offload(process, panic = "abort")] //~
fn falls() -> Result<(), Error> {
    Ok(())
}

#[offload(process)]
async fn already_async() -> Result<(), Error> { //~
    Ok(())
}

static NONE: ProcessPool = ProcessPool::new("none").workers(0); //~

async fn caller() {
    let _ = in_cpu_pool().await;
    let _ = in_thread_pool().await;
    let _ = two_kinds().await;
    let _ = unknown().await;
    let _ = value().await;
    let _ = zero().await;
    let _ = already_async().await;
}

fn main() {}
