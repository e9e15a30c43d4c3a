//! Arguments, results and items that have no size that is known.

use std::fmt::Display;

use offload_runtime::{Error, Resource, Sink, offload};

static NAMES: Resource<Vec<String>> = Resource::new("names", || Ok(Vec::new()));

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

#[offload(process, stream)]
fn all_items(n: u32) -> [u8] { //~
    n
}

#[offload(process, stream)]
fn an_iterator(n: u32) -> dyn Iterator<Item = u8> { //~
    n
}

#[offload(process, stream)]
fn opens_an_iterator(n: u32) -> Result<dyn Iterator<Item = u8>, Error> { //~
    n
}

#[offload(process)]
fn lent(#[resource(NAMES)] names: &mut dyn Display) -> Result<String, Error> { //~
    Ok(names.to_string())
}

#[offload(process)]
fn copied(#[to_owned] x: dyn Display) -> Result<String, Error> { //~
    Ok(x.to_string())
}

fn main() {}
