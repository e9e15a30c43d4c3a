//! The metrics as a monitor gets them: names, labels, units, histograms, and the rules of the guide.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, NoopRecorder, Recorder, SharedString, Unit,
    with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use offload_runtime::{
    Error, ErrorKind, Limiter, ProcessPool, Resource, ThreadPool, offload, publish_metrics,
    publish_metrics_every, stats, watch,
};
use offload_tests::{PATIENCE, begin, one_at_a_time, own_process, passes};
use yaml_rust2::{Yaml, YamlLoader};

offload_runtime::test_worker!();

/// What the program has installed. Histograms get what is new, so all tests have the same.
static HANDLE: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let buckets = [0.001, 0.01, 0.1, 1.0, 10.0];
    PrometheusBuilder::new().set_buckets(&buckets).unwrap().install_recorder().unwrap()
});

fn scrape() -> String {
    let handle = &*HANDLE;
    publish_metrics();
    handle.render()
}

/// The value of the metric of this name that has all these labels, written as in a scrape.
fn value(scrape: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = scrape.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next().unwrap().parse().ok()
}

/// Every name of a metric of ours in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |part: char| part.is_ascii_alphanumeric() || part == '_';
    let words = text.split(|part| !is_part(part));
    words.filter(|word| word.starts_with("offload_") && !word.ends_with('_')).collect()
}

static POOL: ThreadPool = ThreadPool::new("measured").threads(2).queue(100);
static DB: Resource<()> = Resource::new("measured database", || Ok(())).size(2);

#[offload(thread, pool = POOL, limit = 3, queue = 50, name = "measured")]
fn borrow(#[resource(DB)] _db: &mut ()) -> Result<(), Error> {
    Ok(())
}

#[offload(process, name = "measured elsewhere")]
fn elsewhere() -> Result<(), Error> {
    Ok(())
}

/// Bodies that take so long that enough of them are sampled, where the system tells.
#[offload(cpu, name = "computes for a while")]
fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(60) {
        std::hint::spin_loop();
    }
}

/// A scrape of a program that has everything.
fn scrape_of_everything() -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        watch().unwrap();
        borrow().await.unwrap();
        elsewhere().await.unwrap();
        for _ in 0..10 {
            compute().await;
        }
        let start = Instant::now();
        loop {
            let scrape = scrape();
            let has_lag = value(&scrape, "offload_loop_lag_seconds_count", &[]) > Some(0.0);
            let is_sampled = value(&scrape, "offload_processor_wait_ratio", &[]).is_some();
            if has_lag && (is_sampled || !cfg!(target_os = "linux")) {
                return scrape;
            }
            assert!(start.elapsed() < PATIENCE, "{scrape}");
            compute().await;
        }
    })
}

#[test]
fn the_reference_names_each_metric_and_each_has_a_help_text() {
    let _alone = one_at_a_time();
    let scrape = scrape_of_everything();
    let described: BTreeSet<_> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP offload_"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let typed: BTreeSet<_> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE offload_"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(described, typed, "each has a help text");

    let source = include_str!("../offload-runtime/src/observe/metrics/mod.rs");
    let table: Vec<_> = source.lines().filter(|line| line.starts_with("/// | `offload_")).collect();
    let table = table.join("\n");
    // Those of remote pools are there where a program has a broker, which this test has not.
    let in_table: BTreeSet<_> = names(&table)
        .into_iter()
        .map(|name| name.strip_prefix("offload_").unwrap())
        .filter(|name| !name.starts_with("remote_"))
        .collect();
    assert_eq!(in_table, described);
    let described = include_str!("../offload-runtime/src/observe/metrics/described.rs");
    assert_eq!(names(&table), names(described), "also those of remote pools");
    // What tells samples of one name apart is named with its values, where these are ours.
    let common = ["function", "kind", "pool", "resource", "loop", "flavor", "le"];
    for sample in scrape.lines().filter(|line| line.starts_with("offload_")) {
        let Some((name, labels)) = sample.split_once('{') else { continue };
        let labels = labels.rsplit_once('}').unwrap().0;
        for (label, value) in labels.split("\",").map(|label| label.split_once("=\"").unwrap()) {
            if common.contains(&label) {
                continue;
            }
            let row = table.lines().find(|row| row.contains(&format!("`{name}`"))).unwrap();
            let values = row.split_once(&format!("`{label}`: ")).unwrap_or_else(|| {
                panic!("{name} has the label {label}, which is not in the table")
            });
            let value = value.trim_end_matches('"');
            assert!(values.1.contains(&format!("`{value}`")), "{name} has {label}={value}");
        }
    }
    // The unit is in the name, and in the table.
    for row in table.lines().filter(|row| row.contains("_seconds`")) {
        assert!(row.contains("| seconds"), "{row}");
    }
}

#[test]
fn the_rules_of_the_guide_can_be_loaded_and_name_metrics_that_there_are() {
    let _alone = one_at_a_time();
    let scrape = scrape_of_everything();
    let page = include_str!("../offload-runtime/docs/metrics.md");
    let rules = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let documents = YamlLoader::load_from_str(rules).unwrap();
    let [document] = &documents[..] else { panic!("{} documents", documents.len()) };
    let rules = document["groups"][0]["rules"].as_vec().unwrap();
    assert_eq!(rules.len(), 3);
    for rule in rules {
        let text = |yaml: &Yaml| yaml.as_str().unwrap_or_else(|| panic!("{rule:?}")).to_owned();
        let (name, expression) = (text(&rule["alert"]), text(&rule["expr"]));
        for yaml in [
            &rule["labels"]["severity"],
            &rule["annotations"]["summary"],
            &rule["annotations"]["description"],
        ] {
            assert!(!text(yaml).is_empty(), "{name}");
        }
        for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
            assert_eq!(
                expression.matches(open).count(),
                expression.matches(close).count(),
                "{name}"
            );
        }
        let named = names(&expression);
        assert!(!named.is_empty(), "{name}");
        for metric in named {
            let sample = scrape.lines().find(|line| {
                line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            let sample = sample.unwrap_or_else(|| panic!("{name}: no {metric} in {scrape}"));
            // What is chosen by a label, has that label.
            let chosen = expression.split(&format!("{metric}{{")).nth(1);
            if let Some(label) = chosen.and_then(|rest| rest.split(['=', '!']).next()) {
                assert!(sample.contains(&format!("{label}=\"")), "{name}: {label} of {sample}");
            }
        }
    }
}

#[test]
fn histograms_get_each_call_once_however_often_they_are_published() {
    #[offload(cpu, name = "in a histogram")]
    fn nothing() {}

    let _alone = one_at_a_time();
    let of = &["function=\"in a histogram\""];
    for calls in [3, 5] {
        let before = value(&scrape(), "offload_run_seconds_count", of).unwrap_or_default();
        (0..calls).for_each(|_| block_on(nothing()));
        let after = scrape();
        for name in ["offload_run_seconds_count", "offload_wait_seconds_count"] {
            assert_eq!(value(&after, name, of), Some(before + f64::from(calls)));
        }
        assert_eq!(
            value(&scrape(), "offload_run_seconds_count", of),
            Some(before + f64::from(calls))
        );
        // They can be added up: each bucket is there, the last one has all.
        let all = &["function=\"in a histogram\"", "le=\"+Inf\""];
        assert_eq!(
            value(&after, "offload_run_seconds_bucket", all),
            Some(before + f64::from(calls))
        );
    }
}

#[test]
fn each_call_has_one_outcome_and_what_runs_and_waits_is_there_now() {
    #[offload(thread, limit = 1, queue = 1, name = "has outcomes")]
    fn work(started: mpsc::Sender<()>, end: mpsc::Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        end.recv().map_err(|_| panic!("on purpose"))
    }

    let _alone = one_at_a_time();
    let of = "function=\"has outcomes\"";
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (started, starts) = mpsc::channel();
    let begin = || {
        let (end, ended) = mpsc::channel();
        (runtime.spawn(work(started.clone(), ended)), end)
    };
    let (first, first_end) = begin();
    starts.recv_timeout(PATIENCE).unwrap();
    let (second, second_end) = begin();
    let now = |name: &str| value(&scrape(), name, &[of]);
    let start = Instant::now();
    while now("offload_limit_waiting") != Some(1.0) {
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(now("offload_calls_running"), Some(1.0));
    assert_eq!(now("offload_calls_waiting"), Some(1.0));
    assert_eq!(now("offload_limit_in_use"), Some(1.0));
    assert_eq!(now("offload_limit_permits"), Some(1.0));
    assert_eq!((now("offload_queue_bound"), now("offload_queue_waiting")), (Some(1.0), Some(1.0)));
    assert!(now("offload_longest_running_seconds") > Some(0.0));
    let (refused, _) = begin();
    assert_eq!(runtime.block_on(refused).unwrap().unwrap_err().kind(), ErrorKind::Overloaded);

    first_end.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap();
    starts.recv_timeout(PATIENCE).unwrap();
    drop(second_end);
    assert!(runtime.block_on(second).unwrap_err().is_panic());
    let scrape = scrape();
    let outcome = |outcome: &str| {
        value(&scrape, "offload_calls_total", &[of, &format!("outcome=\"{outcome}\"")])
    };
    assert_eq!(value(&scrape, "offload_calls_started_total", &[of]), Some(2.0));
    for (of, calls) in [("finished", 1.0), ("panicked", 1.0), ("refused", 1.0), ("cancelled", 0.0)]
    {
        assert_eq!(outcome(of), Some(calls), "{of}");
    }
    assert_eq!(outcome("started"), None, "it is no outcome");
    assert_eq!(now("offload_calls_running"), Some(0.0));
    assert_eq!(now("offload_calls_waiting"), Some(0.0));
    assert_eq!(now("offload_longest_running_seconds"), Some(0.0));
}

/// In a process of its own: what is published at any moment is not there yet for who publishes it then.
#[test]
fn one_call_at_the_start_publishes_from_then_on() {
    passes(&mut own_process("child_publishes_from_then_on"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_publishes_from_then_on() {
    #[offload(cpu, name = "published by itself")]
    fn nothing() {}

    let error = publish_metrics_every(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let handle = &*HANDLE;
    publish_metrics_every(Duration::from_millis(1)).unwrap();
    publish_metrics_every(Duration::from_millis(1)).unwrap();
    for calls in [1.0, 2.0] {
        block_on(nothing());
        let start = Instant::now();
        let of = &["function=\"published by itself\""];
        while value(&handle.render(), "offload_run_seconds_count", of) != Some(calls) {
            assert!(start.elapsed() < PATIENCE, "{}", handle.render());
            std::thread::yield_now();
        }
    }
}

/// Methods of the same name in one module, pools and resources that two crates name alike.
#[test]
fn what_has_the_same_labels_is_added_up() {
    static SHARED: Limiter = Limiter::new(3);
    static ONE: ThreadPool = ThreadPool::new("twin").threads(2).queue(7);
    static OTHER: ThreadPool = ThreadPool::new("twin").threads(3).queue(5);
    static LENT: Resource<()> = Resource::new("twin", || Ok(())).size(2);
    static LENT_TOO: Resource<()> = Resource::new("twin", || Ok(())).size(1);

    type Started = mpsc::Sender<()>;
    type End = mpsc::Receiver<()>;

    struct Cat;
    struct Dog;

    impl Cat {
        #[offload(thread, limit = SHARED)]
        fn speaks(self, started: Started, end: End) {
            started.send(()).unwrap();
            let _ = end.recv();
        }

        #[offload(thread, limit = 2, queue = 4)]
        fn eats(self) -> Result<(), Error> {
            Ok(())
        }

        #[offload(thread, pool = ONE)]
        fn sleeps(self, #[resource(LENT)] _basket: &mut ()) -> Result<(), Error> {
            Ok(())
        }
    }

    impl Dog {
        #[offload(thread, limit = SHARED)]
        fn speaks(self, started: Started, end: End) {
            started.send(()).unwrap();
            let _ = end.recv();
        }

        #[offload(thread, limit = 5, queue = 6)]
        fn eats(self) -> Result<(), Error> {
            Ok(())
        }

        #[offload(thread, pool = OTHER)]
        fn sleeps(self, #[resource(LENT_TOO)] _basket: &mut ()) -> Result<(), Error> {
            Ok(())
        }
    }

    let _alone = one_at_a_time();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (started, starts) = mpsc::channel();
    let (ends, calls): (Vec<_>, Vec<_>) = (0..3)
        .map(|number| {
            let (end, ended) = mpsc::channel::<()>();
            let call = match number {
                0 => runtime.spawn(Cat.speaks(started.clone(), ended)),
                _ => runtime.spawn(Dog.speaks(started.clone(), ended)),
            };
            starts.recv_timeout(PATIENCE).unwrap();
            (end, call)
        })
        .unzip();
    let of = "function=\"metrics::speaks\"";
    let now = scrape();
    for (name, number) in [
        ("offload_calls_started_total", 3.0),
        ("offload_calls_running", 3.0),
        ("offload_limit_permits", 3.0),
        ("offload_limit_in_use", 3.0),
        ("offload_wait_seconds_count", 3.0),
    ] {
        assert_eq!(value(&now, name, &[of]), Some(number), "{name}");
    }
    let longest = value(&now, "offload_longest_running_seconds", &[of]).unwrap();
    let functions = stats().functions.into_iter().filter(|one| one.name == "metrics::speaks");
    let ages: Vec<_> = functions.filter_map(|one| one.longest_running).collect();
    assert_eq!(ages.len(), 2);
    assert!(longest <= ages.iter().max().unwrap().as_secs_f64(), "{longest} of {ages:?}");
    drop(ends);
    calls.into_iter().for_each(|call| runtime.block_on(call).unwrap());
    let outcome = value(&scrape(), "offload_calls_total", &[of, "outcome=\"finished\""]);
    assert_eq!(outcome, Some(3.0));

    runtime.block_on(Cat.eats()).unwrap();
    runtime.block_on(Dog.eats()).unwrap();
    runtime.block_on(Cat.sleeps()).unwrap();
    runtime.block_on(Dog.sleeps()).unwrap();
    let now = scrape();
    let of = "function=\"metrics::eats\"";
    assert_eq!(
        value(&now, "offload_limit_permits", &[of]),
        Some(7.0),
        "each has a limit of its own"
    );
    assert_eq!(value(&now, "offload_queue_bound", &[of]), Some(10.0));
    for (name, number) in [
        ("offload_pool_threads_limit", 5.0),
        ("offload_pool_queue_limit", 12.0),
        ("offload_calls_started_total", 2.0),
    ] {
        assert_eq!(value(&now, name, &["pool=\"twin\""]), Some(number), "{name}");
    }
    assert_eq!(value(&now, "offload_resource_size", &["resource=\"twin\""]), Some(3.0));
    let made = &["resource=\"twin\"", "event=\"made\""];
    assert_eq!(value(&now, "offload_resource_instances_total", made), Some(2.0));
}

/// Asks for the numbers while it is told some. One of the histograms it takes badly.
#[derive(Default)]
struct Unruly {
    is_inside: Cell<bool>,
    panics: Cell<bool>,
    histograms: Cell<usize>,
    /// How often it has asked for the numbers.
    called_back: Cell<usize>,
}

impl Unruly {
    fn call_back(&self) {
        if !self.is_inside.replace(true) {
            publish_metrics();
            drop(stats());
            self.called_back.set(self.called_back.get() + 1);
            self.is_inside.set(false);
        }
    }
}

impl Recorder for Unruly {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.call_back();
        NoopRecorder.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.call_back();
        NoopRecorder.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.histograms.set(self.histograms.get() + 1);
        self.call_back();
        assert!(!self.panics.take(), "on purpose");
        NoopRecorder.register_histogram(key, metadata)
    }
}

#[test]
fn a_recorder_may_call_back_and_one_that_panicked_is_told_of_later_calls() {
    #[offload(cpu, name = "told to an unruly recorder")]
    fn nothing() {}

    let _alone = one_at_a_time();
    let unruly = Unruly::default();
    let publish = || with_local_recorder(&unruly, publish_metrics);
    block_on(nothing());
    publish();
    assert!(unruly.called_back.get() > 0, "it was told of nothing");
    unruly.histograms.take();
    unruly.panics.set(true);
    unruly.is_inside.set(true); // this time it does nothing else
    catch_unwind(AssertUnwindSafe(publish)).unwrap_err();
    assert_eq!(unruly.histograms.take(), 1);
    publish();
    assert!(unruly.histograms.get() > 1, "it was told of no more than one");

    let of = &["told to an unruly recorder"];
    let before = value(&scrape(), "offload_run_seconds_count", of).unwrap_or_default();
    block_on(nothing());
    assert_eq!(value(&scrape(), "offload_run_seconds_count", of), Some(before + 1.0));
}

/// The largest of the samples that have this name and all these labels.
fn largest(scrape: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let has_name = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let values = scrape.lines().filter(has_name).map(|line| line.rsplit(' ').next().unwrap());
    values.map(|value| value.parse().unwrap()).max_by(f64::total_cmp)
}

/// Scrapes until a series has a value.
#[track_caller]
fn becomes(name: &str, labels: &[&str], is_so: impl Fn(f64) -> bool) -> f64 {
    let start = Instant::now();
    loop {
        let scrape = scrape();
        match largest(&scrape, name, labels) {
            Some(value) if is_so(value) => return value,
            _ => assert!(start.elapsed() < PATIENCE, "{name} {labels:?}: {scrape}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_waits_for_a_thread_is_cancelled_times_out_or_is_abandoned_is_counted_in_its_series() {
    static ALONE: ThreadPool = ThreadPool::new("has one thread").threads(1).queue(9);

    #[offload(thread, pool = ALONE, name = "is held")]
    fn hold(started: mpsc::Sender<()>, end: mpsc::Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = end.recv();
        Ok(())
    }

    #[offload(thread, pool = ALONE, timeout = "1ms", name = "is late")]
    fn late() -> Result<(), Error> {
        Ok(())
    }

    let _alone = one_at_a_time();
    let (started, starts) = mpsc::channel();
    let begin_one = || {
        let (end, ended) = mpsc::channel();
        (begin(hold(started.clone(), ended)), end)
    };
    let (first, end) = begin_one();
    starts.recv_timeout(PATIENCE).unwrap();
    let (second, _) = begin_one();
    let of = "pool=\"has one thread\"";
    let now = scrape();
    for (name, number) in [
        ("offload_pool_running", 1.0),
        ("offload_pool_queued", 1.0),
        ("offload_pool_queue_limit", 9.0),
        ("offload_pool_threads_limit", 1.0),
    ] {
        assert_eq!(value(&now, name, &[of]), Some(number), "{name}");
    }
    let threads = |state: &str| value(&scrape(), "offload_pool_threads", &[of, state]);
    assert_eq!((threads("state=\"busy\""), threads("state=\"idle\"")), (Some(1.0), Some(0.0)));

    drop(second); // in the queue
    assert_eq!(block_on(late()).unwrap_err().kind(), ErrorKind::TimedOut);
    drop(first); // as its body runs
    drop(end);
    becomes("offload_pool_threads", &[of, "state=\"idle\""], |idle| idle == 1.0);
    let now = scrape();
    for (function, outcome, number) in [
        ("function=\"is held\"", "outcome=\"cancelled\"", 1.0),
        ("function=\"is held\"", "outcome=\"finished\"", 1.0),
        ("function=\"is late\"", "outcome=\"cancelled\"", 1.0),
    ] {
        let count = value(&now, "offload_calls_total", &[function, outcome]);
        assert_eq!(count, Some(number), "{function} {outcome}");
    }
    let abandoned = value(&now, "offload_calls_abandoned_total", &["function=\"is held\""]);
    assert_eq!(abandoned, Some(1.0));
    let timed_out = value(&now, "offload_calls_timed_out_total", &["function=\"is late\""]);
    assert_eq!(timed_out, Some(1.0));
}

#[test]
fn who_has_a_resource_who_waits_for_it_and_what_becomes_of_it_is_in_its_series() {
    static DESK: Resource<()> = Resource::new("desk", || Ok(())).size(1);
    static BROKEN: Resource<()> = Resource::new("broken desk", || Err("it is broken".into()));

    #[offload(thread, name = "sits")]
    fn sit(
        started: mpsc::Sender<()>,
        end: mpsc::Receiver<()>,
        #[resource(DESK)] _desk: &mut (),
    ) -> Result<(), Error> {
        started.send(()).unwrap();
        end.recv().unwrap();
        Ok(())
    }

    #[offload(thread)]
    fn stand(#[resource(BROKEN)] _desk: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    let _alone = one_at_a_time();
    let (started, starts) = mpsc::channel();
    let begin_one = || {
        let (end, ended) = mpsc::channel();
        (begin(sit(started.clone(), ended)), end)
    };
    let (first, end_first) = begin_one();
    starts.recv_timeout(PATIENCE).unwrap();
    let (second, end_second) = begin_one();
    let of = "resource=\"desk\"";
    becomes("offload_resource_waiting", &[of], |waiting| waiting == 1.0);
    assert_eq!(value(&scrape(), "offload_resource_in_use", &[of]), Some(1.0));
    drop(end_first); // its body panics
    catch_unwind(AssertUnwindSafe(|| block_on(first))).unwrap_err();
    starts.recv_timeout(PATIENCE).unwrap();
    end_second.send(()).unwrap();
    block_on(second).unwrap();
    block_on(stand()).unwrap_err();
    let now = scrape();
    let instances = |resource: &str, event: &str| {
        value(&now, "offload_resource_instances_total", &[resource, event])
    };
    assert_eq!(instances(of, "event=\"made\""), Some(2.0));
    assert_eq!(instances(of, "event=\"dropped\""), Some(1.0));
    assert_eq!(instances("resource=\"broken desk\"", "event=\"failed\""), Some(1.0));
}

#[test]
fn what_workers_do_and_how_they_end_is_in_its_series() {
    static SMALL: ProcessPool = ProcessPool::new("small").workers(1).max_message(1000);
    static SHORT: ProcessPool = ProcessPool::new("short").workers(1).max_jobs(1);

    #[offload(process, pool = SMALL, name = "in a worker")]
    fn work(bytes: Vec<u8>, for_ever: bool) -> Result<(), Error> {
        drop(bytes);
        if for_ever {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Ok(())
    }

    #[offload(process, pool = SHORT)]
    fn once() -> Result<(), Error> {
        Ok(())
    }

    let _alone = one_at_a_time();
    let (of, workers) = ("pool=\"small\"", "offload_pool_workers");
    block_on(work(Vec::new(), false)).unwrap();
    becomes(workers, &[of, "state=\"idle\""], |idle| idle == 1.0);
    block_on(work(vec![0; 2000], false)).unwrap_err();
    let endless = begin(work(Vec::new(), true));
    becomes("offload_calls_running", &[of], |running| running == 1.0);
    becomes(workers, &[of, "state=\"busy\""], |busy| busy == 1.0);
    drop(endless);
    becomes("offload_workers_total", &[of, "end=\"killed\""], |killed| killed == 1.0);
    let outcome = |outcome| value(&scrape(), "offload_calls_total", &[of, outcome]);
    assert_eq!(outcome("outcome=\"failed\""), Some(1.0));
    becomes("offload_calls_total", &[of, "outcome=\"killed\""], |killed| killed == 1.0);
    block_on(once()).unwrap();
    block_on(once()).unwrap();
    let ends = &["pool=\"short\"", "end=\"recycled\""];
    becomes("offload_workers_total", ends, |recycled| recycled >= 1.0);
}

#[test]
fn a_loop_that_is_stuck_and_what_it_does_is_in_its_series_until_it_ends() {
    fn compute() {
        std::hint::spin_loop();
    }
    fn wait() {
        std::thread::sleep(Duration::from_secs(1));
    }

    let _alone = one_at_a_time();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async { watch() }).unwrap();
    becomes("offload_loop_workers", &["flavor=\"multi_thread\""], |workers| workers == 1.0);
    let stuck = |workers: f64| {
        becomes("offload_loop_stuck_workers", &[], |stuck| stuck == workers);
    };
    // On a busy machine one that computes may have no processor: it is not stuck then, but starved.
    let stuck_or_starved = || {
        let start = Instant::now();
        while largest(&scrape(), "offload_loop_stuck_workers", &[]) != Some(1.0)
            && start.elapsed() < Duration::from_secs(2)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let stall = |what: fn(), until: &dyn Fn()| {
        let ends = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ends);
        let task = runtime.spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                what();
            }
        });
        until();
        end.store(true, Ordering::Relaxed);
        task
    };
    let stalls = |doing: &[&str]| -> f64 {
        let now = scrape();
        let of = |doing: &&str| largest(&now, "offload_loop_stalls_total", &[*doing]);
        doing.iter().filter_map(of).sum()
    };
    let start = Instant::now();
    let counts = |doing: &[&str], what: fn(), until: &dyn Fn()| {
        let before = stalls(doing);
        // Where the machine is busy, it may have been seen to do neither.
        while stalls(doing) == before {
            assert!(start.elapsed() < PATIENCE, "{doing:?}: {}", scrape());
            runtime.block_on(stall(what, until)).unwrap();
            stuck(0.0);
        }
    };
    counts(&["doing=\"waiting\""], wait, &|| stuck(1.0));
    counts(&["doing=\"computing\"", "doing=\"starved\""], compute, &stuck_or_starved);
    // Nobody sees that it goes on, when its runtime ends.
    drop(stall(compute, &stuck_or_starved));
    drop(runtime);
    stuck(0.0);
}
