//! Arguments and results that have no size that is known.

use std::fmt::Debug;

use offload_runtime::{Error, offload};

#[offload(remote, timeout = "1s")]
fn taken(x: [u8]) -> Result<usize, Error> { //~
    Ok(x.len())
}

#[offload(remote, timeout = "1s")]
fn object(x: Option<dyn Debug>) -> Result<String, Error> { //~
    Ok(format!("{x:?}"))
}

#[offload(remote, timeout = "1s")]
fn returned(n: u32) -> Result<str, Error> { //~
    n
}

fn main() {}
