//! Independent mistakes are all shown at once.

use std::rc::Rc;

use offload_runtime::offload;

#[offload(cpu, limti = 4)] //~
async fn options_and_signature( //~
    name: &str, //~
    count: u32,
) -> usize {
    name.len() + count as usize
}

#[offload(cpu)]
fn types(
    first: Rc<u32>, //~
    second: Rc<u64>, //~
) -> u32 {
    *first + *second as u32
}

/// It calls itself: a limit, and a future in the place of a number.
#[offload(cpu, limit = 0)] //~
fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * factorial(n - 1) } //~
}

async fn caller() {
    let _: u64 = factorial(3).await;
    let _: usize = options_and_signature("a", 1).await;
    let _: u32 = types(Rc::new(1), Rc::new(2)).await;
}

fn main() {}
