//! The functions of `fail/options.rs`, with what the errors of each say: as a part of a test, since another crate with
//! the feature `remote` would take its time.

use offload_runtime::{Error, ProcessPool, RemotePool, offload};

static RENDERS: ProcessPool = ProcessPool::new("renders");
static FAR: RemotePool = RemotePool::new("far");

#[offload(remote, timeout = "30s")]
fn no_deadline() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s")]
fn detached() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s", attempts = 1)]
fn never() -> Result<(), Error> {
    Ok(())
}

#[offload(cpu)]
fn elsewhere() {}

#[offload(remote, timeout = "2s", pool = FAR)]
fn in_process_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(process, pool = RENDERS)]
fn in_remote_pool() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "2s")]
fn nothing() -> Result<(), offload_runtime::Error> {
    Ok(())
}

#[offload(remote, timeout = "2s")]
fn no_error(x: u8) -> Result<u8, offload_runtime::Error> {
    Ok(x)
}

#[offload(remote, timeout = "2s")]
fn generic(x: u32) -> Result<(), Error> {
    let _ = x.clone();
    Ok(())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Secret;

#[offload(remote, timeout = "2s")]
fn argument(secret: Secret) -> Result<(), Error> {
    drop(secret);
    Ok(())
}

#[offload(remote, timeout = "1s")]
fn synonym() -> Result<(), Error> {
    Ok(())
}

static NAMELESS: RemotePool = RemotePool::new("a-b_1");

#[offload(remote, timeout = "2s", panic = "error")]
fn falls() -> Result<(), Error> {
    Ok(())
}
