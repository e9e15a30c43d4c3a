//! The thread that publishes by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::collect;
use super::described::describe;
use crate::error::{Error, ErrorKind, Ran};
use crate::sync::foreign::quietly;
use crate::system::abort::abort_on_panic;

/// Publishes the metrics now and once in each `period`, as long as the process
/// lives: the one call that a program needs, when it starts.
///
/// It gives them to the global recorder, which has to be installed before. With
/// [`metrics-exporter-prometheus`](https://docs.rs/metrics-exporter-prometheus):
///
/// ```
/// # use std::time::Duration;
/// use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Without buckets it makes quantiles of histograms, which cannot be added up.
/// let buckets = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// let handle = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
/// offload_runtime::publish_metrics_every(Duration::from_secs(5))?;
/// // In the handler of `/metrics`: `handle.render()`.
/// # drop(handle);
/// # Ok(())
/// # }
/// ```
///
/// Names, labels and units are at [`publish_metrics`], rules for alerts in
/// [the guide](crate::guide::metrics).
///
/// Somebody has to read what is published: this exporter keeps each value of a histogram until
/// `render`, or the handle's `run_upkeep`, is called. Where that may not happen for a while, call
/// [`publish_metrics`] before `render` instead.
///
/// A period as long as the time between two scrapes is short enough. To call it again
/// changes nothing. It costs a thread, which sleeps, and what [`publish_metrics`] costs, once in
/// each period. When the process ends, what came after the last time is not published: call
/// `publish_metrics` then, if somebody reads it still.
///
/// # Errors
///
/// [`Config`](ErrorKind::Config), if `period` is zero;
/// [`Unavailable`](ErrorKind::Unavailable), if the system denies the thread.
///
/// [`publish_metrics`]: crate::publish_metrics
pub fn publish_metrics_every(period: Duration) -> Result<(), Error> {
    static RUNS: AtomicBool = AtomicBool::new(false);
    if period.is_zero() {
        return Err(Error::config("`publish_metrics_every` was given a period of zero"));
    }
    if RUNS.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let publish = move || loop {
        // A recorder is foreign: the next time it may be well again.
        if quietly(describe) {
            let all = collect();
            quietly(|| all.tell());
        }
        thread::sleep(period);
    };
    let publish = move || abort_on_panic("the thread that publishes metrics", publish);
    let started = thread::Builder::new().name("offload-metrics".into()).spawn(publish);
    started.map(drop).map_err(|denial| {
        RUNS.store(false, Ordering::Release);
        let what = format!("the system denied `publish_metrics_every` its thread: {denial}");
        Error::new(ErrorKind::Unavailable, Ran::No, "", what)
    })
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::super::GIVEN;
    use super::*;
    use crate::spawn_thread;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn the_thread_that_publishes_ends_the_process_if_it_panics_beside_the_recorder() {
        let said = aborts("observe::metrics::periodic::tests::child_whose_numbers_panic");
        let words = "the thread that publishes metrics panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_numbers_panic() {
        // It asks what was given of the histograms of each function that was called.
        spawn_thread(|| ()).wait().unwrap();
        let poisons = || {
            let _given = GIVEN.lock().unwrap();
            panic!("on purpose");
        };
        assert!(thread::spawn(poisons).join().is_err());
        publish_metrics_every(Duration::from_secs(1)).unwrap();
        wait_for_the_end();
    }
}
