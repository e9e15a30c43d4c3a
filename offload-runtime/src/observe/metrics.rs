//! The numbers of [`stats`](crate::stats), through the `metrics` facade.

use metrics::{counter, gauge};

use crate::api::stats::{Percentiles, stats};

/// Gives the numbers of [`stats`](crate::stats) to the recorder of the
/// [`metrics`] facade.
///
/// Call it whenever the numbers are read, say in the handler of `/metrics`: so
/// they cost a call nothing.
///
/// | name | sort | labels |
/// | --- | --- | --- |
/// | `offload_pool_threads` | gauge | `pool`, `kind`, `state`: `idle`, `busy` |
/// | `offload_pool_threads_limit` | gauge | `pool`, `kind` |
/// | `offload_pool_running`, `offload_pool_queued` | gauge | `pool`, `kind` |
/// | `offload_pool_workers` | gauge | `pool`, `kind`, `state`: `idle`, `busy`; of the kind `process` |
/// | `offload_workers_total` | counter | `pool`, `kind`, `end`: `restarted`, `killed`, `recycled` |
/// | `offload_calls_total` | counter | `function`, `kind`, `pool`, `outcome`: `started`, `finished`, `panicked`, `cancelled`, `abandoned`, `refused`, `timed_out`; of the kind `process` also `died`, `killed`, `failed` |
/// | `offload_resource_size` | gauge | `resource`, `kind`: `exclusive` |
/// | `offload_resource_in_use`, `offload_resource_waiting` | gauge | `resource`, `kind`: `exclusive`, `shared`, `thread` |
/// | `offload_resource_instances_total` | counter | `resource`, `kind`, `event`: `made`, `dropped`, `failed` |
/// | `offload_wait_seconds`, `offload_run_seconds` | gauge | `function`, `kind`, `pool`, `quantile`: `0.5`, `0.9`, `0.99`, `1` |
pub fn publish_metrics() {
    let stats = stats();
    for resource in &stats.resources {
        let labels = [("resource", resource.name), ("kind", resource.kind)];
        if let Some(size) = resource.size {
            gauge!("offload_resource_size", &labels).set(size as f64);
        }
        gauge!("offload_resource_in_use", &labels).set(resource.in_use as f64);
        gauge!("offload_resource_waiting", &labels).set(resource.waiting as f64);
        for (event, count) in
            [("made", resource.made), ("dropped", resource.dropped), ("failed", resource.failed)]
        {
            let labels = [labels[0], labels[1], ("event", event)];
            counter!("offload_resource_instances_total", &labels).absolute(count);
        }
    }
    for pool in stats.pools {
        let labels = [("pool", pool.name), ("kind", pool.kind)];
        let with = |state: &'static str| [labels[0], labels[1], ("state", state)];
        gauge!("offload_pool_threads", &with("idle")).set(pool.idle as f64);
        gauge!("offload_pool_threads", &with("busy")).set((pool.threads - pool.idle) as f64);
        gauge!("offload_pool_threads_limit", &labels).set(pool.limit as f64);
        gauge!("offload_pool_running", &labels).set(pool.running as f64);
        gauge!("offload_pool_queued", &labels).set(pool.queued as f64);
        #[cfg(feature = "process")]
        if let Some(workers) = pool.workers {
            let busy = workers.alive - workers.idle;
            gauge!("offload_pool_workers", &with("idle")).set(workers.idle as f64);
            gauge!("offload_pool_workers", &with("busy")).set(busy as f64);
            for (end, count) in [
                ("restarted", workers.restarts),
                ("killed", workers.kills),
                ("recycled", workers.recycled),
            ] {
                let labels = [labels[0], labels[1], ("end", end)];
                counter!("offload_workers_total", &labels).absolute(count);
            }
        }
    }
    for function in stats.functions {
        let labels =
            [("function", function.name), ("kind", function.kind), ("pool", function.pool)];
        let with = |key: &'static str, value: &'static str| {
            [labels[0], labels[1], labels[2], (key, value)]
        };
        for (outcome, count) in [
            ("started", function.started),
            ("finished", function.finished),
            ("panicked", function.panicked),
            ("cancelled", function.cancelled),
            ("abandoned", function.abandoned),
            ("refused", function.refused),
            ("timed_out", function.timed_out),
        ] {
            counter!("offload_calls_total", &with("outcome", outcome)).absolute(count);
        }
        #[cfg(feature = "process")]
        if function.kind == "process" {
            for (outcome, count) in
                [("died", function.died), ("killed", function.killed), ("failed", function.failed)]
            {
                counter!("offload_calls_total", &with("outcome", outcome)).absolute(count);
            }
        }
        let times = |times: Percentiles| {
            [("0.5", times.p50), ("0.9", times.p90), ("0.99", times.p99), ("1", times.max)]
        };
        for (quantile, time) in times(function.wait) {
            gauge!("offload_wait_seconds", &with("quantile", quantile)).set(time.as_secs_f64());
        }
        for (quantile, time) in times(function.run) {
            gauge!("offload_run_seconds", &with("quantile", quantile)).set(time.as_secs_f64());
        }
    }
}
