//! Calls that nobody awaits: what the compiler says, and what starts one.

#![deny(unused_must_use)]

use offload_runtime::{ThreadPool, offload, spawn_thread, to_cpu, to_thread};

static REPORTS: ThreadPool = ThreadPool::new("reports");

#[offload(thread, spawn = remove_soon)]
fn remove(id: u64) -> u64 {
    id
}

#[offload(cpu)]
fn measure(#[to_owned] text: &str) -> usize {
    text.len()
}

fn main() {
    remove(1); //~
    measure("text"); //~
    to_thread(|| 1); //~
    to_cpu(|| 1); //~
    REPORTS.run(|| 1); //~

    remove_soon(1);
    spawn_thread(|| 1);
    REPORTS.spawn(|| 1);
}
