//! What other machines ask of options and types.

use offload_runtime::{Error, ProcessPool, RemotePool, offload};

static RENDERS: ProcessPool = ProcessPool::new("renders");
static FAR: RemotePool = RemotePool::new("far");

#[offload(remote)] //~
fn no_deadline() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s", detach)] //~
fn detached() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s", attempts = 0)] //~
fn never() -> Result<(), Error> {
    Ok(())
}

#[offload(cpu, attempts = 3)] //~
fn elsewhere() {}

#[offload(remote, timeout = "2s", pool = RENDERS)] //~
fn in_process_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(process, pool = FAR)] //~
fn in_remote_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s")]
fn nothing() { //~
}

#[offload(remote, timeout = "2s")]
fn no_error(x: u8) -> u8 { //~
    x
}

#[offload(remote, timeout = "2s")]
fn generic<T: Clone>(x: T) -> Result<(), Error> { //~
    let _ = x.clone();
    Ok(())
}

struct Secret;

#[offload(remote, timeout = "2s")]
fn argument(secret: Secret) -> Result<(), Error> { //~
    drop(secret);
    Ok(())
}

#[offload(distributed)] //~
fn synonym() -> Result<(), Error> {
    Ok(())
}

static NAMELESS: RemotePool = RemotePool::new("a b"); //~

#[offload(remote, timeout = "2s", panic = "abort")] //~
fn falls() -> Result<(), Error> {
    Ok(())
}

async fn caller() {
    let _ = no_deadline().await;
    let _ = detached().await;
    let _ = never().await;
    elsewhere().await;
    let _ = in_process_pool().await;
    nothing().await;
    no_error(1).await;
}

fn main() {}
