//! The floor: two threads on one core that park, and unpark each other. A call
//! and its answer cannot take less, with threads that sleep between calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use offload_benches::stay_on_cores;

/// How long it is measured.
const TIME: Duration = Duration::from_millis(250);

/// Microseconds of a round trip: the program's `floor`.
pub(crate) fn main() {
    stay_on_cores(1);
    let turn = Arc::new(AtomicU64::new(0));
    let (here, theirs) = (thread::current(), Arc::clone(&turn));
    // The other one answers each odd number with the next even one.
    let other = thread::spawn(move || {
        loop {
            let mut seen = theirs.load(Ordering::Acquire);
            while seen % 2 == 0 {
                thread::park();
                seen = theirs.load(Ordering::Acquire);
            }
            if seen == u64::MAX {
                return;
            }
            theirs.store(seen + 1, Ordering::Release);
            here.unpark();
        }
    });
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < TIME {
        rounds += 1;
        turn.store(rounds * 2 - 1, Ordering::Release);
        other.thread().unpark();
        while turn.load(Ordering::Acquire) != rounds * 2 {
            thread::park();
        }
    }
    println!("{}", start.elapsed().as_nanos() as f64 / 1e3 / rounds as f64);
    turn.store(u64::MAX, Ordering::Release);
    other.thread().unpark();
    other.join().expect("no panic");
}
