//! Code that is not the runtime's, at each place where a call runs it: it panics, blocks, or calls
//! back. Whatever it does, it costs no more than its own call; the page on foreign code in the guide
//! is the table of what is tried here.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, SharedString, Unit};
use offload_runtime::{
    CpuPool, Error, ErrorKind, FunctionStats, Limiter, ProcessPool, Resource, Sink, Stats,
    ThreadPool, offload, propagate, propagate_with, publish_metrics, publish_metrics_every,
    shutdown, spawn_thread, stats,
};
use offload_tests::{PATIENCE, numbers, own_process, passes, workers};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

offload_runtime::test_worker!();

static ONE: ThreadPool = ThreadPool::new("one").threads(1);
static LIMIT: Limiter = Limiter::new(1);
static WORKERS: ProcessPool = ProcessPool::new("workers").workers(1);

/// Where code that is not the runtime's is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Deadline,
    QueueDeadline,
    CloneOfValue,
    Capture,
    Enter,
    Leave,
    DropOfValue,
    NewSpan,
    EnterSpan,
    RecordInSpan,
    ExitSpan,
    SaidByWorker,
    SaidAtStart,
    Make,
    Check,
    DropOfInstance,
    DropOfIdle,
    SizeOfResource,
    Body,
    DropOfArgument,
    DropOfResult,
    DropOfPayload,
    Hook,
    DropOfQueued,
    Copy,
    ShowError,
    DropOfError,
    StallTimeout,
    Next,
    DropOfIterator,
    DropOfSuspended,
    Write,
    Read,
    CloneOfWaker,
    Wake,
    WakeByItem,
    WakeByTimer,
    WakeAtClose,
    WakeWhenReady,
    DropOfWaker,
    FromError,
    ThreadStart,
    Size,
    LazyPool,
    LazyLimiter,
    SizeOfLimiter,
    SaidByTimer,
    Recorder,
    RecorderByItself,
    CaptureForStream,
    CloneForStream,
    WriteThere,
    ReadThere,
    WriteBack,
    ReadBack,
    SaidBySpawner,
    SaidByThread,
    SaidOfStart,
    SaidOfEnd,
    DropAtShutdown,
    WakeAtShutdown,
    DropAfterShutdown,
    /// The caller has a result, and drops it.
    Elsewhere,
}

/// Each with the prefix of the name of its thread; the caller's is that of the test.
const PLACES: [(Place, &str); 53] = [
    (Place::Deadline, CALLER),
    (Place::QueueDeadline, CALLER),
    (Place::CloneOfValue, CALLER),
    (Place::Capture, CALLER),
    (Place::Enter, "one-"),
    (Place::Leave, "one-"),
    (Place::DropOfValue, "one-"),
    (Place::NewSpan, "one-"),
    (Place::EnterSpan, "one-"),
    (Place::RecordInSpan, "one-"),
    (Place::ExitSpan, "one-"),
    (Place::SaidByWorker, "workers-"),
    (Place::Make, "one-"),
    (Place::Check, "one-"),
    (Place::DropOfInstance, "one-"),
    (Place::DropOfIdle, "offload-thread-"),
    (Place::SizeOfResource, CALLER),
    (Place::Body, "one-"),
    (Place::DropOfArgument, "one-"),
    (Place::DropOfResult, "one-"),
    (Place::DropOfPayload, "one-"),
    (Place::Hook, "one-"),
    (Place::DropOfQueued, "offload-thread-"),
    (Place::Copy, CALLER),
    (Place::ShowError, "one-"),
    (Place::DropOfError, CALLER),
    (Place::StallTimeout, CALLER),
    (Place::Next, "one-"),
    (Place::DropOfIterator, "one-"),
    (Place::DropOfSuspended, "offload-thread-"),
    (Place::Write, "workers-"),
    (Place::Read, "workers-"),
    (Place::CloneOfWaker, CALLER),
    (Place::Wake, "one-"),
    (Place::WakeByItem, "one-"),
    (Place::WakeByTimer, "offload-timer"),
    (Place::WakeAtClose, "offload-timer"),
    (Place::WakeWhenReady, "offload-start"),
    (Place::DropOfWaker, CALLER),
    (Place::FromError, CALLER),
    (Place::ThreadStart, "fresh-"),
    (Place::Size, CALLER),
    (Place::LazyPool, CALLER),
    (Place::LazyLimiter, CALLER),
    (Place::SizeOfLimiter, CALLER),
    (Place::Recorder, CALLER),
    (Place::RecorderByItself, "offload-metrics"),
    (Place::CaptureForStream, CALLER),
    (Place::CloneForStream, CALLER),
    (Place::WriteThere, "offload-cpu-"),
    (Place::ReadThere, "offload-cpu-"),
    (Place::WriteBack, "offload-cpu-"),
    (Place::ReadBack, "offload-cpu-"),
];

/// Those which come while the caller waits for an answer.
const WITH_HANDLE: [Place; 22] = [
    Place::Body,
    Place::DropOfArgument,
    Place::EnterSpan,
    Place::RecordInSpan,
    Place::ExitSpan,
    Place::ShowError,
    Place::Wake,
    Place::WakeByItem,
    Place::Enter,
    Place::Leave,
    Place::DropOfValue,
    Place::NewSpan,
    Place::Make,
    Place::Check,
    Place::SaidByWorker,
    Place::Write,
    Place::Read,
    Place::WriteThere,
    Place::ReadThere,
    Place::WriteBack,
    Place::ReadBack,
    Place::Next,
];

/// The rows of the page on foreign code: at which of these places each is tried, and by which other tests. A panic, a
/// block, a call back, and where it can have the last handle of its own call, that this is dropped.
const ROWS: [(&str, &[Place], &[Test]); 42] = [
    (
        "the expression of `timeout` or `queue_timeout`",
        &[Place::Deadline, Place::QueueDeadline],
        &[],
    ),
    (
        "the clone of a propagated value, `capture` of `propagate_with`",
        &[Place::CloneOfValue, Place::Capture, Place::CloneForStream, Place::CaptureForStream],
        &[],
    ),
    ("`ToOwned` or `Clone` of what `#[to_owned]` lends", &[Place::Copy], &[]),
    ("the expression of `stall_timeout`", &[Place::StallTimeout], &[]),
    ("`From<Error>` of the result's error type", &[Place::FromError], &[]),
    (
        "the size of a pool or a limiter (`threads_with`, `Limiter::with`)",
        &[Place::Size, Place::SizeOfLimiter],
        &[],
    ),
    (
        "the closure of a pool or a limiter in a `LazyLock`",
        &[Place::LazyPool, Place::LazyLimiter],
        &[],
    ),
    ("`on_thread_start`", &[Place::ThreadStart], &[]),
    (
        "`on_start` of a process pool",
        &[],
        &[
            (HERE, "foreign_code_in_a_worker_costs_no_more_than_its_own_call"),
            ("process/pools.rs", "a_start_up_function_that_panics_or_ends_the_process"),
        ],
    ),
    (
        "the subscriber: of which type it is (`downcast_raw`)",
        &[],
        &[
            (
                "process/begun.rs",
                "a_subscriber_that_is_asked_at_the_caller_costs_the_call_which_is_not_made_at_the_most",
            ),
            (
                "process/begun.rs",
                "a_subscriber_that_is_asked_by_a_thread_of_the_pool_costs_nothing_but_a_request",
            ),
        ],
    ),
    (
        "the subscriber: a new span, to enter, record in and leave it",
        &[Place::NewSpan, Place::EnterSpan, Place::RecordInSpan, Place::ExitSpan],
        &[
            (
                "process/begun.rs",
                "a_subscriber_around_an_answer_costs_the_call_at_the_most_and_its_body_may_have_run",
            ),
            (
                "nats/subscribers.rs",
                "foreign_code_around_an_answer_costs_no_more_than_its_own_call",
            ),
        ],
    ),
    (
        "the subscriber: what a worker says, and the places in its source where it does",
        &[Place::SaidByWorker],
        &[(HERE, "a_subscriber_that_is_told_as_a_worker_starts_costs_that_worker_at_the_most")],
    ),
    (
        "`enter` of `propagate_with`, and the destructor of what it returns",
        &[Place::Enter, Place::Leave],
        &[
            (
                "nats/subscribers.rs",
                "foreign_code_around_an_answer_costs_no_more_than_its_own_call",
            ),
            ("remote/carried.rs", "what_carries_a_text_costs_its_own_call_wherever_it_is_called"),
        ],
    ),
    ("the destructor of a propagated value", &[Place::DropOfValue], &[]),
    (
        "what makes a resource, and how its error shows itself",
        &[Place::Make, Place::ShowError],
        &[(HERE, "foreign_code_in_a_worker_costs_no_more_than_its_own_call"), OF_A_THREAD, OF_ALL],
    ),
    ("the destructor of that error", &[Place::DropOfError], &[]),
    (
        "the `check` of a resource",
        &[Place::Check],
        &[(HERE, "foreign_code_in_a_worker_costs_no_more_than_its_own_call")],
    ),
    ("the body, with the destructors of its arguments", &[Place::Body, Place::DropOfArgument], &[]),
    (
        "an iterator that a body returned: `next`, and its destructor at the end",
        &[Place::Next, Place::DropOfIterator],
        &[],
    ),
    (
        "the destructor of an iterator whose stream was dropped between two parts",
        &[Place::DropOfSuspended],
        &[],
    ),
    (
        "`Serialize` of an argument, `Deserialize` of a result, of a `process` or `remote` function",
        &[Place::Write, Place::Read, Place::WriteThere, Place::ReadBack],
        &[("nats/foreign_code.rs", ON_THE_WAY)],
    ),
    (
        "`Deserialize` of an item of such a function's stream",
        &[],
        &[
            ("process/streams.rs", "items_are_large_and_what_cannot_be_sent_ends_the_stream"),
            ("process/streams.rs", "what_reads_an_item_or_drops_it_costs_its_own_stream"),
        ],
    ),
    (
        "`Deserialize` of an argument, the body, the destructors of its arguments, `Serialize` of its result",
        &[Place::ReadThere, Place::WriteBack],
        &[
            (HERE, "foreign_code_in_a_worker_costs_no_more_than_its_own_call"),
            ("nats/foreign_code.rs", ON_THE_WAY),
        ],
    ),
    (
        "the destructor of a resource",
        &[Place::DropOfInstance, Place::DropOfIdle],
        &[
            (HERE, "foreign_code_in_a_worker_costs_no_more_than_its_own_call"),
            (HERE, "foreign_code_costs_a_shutdown_nothing"),
            OF_A_THREAD,
            OF_ALL,
        ],
    ),
    ("the size of a resource (`size_with`)", &[Place::SizeOfResource], &[]),
    (
        "the destructor of a result, or of a panic's payload, that nobody takes",
        &[Place::DropOfResult, Place::DropOfPayload],
        &[],
    ),
    (
        "the destructor of an item of a stream that nobody takes",
        &[],
        &[
            ("streams/items.rs", "what_nobody_takes_is_dropped_on_a_pool_whatever_that_does"),
            ("process/streams.rs", "what_reads_an_item_or_drops_it_costs_its_own_stream"),
        ],
    ),
    (
        "the destructor of the arguments of a call that was dropped while it waited",
        &[Place::DropOfQueued],
        &[(HERE, "foreign_code_costs_a_shutdown_nothing")],
    ),
    (
        "the waker: to clone it",
        &[Place::CloneOfWaker],
        &[(
            HERE,
            "a_waker_that_panics_as_it_is_cloned_or_replaced_keeps_no_other_from_being_woken",
        )],
    ),
    (
        "the waker: to drop it",
        &[Place::DropOfWaker],
        &[(HERE, "a_waker_that_panics_where_a_stream_has_it_does_not_end_the_process")],
    ),
    ("the waker: to wake it", &[Place::Wake, Place::WakeByItem], &[]),
    ("the waker of who waits for `ready` of a process pool", &[Place::WakeWhenReady], &[]),
    (
        "the waker, at a deadline; that of who waits for `close` or `shutdown`",
        &[Place::WakeByTimer, Place::WakeAtClose],
        &[(HERE, "foreign_code_costs_a_shutdown_nothing")],
    ),
    (
        "the waker of who awaits `remote::serve`",
        &[],
        &[("nats/foreign_code.rs", "a_waker_where_serve_is_awaited_costs_the_connection_nothing")],
    ),
    (
        "an event of the subscriber: a thread is blocked, a priority was denied",
        &[],
        &[
            (HERE, "a_subscriber_that_is_told_of_blocked_threads_costs_the_timer_nothing"),
            (HERE, "a_subscriber_that_is_told_of_a_priority_that_was_denied_costs_no_thread"),
        ],
    ),
    (
        "an event of the subscriber: a function has the wrong kind",
        &[],
        &[(HERE, "a_subscriber_that_is_told_of_a_wrong_kind_costs_the_call_nothing")],
    ),
    (
        "an event of the subscriber: a worker has started, died or ended",
        &[],
        &[(HERE, "a_subscriber_that_is_told_what_becomes_of_workers_costs_none")],
    ),
    (
        "an event of the subscriber: what is the matter with the connection for remote calls",
        &[],
        &[(
            "nats/subscribers.rs",
            "a_subscriber_that_is_told_what_the_connection_says_costs_that_nothing",
        )],
    ),
    (
        "an event of the subscriber: an event loop is blocked",
        &[],
        &[("watcher.rs", "a_subscriber_that_is_told_of_blocked_loops_costs_the_watcher_nothing")],
    ),
    (
        "the destructor of what a runtime that was watched was built with (`on_thread_start` and the like)",
        &[],
        &[("watcher.rs", "what_runtimes_leave_behind_that_were_watched_costs_the_watcher_nothing")],
    ),
    ("the recorder of the `metrics` facade", &[Place::Recorder, Place::RecorderByItself], &[]),
    ("the panic hook", &[Place::Hook], &[(HERE, "a_panic_hook_that_panics_ends_the_process")]),
];

/// Its file, and its name there.
type Test = (&'static str, &'static str);

const HERE: &str = "foreign_code.rs";

/// Resources that threads have, or all bodies share.
const OF_A_THREAD: Test = (
    "resources/foreign_code.rs",
    "what_makes_and_drops_an_instance_of_a_thread_costs_its_own_call",
);
const OF_ALL: Test = (
    "resources/foreign_code.rs",
    "what_makes_and_drops_what_is_shared_costs_its_own_call_and_no_shutdown",
);

const ON_THE_WAY: &str =
    "foreign_code_on_the_way_to_a_worker_and_back_costs_no_more_than_its_own_call";

/// Who adds a row there says here what tries it.
#[test]
fn the_rows_of_the_page_are_those_that_are_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = folder.join("../offload-runtime/docs/foreign_code.md");
    let page = fs::read_to_string(page).unwrap();
    let rows =
        page.lines().skip_while(|line| *line != "| what | on the thread | a panic |").skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows: Vec<_> = rows.map(|(what, _)| what).collect();
    assert_eq!(rows, ROWS.map(|(what, ..)| what));
    for (what, places, tests) in ROWS {
        assert!(places.len() + tests.len() > 0, "{what}: it is not tried");
        let tried = |place: &Place| PLACES.iter().any(|(tried, _)| tried == place);
        assert!(places.iter().all(tried), "{what}: a place of {places:?} is not tried");
        for (file, test) in tests {
            let file = fs::read_to_string(folder.join(file)).unwrap();
            assert!(file.contains(&format!("#[test]\nfn {test}()")), "{what}: no test `{test}`");
        }
    }
    let has_row = |place| ROWS.iter().any(|(_, places, _)| places.contains(place));
    let without: Vec<_> = PLACES.iter().filter(|(place, _)| !has_row(place)).collect();
    assert!(without.is_empty(), "they are in no row: {without:?}");
}

const CALLER: &str = "foreign_code_costs_no_more_than_its_own_call";

/// What it does there.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Panic,
    Block,
    CallBack,
    /// The only one of its own call, which somebody awaits, where that may be; and of others.
    DropHandle,
}

/// The handle of the call that is to come to where it is dropped.
static HANDLE: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);

/// Whether it was there.
static HAD_HANDLE: AtomicBool = AtomicBool::new(false);

/// What is to be done next, and where. Once.
static PLAN: Mutex<Option<(Place, Deed)>> = Mutex::new(None);

/// On which thread it was done.
static DONE: Mutex<Option<String>> = Mutex::new(None);

/// Where there is to be a second panic.
static ALSO: Mutex<Option<Place>> = Mutex::new(None);

/// Two panics that one call can have, none of which comes while the other unwinds.
const TWO: [(Place, Place); 10] = [
    (Place::Enter, Place::DropOfArgument),
    (Place::NewSpan, Place::DropOfArgument),
    (Place::EnterSpan, Place::DropOfArgument),
    (Place::Enter, Place::DropOfValue),
    (Place::Enter, Place::ExitSpan),
    (Place::Body, Place::Leave),
    (Place::Body, Place::DropOfValue),
    (Place::Body, Place::ExitSpan),
    (Place::Leave, Place::DropOfValue),
    (Place::NewSpan, Place::ExitSpan),
];

/// This is a place where code is called.
fn at(place: Place) {
    if ALSO.lock().unwrap().take_if(|also| *also == place && !is_planned()).is_some() {
        panic!("on purpose");
    }
    let Some((place, deed)) = PLAN.lock().unwrap().take_if(|(planned, _)| *planned == place) else {
        return;
    };
    let name = thread::current().name().unwrap_or_default().to_owned();
    *DONE.lock().unwrap() = Some(name.clone());
    match deed {
        Deed::Panic => {
            if place == Place::CloneOfWaker {
                // Its call is not made.
                MADE.fetch_sub(1, Ordering::SeqCst);
            }
            panic!("on purpose");
        }
        Deed::Block => thread::sleep(Duration::from_millis(50)),
        Deed::CallBack => {
            // They show the size that is being asked for.
            if place != Place::SizeOfResource {
                let _ = stats();
            }
            // On the thread of a pool of one, for a call of that pool.
            match name.starts_with("one-") {
                true => assert_eq!(block_on(ONE.run(|| 7)), 7),
                false => drop(ONE.spawn(|| 7)),
            }
        }
        Deed::DropHandle => {
            // It is locked while its call is polled for the first time.
            let handle = match IS_CALLER.get() {
                true => HANDLE.try_lock().ok().and_then(|mut handle| handle.take()),
                false => HANDLE.lock().unwrap().take(),
            };
            HAD_HANDLE.store(handle.is_some(), Ordering::SeqCst);
            drop(handle);
            drop(ONE.spawn(|| 7));
            let mut call = Box::pin(ONE.run(|| 7));
            // It panics where a shutdown has begun.
            let poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
            let _ = catch_unwind(AssertUnwindSafe(poll));
        }
    }
}

fn is_to_drop_handle() -> bool {
    matches!(*PLAN.lock().unwrap(), Some((_, Deed::DropHandle)))
}

fn is_planned() -> bool {
    PLAN.lock().unwrap().is_some()
}

fn is_planned_at(place: Place) -> bool {
    let is_also = *ALSO.lock().unwrap() == Some(place);
    is_also || PLAN.lock().unwrap().is_some_and(|(planned, _)| planned == place)
}

/// Arguments, results and values that are there.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Does what is planned for its place when it is dropped.
struct Thing(Place);

fn thing(place: Place) -> Thing {
    ALIVE.fetch_add(1, Ordering::SeqCst);
    Thing(place)
}

impl Drop for Thing {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
        at(self.0);
    }
}

tokio::task_local! {
    static VALUE: Value;
}

/// The clone is the body's.
struct Value {
    _thing: Option<Thing>,
}

impl Clone for Value {
    fn clone(&self) -> Value {
        at(if FOR_STREAM.get() { Place::CloneForStream } else { Place::CloneOfValue });
        Value { _thing: Some(thing(Place::DropOfValue)) }
    }
}

thread_local! {
    static IS_CALLER: Cell<bool> = const { Cell::new(false) };
    /// A function is called whose result is a stream.
    static FOR_STREAM: Cell<bool> = const { Cell::new(false) };
}

fn capture() -> Option<()> {
    let place = if FOR_STREAM.get() { Place::CaptureForStream } else { Place::Capture };
    IS_CALLER.get().then(|| at(place))
}

fn enter((): ()) -> Thing {
    at(Place::Enter);
    thing(Place::Leave)
}

struct Spans;

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["offload", "said"].contains(&metadata.target())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        at(Place::NewSpan);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        at(Place::RecordInSpan);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "said" {
            at(Place::SaidByWorker);
        }
    }

    fn enter(&self, _: &Id) {
        at(Place::EnterSpan);
    }

    fn exit(&self, _: &Id) {
        at(Place::ExitSpan);
    }
}

/// Why a call failed.
#[derive(Debug)]
struct Failed;

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        at(Place::FromError);
        drop(error);
        Failed
    }
}

fn deadline() -> Duration {
    at(Place::Deadline);
    Duration::from_secs(600)
}

#[offload(thread, pool = ONE, limit = LIMIT, queue = 1, timeout = deadline(), name = "works")]
fn works(body: Box<dyn FnOnce() + Send>, _argument: Thing) -> Result<Option<Thing>, Failed> {
    at(Place::Body);
    body();
    // Where an argument's destructor panics after it was made, the compiler leaks a result.
    Ok((!is_planned_at(Place::DropOfArgument)).then(|| thing(Place::DropOfResult)))
}

fn queue_deadline() -> Duration {
    at(Place::QueueDeadline);
    Duration::from_secs(600)
}

static INSTANCE: Resource<Thing> = Resource::new("instance", || {
    at(Place::Make);
    Ok(thing(Place::DropOfInstance))
})
.check(|_| {
    at(Place::Check);
    true
});

/// One whose body panics has used it up.
#[offload(thread, pool = ONE, queue_timeout = queue_deadline(), name = "borrows")]
fn borrows(panics: bool, #[resource(INSTANCE)] _instance: &mut Thing) -> Result<(), Failed> {
    assert!(!panics, "on purpose");
    Ok(())
}

static IDLE: Resource<Thing> =
    Resource::new("idle", || Ok(thing(Place::DropOfIdle))).keep_alive(Duration::from_millis(1));

#[offload(thread, pool = ONE, name = "borrows for a while")]
fn borrows_for_a_while(#[resource(IDLE)] _instance: &mut Thing) -> Result<(), Failed> {
    Ok(())
}

/// What goes to a worker and back.
struct Sent;

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        at(Place::Write);
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sent, D::Error> {
        at(Place::Read);
        <()>::deserialize(deserializer).map(|()| Sent)
    }
}

#[offload(process, pool = WORKERS, name = "says")]
fn says(sent: Sent) -> Result<Sent, Error> {
    tracing::info!(target: "said", "something");
    Ok(sent)
}

/// What goes to another machine; where there is no server, it is written and read here.
struct There;

impl Serialize for There {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        at(Place::WriteThere);
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for There {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<There, D::Error> {
        at(Place::ReadThere);
        <()>::deserialize(deserializer).map(|()| There)
    }
}

/// What comes back from there.
struct Back;

impl Serialize for Back {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        at(Place::WriteBack);
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Back {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Back, D::Error> {
        at(Place::ReadBack);
        <()>::deserialize(deserializer).map(|()| Back)
    }
}

#[offload(remote, timeout = "600s", name = "goes there")]
fn goes_there(_there: There) -> Result<Back, Error> {
    Ok(Back)
}

static CLOSES: ThreadPool = ThreadPool::new("closes").threads(1);

static READY: ProcessPool = ProcessPool::new("ready").workers(1).min_workers(1);

#[expect(dead_code, reason = "a worker is one for the functions of its pool")]
#[offload(process, pool = READY)]
fn is_ready() -> Result<(), Error> {
    Ok(())
}

/// What is lent to a call, which has a copy.
struct Lent;

impl Clone for Lent {
    fn clone(&self) -> Lent {
        at(Place::Copy);
        Lent
    }
}

#[offload(thread, pool = ONE, name = "owns")]
fn owns(#[to_owned] _lent: &Lent) -> Result<(), Failed> {
    Ok(())
}

/// Why a resource cannot be made.
struct Broken(#[expect(dead_code, reason = "it is dropped")] Thing);

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        at(Place::ShowError);
        f.write_str("it is broken")
    }
}

impl std::error::Error for Broken {}

static BROKEN: Resource<()> =
    Resource::new("broken", || Err(Box::new(Broken(thing(Place::DropOfError)))));

#[offload(thread, pool = ONE, name = "borrows what is broken")]
fn borrows_broken(#[resource(BROKEN)] _instance: &mut ()) -> Result<(), Failed> {
    Ok(())
}

/// What makes the items of a stream.
struct Items {
    left: u32,
    _thing: Thing,
}

impl Iterator for Items {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        at(Place::Next);
        self.left = self.left.checked_sub(1)?;
        Some(self.left)
    }
}

#[offload(thread, pool = ONE, stream, name = "iterates")]
fn iterates(gate: Receiver<()>) -> impl Iterator<Item = u32> {
    let _ = gate.recv();
    Items { left: 3, _thing: thing(Place::DropOfIterator) }
}

#[offload(thread, pool = ONE, stream = 1, name = "suspends")]
fn suspends() -> impl Iterator<Item = u32> {
    Items { left: u32::MAX, _thing: thing(Place::DropOfSuspended) }
}

fn stall_timeout() -> Duration {
    at(Place::StallTimeout);
    Duration::from_secs(600)
}

#[offload(thread, pool = ONE, stream = 1, stall_timeout = stall_timeout(), name = "pushes")]
fn pushes(gate: Receiver<()>, out: &mut Sink<u32>) -> Result<(), Failed> {
    let _ = gate.recv();
    let _ = out.send(1);
    Ok(())
}

/// Takes all items of a stream, whose body goes on when nobody has `go`: when somebody waits for the first.
async fn all_items(go: Sender<()>, stream: impl Stream) {
    let (mut stream, mut go) = (Box::pin(stream), Some(go));
    poll_fn(move |cx| {
        loop {
            let next = stream.as_mut().poll_next(cx);
            drop(go.take());
            match next {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Functions each of which has a pool, a limit and a resource of its own, which are made, or asked for their
/// sizes, once.
macro_rules! sized {
    ($($name:ident)*) => {{
        $(
            fn $name() -> BoxFuture<'static, Result<(), Error>> {
                static LIMIT: LazyLock<Limiter> = LazyLock::new(|| {
                    at(Place::LazyLimiter);
                    Limiter::with(|| {
                        at(Place::SizeOfLimiter);
                        1
                    })
                });
                static INSTANCES: Resource<()> = Resource::new("sized", || Ok(())).size_with(|| {
                    at(Place::SizeOfResource);
                    1
                });

                static POOL: LazyLock<ThreadPool> = LazyLock::new(|| {
                    at(Place::LazyPool);
                    ThreadPool::new("lazy")
                });

                #[offload(thread, pool = POOL, limit = LIMIT)]
                fn sized(#[resource(INSTANCES)] _instance: &mut ()) -> Result<(), Error> {
                    Ok(())
                }

                Box::pin(sized())
            }
        )*
        [$($name as fn() -> BoxFuture<'static, Result<(), Error>>),*]
    }};
}

/// The next of them.
fn next_sized() -> BoxFuture<'static, Result<(), Error>> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    sized!(a b c d e f g h i j k l m n o p)[NEXT.fetch_add(1, Ordering::SeqCst)]()
}

/// Is told of gauges.
struct Gauges(Place);

impl metrics::Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &metrics::Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
        at(self.0);
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &metrics::Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[offload(thread, timeout = "2ms", name = "late")]
fn late(gate: Receiver<()>) -> Result<(), Error> {
    let _ = gate.recv();
    Ok(())
}

/// Rings, and does what is planned. A waker that panics has not rung.
struct Bell {
    ring: Sender<()>,
    /// Where it is woken, if that is not by the timer.
    place: Place,
    /// The call has the last of it.
    is_left_to_call: bool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        at(match thread::current().name() {
            Some("offload-timer") if self.place == Place::Wake => Place::WakeByTimer,
            _ => self.place,
        });
        let _ = self.ring.send(());
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if self.is_left_to_call {
            at(Place::DropOfWaker);
        }
    }
}

/// Another waker, whose clones do what is planned.
#[expect(unsafe_code, reason = "there is no safe way to have code run where a waker is cloned")]
fn cloned_badly(waker: Waker) -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_it);

    fn raw(waker: Waker) -> RawWaker {
        RawWaker::new(Box::into_raw(Box::new(waker)).cast_const().cast(), &TABLE)
    }

    unsafe fn clone(waker: *const ()) -> RawWaker {
        at(Place::CloneOfWaker);
        // SAFETY: it is the pointer of a box, which is there until the waker is dropped.
        raw(unsafe { &*waker.cast::<Waker>() }.clone())
    }

    unsafe fn wake(waker: *const ()) {
        // SAFETY: it is the pointer of a box that nobody uses after this.
        unsafe { Box::from_raw(waker.cast_mut().cast::<Waker>()) }.wake();
    }

    unsafe fn wake_by_ref(waker: *const ()) {
        // SAFETY: as in `clone`.
        unsafe { &*waker.cast::<Waker>() }.wake_by_ref();
    }

    unsafe fn drop_it(waker: *const ()) {
        // SAFETY: as in `wake`.
        drop(unsafe { Box::from_raw(waker.cast_mut().cast::<Waker>()) });
    }

    // SAFETY: the functions of the table do with a box what they have to do with a waker.
    unsafe { Waker::from_raw(raw(waker)) }
}

/// A future that is polled in the surroundings that calls carry.
struct Driven<F: Future>(Option<Pin<Box<F>>>);

fn driven<F: Future>(call: F) -> Driven<F> {
    Driven(Some(Box::pin(call)))
}

impl<F: Future> Driven<F> {
    /// `None`: it panicked.
    fn poll(&mut self, waker: &Waker) -> Option<Poll<F::Output>> {
        let call = self.0.as_mut().unwrap();
        let poll = || call.as_mut().poll(&mut Context::from_waker(waker));
        let poll = || tracing::subscriber::with_default(Spans, poll);
        let poll = || VALUE.sync_scope(Value { _thing: None }, poll);
        catch_unwind(AssertUnwindSafe(poll)).ok()
    }

    fn is_pending(&mut self) -> bool {
        matches!(self.poll(Waker::noop()), Some(Poll::Pending))
    }

    /// To its end. A waker that panics is not waited for. `None`: it panicked, or its handle was dropped.
    fn finish(self) -> Option<F::Output>
    where
        F: Send + 'static,
    {
        self.finish_woken(Place::Wake)
    }

    /// The same, where its waker is that of this place.
    fn finish_woken(mut self, place: Place) -> Option<F::Output>
    where
        F: Send + 'static,
    {
        let (ring, rung) = mpsc::channel();
        let bell = Bell { ring, place, is_left_to_call: false };
        let waker = cloned_badly(Waker::from(Arc::new(bell)));
        if is_to_drop_handle() {
            return self.leave_handle(&waker, &rung);
        }
        loop {
            match self.poll(&waker)? {
                Poll::Ready(answer) => return Some(answer),
                Poll::Pending => drop(rung.recv_timeout(Duration::from_millis(20)).ok()),
            }
        }
    }

    /// The same, where the handle is elsewhere while the call is under way.
    fn leave_handle(mut self, waker: &Waker, rung: &Receiver<()>) -> Option<F::Output>
    where
        F: Send + 'static,
    {
        // Nothing of it happens before the handle is there.
        let (go, gate) = mpsc::channel::<()>();
        // What holds it up carries nothing along.
        let is_caller = IS_CALLER.replace(false);
        let holds = ONE.spawn(move || gate.recv().is_err());
        IS_CALLER.set(is_caller);
        {
            let mut handle = HANDLE.lock().unwrap();
            if let Poll::Ready(answer) = self.poll(waker)? {
                return Some(answer);
            }
            *handle = Some(Box::new(self));
        }
        drop((go, holds));
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "neither dropped nor woken");
            let has_rung = rung.recv_timeout(Duration::from_millis(20)).is_ok();
            let mut there = HANDLE.lock().unwrap();
            // Who is to drop it may still come: it is not taken away for a look.
            if there.is_some() && !has_rung {
                continue;
            }
            let handle = there.take()?;
            drop(there);
            let mut handle = *handle.downcast::<Driven<F>>().expect("it is this call's");
            match handle.poll(waker)? {
                Poll::Ready(answer) => return Some(answer),
                Poll::Pending => *HANDLE.lock().unwrap() = Some(Box::new(handle)),
            }
        }
    }

    /// Dropped by its caller.
    fn give_up(mut self) {
        let call = self.0.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(call)));
        // Arguments of a call that was rejected are dropped here, as any value is.
        assert!(dropped.is_ok() || !is_planned_at(Place::DropOfWaker), "a waker's panic gets out");
    }
}

fn soon(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", stats().functions);
        thread::yield_now();
    }
}

/// Calls of `works` that were made.
static MADE: AtomicU64 = AtomicU64::new(0);

fn work(
    body: Box<dyn FnOnce() + Send>,
    argument: Thing,
) -> impl Future<Output = Result<Option<Thing>, Failed>> + Send {
    MADE.fetch_add(1, Ordering::SeqCst);
    works(body, argument)
}

/// Calls that come to all places, in all ways.
fn calls() {
    let argument = || thing(Place::DropOfArgument);
    // One that is awaited.
    let answer = driven(work(Box::new(|| {}), argument())).finish();
    if let Some(Ok(Some(mut result))) = answer {
        result.0 = Place::Elsewhere;
    }
    settle();
    // Of three at once, one runs, one waits, and one is too much. None is awaited to its end.
    let (go, gate) = mpsc::channel::<()>();
    let mut runs = driven(work(Box::new(move || gate.recv().unwrap_or_default()), argument()));
    let (ring, _rung) = mpsc::channel();
    {
        let bell = Bell { ring, place: Place::Wake, is_left_to_call: true };
        let waker = Waker::from(Arc::new(bell));
        assert!(matches!(runs.poll(&waker), Some(Poll::Pending)));
    }
    soon("it runs", || LIMIT.in_use() == 1);
    let mut waits = driven(work(Box::new(|| {}), thing(Place::DropOfQueued)));
    assert!(waits.is_pending());
    let mut too_much = driven(work(Box::new(|| {}), argument()));
    drop(too_much.poll(Waker::noop()));
    too_much.give_up();
    waits.give_up();
    runs.give_up();
    drop(go);
    settle();
    // One whose panic nobody awaits.
    let (go, gate) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let panics = move || {
        started.send(()).unwrap();
        let _ = gate.recv();
        panic_any(thing(Place::DropOfPayload));
    };
    let mut call = driven(work(Box::new(panics), argument()));
    assert!(call.is_pending());
    start.recv().unwrap();
    call.give_up();
    drop(go);
    settle();
    // One that is too late. On a machine that stands still, its thread may say so before the timer.
    for _ in 0..50 {
        let (go, gate) = mpsc::channel::<()>();
        if let Some(answer) = driven(late(gate)).finish() {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::TimedOut);
        }
        drop(go);
        if !is_planned_at(Place::WakeByTimer) {
            break;
        }
    }
    // Those that borrow: one makes the instance, one has it again, and one uses it up.
    for panics in [false, false, true] {
        let _ = driven(borrows(panics)).finish();
    }
    let _ = driven(borrows_for_a_while()).finish();
    // Some that nothing else comes to, or that take long, or can be made once.
    let is_for = |places: &[Place]| places.iter().copied().any(is_planned_at);
    if is_for(&[Place::ShowError, Place::DropOfError]) {
        let _ = driven(borrows_broken()).finish();
    }
    if is_for(&[Place::Copy]) {
        let made = catch_unwind(|| owns(&Lent));
        let _ = made.map(|call| driven(call).finish());
    }
    if is_for(&[Place::Next, Place::DropOfIterator, Place::WakeByItem]) {
        let (go, gate) = mpsc::channel();
        let _ = driven(all_items(go, iterates(gate))).finish_woken(Place::WakeByItem);
    }
    if is_for(&[Place::StallTimeout]) {
        let (go, gate) = mpsc::channel();
        let _ = driven(all_items(go, pushes(gate))).finish();
    }
    if is_for(&[Place::DropOfSuspended]) {
        let mut stream = Box::pin(suspends());
        assert!(block_on(stream.next()).is_some());
        soon("it is suspended", || numbers("suspends").running == 0);
        drop(stream);
    }
    if is_for(&[Place::SaidByWorker, Place::Write, Place::Read]) {
        drop(driven(says(Sent)).finish());
    }
    if is_for(&[Place::WriteThere, Place::ReadThere, Place::WriteBack, Place::ReadBack]) {
        drop(driven(goes_there(There)).finish());
    }
    if is_for(&[Place::CaptureForStream, Place::CloneForStream]) {
        let (go, gate) = mpsc::channel();
        FOR_STREAM.set(true);
        let call = || VALUE.sync_scope(Value { _thing: None }, || pushes(gate));
        let made = catch_unwind(AssertUnwindSafe(call));
        FOR_STREAM.set(false);
        let _ = made.map(|stream| driven(all_items(go, stream)).finish());
    }
    if is_for(&[Place::WakeAtClose]) {
        CLOSES.open();
        let (go, gate) = mpsc::channel::<()>();
        let holds = CLOSES.spawn(move || gate.recv().is_err());
        // The body runs until the close has been polled again.
        let opens = thread::spawn(move || {
            soon("it is woken", || DONE.lock().unwrap().is_some());
            drop(go);
        });
        let _ = driven(CLOSES.close(Duration::from_secs(60))).finish_woken(Place::WakeAtClose);
        opens.join().unwrap();
        assert!(holds.wait().unwrap());
    }
    if is_for(&[Place::WakeWhenReady]) {
        block_on(READY.close(Duration::from_secs(60)));
        READY.open();
        let _ = driven(READY.ready()).finish_woken(Place::WakeWhenReady);
    }
    if is_for(&[Place::LazyPool, Place::LazyLimiter, Place::SizeOfLimiter, Place::SizeOfResource]) {
        drop(driven(next_sized()).finish());
    }
    if is_for(&[Place::Recorder]) {
        let publish = || metrics::with_local_recorder(&Gauges(Place::Recorder), publish_metrics);
        let _ = catch_unwind(AssertUnwindSafe(publish));
    }
    if is_for(&[Place::RecorderByItself]) {
        let _ = metrics::set_global_recorder(Gauges(Place::RecorderByItself));
        publish_metrics_every(Duration::from_millis(1)).unwrap();
        soon("it is published", || DONE.lock().unwrap().is_some());
    }
    // Pools that are new, each of which makes it longer to ask for all numbers.
    if is_for(&[Place::ThreadStart]) {
        let pool = ThreadPool::new("fresh").on_thread_start(|| at(Place::ThreadStart)).leak();
        assert_eq!(pool.spawn(|| 8).wait().unwrap(), 8);
    }
    if is_for(&[Place::Size]) {
        let size = || {
            at(Place::Size);
            2
        };
        let pool = ThreadPool::new("sized").threads_with(size).leak();
        match pool.spawn(|| 9).wait() {
            Ok(answer) => assert_eq!(answer, 9),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Config),
        }
    }
    settle();
}

/// Nothing is left of any call.
fn settle() {
    soon("permits are back", || LIMIT.in_use() + LIMIT.waiting() == 0);
    soon("values are gone", || ALIVE.load(Ordering::SeqCst) == 0);
    let start = Instant::now();
    let mut all = stats();
    while let Some(what) = what_is_left(&all) {
        assert!(start.elapsed() < PATIENCE, "{what}: {all:?}");
        thread::yield_now();
        all = stats();
    }
    // Each call that was made came to one end: those of one function are counted where they are made.
    let works = all.functions.into_iter().find(|function| function.name == "works");
    let Some(works) = works else { return };
    let ends = works.finished + works.panicked + works.cancelled + works.refused;
    assert_eq!(ends, MADE.load(Ordering::SeqCst), "{works:?}");
}

fn what_is_left(all: &Stats) -> Option<&'static str> {
    if all.pools.iter().any(|pool| pool.running + pool.queued > 0) {
        return Some("a call is in a pool");
    }
    if all.pools.iter().any(|pool| pool.idle != pool.threads && pool.kind != "process") {
        return Some("a thread is not free");
    }
    if all.resources.iter().any(|resource| resource.in_use + resource.waiting > 0) {
        return Some("an instance is not back");
    }
    let adds_up = |function: &FunctionStats| {
        let FunctionStats { finished, panicked, died, killed, failed, .. } = function;
        let ended = finished + panicked + died + killed + failed;
        let under_way = function.running + function.waiting + function.spawned;
        function.started == ended && under_way == 0
    };
    if !all.functions.iter().all(adds_up) {
        return Some("the counts do not add up");
    }
    None
}

/// The pool of one serves, and the slots are free.
fn serves() {
    let call = driven(work(Box::new(|| {}), thing(Place::DropOfArgument))).finish();
    assert!(matches!(call, Some(Ok(_))), "it does not serve");
    drop(call);
    assert_eq!(spawn_thread(|| 3).wait().unwrap(), 3);
    settle();
}

static FULL: CpuPool = CpuPool::new("full").threads(1);

/// What the runtime says itself is for the subscriber of the whole process.
struct Said;

impl Subscriber for Said {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["offload", AT_START].contains(&metadata.target()) && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        at(match (event.metadata().target(), thread::current().name()) {
            (AT_START, _) => Place::SaidAtStart,
            (_, Some("offload-spawner")) => Place::SaidBySpawner,
            (_, Some("offload-timer")) => Place::SaidByTimer,
            (_, Some("offload-start")) => Place::SaidOfStart,
            (_, Some("offload-retire")) => Place::SaidOfEnd,
            _ => Place::SaidByThread,
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

const DEED: &str = "OFFLOAD_TEST_DEED";

/// Each in a process of its own, which has one subscriber.
fn pass_with_all_deeds(child: &str) {
    for deed in ["panic", "block", "call back", "drop a handle"] {
        passes(own_process(child).env(DEED, deed));
    }
}

/// Has this process do that at this place.
fn plan_for_process(place: Place) -> Deed {
    let deed = match std::env::var(DEED).as_deref() {
        Ok("panic") => Deed::Panic,
        Ok("block") => Deed::Block,
        Ok("drop a handle") => Deed::DropHandle,
        _ => Deed::CallBack,
    };
    *PLAN.lock().unwrap() = Some((place, deed));
    deed
}

/// Has this process tell a subscriber, which does that at this place.
fn plan_for_subscriber(place: Place) -> Deed {
    tracing::subscriber::set_global_default(Said).unwrap();
    plan_for_process(place)
}

/// It was done, on a thread whose name begins so.
fn was_done_on(expected: &str) {
    assert!(!is_planned(), "nothing came there");
    let done = DONE.lock().unwrap().take().unwrap();
    assert!(done.starts_with(expected), "it is on `{done}`");
}

static KEPT: Resource<Thing> = Resource::new("kept", || Ok(thing(Place::DropAtShutdown)));

#[offload(thread, pool = ONE, name = "borrows what is kept")]
fn borrows_kept(_argument: Thing, #[resource(KEPT)] _instance: &mut Thing) -> Result<(), Error> {
    Ok(())
}

/// There is one in a process.
#[test]
fn foreign_code_costs_a_shutdown_nothing() {
    pass_with_all_deeds("child_drops_what_is_kept_at_a_shutdown");
    pass_with_all_deeds("child_is_woken_in_a_shutdown");
    pass_with_all_deeds("child_drops_a_queued_call_after_a_shutdown");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_what_is_kept_at_a_shutdown() {
    shuts_down(Place::DropAtShutdown);
    was_done_on("offload-thread-");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_woken_in_a_shutdown() {
    shuts_down(Place::WakeAtShutdown);
    was_done_on("offload-timer");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_a_queued_call_after_a_shutdown() {
    shuts_down(Place::DropAfterShutdown);
    was_done_on("child_drops_a_queued_call_after_a_shutdown");
}

/// While a body runs, and a call is queued whose handle is dropped.
fn shuts_down(place: Place) {
    block_on(borrows_kept(thing(Place::Elsewhere))).unwrap();
    let (go, gate) = mpsc::channel::<()>();
    let holds = ONE.spawn(move || gate.recv().is_err());
    let mut queued = driven(borrows_kept(thing(Place::DropAfterShutdown)));
    assert!(queued.is_pending());
    let mut shutdown = driven(shutdown(Duration::from_secs(60)));
    assert!(shutdown.is_pending());
    plan_for_process(place);
    queued.give_up();
    if place == Place::WakeAtShutdown {
        // The body runs until the shutdown has been polled again.
        let opens = thread::spawn(move || {
            soon("it is woken", || DONE.lock().unwrap().is_some());
            drop(go);
        });
        if shutdown.finish_woken(Place::WakeAtShutdown).is_none() {
            // Nobody awaits it any more, but another.
            block_on(offload_runtime::shutdown(Duration::from_secs(60)));
        }
        opens.join().unwrap();
    } else {
        drop(go);
        shutdown.finish();
    }
    assert!(holds.wait().unwrap());
    soon("values are gone", || ALIVE.load(Ordering::SeqCst) == 0);
    soon("all calls have ended", || {
        stats().pools.iter().all(|pool| pool.running + pool.queued == 0)
    });
    let kept = stats().resources.into_iter().find(|resource| resource.name == "kept").unwrap();
    assert_eq!((kept.in_use, kept.waiting, kept.made, kept.dropped), (0, 0, 1, 1));
}

static LOW: CpuPool = CpuPool::new("low").threads(1);

/// It is said once in a process, of the thread that starts others and of one that it starts.
#[cfg(target_os = "linux")]
#[test]
fn a_subscriber_that_is_told_of_a_priority_that_was_denied_costs_no_thread() {
    pass_with_all_deeds("child_is_told_that_its_thread_is_denied_a_priority");
    pass_with_all_deeds("child_is_told_that_its_spawner_is_denied_a_priority");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_that_its_thread_is_denied_a_priority() {
    is_denied_a_priority(Place::SaidByThread);
    was_done_on("low-");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_that_its_spawner_is_denied_a_priority() {
    is_denied_a_priority(Place::SaidBySpawner);
    was_done_on("offload-spawner");
}

#[cfg(target_os = "linux")]
fn is_denied_a_priority(place: Place) {
    deny_priorities();
    plan_for_subscriber(place);
    assert_eq!(LOW.spawn(|| 7).wait().unwrap(), 7);
    assert_eq!(ONE.spawn(|| 7).wait().unwrap(), 7);
    soon("nothing runs", || stats().pools.iter().all(|pool| pool.running + pool.queued == 0));
}

/// To this thread, and to those that it starts.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "root may set any: only a filter of the kernel denies it")]
fn deny_priorities() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let denied = u32::try_from(libc::SYS_sched_setattr).unwrap();
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = [
        // The number of the system call comes first.
        step(LOAD, 0, 0),
        step(IS, 1, denied),
        step(ANSWER, 0, libc::SECCOMP_RET_ALLOW),
        step(ANSWER, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    let filters = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its steps outlive the call, which copies them.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, filters, &raw const program),
        ]
    };
    assert_eq!(results, [0, 0], "{}", std::io::Error::last_os_error());
}

/// It is said once in a process.
#[test]
fn a_subscriber_that_is_told_of_blocked_threads_costs_the_timer_nothing() {
    pass_with_all_deeds("child_is_told_of_blocked_threads");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_of_blocked_threads() {
    plan_for_subscriber(Place::SaidByTimer);
    let (gates, calls): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (gate, held) = mpsc::channel::<()>();
            (gate, FULL.spawn(move || held.recv().is_err()))
        })
        .unzip();
    soon("it is said", || DONE.lock().unwrap().is_some());
    assert_eq!(DONE.lock().unwrap().take().unwrap(), "offload-timer");
    // The timer goes on.
    let (_gate, held) = mpsc::channel();
    assert_eq!(block_on(late(held)).unwrap_err().kind(), ErrorKind::TimedOut);
    drop(gates);
    assert!(calls.into_iter().all(|call| call.wait().unwrap()));
}

/// It is said once of a function.
#[cfg(target_os = "linux")]
#[test]
fn a_subscriber_that_is_told_of_a_wrong_kind_costs_the_call_nothing() {
    pass_with_all_deeds("child_is_told_of_a_wrong_kind");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_of_a_wrong_kind() {
    #[offload(cpu, pool = FULL, name = "waits")]
    fn waits() -> u32 {
        thread::sleep(Duration::from_millis(2));
        7
    }

    plan_for_subscriber(Place::SaidByThread);
    soon("it is said", || {
        assert_eq!(block_on(waits()), 7);
        !is_planned()
    });
    was_done_on("full-");
    assert_eq!(block_on(waits()), 7);
    soon("all have ended", || {
        let waits = numbers("waits");
        waits.panicked == 0 && waits.started == waits.finished
    });
}

static ENDS: ProcessPool = ProcessPool::new("ends").workers(1);

#[offload(process, pool = ENDS, name = "ends")]
fn ends(worker: bool) -> Result<(), Error> {
    match worker {
        true => std::process::exit(1),
        false => Ok(()),
    }
}

/// It is told as one starts, dies and ends.
#[test]
fn a_subscriber_that_is_told_what_becomes_of_workers_costs_none() {
    passes(&mut own_process("child_is_told_what_becomes_of_workers"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_what_becomes_of_workers() {
    tracing::subscriber::set_global_default(Said).unwrap();
    let plan = |place, deed| *PLAN.lock().unwrap() = Some((place, deed));
    let is_told = || soon("it is told", || DONE.lock().unwrap().is_some());
    for deed in [Deed::Panic, Deed::Block, Deed::CallBack, Deed::DropHandle] {
        plan(Place::SaidOfStart, deed);
        block_on(ends(false)).unwrap();
        was_done_on("offload-start");
        plan(Place::SaidByThread, deed);
        assert_eq!(block_on(ends(true)).unwrap_err().kind(), ErrorKind::WorkerDied);
        is_told();
        was_done_on("ends-");
        block_on(ends(false)).unwrap();
        plan(Place::SaidOfEnd, deed);
        block_on(ENDS.close(PATIENCE));
        is_told();
        was_done_on("offload-retire");
        ENDS.open();
    }
    soon("nothing is left", || what_is_left(&stats()).is_none());
}

const AT_START: &str = "said at start";

static SAYS_AT_START: ProcessPool = ProcessPool::new("says at start")
    .workers(1)
    .on_start(|| tracing::info!(target: AT_START, "it starts"));

#[offload(process, pool = SAYS_AT_START)]
fn is_started() -> Result<(), Error> {
    Ok(())
}

/// What a worker says before it has a call is told on the thread that starts it.
#[test]
fn a_subscriber_that_is_told_as_a_worker_starts_costs_that_worker_at_the_most() {
    pass_with_all_deeds("child_is_told_as_a_worker_starts");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_told_as_a_worker_starts() {
    let deed = plan_for_subscriber(Place::SaidAtStart);
    let answer = block_on(is_started());
    assert!(!is_planned(), "nothing was told");
    assert_eq!(DONE.lock().unwrap().take().unwrap(), "offload-start");
    if let Err(error) = answer {
        assert!(matches!(deed, Deed::Panic), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    block_on(is_started()).unwrap();
    assert_eq!(workers("says at start").alive, 1);
}

/// A call that was started can be polled again after a panic of its waker.
#[test]
fn a_waker_that_panics_as_it_is_cloned_or_replaced_keeps_no_other_from_being_woken() {
    passes(&mut own_process("child_polls_again_after_a_panic_of_its_waker"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_polls_again_after_a_panic_of_its_waker() {
    for place in [Place::CloneOfWaker, Place::DropOfWaker] {
        let (go, gate) = mpsc::channel::<()>();
        let mut started = driven(ONE.spawn(move || gate.recv().is_err()));
        let (ring, rung) = mpsc::channel();
        let bell = |is_left_to_call| {
            let ring = ring.clone();
            Waker::from(Arc::new(Bell { ring, place: Place::Wake, is_left_to_call }))
        };
        assert!(matches!(started.poll(&bell(true)), Some(Poll::Pending)));
        *PLAN.lock().unwrap() = Some((place, Deed::Panic));
        assert!(started.poll(&cloned_badly(bell(false))).is_none(), "it does not panic");
        assert!(!is_planned());
        let last = bell(false);
        assert!(matches!(started.poll(&last), Some(Poll::Pending)));
        drop(go);
        // It may be woken to ask again.
        let answer = loop {
            rung.recv_timeout(PATIENCE).expect("it is woken");
            match started.poll(&last).expect("this waker does not panic") {
                Poll::Ready(answer) => break answer,
                Poll::Pending => {}
            }
        };
        assert!(answer.unwrap());
    }
}

/// A waker that is stuck in a stream is dropped by a body that unwinds.
#[test]
fn a_waker_that_panics_where_a_stream_has_it_does_not_end_the_process() {
    passes(&mut own_process("child_leaves_wakers_that_panic_in_a_stream"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_leaves_wakers_that_panic_in_a_stream() {
    #[offload(thread, pool = ONE, stream, name = "unwinds")]
    fn unwinds(begun: Sender<()>, gate: Receiver<()>, out: &mut Sink<u32>) -> Result<(), Error> {
        begun.send(()).unwrap();
        let _ = (gate.recv(), out);
        panic_any("on purpose");
    }

    let (go, gate) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let mut stream = Box::pin(unwinds(begun, gate));
    let (ring, _rung) = mpsc::channel();
    let bell = |is_left_to_call| {
        let ring = ring.clone();
        Waker::from(Arc::new(Bell { ring, place: Place::Wake, is_left_to_call }))
    };
    let mut next = |waker: Waker| {
        let poll = || stream.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending();
        catch_unwind(AssertUnwindSafe(poll)).ok()
    };
    assert_eq!(next(bell(true)), Some(true));
    begins.recv_timeout(PATIENCE).unwrap();
    // The next is to take its place, and it stays, as nobody knows.
    *PLAN.lock().unwrap() = Some((Place::CloneOfWaker, Deed::Panic));
    assert_eq!(next(cloned_badly(bell(false))), None, "it does not panic");
    drop(stream);
    // It is dropped by the body.
    *PLAN.lock().unwrap() = Some((Place::DropOfWaker, Deed::Panic));
    drop(go);
    soon("the body has ended", || numbers("unwinds").panicked == 1);
    assert_eq!(ONE.spawn(|| 7).wait().unwrap(), 7);
    assert!(!is_planned(), "it was not dropped");
}

/// As everywhere.
#[cfg(unix)]
#[test]
fn a_panic_hook_that_panics_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;

    let ended = own_process("child_whose_panic_hook_panics").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    // SIGABRT
    assert_eq!(ended.status.signal(), Some(6), "{}: {said}", ended.status);
    assert!(said.contains("panicked while processing panic"), "{said}");
}

#[cfg(unix)]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_panic_hook_panics() {
    std::panic::set_hook(Box::new(|_| panic!("on purpose")));
    let _ = ONE.spawn(|| panic!("on purpose")).wait();
}

static STARTING: ProcessPool = ProcessPool::new("starting").workers(1).on_start(on_start);

/// Blocks, and calls back.
fn on_start() {
    thread::sleep(Duration::from_millis(50));
    calls_back();
}

fn calls_back() {
    let _ = stats();
    assert_eq!(block_on(ONE.run(|| 7)), 7);
    drop(ONE.spawn(|| 7));
}

/// What a worker runs, besides the body.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum InWorker {
    OnStart,
    Read,
    Body,
    DropOfArgument,
    Write,
}

/// Not in a worker.
static IS_PARENT: AtomicBool = AtomicBool::new(false);

/// The argument of a call in a worker, and its result: where what is to be done there, and whether that is a panic.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Planned(InWorker, bool);

impl Planned {
    fn at(self, place: InWorker) {
        let Planned(planned, panics) = self;
        if planned != place || IS_PARENT.load(Ordering::SeqCst) {
            return;
        }
        match panics {
            true => panic!("on purpose"),
            false => on_start(),
        }
    }
}

struct Argument(Planned);

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Argument, D::Error> {
        let planned = Planned::deserialize(deserializer)?;
        planned.at(InWorker::Read);
        Ok(Argument(planned))
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        self.0.at(InWorker::DropOfArgument);
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Answer(Planned);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.at(InWorker::Write);
        self.0.serialize(serializer)
    }
}

#[offload(process, pool = STARTING, name = "answers")]
fn answers(argument: Argument) -> Result<Answer, Error> {
    argument.0.at(InWorker::Body);
    Ok(Answer(argument.0))
}

/// Made and checked in a worker. Each of the two functions panics once, and once blocks and calls the runtime; then both
/// succeed.
static IN_WORKER: Resource<()> = Resource::new("in a worker", || {
    match MADE_THERE.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("on purpose"),
        1 => on_start(),
        _ => {}
    }
    Ok(())
})
.check(|()| {
    match CHECKED_THERE.fetch_add(1, Ordering::SeqCst) {
        0 => on_start(),
        1 => panic!("on purpose"),
        _ => {}
    }
    true
});

/// Dropped by a worker, as the body that has it panics: the first one panics, too, the second blocks and calls the
/// runtime.
static DROPS_IN_WORKER: Resource<DropsInWorker> =
    Resource::new("drops in a worker", || Ok(DropsInWorker));

struct DropsInWorker;

static DROPPED_THERE: AtomicUsize = AtomicUsize::new(0);

impl Drop for DropsInWorker {
    fn drop(&mut self) {
        match DROPPED_THERE.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            1 => on_start(),
            _ => {}
        }
    }
}

#[offload(process, pool = STARTING, name = "uses up there")]
fn uses_up_there(
    panics: bool,
    #[resource(DROPS_IN_WORKER)] _instance: &mut DropsInWorker,
) -> Result<usize, Error> {
    assert!(!panics, "on purpose");
    Ok(DROPPED_THERE.load(Ordering::SeqCst))
}

static MADE_THERE: AtomicUsize = AtomicUsize::new(0);
static CHECKED_THERE: AtomicUsize = AtomicUsize::new(0);

#[offload(process, pool = STARTING, name = "borrows there")]
fn borrows_there(#[resource(IN_WORKER)] _instance: &mut ()) -> Result<[usize; 2], Error> {
    Ok([&MADE_THERE, &CHECKED_THERE].map(|number| number.load(Ordering::SeqCst)))
}

/// There it costs its call at the most, and the worker serves on.
#[test]
fn foreign_code_in_a_worker_costs_no_more_than_its_own_call() {
    passes(&mut own_process("child_has_workers_with_foreign_code"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_workers_with_foreign_code() {
    use InWorker::*;

    IS_PARENT.store(true, Ordering::SeqCst);
    let call = |place, panics| block_on(answers(Argument(Planned(place, panics)))).map(drop);
    for place in [OnStart, Read, Body, DropOfArgument, Write] {
        call(place, false).unwrap();
        if place != OnStart {
            assert_eq!(call(place, true).unwrap_err().kind(), ErrorKind::Panicked);
        }
        call(OnStart, false).unwrap();
    }
    assert_eq!(block_on(borrows_there()).unwrap_err().kind(), ErrorKind::Unavailable);
    let numbers = [(); 4].map(|()| block_on(borrows_there()).unwrap());
    assert_eq!(numbers, [[2, 0], [2, 1], [3, 2], [3, 3]]);
    for dropped in 0..3 {
        assert_eq!(block_on(uses_up_there(false)).unwrap(), dropped);
        let error = block_on(uses_up_there(true)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }
    let workers = workers("starting");
    assert_eq!((workers.alive, workers.restarts, workers.kills), (1, 0, 0));
}

#[test]
fn foreign_code_costs_no_more_than_its_own_call() {
    std::panic::set_hook(Box::new(|panic| {
        at(Place::Hook);
        if panic.payload_as_str() != Some("on purpose") && !panic.payload().is::<Thing>() {
            eprintln!("{panic}");
        }
    }));
    IS_CALLER.set(true);
    propagate(&VALUE);
    propagate_with(capture, enter);
    for (place, expected) in PLACES {
        // A panic of a hook is the end of the process.
        let panic = (place != Place::Hook).then_some(Deed::Panic);
        for deed in panic.into_iter().chain([Deed::Block, Deed::CallBack, Deed::DropHandle]) {
            println!("{place:?}: {deed:?}");
            *PLAN.lock().unwrap() = Some((place, deed));
            calls();
            let plan = PLAN.lock().unwrap().take();
            assert_eq!(plan.map(|(place, _)| place), None, "nothing came there");
            let done = DONE.lock().unwrap().take().unwrap();
            assert!(done.starts_with(expected), "{place:?} is on `{done}`");
            if WITH_HANDLE.contains(&place) && matches!(deed, Deed::DropHandle) {
                assert!(HAD_HANDLE.load(Ordering::SeqCst), "{place:?} has no handle");
            }
            serves();
        }
    }
    for (first, second) in TWO {
        println!("{first:?}, {second:?}");
        *PLAN.lock().unwrap() = Some((first, Deed::Panic));
        *ALSO.lock().unwrap() = Some(second);
        calls();
        assert!(PLAN.lock().unwrap().is_none());
        assert_eq!(ALSO.lock().unwrap().take(), None, "nothing came there");
        serves();
    }
    assert_eq!(stats().pools.iter().find(|pool| pool.name == "one").unwrap().limit, 1);
}
