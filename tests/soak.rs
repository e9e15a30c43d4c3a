//! Everything at once, at random, with code of others that panics, blocks and calls back wherever a call
//! runs it, from four executors, in threads and in workers: and then all is as it was, memory, threads and descriptors
//! too.
//!
//! `OFFLOAD_SOAK_SECONDS` says for how long; a few unless set, and two minutes in CI.

#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use futures::executor::{LocalPool, block_on};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use offload_runtime::{
    Builder, CpuPool, Error, Limiter, ProcessPool, Sink, ThreadPool, is_cancelled, offload,
    propagate, propagate_with, shutdown, stats,
};
use offload_tests::{PATIENCE, settle, workers};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher, info_span};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::registry::LookupSpan;

offload_runtime::test_worker!();

const SHORT: Duration = Duration::from_millis(20);

static SMALL: ThreadPool = ThreadPool::new("small").threads(3).queue(40).keep_alive(SHORT);
static FULL: CpuPool = CpuPool::new("full").threads(2);
static LIMIT: Limiter = Limiter::new(2);
// They die again and again.
static WORKERS: ProcessPool = ProcessPool::new("workers")
    .workers(3)
    .queue(10)
    .keep_alive(SHORT)
    .max_restarts(u32::MAX)
    .on_start(hush);

/// It is over: foreign code behaves.
static IS_OVER: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static ENDS: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicU64 = AtomicU64::new(0);
static ITEMS: AtomicU64 = AtomicU64::new(0);

/// Says nothing of panics on purpose.
fn hush() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload_as_str() != Some("on purpose") && !panic.payload().is::<Thing>() {
            eprintln!("{panic}");
        }
    }));
}

fn chance(of: u32) -> bool {
    thread_local! {
        static RANDOM: RefCell<SmallRng> = RefCell::new(SmallRng::from_os_rng());
    }
    // A thread that is about to end has none.
    let is_now = RANDOM.try_with(|random| random.borrow_mut().random_ratio(1, of));
    is_now.unwrap_or(false)
}

/// Code of others: now and then it panics, blocks, or calls back.
fn foreign() {
    if IS_OVER.load(Ordering::Relaxed) {
        return;
    }
    if chance(200) {
        PANICS.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    }
    block();
    if chance(400) {
        drop(SMALL.spawn(foreign));
    }
}

/// All that code of others does where a panic would leave something behind that is not the runtime's.
fn block() {
    if !IS_OVER.load(Ordering::Relaxed) && chance(400) {
        thread::sleep(Duration::from_millis(1));
    }
}

struct Thing;

impl Drop for Thing {
    fn drop(&mut self) {
        foreign_unless_unwinding();
    }
}

/// While another panic unwinds, one more would be the end of the process in any program.
fn foreign_unless_unwinding() {
    if !thread::panicking() {
        foreign();
    }
}

/// On both sides, to write it and to read it.
impl Serialize for Thing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        foreign();
        // Of some kilobytes: larger than what the socket of a worker that does not read holds, now and then.
        let bytes = if chance(20) { 1 << 20 } else { 4 << 10 };
        serializer.serialize_bytes(&vec![7; bytes])
    }
}

impl<'de> Deserialize<'de> for Thing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Thing, D::Error> {
        foreign();
        serde_bytes::ByteBuf::deserialize(deserializer).map(|_| Thing)
    }
}

tokio::task_local! {
    static VALUE: Value;
}

struct Value {
    _thing: Thing,
}

impl Clone for Value {
    fn clone(&self) -> Value {
        foreign();
        Value { _thing: Thing }
    }
}

fn capture() -> Option<()> {
    foreign();
    Some(())
}

fn enter((): ()) -> Thing {
    foreign();
    Thing
}

struct Spans;

impl Subscriber for Spans {
    /// It is asked each time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        foreign_unless_unwinding();
        true
    }

    fn event_enabled(&self, _: &Event<'_>) -> bool {
        foreign_unless_unwinding();
        true
    }

    fn clone_span(&self, id: &Id) -> Id {
        foreign_unless_unwinding();
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        foreign_unless_unwinding();
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        foreign();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        foreign();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        foreign();
    }

    fn enter(&self, _: &Id) {
        foreign();
    }

    fn exit(&self, _: &Id) {
        foreign();
    }
}

/// The same of a registry's layer, which knows in which span each thread is. It does not panic at a new span, or one that is
/// entered: the registry has a place for that by then, or the thread has it on its stack, and nobody knows of it who
/// could give it back, in any program.
struct Layered;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Layered {
    fn enabled(&self, _: &Metadata<'_>, _: layer::Context<'_, S>) -> bool {
        foreign_unless_unwinding();
        true
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: layer::Context<'_, S>) {
        block();
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: layer::Context<'_, S>) {
        foreign();
    }

    fn on_event(&self, _: &Event<'_>, _: layer::Context<'_, S>) {
        foreign();
    }

    fn on_enter(&self, _: &Id, _: layer::Context<'_, S>) {
        block();
    }

    fn on_exit(&self, _: &Id, _: layer::Context<'_, S>) {
        foreign_unless_unwinding();
    }

    fn on_close(&self, _: Id, _: layer::Context<'_, S>) {
        foreign_unless_unwinding();
    }
}

static LAYERED: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(registry().with(Layered)));

fn deadline() -> Duration {
    foreign();
    Duration::from_millis(3)
}

/// What a body does.
fn body(dice: u32) -> Result<Thing, Error> {
    foreign();
    match dice % 8 {
        0 => panic_any(Thing),
        1 => thread::sleep(Duration::from_micros(500)),
        2 => {
            let start = Instant::now();
            while !is_cancelled() && start.elapsed() < SHORT / 10 {
                std::hint::spin_loop();
            }
        }
        3 => block_on(FULL.run(foreign)),
        _ => {}
    }
    Ok(Thing)
}

#[offload(thread, name = "plain")]
fn plain(dice: u32, _thing: Thing) -> Result<Thing, Error> {
    body(dice)
}

#[offload(thread, pool = SMALL, limit = LIMIT, queue = 20, timeout = deadline(), name = "limited")]
fn limited(dice: u32, _thing: Thing) -> Result<Thing, Error> {
    body(dice)
}

#[offload(cpu, pool = FULL, limit = LIMIT, queue_timeout = "2ms", name = "computes")]
fn computes(dice: u32, _thing: Thing) -> Result<Thing, Error> {
    body(dice)
}

#[offload(cpu, detach, timeout = "1ms", name = "detached")]
fn detached(dice: u32, _thing: Thing) -> Result<Thing, Error> {
    body(dice)
}

/// What happens in a worker beside that.
fn deadly() {
    match chance(300) {
        true if chance(2) => std::process::abort(),
        true => std::process::exit(3),
        false => foreign(),
    }
}

#[offload(process, pool = WORKERS, stream = 2, name = "iterated")]
fn iterated(items: u32, thing: Thing) -> impl Iterator<Item = Result<Thing, Error>> {
    (0..items).map(move |_| {
        let _ = &thing;
        deadly();
        Ok(Thing)
    })
}

#[offload(process, pool = WORKERS, limit = LIMIT, stream = 1, queue_timeout = "5ms", name = "pushed")]
fn pushed(items: u32, _thing: Thing, out: &mut Sink<Thing>) -> Result<(), Error> {
    for _ in 0..items {
        deadly();
        out.send(Thing)?;
    }
    Ok(())
}

/// To its end.
async fn read(items: impl Stream<Item = Result<Thing, Error>>) {
    let mut items = std::pin::pin!(items);
    while let Some(Ok(item)) = items.next().await {
        ITEMS.fetch_add(1, Ordering::Relaxed);
        drop(item);
    }
}

/// Wakes, and then does what it likes.
struct Foreign(Waker);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        foreign();
    }
}

/// A call as a program has it that does all wrong: its waker is foreign, and a panic of a poll is its
/// end. It is dropped after so many polls.
struct Wild<F: Future> {
    call: Option<Pin<Box<F>>>,
    polls: u32,
}

impl<F: Future> Future for Wild<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = Waker::from(Arc::new(Foreign(cx.waker().clone())));
        let call = self.call.as_mut().expect("it is polled to its end once");
        let poll = || call.as_mut().poll(&mut Context::from_waker(&waker)).map(drop);
        let has_registry = chance(2);
        let poll = || match has_registry {
            true => dispatcher::with_default(&LAYERED, || info_span!("caller").in_scope(poll)),
            false => tracing::subscriber::with_default(Spans, poll),
        };
        let poll = || VALUE.sync_scope(Value { _thing: Thing }, poll);
        let polled = catch_unwind(AssertUnwindSafe(poll));
        self.polls = self.polls.saturating_sub(1);
        if matches!(polled, Ok(Poll::Pending)) && self.polls > 0 {
            return Poll::Pending;
        }
        drop_all(polled);
        drop_all(self.call.take());
        Poll::Ready(())
    }
}

/// Whatever that does.
fn drop_all<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        drop_all(payload);
    }
}

async fn one_call(random: &mut SmallRng) {
    let (dice, thing) = (random.random(), Thing);
    // One in four is dropped.
    let polls = if random.random_ratio(1, 4) { random.random_range(1..3) } else { u32::MAX };
    CALLS.fetch_add(1, Ordering::Relaxed);
    let items = random.random_range(0..30);
    match random.random_range(0..50) {
        0 => wild(async move { read(iterated(items, thing)).await }, polls).await,
        1 => wild(async move { read(pushed(items, thing)).await }, polls).await,
        number => call_thread(number % 5, dice, thing, polls).await,
    }
    ENDS.fetch_add(1, Ordering::Relaxed);
}

async fn call_thread(number: u32, dice: u32, thing: Thing, polls: u32) {
    match number {
        0 => wild(plain(dice, thing), polls).await,
        1 => wild(limited(dice, thing), polls).await,
        2 => wild(computes(dice, thing), polls).await,
        3 => wild(detached(dice, thing), polls).await,
        _ => wild(SMALL.spawn(move || body(dice).map(|_| thing)), polls).await,
    }
}

fn wild<F: Future>(call: F, polls: u32) -> Wild<F> {
    Wild { call: Some(Box::pin(call)), polls }
}

/// So many tasks that make calls until then.
async fn tasks(seed: u64, until: Instant) {
    join_all((0..10).map(|number| async move {
        let mut random = SmallRng::seed_from_u64(seed * 100 + number);
        while Instant::now() < until {
            one_call(&mut random).await;
        }
    }))
    .await;
}

/// Calls from all executors, and then nothing is left of them.
fn round(time: Duration) {
    IS_OVER.store(false, Ordering::SeqCst);
    let until = Instant::now() + time;
    let on_many = thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let tasks = [1, 2].map(|seed| tokio::spawn(tasks(seed, until)));
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    let on_one = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(tasks(3, until));
    });
    let on_local = thread::spawn(move || LocalPool::new().run_until(tasks(4, until)));
    let on_none = thread::spawn(move || {
        let mut random = SmallRng::seed_from_u64(5);
        while Instant::now() < until {
            block_on(one_call(&mut random));
        }
    });
    for thread in [on_many, on_one, on_local, on_none] {
        thread.join().unwrap();
    }
    IS_OVER.store(true, Ordering::SeqCst);
    nothing_is_left();
}

fn nothing_is_left() {
    settle("nothing runs", || stats().pools.iter().all(|pool| pool.running + pool.queued == 0));
    settle("permits are back", || LIMIT.in_use() + LIMIT.waiting() == 0);
    settle("counts add up", || {
        let counts = stats().functions;
        counts.iter().all(|function| {
            let in_workers = function.died + function.killed + function.failed;
            function.started == function.finished + function.panicked + in_workers
        })
    });
    settle("threads that are not needed have ended", || {
        let pools = stats().pools;
        pools.iter().all(|pool| pool.threads == 0 || pool.kind == "cpu")
    });
    settle("no worker is left", || workers("workers").alive == 0);
    assert_eq!(CALLS.load(Ordering::SeqCst), ENDS.load(Ordering::SeqCst));
    for function in stats().functions {
        let queue = function.queue.map_or(0, |queue| queue.waiting);
        assert_eq!(queue, 0, "{function:?}");
    }
}

/// Threads, descriptors, and memory in MiB.
fn usage() -> (usize, usize, usize) {
    let entries = |folder: &str| fs::read_dir(folder).unwrap().count();
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    (entries("/proc/self/task"), entries("/proc/self/fd"), (pages * 4096) >> 20)
}

#[test]
fn nothing_is_left_of_calls_whose_foreign_code_does_what_it_likes() {
    let seconds = env::var("OFFLOAD_SOAK_SECONDS").map_or(4, |text| text.parse().unwrap());
    hush();
    Builder::new().keep_alive(SHORT).install().unwrap();
    propagate(&VALUE);
    propagate_with(capture, enter);
    let time = Duration::from_secs(seconds) / 4;
    round(time);
    let first = usage();
    let counts = || [&CALLS, &PANICS, &ITEMS].map(|count| count.load(Ordering::Relaxed));
    // On a busy machine less is done in the time.
    let are_enough = |[calls, panics, items]: [u64; 3]| calls > 1000 && panics > 100 && items > 100;
    for rounds in 1.. {
        round(time);
        if rounds >= 3 && are_enough(counts()) {
            break;
        }
        assert!(rounds < 1000, "{:?}", counts());
    }
    // Who closes what a worker had does so after it is gone.
    settle("threads and descriptors are as they were", || {
        let now = usage();
        now.0 <= first.0 && now.1 <= first.1
    });
    let last = usage();
    let [calls, panics, items] = counts();
    println!(
        "{calls} calls, {panics} panics, {items} items of workers; threads, descriptors, MiB: {first:?}, then {last:?}"
    );
    assert!(last.2 <= first.2 + 16, "{first:?} MiB have become {last:?}");
    // Every call has ended, and none twice.
    let report = block_on(shutdown(PATIENCE));
    assert_eq!((report.finished, report.abandoned), (0, 0));
}
