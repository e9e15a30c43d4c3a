//! The metrics as a monitor gets them: names, labels, units, histograms, and the rules of the guide.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use offload_runtime::{
    Error, ErrorKind, Resource, ThreadPool, offload, publish_metrics, publish_metrics_every, watch,
};
use offload_tests::{PATIENCE, one_at_a_time};
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

#[test]
fn one_call_at_the_start_publishes_from_then_on() {
    #[offload(cpu, name = "published by itself")]
    fn nothing() {}

    let _alone = one_at_a_time();
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
