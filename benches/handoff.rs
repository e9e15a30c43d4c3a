//! Calls a second and processor time a call, of a body that does nothing,
//! through the attribute: `cargo bench -p offload-benches --bench handoff`.
//!
//! `benches/counting.sh` runs it with and without counting, in turn.

use std::time::{Duration, Instant};

use offload_benches::processor_time;
use offload_runtime::offload;

#[offload(cpu)]
fn cpu() {}

#[offload(thread)]
fn thread() {}

/// How long one figure is measured, after a tenth of it to warm up.
const TIME: Duration = Duration::from_millis(600);

async fn call(kind: &str) {
    match kind {
        "cpu" => cpu().await,
        _ => thread().await,
    }
}

/// Thousand calls a second, and nanoseconds of processor time a call.
fn measure(kind: &'static str, in_flight: usize, time: Duration) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (start, used) = (Instant::now(), processor_time());
        let tasks: Vec<_> = (0..in_flight)
            .map(|_| {
                tokio::spawn(async move {
                    let mut calls = 0_u64;
                    while start.elapsed() < time {
                        for _ in 0..16 {
                            call(kind).await;
                        }
                        calls += 16;
                    }
                    calls
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await.expect("no panic");
        }
        let (took, used) = (start.elapsed(), processor_time() - used);
        (calls as f64 / took.as_secs_f64() / 1e3, used.as_nanos() as f64 / calls as f64)
    })
}

fn main() {
    for kind in ["cpu", "thread"] {
        for in_flight in [1, 64, 1000] {
            measure(kind, in_flight, TIME / 10);
            let (rate, nanos) = measure(kind, in_flight, TIME);
            println!("{kind} {in_flight} {rate:.1} thousand/s {nanos:.0} ns/call");
        }
    }
}
