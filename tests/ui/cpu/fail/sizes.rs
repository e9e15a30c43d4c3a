//! Arguments and results that have no size that is known, of a function whose call can fail.

use offload_runtime::{Error, offload};

#[offload(cpu, timeout = "1s")]
fn taken(x: str) -> Result<usize, Error> { //~
    Ok(x.len())
}

#[offload(cpu, timeout = "1s")]
fn returned(n: u32) -> str { //~
    n
}

#[offload(cpu, timeout = "1s")]
fn in_results(n: u32) -> Result<[u8], Error> { //~
    n
}

fn main() {}
