//! The numbers of [`stats`](crate::stats), through the `metrics` facade.

mod described;
mod periodic;
mod recorded;

use std::sync::{LazyLock, Mutex};

use metrics::{Label, counter, gauge};

pub use self::periodic::publish_metrics_every;
use self::recorded::Recorded;
use crate::api::stats::{FunctionStats, Oldest, PoolStats, ResourceStats};
use crate::executor;
use crate::function::Function;
use crate::resource;
use crate::system::abort::Unpoisoned;
use crate::task::Owner;

/// Gives the numbers of [`stats`](crate::stats) to the recorder of the
/// [`metrics`] facade: to the local one of this thread, or else to the global one.
///
/// [`publish_metrics_every`] does it by itself. Or call this whenever the numbers are read, say in
/// the handler of `/metrics`:
///
/// ```
/// use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn page(handle: &PrometheusHandle) -> String {
///     offload_runtime::publish_metrics();
///     handle.render()
/// }
///
/// let buckets = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// let handle = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
/// # futures::executor::block_on(offload_runtime::to_thread(|| ()));
/// assert!(page(&handle).contains("offload_pool_threads"));
/// # Ok(())
/// # }
/// ```
///
/// # The metrics
///
/// All that begin with `offload_calls_`, `offload_limit_` and `offload_queue_`, and
/// `offload_wait_seconds`, `offload_run_seconds`, `offload_longest_running_seconds` and
/// `offload_processor_wait_ratio` have the labels `function`, `kind` and `pool`; those of pools `pool` and
/// `kind`; those of resources `resource` and `kind`; those of event loops `loop`, which is a
/// number, and `flavor`. Further labels are in the table. Each has its help text and its unit.
///
/// | name | sort | unit | further labels |
/// | --- | --- | --- | --- |
/// | `offload_calls_started_total` | counter | bodies | |
/// | `offload_calls_total` | counter | calls that ended, each once | `outcome`: `finished`, `panicked`, `cancelled`, `refused`; of the kinds `process` and `remote` also `died`, `killed`, `failed` |
/// | `offload_calls_timed_out_total` | counter | calls; they are also counted with an outcome, when they end | |
/// | `offload_calls_abandoned_total` | counter | bodies; they are also counted with an outcome | |
/// | `offload_calls_running`, `offload_calls_waiting` | gauge | bodies, calls | |
/// | `offload_longest_running_seconds` | gauge | seconds | |
/// | `offload_wait_seconds`, `offload_run_seconds` | histogram | seconds | |
/// | `offload_processor_wait_ratio` | gauge | 0 to 1; not there until enough bodies were sampled (feature `watch`, Linux) | |
/// | `offload_limit_permits`, `offload_limit_in_use`, `offload_limit_waiting` | gauge | bodies, bodies, calls; of functions with a limit, and the same for all that share one | |
/// | `offload_queue_bound`, `offload_queue_waiting` | gauge | calls; of functions with a bounded queue | |
/// | `offload_pool_threads` | gauge | threads | `state`: `idle`, `busy` |
/// | `offload_pool_threads_limit` | gauge | threads | |
/// | `offload_pool_running`, `offload_pool_queued` | gauge | bodies, calls | |
/// | `offload_pool_queue_limit` | gauge | calls; of pools with a bounded queue | |
/// | `offload_pool_workers` | gauge | processes; of the kind `process` | `state`: `idle`, `busy` |
/// | `offload_remote_workers` | gauge | workers that said within 16 s that they are there; of the kind `remote`, as the two below | |
/// | `offload_remote_oldest_seconds`, `offload_remote_waiting` | gauge | seconds that the first call in the stream has waited, and calls of all programs there; at most 5 s old | |
/// | `offload_remote_total` | counter | calls of this program given to another worker, and answers that nobody awaited | `event`: `redelivered`, `unawaited` |
/// | `offload_workers_total` | counter | processes that ended; of the kind `process` | `end`: `restarted` (it died by itself), `killed`, `recycled` |
/// | `offload_resource_size` | gauge | bodies; of the kind `exclusive` | |
/// | `offload_resource_in_use`, `offload_resource_waiting` | gauge | bodies, calls | |
/// | `offload_resource_instances_total` | counter | instances | `event`: `made`, `dropped`, `failed` |
/// | `offload_loop_lag_seconds` | histogram | seconds; while it is [watched](fn@crate::watch) | |
/// | `offload_loop_stalls_total` | counter | stalls | `doing`: `computing`, `waiting`, `starved`, `unknown` |
/// | `offload_loop_stuck_workers` | gauge | threads | |
/// | `offload_loop_workers` | gauge | threads | |
///
/// A stall with `doing="starved"` is not one that the program can help: the machine has more to
/// do than it can. Rules for alerts that use these names are in [the guide](crate::guide::metrics).
///
/// # What it costs
///
/// A call nothing: the numbers are counted anyway. The histograms of a recorder get what came
/// since the last time, by [`record_many`](::metrics::HistogramFn::record_many), and a value that is at
/// most an eighth too long. Recorders for Prometheus keep each value until somebody reads them:
/// 50 bytes and 100 ns for a call, on the thread that publishes. So with 100,000 calls a second
/// publish, and read, once in a few seconds.
///
/// Since they get only what is new, histograms are right for one recorder: publish always to the
/// same.
pub fn publish_metrics() {
    described::describe();
    let oldest = Oldest::look();
    let mut given = GIVEN.lock().unpoisoned();
    for one in Function::known() {
        let labels = function(&FunctionStats::of(one, &oldest));
        let counts = one.about().counts();
        let place = std::ptr::from_ref(one).addr();
        given.give("offload_wait_seconds", place, labels.clone(), &counts.wait);
        given.give("offload_run_seconds", place, labels, &counts.run);
    }
    #[cfg(feature = "watch")]
    for record in crate::observe::watch::records() {
        event_loop(&record, &mut given);
    }
    drop(given);
    executor::all().into_iter().map(PoolStats::of).for_each(|one| pool(&one));
    resource::all().into_iter().map(ResourceStats::of).for_each(|one| borrowed(&one));
}

/// What the recorder has got of histograms.
static GIVEN: LazyLock<Mutex<Recorded<usize>>> = LazyLock::new(Mutex::default);

/// Labels with one more.
fn with(labels: &[Label], key: &'static str, value: &'static str) -> Vec<Label> {
    [labels, &[Label::from_static_parts(key, value)]].concat()
}

fn count(name: &'static str, labels: Vec<Label>, value: u64) {
    counter!(name, labels).absolute(value);
}

fn set(name: &'static str, labels: &[Label], value: usize) {
    gauge!(name, labels.to_vec()).set(value as f64);
}

/// Returns the labels.
fn function(stats: &FunctionStats) -> Vec<Label> {
    let labels = [("function", stats.name), ("kind", stats.kind), ("pool", stats.pool)];
    let labels = labels.map(|(key, value)| Label::from_static_parts(key, value));
    count("offload_calls_started_total", labels.to_vec(), stats.started);
    let outcome = |outcome, value| {
        count("offload_calls_total", with(&labels, "outcome", outcome), value);
    };
    outcome("finished", stats.finished);
    outcome("panicked", stats.panicked);
    outcome("cancelled", stats.cancelled);
    outcome("refused", stats.refused);
    #[cfg(feature = "process")]
    if ["process", "remote"].contains(&stats.kind) {
        outcome("died", stats.died);
        outcome("killed", stats.killed);
        outcome("failed", stats.failed);
    }
    count("offload_calls_timed_out_total", labels.to_vec(), stats.timed_out);
    count("offload_calls_abandoned_total", labels.to_vec(), stats.abandoned);
    set("offload_calls_running", &labels, stats.running);
    set("offload_calls_waiting", &labels, stats.waiting);
    let longest = stats.longest_running.unwrap_or_default().as_secs_f64();
    gauge!("offload_longest_running_seconds", labels.to_vec()).set(longest);
    #[cfg(feature = "watch")]
    if let Some(share) = stats.starved {
        gauge!("offload_processor_wait_ratio", labels.to_vec()).set(share);
    }
    if let Some(limit) = stats.limit {
        set("offload_limit_permits", &labels, limit.permits);
        set("offload_limit_in_use", &labels, limit.used);
        set("offload_limit_waiting", &labels, limit.waiting);
    }
    if let Some(queue) = stats.queue {
        set("offload_queue_bound", &labels, queue.bound);
        set("offload_queue_waiting", &labels, queue.waiting);
    }
    labels.to_vec()
}

fn pool(stats: &PoolStats) {
    let labels = [("pool", stats.name), ("kind", stats.kind)];
    let labels = labels.map(|(key, value)| Label::from_static_parts(key, value));
    let busy = stats.threads.saturating_sub(stats.idle);
    set("offload_pool_threads", &with(&labels, "state", "idle"), stats.idle);
    set("offload_pool_threads", &with(&labels, "state", "busy"), busy);
    set("offload_pool_threads_limit", &labels, stats.limit);
    set("offload_pool_running", &labels, stats.running);
    set("offload_pool_queued", &labels, stats.queued);
    if let Some(bound) = stats.queue_limit {
        set("offload_pool_queue_limit", &labels, bound);
    }
    #[cfg(feature = "remote")]
    if let Some(remote) = stats.remote {
        gauge!("offload_remote_workers", labels.to_vec()).set(remote.workers as f64);
        gauge!("offload_remote_waiting", labels.to_vec()).set(remote.waiting as f64);
        gauge!("offload_remote_oldest_seconds", labels.to_vec()).set(remote.oldest.as_secs_f64());
        for (event, value) in [("redelivered", remote.redelivered), ("unawaited", remote.unawaited)]
        {
            count("offload_remote_total", with(&labels, "event", event), value);
        }
    }
    #[cfg(feature = "process")]
    if let Some(workers) = stats.workers {
        let busy = workers.alive.saturating_sub(workers.idle);
        set("offload_pool_workers", &with(&labels, "state", "idle"), workers.idle);
        set("offload_pool_workers", &with(&labels, "state", "busy"), busy);
        for (end, value) in [
            ("restarted", workers.restarts),
            ("killed", workers.kills),
            ("recycled", workers.recycled),
        ] {
            count("offload_workers_total", with(&labels, "end", end), value);
        }
    }
}

fn borrowed(stats: &ResourceStats) {
    let labels = [("resource", stats.name), ("kind", stats.kind)];
    let labels = labels.map(|(key, value)| Label::from_static_parts(key, value));
    if let Some(size) = stats.size {
        set("offload_resource_size", &labels, size);
    }
    set("offload_resource_in_use", &labels, stats.in_use);
    set("offload_resource_waiting", &labels, stats.waiting);
    for (event, value) in
        [("made", stats.made), ("dropped", stats.dropped), ("failed", stats.failed)]
    {
        count("offload_resource_instances_total", with(&labels, "event", event), value);
    }
}

#[cfg(feature = "watch")]
fn event_loop(record: &crate::observe::watch::Record, given: &mut Recorded<usize>) {
    let stats = record.stats();
    let number = record.number();
    let labels =
        [Label::new("loop", number.to_string()), Label::from_static_parts("flavor", stats.flavor)];
    set("offload_loop_workers", &labels, stats.workers);
    set("offload_loop_stuck_workers", &labels, stats.stuck_workers);
    for (doing, value) in record.stalls() {
        count("offload_loop_stalls_total", with(&labels, "doing", doing), value);
    }
    given.give("offload_loop_lag_seconds", number, labels.to_vec(), record.lag());
}
