//! A program with a `main` of its own, which is its own worker too.

use offload_runtime::{Error, offload};

#[offload(process)]
fn double(n: u32) -> Result<u32, Error> {
    // In a panic, too: what ends the process in some builds.
    assert!(n != 13, "unlucky");
    Ok(n * 2)
}

fn main() {
    if std::env::var_os("OFFLOAD_TEST_READS_FIRST").is_some() {
        // A mistake: in a worker, too.
        std::io::stdin().read_line(&mut String::new()).expect("the first line");
    }
    offload_runtime::init();
    assert_eq!(std::env::args().len(), 1, "a worker never comes here");
    println!("{}", futures::executor::block_on(double(21)).unwrap());
    let error = futures::executor::block_on(double(13)).unwrap_err();
    println!("{:?} {error}", error.kind());
    println!("{}", futures::executor::block_on(double(1)).unwrap());
}
