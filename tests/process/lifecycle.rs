//! What is told of workers through `tracing`.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ProcessPool, offload, shutdown};
use offload_tests::{begin, own_process, passes, soon};
use rustix::process::{Pid, Signal, kill_process};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::ends::{Told, spin, tell};
use crate::support::settle;

/// One event about a worker.
#[derive(Clone, Debug, Default)]
struct Said {
    level: Option<Level>,
    message: String,
    pool: String,
    reason: String,
    pid: Option<u64>,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "pid" {
            self.pid = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "pool" => value.clone_into(&mut self.pool),
            "reason" => value.clone_into(&mut self.reason),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Said>>>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "offload" {
            return;
        }
        let mut said = Said { level: Some(*event.metadata().level()), ..Said::default() };
        event.record(&mut said);
        self.0.lock().unwrap().push(said);
    }
}

impl Listener {
    /// Waits for an event with these words that is of this process, if one is named; its reason.
    fn hear(&self, level: Level, message: &str, pool: &str, pid: Option<u32>) -> Said {
        let mut heard = None;
        settle(&format!("{message}: {pool}, {pid:?}; {:?}", self.0.lock().unwrap()), || {
            let all = self.0.lock().unwrap();
            let is_it = |said: &&Said| {
                said.message == message
                    && said.pool == pool
                    && pid.is_none_or(|pid| said.pid == Some(u64::from(pid)))
            };
            heard = all.iter().find(is_it).cloned();
            heard.is_some()
        });
        let heard = heard.unwrap();
        assert_eq!(heard.level, Some(level), "{heard:?}");
        heard
    }
}

/// What a worker of this process says that is about to be ready for ever.
fn starting(parent: u32) -> PathBuf {
    std::env::temp_dir().join(format!("offload-test-{parent}-starts"))
}

#[test]
fn each_start_end_kill_and_recycling_is_told_with_its_reason() {
    passes(&mut own_process("lifecycle::child_tells"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_tells() {
    static KEPT: ProcessPool = ProcessPool::new("kept").workers(1).min_workers(1);
    static ONCE: ProcessPool = ProcessPool::new("once").workers(1).max_jobs(1);
    static FAILS: ProcessPool = ProcessPool::new("fails").on_start(|| panic!("no fonts"));
    static STARTS: ProcessPool = ProcessPool::new("starts").workers(1).on_start(|| {
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        fs::write(starting(parent.cast_unsigned()), "").unwrap();
        spin()
    });

    #[offload(process, pool = KEPT)]
    fn exits() -> Result<(), Error> {
        std::process::exit(3)
    }

    #[offload(process, pool = KEPT)]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    #[offload(process, pool = ONCE)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = FAILS)]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = STARTS)]
    fn not_yet() -> Result<(), Error> {
        Ok(())
    }

    let listener = Listener::default();
    let all = tracing_subscriber::registry().with(listener.clone());
    tracing::subscriber::set_global_default(all).unwrap();

    block_on(KEPT.ready()).unwrap();
    let started = listener.hear(Level::DEBUG, "a worker has started", "kept", None);
    assert_eq!(started.reason, "it is kept ready");

    let error = block_on(exits()).unwrap_err();
    let died = listener.hear(Level::WARN, "a worker has died", "kept", error.pid());
    assert!(died.reason.contains("exit status: 3"), "{died:?}");

    let told = Told::new();
    let call = begin(spins(told.path()));
    let spinning = told.pid();
    drop(call);
    let killed = listener.hear(Level::DEBUG, "a worker was killed", "kept", Some(spinning));
    assert_eq!(killed.reason, "nobody waits for its call any more");

    let once = block_on(pid()).unwrap();
    let started = listener.hear(Level::DEBUG, "a worker has started", "once", Some(once));
    assert_eq!(started.reason, "a call waits for it");
    let replaced = listener.hear(Level::DEBUG, "a worker is replaced", "once", Some(once));
    assert_eq!(replaced.reason, "it has run 1 calls");
    let ended = listener.hear(Level::DEBUG, "a worker has ended", "once", Some(once));
    assert_eq!(ended.reason, "it is replaced");

    block_on(never()).unwrap_err();
    let failed = listener.hear(Level::WARN, "a worker could not be started", "fails", None);
    assert!(failed.reason.contains("no fonts") && failed.pid.is_some(), "{failed:?}");

    // One that is not there yet when its pool is closed has not failed.
    let call = begin(not_yet());
    let starts = starting(std::process::id());
    settle("it starts", || starts.exists());
    fs::remove_file(starts).unwrap();
    block_on(STARTS.close(Duration::ZERO));
    block_on(call).unwrap_err();
    let killed = listener.hear(Level::DEBUG, "a worker was killed", "starts", None);
    assert_eq!(killed.reason, "its pool is closed");

    settle("one is kept ready", || crate::support::workers("kept").idle == 1);
    block_on(shutdown(Duration::from_secs(60)));
    let closed = |said: &Said| said.pool == "kept" && said.reason == "its pool is closed";
    settle("that ends", || listener.0.lock().unwrap().iter().any(closed));
}

/// A worker that dies without a call is told of by nobody's thread but one for that: others read what all
/// workers print, and see them end.
#[test]
fn a_subscriber_that_blocks_keeps_no_other_pool() {
    passes(&mut own_process("lifecycle::child_blocks"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_blocks() {
    static FIRST: ProcessPool = ProcessPool::new("first").workers(1).min_workers(1);
    static SECOND: ProcessPool = ProcessPool::new("second").workers(1).min_workers(1);

    #[offload(process, pool = FIRST)]
    fn first() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = SECOND)]
    fn second() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    /// Holds whoever tells of a death in the first pool.
    struct Gate(Mutex<Receiver<()>>, Sender<()>);

    impl<S: Subscriber> Layer<S> for Gate {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            if (&*said.message, &*said.pool) == ("a worker has died", "first") {
                self.1.send(()).unwrap();
                let _ = self.0.lock().unwrap().recv();
            }
        }
    }

    let (go, gate) = channel();
    let (tells, told) = channel();
    let all = tracing_subscriber::registry().with(Gate(Mutex::new(gate), tells));
    tracing::subscriber::set_global_default(all).unwrap();

    let (one, other) = (block_on(first()).unwrap(), block_on(second()).unwrap());
    let kill = |pid: u32| {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    };
    kill(one);
    soon(&told);
    kill(other);
    settle("the other's end is seen", || crate::support::workers("second").restarts == 1);
    drop(go);
}
