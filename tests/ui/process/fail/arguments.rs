//! Arguments are sent to the worker: they are `serde` types.

use std::rc::Rc;
use std::sync::mpsc::Sender;

use offload_runtime::{Error, offload};
use serde::{Deserialize, Serialize};

struct Plain;

#[offload(process)]
fn plain(value: Plain) -> Result<(), Error> { //~
    drop(value);
    Ok(())
}

#[offload(process)]
fn inside(values: Vec<(u8, Plain)>) -> Result<(), Error> { //~
    drop(values);
    Ok(())
}

#[derive(Serialize)]
struct OneWay;

#[offload(process)]
fn one_way(value: OneWay) -> Result<(), Error> { //~
    drop(value);
    Ok(())
}

#[offload(process)]
fn channel(sender: Sender<u8>, text: String) -> Result<usize, Error> { //~
    sender.send(1).unwrap();
    Ok(text.len())
}

#[derive(Serialize, Deserialize)]
struct Local {
    #[serde(skip)]
    cache: Option<Rc<u8>>,
}

#[offload(process)]
fn local(value: Local) -> Result<bool, Error> { //~
    Ok(value.cache.is_some())
}

#[offload(process)]
fn lent(text: &str) -> Result<usize, Error> { //~
    Ok(text.len())
}

#[offload(process)]
fn copied(#[to_owned] value: &Plain) -> Result<(), Error> { //~
    let _ = value;
    Ok(())
}

#[offload(process)]
fn local_beside_a_copy(value: Local, #[to_owned] text: &str) -> Result<bool, Error> { //~
    Ok(value.cache.is_some() && text.is_empty())
}

#[offload(process)]
fn for_ever(#[to_owned] name: &'static str) -> Result<usize, Error> { //~
    Ok(name.len())
}

#[offload(process)]
fn lent_for_ever(name: &'static str) -> Result<usize, Error> { //~
    Ok(name.len())
}

#[offload(process)]
fn lent_for_ever_inside(x: (u8, Option<&'static [u8]>)) -> Result<usize, Error> { //~
    Ok(x.1.map_or(0, <[u8]>::len))
}

#[offload(process)]
fn lent_for_ever_behind(words: &'static [(&'static str, u8)]) -> Result<usize, Error> { //~
    Ok(words.len())
}

#[offload(process)]
fn copies_of_what_is_lent_for_ever(#[to_owned] words: &[&'static str]) -> Result<usize, Error> { //~
    Ok(words.len())
}

#[offload(process)]
fn copies_for_ever(#[to_owned] words: &'static [&'static str]) -> Result<usize, Error> { //~
    Ok(words.len())
}

#[offload(process)]
fn lent_config(config: &OneWay) -> Result<(), Error> { //~
    drop(config);
    Ok(())
}

#[offload(process)]
fn twice_optional(value: Option<Option<u8>>) -> Result<bool, Error> { //~
    Ok(value.is_some())
}

#[offload(process)]
fn sometimes(n: u8, #[cfg(unix)] m: u8) -> Result<u8, Error> { //~
    Ok(n)
}

/// That it is lent for ever is not all of it: a `String` in its place would not do.
#[offload(process)]
fn lent_for_ever_within_a_thread(name: Rc<&'static str>) -> Result<usize, Error> { //~
    Ok(name.len())
}

async fn caller() {
    let _ = plain(Plain).await;
    let _ = inside(Vec::new()).await;
    let _ = one_way(OneWay).await;
    let _ = local(Local { cache: None }).await;
    let _ = twice_optional(None).await;
}

fn main() {}
