//! A process can die, and the result of a call has to say so; and it has to come back.

use std::io;
use std::path::Path;

use offload_runtime::{Error, offload};
use serde::{Deserialize, Serialize};

#[offload(process)]
fn nothing() {} //~

#[offload(process)]
fn unit() -> () {} //~

#[offload(process)]
fn never() -> ! { //~
    std::process::exit(1)
}

#[offload(process)]
fn opaque() -> impl Iterator<Item = u8> { //~
    [1, 2].into_iter()
}

#[offload(process)]
fn number() -> u32 { //~
    1
}

#[offload(process)]
fn option() -> Option<u32> { //~
    Some(1)
}

#[derive(Serialize, Deserialize)]
struct Refusal;

#[offload(process)]
fn without_conversion() -> Result<u32, Refusal> { //~
    Err(Refusal)
}

#[offload(process)]
fn text() -> Result<u32, String> { //~
    Ok(1)
}

// It can carry the error, and cannot be sent.
#[offload(process)]
fn io() -> Result<u32, io::Error> { //~
    Ok(1)
}

struct Page;

#[offload(process)]
fn page() -> Result<Page, Error> { //~
    Ok(Page)
}

#[offload(process)]
fn twice_optional() -> Result<Option<Option<u8>>, Error> { //~
    Ok(None)
}

#[offload(process)]
fn optional_unit() -> Result<Vec<(u8, Option<()>)>, Error> { //~
    Ok(Vec::new())
}

#[offload(process)]
fn lends() -> Result<&str, Error> { //~
    Ok("text")
}

#[offload(process)]
fn lends_for_ever() -> Result<&'static str, Error> { //~
    Ok("text")
}

#[offload(process)]
fn lends_for_ever_inside() -> Result<Vec<(u8, &'static Path)>, Error> { //~
    Ok(Vec::new())
}

async fn caller() {
    nothing().await;
    unit().await;
    drop(opaque().await);
    let _: u32 = number().await;
    let _: Option<u32> = option().await;
    let _ = without_conversion().await;
    let _ = text().await;
    let _ = io().await;
    let _ = page().await;
    let _ = twice_optional().await;
    let _ = optional_unit().await;
    let _ = lends_for_ever().await;
    let _ = lends_for_ever_inside().await;
}

fn main() {}
