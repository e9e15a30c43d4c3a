//! Numbers and times that make no sense.

use offload_runtime::{Error, offload};

#[offload(cpu, limit = 0)] //~
fn limit_of_zero(n: u32) -> u32 {
    n
}

#[offload(cpu, timeout = "2 seconds")] //~
fn words(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, timeout = "1s1m")] //~
fn order(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, timeout = "-2s")] //~
fn negative(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, queue_timeout = "0ms")] //~
fn zero(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[offload(cpu, timeout = 30)] //~
fn no_unit(n: u32) -> Result<u32, Error> {
    Ok(n)
}

async fn caller() {
    limit_of_zero(1).await;
    let _: [Result<u32, Error>; 5] =
        [words(1).await, order(2).await, negative(3).await, zero(4).await, no_unit(5).await];
}

fn main() {}
