//! A program whose author has forgotten what `process` functions need.

use offload_runtime::{Error, offload};

#[offload(process)]
fn double(n: u32) -> Result<u32, Error> {
    Ok(n * 2)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let error = double(1).await.unwrap_err();
    println!("{:?} {:?} {error}", error.kind(), error.ran());
}
