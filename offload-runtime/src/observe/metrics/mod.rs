//! The numbers of [`stats`](crate::stats), through the `metrics` facade.

mod described;
mod periodic;
mod publication;
mod recorded;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use metrics::Label;

pub use self::periodic::publish_metrics_every;
use self::publication::{Publication, Times};
use self::recorded::Recorded;
use crate::api::stats::{FunctionStats, Oldest, PoolStats, ResourceStats};
use crate::executor;
use crate::function::Function;
use crate::resource;
use crate::sync::histogram::Histogram;
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
/// number, and `flavor`: a loop keeps its number, also where it is watched only while somebody looks. Further labels are in the table. Each has its help text and its unit.
///
/// Functions, pools or resources with the same labels are one: methods of the same name in one module
/// have one label, unless `name` says otherwise. Their numbers are added up, but for
/// `offload_longest_running_seconds` and `offload_processor_wait_ratio`, which are the largest of
/// theirs; a limit that they share counts once.
///
/// | name | type | unit, and what it is | further labels |
/// | --- | --- | --- | --- |
/// | `offload_calls_started_total` | counter | bodies that have started | |
/// | `offload_calls_total` | counter | calls that ended, each once | `outcome`: `finished`, `panicked`, `cancelled` (never started), `refused` (rejected); of the kinds `process` and `remote` also `died`, `killed` (nobody awaited them any more), `failed` (arguments or result could not be sent) |
/// | `offload_calls_timed_out_total` | counter | calls that a deadline answered; they are also counted with an outcome, when they end | |
/// | `offload_calls_abandoned_total` | counter | bodies that ended when nobody awaited their call any more; they are also counted with an outcome | |
/// | `offload_calls_running`, `offload_calls_waiting` | gauge | bodies that run now, calls that wait for a thread, a permit or a resource | |
/// | `offload_longest_running_seconds` | gauge | seconds since the start of the oldest body that runs now; 0 if none does | |
/// | `offload_wait_seconds`, `offload_run_seconds` | histogram | seconds from the first poll to the start of the body, and from there to its end | |
/// | `offload_processor_wait_ratio` | gauge | 0 to 1, the share of their time for which sampled bodies were ready to run and had no processor; not there until enough were sampled (feature `watch`, Linux) | |
/// | `offload_limit_permits`, `offload_limit_in_use`, `offload_limit_waiting` | gauge | bodies that may run at once, bodies that do, calls that wait for it; of functions with a limit, and the same for all that share one | |
/// | `offload_queue_bound`, `offload_queue_waiting` | gauge | calls that may wait, calls that do; of functions with a bounded queue | |
/// | `offload_pool_threads` | gauge | threads | `state`: `idle`, `busy` |
/// | `offload_pool_threads_limit` | gauge | threads that there may be at most | |
/// | `offload_pool_running`, `offload_pool_queued` | gauge | bodies that run now, calls that wait for a thread | |
/// | `offload_pool_queue_limit` | gauge | calls that may wait for a thread; of pools with a bounded queue | |
/// | `offload_pool_workers` | gauge | processes; of the kind `process` | `state`: `idle`, `busy` |
/// | `offload_remote_workers` | gauge | workers that said within 16 s that they are there; of the kind `remote`, as those below | |
/// | `offload_remote_oldest_seconds`, `offload_remote_waiting` | gauge | seconds that the first call in the stream has waited, and calls of all programs there; at most 5 s old | |
/// | `offload_remote_serving`, `offload_remote_slots` | gauge | calls that this program has as a worker, and the most that it runs at once; 0 where it is none | |
/// | `offload_remote_total` | counter | calls given to another worker, and answers that nobody awaited, as its callers and its workers see them | `event`: `redelivered`, `unawaited` |
/// | `offload_workers_total` | counter | processes that ended; of the kind `process` | `end`: `restarted` (it died by itself), `killed`, `recycled` |
/// | `offload_resource_size` | gauge | bodies that may have it at once; of the kind `exclusive` | |
/// | `offload_resource_in_use`, `offload_resource_waiting` | gauge | bodies that have it, calls that wait for it | |
/// | `offload_resource_instances_total` | counter | instances | `event`: `made`, `dropped`, `failed` |
/// | `offload_loop_lag_seconds` | histogram | seconds from the wake-up of a task to its poll; while it is [watched](fn@crate::watch) | |
/// | `offload_loop_stalls_total` | counter | polls that lasted longer than the stall threshold | `doing`: `computing`, `waiting`, `starved`, `unknown` |
/// | `offload_loop_stuck_workers` | gauge | threads that are in such a poll now | |
/// | `offload_loop_workers` | gauge | threads that poll the tasks of the event loop | |
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
///
/// # Panics
///
/// If the recorder does. What it had not been told of histograms by then is not told again; all
/// else is, the next time. No lock is held while it is called.
pub fn publish_metrics() {
    described::describe();
    collect().tell();
}

/// All numbers, as they are now. This is no foreign code.
fn collect() -> Publication {
    let mut all = Publication::default();
    let oldest = Oldest::look();
    let mut limits = BTreeSet::new();
    Function::known().into_iter().for_each(|one| function(&mut all, one, &oldest, &mut limits));
    #[cfg(feature = "watch")]
    crate::observe::watch::all_records().iter().for_each(|record| event_loop(&mut all, record));
    executor::all().into_iter().map(PoolStats::of).for_each(|one| pool(&mut all, &one));
    resource::all().into_iter().map(ResourceStats::of).for_each(|one| borrowed(&mut all, &one));
    all
}

/// What was given to the recorder of histograms.
static GIVEN: LazyLock<Mutex<Recorded>> = LazyLock::new(Mutex::default);

/// Takes what is new in a histogram since the last time.
fn take_new(name: &'static str, key: usize, histogram: &Histogram) -> Times {
    GIVEN.lock().unpoisoned().take(name, key, histogram)
}

fn labels<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Vec<Label> {
    pairs.iter().map(|(key, value)| Label::from_static_parts(key, value)).collect()
}

/// Labels with one more.
fn with(labels: &[Label], key: &'static str, value: &'static str) -> Vec<Label> {
    [labels, &[Label::from_static_parts(key, value)]].concat()
}

/// `limits` are the limiters that were seen already, with the labels of the functions they are of.
fn function(
    all: &mut Publication,
    function: &'static Function,
    oldest: &Oldest,
    limits: &mut BTreeSet<(Vec<Label>, usize)>,
) {
    let stats = FunctionStats::of(function, oldest);
    let labels = labels([("function", stats.name), ("kind", stats.kind), ("pool", stats.pool)]);
    all.count("offload_calls_started_total", labels.clone(), stats.started);
    let mut outcome = |outcome, value| {
        all.count("offload_calls_total", with(&labels, "outcome", outcome), value);
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
    all.count("offload_calls_timed_out_total", labels.clone(), stats.timed_out);
    all.count("offload_calls_abandoned_total", labels.clone(), stats.abandoned);
    all.add("offload_calls_running", &labels, stats.running);
    all.add("offload_calls_waiting", &labels, stats.waiting);
    let longest = stats.longest_running.unwrap_or_default().as_secs_f64();
    all.largest("offload_longest_running_seconds", &labels, longest);
    #[cfg(feature = "watch")]
    if let Some(share) = stats.starved {
        all.largest("offload_processor_wait_ratio", &labels, share);
    }
    let place = function.limiter().map(|limiter| limiter.gate().place());
    if let (Some(limit), Some(place)) = (stats.limit, place) {
        // Two that share a limit, and have the same labels, have its permits once.
        if limits.insert((labels.clone(), place)) {
            all.add("offload_limit_permits", &labels, limit.permits);
            all.add("offload_limit_in_use", &labels, limit.used);
            all.add("offload_limit_waiting", &labels, limit.waiting);
        }
    }
    if let Some(queue) = stats.queue {
        all.add("offload_queue_bound", &labels, queue.bound);
        all.add("offload_queue_waiting", &labels, queue.waiting);
    }
    let key = std::ptr::from_ref(function).addr();
    let counts = function.about().counts();
    for (name, times) in
        [("offload_wait_seconds", &counts.wait), ("offload_run_seconds", &counts.run)]
    {
        all.record(name, &labels, take_new(name, key, times));
    }
}

fn pool(all: &mut Publication, stats: &PoolStats) {
    let labels = labels([("pool", stats.name), ("kind", stats.kind)]);
    let busy = stats.threads.saturating_sub(stats.idle);
    all.add("offload_pool_threads", &with(&labels, "state", "idle"), stats.idle);
    all.add("offload_pool_threads", &with(&labels, "state", "busy"), busy);
    all.add("offload_pool_threads_limit", &labels, stats.limit);
    all.add("offload_pool_running", &labels, stats.running);
    all.add("offload_pool_queued", &labels, stats.queued);
    if let Some(bound) = stats.queue_limit {
        all.add("offload_pool_queue_limit", &labels, bound);
    }
    #[cfg(feature = "remote")]
    if let Some(remote) = stats.remote {
        // Pools of the same name have the same stream at the server.
        all.largest("offload_remote_workers", &labels, remote.workers as f64);
        all.largest("offload_remote_waiting", &labels, remote.waiting as f64);
        all.largest("offload_remote_oldest_seconds", &labels, remote.oldest.as_secs_f64());
        for (name, value) in
            [("offload_remote_serving", remote.serving), ("offload_remote_slots", remote.slots)]
        {
            all.add(name, &labels, usize::try_from(value).unwrap_or(usize::MAX));
        }
        for (event, value) in [("redelivered", remote.redelivered), ("unawaited", remote.unawaited)]
        {
            all.count("offload_remote_total", with(&labels, "event", event), value);
        }
    }
    #[cfg(feature = "process")]
    if let Some(workers) = stats.workers {
        let busy = workers.alive.saturating_sub(workers.idle);
        all.add("offload_pool_workers", &with(&labels, "state", "idle"), workers.idle);
        all.add("offload_pool_workers", &with(&labels, "state", "busy"), busy);
        for (end, value) in [
            ("restarted", workers.restarts),
            ("killed", workers.kills),
            ("recycled", workers.recycled),
        ] {
            all.count("offload_workers_total", with(&labels, "end", end), value);
        }
    }
}

fn borrowed(all: &mut Publication, stats: &ResourceStats) {
    let labels = labels([("resource", stats.name), ("kind", stats.kind)]);
    if let Some(size) = stats.size {
        all.add("offload_resource_size", &labels, size);
    }
    all.add("offload_resource_in_use", &labels, stats.in_use);
    all.add("offload_resource_waiting", &labels, stats.waiting);
    for (event, value) in
        [("made", stats.made), ("dropped", stats.dropped), ("failed", stats.failed)]
    {
        all.count("offload_resource_instances_total", with(&labels, "event", event), value);
    }
}

#[cfg(feature = "watch")]
fn event_loop(all: &mut Publication, record: &crate::observe::watch::Record) {
    let stats = record.stats();
    let number = record.number();
    let labels =
        [Label::new("loop", number.to_string()), Label::from_static_parts("flavor", stats.flavor)];
    all.add("offload_loop_workers", &labels, stats.workers);
    all.add("offload_loop_stuck_workers", &labels, stats.stuck_workers);
    for (doing, value) in record.stalls() {
        all.count("offload_loop_stalls_total", with(&labels, "doing", doing), value);
    }
    let name = "offload_loop_lag_seconds";
    all.record(name, &labels, take_new(name, number, record.lag()));
}
