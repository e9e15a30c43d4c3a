//! What the benches have in common.

pub mod apart;
pub mod arrivals;
pub mod page;
pub mod paired;
pub mod peers;
pub mod picture;
pub mod runtime;

use std::hint::black_box;
use std::num::NonZero;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// The middle of some numbers, and the lowest and the highest.
pub fn median(mut numbers: Vec<f64>) -> (f64, f64, f64) {
    numbers.sort_by(f64::total_cmp);
    (numbers[numbers.len() / 2], numbers[0], numbers[numbers.len() - 1])
}

/// What computes: integer roots.
pub fn roots(of: Range<u64>) -> u64 {
    of.map(|n| black_box(n).isqrt()).sum()
}

/// So many roots take a millisecond, when nothing else runs.
pub fn roots_in_a_millisecond() -> u64 {
    const MANY: u64 = 200_000;
    let best = (0..20).map(|_| {
        let start = Instant::now();
        black_box(roots(0..MANY));
        start.elapsed()
    });
    let best = best.min().expect("some");
    (MANY as f64 / (best.as_secs_f64() * 1e3)) as u64
}

/// The time that this share of all did not exceed.
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    times[((times.len() as f64 * share) as usize).min(times.len() - 1)]
}

/// The processor time that this process has used.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The memory that this process has in use, in KiB.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// How often a thread of this process was switched away from so far.
pub fn context_switches() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process");
    usage.voluntary_context_switches() + usage.involuntary_context_switches()
}

/// The cores that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Keeps this thread, and those it starts, on the first cores that it may use.
pub fn stay_on_cores(count: usize) {
    let all = rustix::thread::sched_getaffinity(None).expect("the cores of this process");
    let mut few = rustix::thread::CpuSet::new();
    let may_use = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
    may_use.take(count).for_each(|core| few.set(core));
    rustix::thread::sched_setaffinity(None, &few).expect("some of its cores");
}

/// Lets sleeps of this thread end when they should, not up to 50 µs later.
pub fn sleep_exactly() {
    rustix::thread::set_current_timer_slack(NonZero::new(1)).expect("a slack of 1 ns");
}
