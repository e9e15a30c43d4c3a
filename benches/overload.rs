//! Ten times the load that a pool can carry, against the load that it can:
//! `cargo bench -p offload-benches --bench overload`.
//!
//! Calls come at a fixed rate, whether or not earlier ones have ended. A queue
//! of 50 rejects the rest. `ROUNDS` sets how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use offload_benches::page::{Rows, Side};
use offload_benches::paired::rounds;
use offload_benches::{percentile, resident_kib};
use offload_runtime::{CpuPool, Error, offload};

static POOL: CpuPool = CpuPool::new("one core").threads(1);

/// What a body takes; the pool has one thread, so it can carry 2000 a second.
const BODY: Duration = Duration::from_micros(500);
const CAPACITY: f64 = 2000.0;

#[offload(cpu, pool = POOL, queue = 50)]
fn work() -> Result<(), Error> {
    let start = Instant::now();
    while start.elapsed() < BODY {
        std::hint::spin_loop();
    }
    Ok(())
}

struct Outcome {
    finished: f64,
    rejected: f64,
    p50: Duration,
    p99: Duration,
    grown_kib: i64,
}

/// Calls at `rate` a second, for `time`.
async fn load(rate: f64, time: Duration) -> Outcome {
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let rejected = Arc::new(AtomicU64::new(0));
    let memory = resident_kib();
    let start = Instant::now();
    let mut sent = 0_u64;
    while start.elapsed() < time {
        while (sent as f64) < start.elapsed().as_secs_f64() * rate {
            sent += 1;
            let (times, rejected) = (Arc::clone(&times), Arc::clone(&rejected));
            tokio::spawn(async move {
                let start = Instant::now();
                match work().await {
                    Ok(()) => {
                        let took = start.elapsed();
                        times.lock().unwrap_or_else(PoisonError::into_inner).push(took);
                    }
                    Err(_) => drop(rejected.fetch_add(1, Ordering::Relaxed)),
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Outcome {
        finished: times.len() as f64 / seconds,
        rejected: rejected.load(Ordering::Relaxed) as f64 / seconds,
        p50: percentile(&mut times, 0.5),
        p99: percentile(&mut times, 0.99),
        grown_kib: resident_kib() as i64 - memory as i64,
    }
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        load(CAPACITY * 10.0, Duration::from_millis(500)).await;
        let mut finished = [const { Vec::new() }; 2];
        for _ in 0..rounds(5) {
            // A little more than it can carry, so that it is always busy.
            let [at, above] = [1.05, 10.0];
            let at = load(CAPACITY * at, Duration::from_secs(2)).await;
            let above = load(CAPACITY * above, Duration::from_secs(2)).await;
            for (name, load) in [("at capacity", &at), ("ten times that", &above)] {
                println!(
                    "{name}: {:.0} finished/s, {:.0} rejected/s, accepted calls take {:.1?} (p50), \
                     {:.1?} (p99), memory {:+} KiB",
                    load.finished, load.rejected, load.p50, load.p99, load.grown_kib
                );
            }
            finished[0].push(above.finished);
            finished[1].push(at.finished);
        }
        let mut rows = Rows::new("overload");
        let [above, at] = &finished;
        let question = "calls that end, at ten times the load of a bounded pool";
        let (this, that) = (Side("cpu", above), Side("what it can carry", at));
        rows.compare(question, "a second", this, that, "0.9 at least");
        rows.print();
    });
}
