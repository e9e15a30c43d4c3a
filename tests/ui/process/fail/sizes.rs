//! Arguments, results and items that have no size that is known.

use std::fmt::Display;

use offload_runtime::{Error, Sink, offload};

#[offload(process, sync = sent_sync, spawn = sent_soon)]
fn sent(x: str) -> Result<usize, Error> { //~
    Ok(x.len())
}

#[offload(process)]
fn object(x: dyn Display) -> Result<String, Error> { //~
    Ok(x.to_string())
}

#[offload(process)]
fn sent_back(n: u32) -> [u8] { //~
    n
}

#[offload(process)]
fn text_sent_back(n: u32) -> Result<str, Error> { //~
    n
}

#[offload(process)]
fn object_sent_back(n: u32) -> Result<dyn Display, Error> { //~
    n
}

#[offload(process, stream)]
fn items(n: u32) -> impl Iterator<Item = Result<str, Error>> { //~
    n
}

#[offload(process, stream)]
fn pushed(out: &mut Sink<[u8]>) -> Result<(), Error> { //~
    Ok(out.send(b"a")?)
}

fn main() {}
