//! Functions that are not plain synchronous ones.

use offload_runtime::offload;

#[offload(thread)]
async fn asynchronous(n: u32) -> u32 { //~
    n
}

#[offload(thread)]
const fn constant(n: u32) -> u32 { //~
    n
}

#[offload(thread)]
unsafe fn dangerous(n: u32) -> u32 { //~
    n
}

#[offload(thread)]
extern "C" fn foreign(name: String) -> u32 { //~
    name.len() as u32
}

async fn caller() -> u32 {
    let sum = asynchronous(1).await + constant(2).await + foreign(String::new()).await;
    sum + unsafe { dangerous(4).await }
}

fn main() {}
