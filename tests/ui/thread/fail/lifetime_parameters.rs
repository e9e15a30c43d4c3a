//! Lifetimes that no argument shows; one that an argument shows is reported there.

use offload_runtime::offload;

trait Parse<'a> {}

impl<'a> Parse<'a> for u32 {}

#[offload(thread)]
fn bound<'a, T: Parse<'a> + Send + 'static>(value: T) -> T { //~
    value
}

#[offload(thread)]
fn copied<'a>(#[to_owned] name: &'a str) -> usize { //~
    name.len()
}

async fn caller() {
    let _: u32 = bound(1_u32).await;
    let _: usize = copied("a").await;
}

fn main() {}
