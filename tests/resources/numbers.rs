//! What is counted of a resource, and where it is seen.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::executor::block_on;
use futures::future::join_all;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use offload_runtime::{Error, ErrorKind, Resource, offload};

use crate::resource;
use crate::support::{Gate, begin, settle};

/// The metrics of one resource: the name, the labels, the value.
fn measured(resource: &str) -> Vec<(String, Vec<String>, String)> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, offload_runtime::publish_metrics);
    let value = |value: DebugValue| format!("{value:?}");
    let all = snapshotter.snapshot().into_vec().into_iter();
    all.filter(|(key, ..)| key.key().labels().any(|label| label.value() == resource))
        .map(|(key, _, _, number)| {
            let labels = key.key().labels().map(|label| label.value().to_owned()).collect();
            (key.key().name().to_owned(), labels, value(number))
        })
        .collect()
}

#[test]
fn all_that_happens_to_a_resource_is_in_its_numbers_and_in_the_metrics() {
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    static TWO: Resource<u32> =
        Resource::new("measured", || match IS_THERE.load(Ordering::SeqCst) {
            true => Ok(0),
            false => Err("it is not there yet".into()),
        })
        .size(2)
        .check(|number| *number != 9);

    #[offload(thread)]
    fn set(number: u32, #[resource(TWO)] two: &mut u32) -> Result<(), Error> {
        *two = number;
        Ok(())
    }

    #[offload(thread)]
    fn hold(gate: Gate, #[resource(TWO)] _two: &mut u32) {
        gate.pass();
    }

    assert_eq!(block_on(set(1)).unwrap_err().kind(), ErrorKind::Unavailable);
    IS_THERE.store(true, Ordering::SeqCst);
    block_on(set(9)).unwrap();
    block_on(set(1)).unwrap();
    let gate = Gate::default();
    let calls: Vec<_> = (0..5).map(|_| begin(hold(gate.clone()))).collect();
    gate.wait_for(2);
    settle("the others wait", || resource("measured").waiting == 3);
    let stats = resource("measured");
    assert_eq!((stats.kind, stats.size), ("exclusive", Some(2)));
    assert_eq!((stats.in_use, stats.waiting), (2, 3));
    assert_eq!((stats.made, stats.dropped, stats.failed), (3, 1, 1));

    let found = measured("measured");
    let value = |name: &str, label: Option<&str>| {
        let is_it = |(own, labels, _): &&(String, Vec<String>, String)| {
            own == name && label.is_none_or(|label| labels.iter().any(|own| own == label))
        };
        &*found.iter().find(is_it).unwrap_or_else(|| panic!("{name} in {found:?}")).2
    };
    assert_eq!(value("offload_resource_size", None), "Gauge(2.0)");
    assert_eq!(value("offload_resource_in_use", None), "Gauge(2.0)");
    assert_eq!(value("offload_resource_waiting", None), "Gauge(3.0)");
    let instances = "offload_resource_instances_total";
    assert_eq!(value(instances, Some("made")), "Counter(3)");
    assert_eq!(value(instances, Some("dropped")), "Counter(1)");
    assert_eq!(value(instances, Some("failed")), "Counter(1)");
    gate.open();
    block_on(join_all(calls));
}
