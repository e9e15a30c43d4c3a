//! Where the body runs is one word, and is always said.

use offload_runtime::offload;

#[offload] //~
fn bare(n: u32) -> u32 {
    n
}

#[offload()] //~
fn empty(n: u32) -> u32 {
    n
}

#[offload(name = "named")] //~
fn only_options(n: u32) -> u32 {
    n
}

#[offload(cpu, thread)] //~
fn two(n: u32) -> u32 {
    n
}

#[offload(cpu, cpu)] //~
fn twice(n: u32) -> u32 {
    n
}

#[offload(cup)] //~
fn misspelt(n: u32) -> u32 {
    n
}

#[offload("cpu")] //~
fn string(n: u32) -> u32 {
    n
}

#[offload(cpu = true)] //~
fn value(n: u32) -> u32 {
    n
}

async fn caller() -> u32 {
    bare(1).await
        + empty(2).await
        + only_options(3).await
        + two(4).await
        + twice(5).await
        + misspelt(7).await
        + string(8).await
        + value(9).await
}

fn main() {}
