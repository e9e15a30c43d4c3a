//! What the application does, in numbers, for Prometheus.

use std::sync::LazyLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use offload_runtime::publish_metrics;

/// Keep this route to yourself: it tells how busy the server is.
pub(crate) async fn metrics() -> String {
    static RECORDER: LazyLock<PrometheusRecorder> =
        LazyLock::new(|| PrometheusBuilder::new().build_recorder());
    metrics::with_local_recorder(&*RECORDER, publish_metrics);
    RECORDER.handle().render()
}
