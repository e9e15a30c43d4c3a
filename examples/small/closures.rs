//! Offloads closures: `cargo run --example closures`.
//!
//! The attribute is for a function that is always offloaded; `to_thread` and `to_cpu` are for a
//! few lines in the middle of an async function. Either way the event loop goes on meanwhile.

use std::{fs, io};

use offload_runtime::{to_cpu, to_thread};

#[tokio::main]
async fn main() -> io::Result<()> {
    // It waits for a disk: a thread.
    let text = to_thread(|| fs::read_to_string("Cargo.toml")).await?;

    // It computes: one of as many threads as there are cores. What it needs moves in.
    let letters = text.len();
    let primes = to_cpu(move || (2..letters).filter(|n| (2..*n).all(|d| n % d != 0)).count());

    // Like any future, a call starts when it is first awaited; two of them can run side by side.
    let files = to_thread(|| fs::read_dir(".").map(Iterator::count));
    let (primes, files) = tokio::join!(primes, files);

    println!("{letters} bytes of text, {primes} primes below, {} files here", files?);
    Ok(())
}
