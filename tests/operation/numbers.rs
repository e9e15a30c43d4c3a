//! `stats()`, and the same through the `metrics` facade.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{Error, Limiter, ThreadPool, offload, stats};

use crate::support::{Gate, begin, numbers, pool, settle};

#[test]
fn every_end_of_a_call_is_counted() {
    #[offload(thread, limit = 1, queue = 2, name = "every end")]
    fn work(gate: Gate, fail: bool) -> Result<(), Error> {
        gate.pass();
        assert!(!fail, "on purpose");
        Ok(())
    }

    let open = Gate::default();
    open.open();
    block_on(work(open.clone(), false)).unwrap();
    assert!(block_on(AssertUnwindSafe(work(open, true)).catch_unwind()).is_err());
    let gate = Gate::default();
    let abandoned = begin(work(gate.clone(), false));
    gate.wait_for(1);
    let cancelled = begin(work(gate.clone(), false));
    let finished = begin(work(gate.clone(), false));
    assert!(block_on(work(gate.clone(), false)).is_err());
    drop((abandoned, cancelled));
    gate.open();
    block_on(finished).unwrap();
    // The permit was free before that was counted, and a thread may have had the other
    // call in its hands when that was dropped.
    settle("nobody took the result, nor waited for the other", || {
        let now = numbers("every end");
        (now.abandoned, now.cancelled) == (1, 1)
    });
    let now = numbers("every end");
    assert_eq!((now.started, now.finished, now.panicked), (4, 3, 1));
    assert_eq!((now.cancelled, now.abandoned, now.refused, now.timed_out), (1, 1, 1, 0));
    assert_eq!((now.kind, now.pool), ("thread", "thread"));
}

#[test]
fn a_pool_shows_what_it_does() {
    static POOL: ThreadPool = ThreadPool::new("shown").threads(2).queue(100);

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..5).map(|_| begin(enter(gate.clone()))).collect();
    gate.wait_for(2);
    let busy = pool("shown");
    assert_eq!((busy.threads, busy.idle, busy.running, busy.queued), (2, 0, 2, 3));
    assert_eq!((busy.kind, busy.limit, busy.queue_limit), ("thread", 2, Some(100)));
    gate.open();
    block_on(join_all(calls));
    settle("both are idle", || pool("shown").idle == 2);
    let idle = pool("shown");
    assert_eq!((idle.threads, idle.running, idle.queued), (2, 0, 0));
}

#[test]
fn each_function_says_what_runs_and_waits_now_and_how_old_the_oldest_body_is() {
    static POOL: ThreadPool = ThreadPool::new("now").threads(2);

    #[offload(thread, pool = POOL, limit = 1, name = "has a limit now")]
    fn limited(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    #[offload(thread, pool = POOL, name = "fills the pool now")]
    fn fill(gate: Gate) {
        gate.pass();
    }

    let now = |name: &str| {
        let now = numbers(name);
        (now.running, now.waiting, now.longest_running.is_some())
    };
    let (one, two) = (Gate::default(), Gate::default());
    let first = begin(limited(one.clone()));
    one.wait_for(1);
    assert_eq!(now("has a limit now"), (1, 0, true));
    let before = numbers("has a limit now").longest_running.unwrap();
    // One waits for the permit, one for a thread, and one is dropped.
    let second = begin(limited(one.clone()));
    settle("it waits for the permit", || numbers("has a limit now").limit.unwrap().waiting == 1);
    let other = begin(fill(two.clone()));
    two.wait_for(1);
    let queued = begin(fill(two.clone()));
    let dropped = begin(fill(two.clone()));
    assert_eq!((now("has a limit now"), now("fills the pool now")), ((1, 1, true), (1, 2, true)));
    drop(dropped);
    assert_eq!(now("fills the pool now"), (1, 1, true));
    let after = numbers("has a limit now").longest_running.unwrap();
    assert!(after > before, "it is the same body: {before:?}, {after:?}");

    one.open();
    two.open();
    block_on(first).unwrap();
    block_on(second).unwrap();
    block_on(join_all([other, queued]));
    assert_eq!((now("has a limit now"), now("fills the pool now")), ((0, 0, false), (0, 0, false)));
}

#[test]
fn calls_that_end_without_a_start_do_not_wait_any_more() {
    static POOL: ThreadPool = ThreadPool::new("not started").threads(1);

    #[offload(thread, pool = POOL)]
    fn fill(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = POOL, queue_timeout = "1ms", spawn = soon, name = "is too late")]
    fn late() -> Result<(), Error> {
        Ok(())
    }

    let gate = Gate::default();
    let before = begin(fill(gate.clone()));
    gate.wait_for(1);
    assert!(block_on(late()).is_err());
    assert!(soon().wait().is_err());
    let started = soon();
    started.cancel();
    assert_eq!((numbers("is too late").running, numbers("is too late").waiting), (0, 0));
    gate.open();
    block_on(before);
    // Their shells are met now.
    block_on(fill(gate));
    assert_eq!((numbers("is too late").started, numbers("is too late").waiting), (0, 0));
}

/// It was in no queue any more.
#[test]
fn a_call_that_is_dropped_while_it_waits_for_a_permit_takes_no_other_from_the_numbers() {
    static POOL: ThreadPool = ThreadPool::new("waits for a permit").threads(1);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT)]
    fn holds(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = POOL, limit = LIMIT)]
    fn waits() {}

    #[offload(thread, pool = POOL)]
    fn fill(gate: Gate) {
        gate.pass();
    }

    let (permit, thread) = (Gate::default(), Gate::default());
    let holds = begin(holds(permit.clone()));
    permit.wait_for(1);
    let waits = begin(waits());
    settle("it waits", || LIMIT.waiting() == 1);
    drop(waits);
    let fills = [(); 3].map(|()| begin(fill(thread.clone())));
    thread.wait_for(1);
    assert_eq!(pool("waits for a permit").queued, 2);
    permit.open();
    thread.open();
    block_on(join_all(fills));
    block_on(holds);
}

#[test]
fn a_stream_that_waits_for_its_consumer_does_not_run() {
    use futures::StreamExt;

    #[offload(thread, stream = 1, name = "makes two for a consumer")]
    fn make() -> impl Iterator<Item = u32> + Send + 'static {
        0..4_u32
    }

    let mut items = Box::pin(make());
    assert_eq!(block_on(items.next()), Some(0));
    settle("its buffer is full", || {
        let now = numbers("makes two for a consumer");
        (now.running, now.waiting, now.longest_running) == (0, 0, None)
    });
    assert_eq!(block_on(items.collect::<Vec<_>>()), [1, 2, 3]);
    settle("it has ended", || numbers("makes two for a consumer").finished == 1);
    assert_eq!(numbers("makes two for a consumer").running, 0);
}

#[test]
fn waiting_and_running_are_told_apart() {
    static POOL: ThreadPool = ThreadPool::new("told apart").threads(1);

    #[offload(thread, pool = POOL, name = "takes 20 ms")]
    fn sleep() {
        std::thread::sleep(Duration::from_millis(20));
    }

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    // None begins before all three wait.
    let gate = Gate::default();
    let before = begin(enter(gate.clone()));
    gate.wait_for(1);
    let calls = [begin(sleep()), begin(sleep()), begin(sleep())];
    gate.open();
    block_on(before);
    block_on(join_all(calls));
    let times = numbers("takes 20 ms");
    let (wait, run) = (times.wait, times.run);
    assert!(run.p50 >= Duration::from_millis(20), "{run:?}");
    assert!(run.p50 <= run.p90 && run.p90 <= run.p99 && run.p99 <= run.max, "{run:?}");
    // The last has waited for the two before it.
    assert!(wait.max >= Duration::from_millis(40), "{wait:?}");
}

#[test]
fn the_numbers_are_serialised_by_their_names() {
    #[offload(cpu, name = "as json")]
    fn nothing() {}

    block_on(nothing());
    let json = serde_json::to_value(stats()).unwrap();
    let functions = json["functions"].as_array().unwrap();
    let function = functions.iter().find(|function| function["name"] == "as json").unwrap();
    assert_eq!(function["finished"], 1);
    assert!(function["run"]["p99"].is_object());
    let pools = json["pools"].as_array().unwrap();
    assert!(pools.iter().any(|pool| pool["name"] == "cpu" && pool["kind"] == "cpu"));
}

#[test]
fn the_metrics_facade_gets_the_same_numbers() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    #[offload(cpu, name = "published")]
    fn nothing() {}

    for _ in 0..3 {
        block_on(nothing());
    }
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, offload_runtime::publish_metrics);
    let seen = snapshotter.snapshot().into_vec();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let entry = seen.iter().find(|(key, ..)| {
            let has = |wanted: &(&str, &str)| {
                key.key().labels().any(|label| (label.key(), label.value()) == *wanted)
            };
            key.key().name() == name && labels.iter().all(has)
        });
        &entry.unwrap_or_else(|| panic!("no {name} with {labels:?}")).3
    };
    let of = ("function", "published");
    let finished = value("offload_calls_total", &[of, ("outcome", "finished")]);
    assert_eq!(*finished, DebugValue::Counter(3));
    let panicked = value("offload_calls_total", &[of, ("outcome", "panicked")]);
    assert_eq!(*panicked, DebugValue::Counter(0));
    let DebugValue::Histogram(run) = value("offload_run_seconds", &[of]) else {
        panic!("times are a histogram");
    };
    assert_eq!(run.len(), 3);
    let limit = pool("cpu").limit as f64;
    let published = value("offload_pool_threads_limit", &[("pool", "cpu")]);
    assert_eq!(*published, DebugValue::Gauge(limit.into()));
}
