//! Calls that come when they come, whether or not those before them have ended: the open loop
//! in which servers live. A caller that waits for its answer before it asks again (the closed
//! loop) hides a slow pool, since it asks less often.

use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How far apart calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// All the same.
    Even,
    /// As those of callers who know nothing of each other (a Poisson process). The same in
    /// each run.
    Random,
}

/// Starts tasks at `rate` a second for `time`, from a thread of its own, on the runtime that
/// this is called in. Each is told when it was due, and the outputs are in the order of their ends.
pub async fn at_rate<F, T>(
    rate: f64,
    gaps: Gaps,
    time: Duration,
    task: impl Fn(Instant) -> F + Send + 'static,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let runtime = Handle::current();
    let (sender, mut outputs) = mpsc::unbounded_channel();
    thread::spawn(move || {
        crate::sleep_exactly();
        let mut numbers = Numbers::new();
        let start = Instant::now();
        let mut due = start;
        while due - start < time {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (task, sender) = (task(due), sender.clone());
            runtime.spawn(async move {
                // Nobody is there to take it when the bench has panicked.
                let _ = sender.send(task.await);
            });
            due += numbers.gap(gaps, rate);
        }
    });
    let mut all = Vec::new();
    while let Some(output) = outputs.recv().await {
        all.push(output);
    }
    all
}

/// Numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn new() -> Numbers {
        Numbers(0x2545_f491_4f6c_dd1d)
    }

    /// The time until the next call, at so many a second.
    fn gap(&mut self, gaps: Gaps, rate: f64) -> Duration {
        Duration::from_secs_f64(match gaps {
            Gaps::Even => 1.0 / rate,
            Gaps::Random => -self.next().ln() / rate,
        })
    }

    /// The next one, above 0 and below 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_gaps_make_the_rate_that_was_asked_for() {
        let mut numbers = Numbers::new();
        let gaps: Vec<Duration> = (0..100_000).map(|_| numbers.gap(Gaps::Random, 1000.0)).collect();
        let mean = gaps.iter().sum::<Duration>().as_secs_f64() / gaps.len() as f64;
        assert!((0.00098..0.00102).contains(&mean), "{mean}");
        // An exponential distribution: one in e gaps is longer than the mean.
        let longer = gaps.iter().filter(|gap| gap.as_secs_f64() > mean).count();
        assert!((36_000..37_600).contains(&longer), "{longer}");
    }
}
