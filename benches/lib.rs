//! What the benches have in common.

use std::time::Duration;

/// The middle of some numbers, and the lowest and the highest.
pub fn median(mut numbers: Vec<f64>) -> (f64, f64, f64) {
    numbers.sort_by(f64::total_cmp);
    (numbers[numbers.len() / 2], numbers[0], numbers[numbers.len() - 1])
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
