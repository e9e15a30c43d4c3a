//! What the application does, in numbers, for Prometheus.

use std::sync::LazyLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use offload_runtime::publish_metrics;

/// In which times are counted, in seconds: with these, histograms of several servers add up.
const BUCKETS: [f64; 11] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Keep this route to yourself: it tells how busy the server is.
///
/// The numbers are published when they are asked for, so nothing piles up while nobody asks.
pub(crate) async fn metrics() -> String {
    static RECORDER: LazyLock<PrometheusRecorder> = LazyLock::new(|| {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
        builder.expect("there are some").build_recorder()
    });
    metrics::with_local_recorder(&*RECORDER, publish_metrics);
    RECORDER.handle().render()
}
