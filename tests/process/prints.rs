//! What bodies print, and what they say through `tracing`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, mpsc};

use futures::executor::block_on;
use offload_runtime::{Error, ProcessPool, offload};
use offload_tests::own_process;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::PATIENCE;

#[offload(process)]
fn prints() -> Result<u32, Error> {
    print!("out, without an end of line");
    eprintln!("err, from Rust");
    // As foreign code does.
    let status =
        Command::new("sh").args(["-c", "echo out of a child; echo err of a child >&2"]).status();
    assert!(status.unwrap().success());
    rustix::io::write(rustix::stdio::stdout(), b"out, by its number\n").unwrap();
    Ok(7)
}

#[test]
fn what_is_printed_goes_to_stderr_and_not_into_the_protocol() {
    let lines = [
        "out, without an end of line",
        "err, from Rust",
        "out of a child",
        "err of a child",
        "out, by its number",
    ];
    let mut child = own_process("prints::child_prints")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut err = String::new();
    while !lines.iter().all(|line| err.contains(line)) {
        assert_ne!(stderr.read_line(&mut err).unwrap(), 0, "this is all: {err}");
    }
    // Now it may end: this closes its input.
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}{err}");
    for line in lines {
        assert!(!out.contains(line), "{line}: {out}");
    }
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_prints() {
    for _ in 0..3 {
        assert_eq!(block_on(prints()).unwrap(), 7);
    }
    // What was printed is passed on by another thread. Whoever has it closes the input.
    let (is_open, closes) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _is_open = is_open;
        std::io::read_to_string(std::io::stdin())
    });
    let _ = closes.recv_timeout(PATIENCE);
}

#[test]
fn a_worker_that_prints_much_is_not_held_up() {
    #[offload(process)]
    fn prints_much() -> Result<(), Error> {
        for _ in 0..300 {
            eprint!("{:1000}", "");
        }
        std::process::abort()
    }

    let error = block_on(prints_much()).unwrap_err();
    assert_eq!(error.stderr().unwrap().len(), 16 << 10);
}

#[test]
fn standard_input_is_empty() {
    #[offload(process)]
    fn reads() -> Result<String, Error> {
        Ok(std::io::read_to_string(std::io::stdin()).unwrap())
    }

    assert_eq!(block_on(reads()).unwrap(), "");
}

/// What was said: in which spans, and what.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans: Vec<_> = spans.map(|span| span.name()).collect();
        let mut words = Words(String::new());
        event.record(&mut words);
        let (metadata, words) = (event.metadata(), words.0);
        let line =
            format!("{}: {} {}{words}", spans.join("/"), metadata.level(), metadata.target());
        self.0.lock().unwrap().push(line);
    }
}

#[offload(process, name = "speaks")]
fn speaks(n: u32) -> Result<(), Error> {
    tracing::info!(n, "from the body");
    let span = tracing::info_span!("inside", n);
    span.in_scope(|| tracing::warn!(target: "other", text = "x", "from inside"));
    tracing::trace!("nobody listens to this");
    Ok(())
}

#[test]
fn events_of_a_body_are_those_of_its_caller() {
    let said = Said::default();
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    let subscriber = tracing_subscriber::registry().with(said.clone().with_filter(level));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("request");
        span.in_scope(|| block_on(speaks(3)).unwrap());
    });
    let said = said.0.lock().unwrap();
    let [first, second] = &said[..] else { panic!("{said:#?}") };
    assert!(first.starts_with("request/offload: INFO process::prints"), "{first}");
    assert!(first.contains("n=3") && first.contains("from the body"), "{first}");
    assert!(second.starts_with("request/offload/inside: WARN other"), "{second}");
    assert!(second.contains("text=\"x\"") && second.contains("from inside"), "{second}");
}

/// A thread that a body leaves behind says things when nobody listens. What could
/// be read from an idle worker was taken for its end.
#[test]
fn what_is_said_between_calls_is_nobodys() {
    static POOL: ProcessPool = ProcessPool::new("leaves a thread").workers(1);

    #[offload(process, pool = POOL)]
    fn leaves_a_thread() -> Result<u32, Error> {
        static ONCE: Once = Once::new();
        static SAID: AtomicU64 = AtomicU64::new(0);
        ONCE.call_once(|| {
            std::thread::spawn(|| {
                loop {
                    tracing::info!("from a thread");
                    SAID.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        // So that the second was said during this call.
        let before = SAID.load(Ordering::SeqCst);
        while SAID.load(Ordering::SeqCst) < before + 2 {
            std::thread::yield_now();
        }
        Ok(std::process::id())
    }

    let said = Said::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(said.clone()), || {
        let pid = block_on(leaves_a_thread()).unwrap();
        for _ in 0..50 {
            assert_eq!(block_on(leaves_a_thread()).unwrap(), pid);
        }
    });
    // In a call they are heard, each below the span of that call.
    let said = said.0.lock().unwrap();
    assert!(said.len() >= 50, "{} were heard", said.len());
    let strays = said.iter().filter(|line| !line.starts_with("offload: INFO process::prints"));
    assert_eq!(strays.count(), 0, "{said:#?}");
}
