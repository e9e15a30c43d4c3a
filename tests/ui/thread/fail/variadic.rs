//! One mistake, although only an `unsafe extern` function can be variadic.

use offload_runtime::offload;

#[offload(thread)]
unsafe extern "C" fn sum(first: u32, mut more: ...) -> u32 { //~
    first
}

fn main() {}
