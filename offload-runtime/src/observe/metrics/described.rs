//! The names of all metrics, their units, and what they are, for whoever reads them elsewhere.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes all metrics to the current recorder; to do so again is harmless.
pub(super) fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, Unit::Count, help);
    }
    for (name, unit, help) in GAUGES {
        describe_gauge!(name, unit, help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, help);
    }
}

const COUNTERS: [(&str, &str); 8] = [
    ("offload_calls_started_total", "Calls whose bodies started."),
    ("offload_calls_total", "Calls that ended, each counted with one outcome."),
    ("offload_calls_timed_out_total", "Calls that were answered by a deadline."),
    ("offload_calls_abandoned_total", "Bodies that ended when nobody awaited them any more."),
    ("offload_workers_total", "Worker processes that ended, by why."),
    (
        "offload_remote_total",
        "Calls of a remote pool given to another worker, answers that nobody awaited.",
    ),
    ("offload_resource_instances_total", "Instances of resources, by what became of them."),
    (
        "offload_loop_stalls_total",
        "Polls and turns of an event loop that lasted longer than the stall threshold, by what the \
         thread did.",
    ),
];

const GAUGES: [(&str, Unit, &str); 25] = [
    ("offload_calls_running", Unit::Count, "Bodies that run now."),
    (
        "offload_calls_waiting",
        Unit::Count,
        "Calls that wait now for a thread, a permit or a resource.",
    ),
    (
        "offload_longest_running_seconds",
        Unit::Seconds,
        "For how long the oldest body has run that runs now; 0 if none does.",
    ),
    (
        "offload_limit_permits",
        Unit::Count,
        "Bodies that the limit of the function lets run at once.",
    ),
    ("offload_limit_in_use", Unit::Count, "Permits of the limit that are taken."),
    ("offload_limit_waiting", Unit::Count, "Calls that wait for a permit of the limit."),
    (
        "offload_queue_bound",
        Unit::Count,
        "Calls of the function that may wait; one more is rejected.",
    ),
    ("offload_queue_waiting", Unit::Count, "Calls that wait, of those that the bound counts."),
    ("offload_pool_threads", Unit::Count, "Threads of the pool, by state."),
    ("offload_pool_threads_limit", Unit::Count, "The most threads that the pool may have."),
    ("offload_pool_running", Unit::Count, "Bodies that run now in the pool."),
    ("offload_pool_queued", Unit::Count, "Calls that wait for a thread of the pool."),
    (
        "offload_pool_queue_limit",
        Unit::Count,
        "Calls that may wait for a thread; one more is rejected.",
    ),
    ("offload_pool_workers", Unit::Count, "Worker processes of the pool, by state."),
    (
        "offload_remote_workers",
        Unit::Count,
        "Workers of a remote pool that said lately that they are there.",
    ),
    (
        "offload_remote_waiting",
        Unit::Count,
        "Calls of all programs in the stream of a remote pool.",
    ),
    (
        "offload_remote_oldest_seconds",
        Unit::Seconds,
        "How long the first call in the stream has waited.",
    ),
    (
        "offload_remote_serving",
        Unit::Count,
        "Calls of a remote pool that this program has as a worker.",
    ),
    (
        "offload_remote_slots",
        Unit::Count,
        "Bodies of a remote pool that this program runs at once as a worker.",
    ),
    ("offload_resource_size", Unit::Count, "Bodies that may have the resource at once."),
    ("offload_resource_in_use", Unit::Count, "Bodies that have the resource."),
    ("offload_resource_waiting", Unit::Count, "Calls that wait for the resource."),
    ("offload_loop_workers", Unit::Count, "Threads that poll the tasks of the event loop."),
    (
        "offload_loop_stuck_workers",
        Unit::Count,
        "Threads of the event loop that are in a stall now.",
    ),
    (
        "offload_processor_wait_ratio",
        Unit::Count,
        "Share of their time, from 0 to 1, for which sampled bodies were ready to run and had no \
         processor.",
    ),
];

const HISTOGRAMS: [(&str, &str); 3] = [
    ("offload_wait_seconds", "From the first poll of a call to the start of its body."),
    ("offload_run_seconds", "From the start of a body to its end."),
    (
        "offload_loop_lag_seconds",
        "From the wake-up of a task to its poll, measured by a task of ours.",
    ),
];
