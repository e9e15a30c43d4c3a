//! Ten seconds of everything at once, at random: and then every call has
//! ended, every counter adds up, and nothing is left over.
//!
//! `OFFLOAD_STRESS_SECONDS` sets another time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use offload_runtime::{
    CpuPool, Error, ErrorKind, FunctionStats, Limiter, Ran, ThreadPool, check_cancelled,
    is_cancelled, offload, shutdown, stats,
};
use offload_tests::{PATIENCE, settle};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

static SMALL: ThreadPool =
    ThreadPool::new("small").threads(3).queue(40).keep_alive(Duration::from_millis(5));
static FULL: CpuPool = CpuPool::new("full").threads(2);
static SHARED: Limiter = Limiter::new(2);

/// Arguments and results that are there.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

struct Thing;

impl Thing {
    fn new() -> Thing {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Thing
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a body does.
#[derive(Clone, Copy)]
enum Act {
    Return,
    Panic,
    Spin(Duration),
    UntilCancelled,
    Nested,
}

fn act(act: Act) -> Result<Thing, Error> {
    match act {
        Act::Return => {}
        Act::Panic => panic!("on purpose"),
        Act::Spin(time) => {
            let start = Instant::now();
            while start.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        Act::UntilCancelled => {
            let start = Instant::now();
            while !is_cancelled() && start.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            check_cancelled()?;
        }
        Act::Nested => drop(futures::executor::block_on(bounded(Act::Return, Thing::new()))?),
    }
    Ok(Thing::new())
}

#[offload(thread, name = "plain")]
fn plain(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

#[offload(thread, pool = SMALL, name = "small")]
fn small(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

#[offload(cpu, pool = FULL, queue = 20, timeout = "3ms", name = "bounded")]
fn bounded(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

#[offload(thread, limit = SHARED, queue = 30, queue_timeout = "2ms", name = "limited")]
fn limited(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

#[offload(cpu, limit = SHARED, timeout = "4ms", name = "limited cpu")]
fn limited_cpu(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

// Bounded: what is detached is run, and on a busy machine more of it would come than is run.
#[offload(cpu, limit = 1, queue = 100, detach, timeout = "1ms", name = "detached")]
fn detached(what: Act, _thing: Thing) -> Result<Thing, Error> {
    act(what)
}

/// How the calls of one function ended, as their callers saw it.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    answered: AtomicU64,
    panicked: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    dropped: AtomicU64,
}

const NAMES: [&str; 6] = ["plain", "small", "bounded", "limited", "limited cpu", "detached"];

async fn one_call(which: usize, what: Act, dice: u32, seen: &Seen) -> bool {
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let thing = Thing::new();
    let call = async move {
        match which {
            0 => plain(what, thing).await,
            1 => small(what, thing).await,
            2 => bounded(what, thing).await,
            3 => limited(what, thing).await,
            4 => limited_cpu(what, thing).await,
            _ => detached(what, thing).await,
        }
    };
    let mut call = Box::pin(AssertUnwindSafe(call).catch_unwind());
    count(&seen.calls);
    // One in four is dropped after it was polled a few times.
    let answer = if dice.is_multiple_of(4) {
        let mut answer = None;
        for _ in 0..dice % 3 + 1 {
            answer = (&mut call).now_or_never();
            if answer.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let Some(answer) = answer else {
            count(&seen.dropped);
            return true;
        };
        answer
    } else {
        call.await
    };
    match answer {
        Ok(Ok(thing)) => {
            drop(thing);
            count(&seen.answered);
        }
        Ok(Err(error)) => match (error.kind(), error.ran()) {
            (ErrorKind::Overloaded, Ran::No) => drop(count(&seen.refused)),
            (ErrorKind::ShuttingDown, Ran::No) => {
                count(&seen.refused);
                return false;
            }
            (ErrorKind::TimedOut, _) => drop(count(&seen.timed_out)),
            (ErrorKind::Cancelled | ErrorKind::Deadlock, _) => drop(count(&seen.answered)),
            other => panic!("{other:?}: {error}"),
        },
        Err(_) => drop(count(&seen.panicked)),
    }
    true
}

#[test]
fn every_call_ends_and_every_counter_adds_up() {
    let seconds = std::env::var("OFFLOAD_STRESS_SECONDS").map_or(10, |text| text.parse().unwrap());
    let time = Duration::from_secs(seconds);
    // These panics are on purpose, and there are thousands.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message != "on purpose" && !message.contains("is shutting down") {
            eprintln!("{panic}");
        }
    }));
    let seen: Arc<[Seen; 6]> = Arc::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let start = Instant::now();
    let tasks: Vec<_> = (0..60)
        .map(|seed| {
            let seen = Arc::clone(&seen);
            runtime.spawn(async move {
                let mut random = SmallRng::seed_from_u64(seed);
                loop {
                    let which = random.random_range(0..NAMES.len());
                    let what = match random.random_range(0..100) {
                        0..50 => Act::Return,
                        50..60 => Act::Panic,
                        60..85 => Act::Spin(Duration::from_micros(random.random_range(0..300))),
                        85..95 => Act::UntilCancelled,
                        _ => Act::Nested,
                    };
                    let dice = random.random();
                    if !one_call(which, what, dice, &seen[which]).await {
                        return;
                    }
                    if dice % 1000 == 1 {
                        SHARED.set_limit(random.random_range(1..5));
                    }
                }
            })
        })
        .collect();
    while start.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
    }
    // In the middle of it.
    let report = futures::executor::block_on(shutdown(PATIENCE));
    assert_eq!(report.abandoned, 0);
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    drop(runtime);
    check(&seen);
}

fn check(seen: &[Seen; 6]) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let functions = stats().functions;
    let of = |name: &str| -> FunctionStats {
        functions.iter().find(|function| function.name == name).unwrap().clone()
    };
    for (name, seen) in NAMES.iter().zip(seen) {
        let numbers = of(name);
        println!(
            "{name}: {} calls, {} answered, {} panicked, {} refused, {} timed out, {} dropped; \
             {numbers:?}",
            read(&seen.calls),
            read(&seen.answered),
            read(&seen.panicked),
            read(&seen.refused),
            read(&seen.timed_out),
            read(&seen.dropped)
        );
        let ends = read(&seen.answered)
            + read(&seen.panicked)
            + read(&seen.refused)
            + read(&seen.timed_out)
            + read(&seen.dropped);
        assert_eq!(read(&seen.calls), ends, "{name}: a call has not ended");
        assert_eq!(numbers.started, numbers.finished + numbers.panicked, "{name}");
    }
    // Bodies call `bounded` too, so only here all calls are known.
    for (name, seen) in NAMES.iter().zip(seen).filter(|(name, _)| **name != "bounded") {
        let numbers = of(name);
        let ends = numbers.started + numbers.cancelled + numbers.refused;
        assert_eq!(read(&seen.calls), ends, "{name}");
    }
    for pool in stats().pools {
        assert_eq!((pool.running, pool.queued), (0, 0), "{pool:?}");
    }
    assert_eq!((SHARED.in_use(), SHARED.waiting()), (0, 0));
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0, "an argument or a result was leaked");
    // The pools are closed: their threads end.
    settle("they have ended", || stats().pools.iter().all(|pool| pool.threads == 0));
}
