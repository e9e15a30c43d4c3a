//! What a body pays for asking whether its caller has gone:
//! `cargo bench -p offload-benches --bench cancelled`.

use std::hint::black_box;
use std::time::Instant;

use offload_benches::median;
use offload_benches::page::{Rows, Side};
use offload_benches::paired::rounds;
use offload_runtime::{Error, is_cancelled, offload, to_cpu};

const ASKS: u32 = 5_000_000;

fn nanos_each(mut ask: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..ASKS {
        black_box(ask());
    }
    start.elapsed().as_nanos() as f64 / f64::from(ASKS)
}

#[offload(cpu, timeout = "1h")]
fn with_a_deadline() -> Result<f64, Error> {
    Ok(nanos_each(is_cancelled))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..rounds(7) {
        times[0].push(runtime.block_on(to_cpu(|| nanos_each(|| false))));
        times[1].push(runtime.block_on(to_cpu(|| nanos_each(is_cancelled))));
        times[2].push(runtime.block_on(with_a_deadline()).expect("in time"));
    }
    let names = ["an empty loop", "is_cancelled()", "is_cancelled(), with a timeout"];
    for (name, nanos) in names.iter().zip(&times) {
        let (middle, low, high) = median(nanos.clone());
        println!("{name}: {middle:.1} ns (median; {low:.1} to {high:.1})");
    }
    let mut rows = Rows::new("cancelled");
    for (name, nanos) in names.iter().zip(&times).skip(1) {
        rows.compare("asked in a body", "ns", Side(name, nanos), Side(names[0], &times[0]), "");
    }
    rows.print();
}
