//! `#[offload(process, stream)]`: items come as the worker makes them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::{abort, id};
use std::sync::{Barrier, Mutex};
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use futures::{Stream, StreamExt, TryStreamExt};
use offload_runtime::{
    Error, ErrorKind, Limiter, ProcessPool, Ran, Resource, Sink, is_cancelled, offload,
};
use offload_tests::{Deed, adds_up};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ends::{Told, spin, tell};
use crate::support::{numbers, receives, runs, settle, workers};

#[offload(process, stream)]
fn pushed(below: u32, out: &mut Sink<u32>, last: Option<String>) -> Result<(), Error> {
    for n in 0..below {
        out.send(n)?;
    }
    match last {
        Some(text) => panic!("{text}"),
        None => Ok(()),
    }
}

#[offload(process, stream = 3)]
fn iterated(#[to_owned] text: &str) -> impl Iterator<Item = Result<String, Error>> {
    let words: Vec<_> = text.split(' ').map(|word| Ok(word.to_owned())).collect();
    words.into_iter()
}

/// Its own error, which is no error of the runtime.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refusal {
    Odd(u32),
    Offload(ErrorKind),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Offload(error.kind())
    }
}

#[offload(process, stream = 1, sync = opened_sync)]
fn opened(below: u32) -> Result<impl Iterator<Item = u32>, Refusal> {
    if below % 2 == 1 { Err(Refusal::Odd(below)) } else { Ok(0..below) }
}

#[offload(process, stream)]
fn both(below: u32) -> Result<Box<dyn Iterator<Item = Result<u32, Refusal>>>, Refusal> {
    let even = |n: u32| if n % 2 == 1 { Err(Refusal::Odd(n)) } else { Ok(n) };
    if below == 0 { Err(Refusal::Odd(0)) } else { Ok(Box::new((0..below).map(even))) }
}

fn is_stream<S: Stream + Send + 'static>(stream: S) -> S {
    stream
}

fn all<T>(stream: impl Stream<Item = T>) -> Vec<T> {
    block_on(stream.collect())
}

/// The last item, which is an error, and how many came before.
fn last<T>(stream: impl Stream<Item = Result<T, Error>>) -> (usize, Error) {
    let mut items = all(stream);
    let error = items.pop().expect("there is a last item").err().expect("it is an error");
    assert!(items.iter().all(Result::is_ok));
    (items.len(), error)
}

fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    block_on(stream.next())
}

fn poll<S: Stream + ?Sized>(stream: &mut Pin<Box<S>>) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn items_come_in_their_order_from_every_form() {
    let numbers: Vec<u32> = block_on(is_stream(pushed(1000, None)).try_collect()).unwrap();
    assert!(numbers.into_iter().eq(0..1000));
    let words: Vec<String> = block_on(is_stream(iterated("a b c d e")).try_collect()).unwrap();
    assert_eq!(words, ["a", "b", "c", "d", "e"]);
    assert_eq!(all(opened(100)).len(), 100);
    assert_eq!(all(opened(3)), [Err(Refusal::Odd(3))]);
    assert_eq!(opened_sync(4).unwrap().count(), 4);
    assert_eq!(all(both(3)), [Ok(0), Err(Refusal::Odd(1)), Ok(2)], "an error may be in the middle");
    assert_eq!(all(both(0)), [Err(Refusal::Odd(0))]);
    assert_eq!(all(pushed(0, None)).len(), 0);
}

static STEPS: ProcessPool = ProcessPool::new("steps").workers(1);

#[offload(process, stream, pool = STEPS)]
fn steps(path: String, out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(1)?;
    while !fs::exists(format!("{path}.go")).unwrap() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    out.send(2)?;
    Ok(())
}

#[test]
fn an_item_is_there_before_the_next_one_is_made() {
    let told = Told::new();
    let mut items = Box::pin(steps(told.path()));
    assert_eq!(next(&mut items).unwrap().unwrap(), 1);
    fs::write(told.path() + ".go", "").unwrap();
    assert_eq!(next(&mut items).unwrap().unwrap(), 2);
    assert!(next(&mut items).is_none());
}

static AHEAD: ProcessPool = ProcessPool::new("ahead").workers(1);

#[offload(process, stream = 4, pool = AHEAD)]
fn counts(path: String, below: u32) -> Result<impl Iterator<Item = u32>, Error> {
    tell(&path);
    Ok((0..below).inspect(move |n| fs::write(format!("{path}.made"), n.to_string()).unwrap()))
}

/// Four wait here, four more are on their way, and one is made that waits to be sent.
#[test]
fn a_worker_is_no_more_than_the_buffer_ahead_of_a_slow_consumer() {
    let told = Told::new();
    let made = || fs::read_to_string(told.path() + ".made").unwrap().parse::<u32>().unwrap();
    let mut items = Box::pin(counts(told.path(), 1000));
    assert_eq!(next(&mut items).unwrap().unwrap(), 0);
    let pid = told.pid();
    settle("the worker waits", || receives(pid));
    assert!((4..=10).contains(&made()), "{}", made());
    assert!(all(items).into_iter().map(Result::unwrap).eq(1..1000));
    assert_eq!(made(), 999);
}

static DROPPED: ProcessPool = ProcessPool::new("dropped streams").workers(2);

#[offload(process, stream = 2, pool = DROPPED)]
fn for_ever(first: u32, out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(id())?;
    if first == 0 {
        spin();
    }
    loop {
        let _ = out.send(first);
    }
}

#[test]
fn a_dropped_stream_kills_its_worker_whether_it_waits_or_works() {
    for first in [0, 1] {
        let mut items = Box::pin(for_ever(first));
        let pid = next(&mut items).unwrap().unwrap();
        assert!(runs(pid));
        drop(items);
        settle("it is killed", || !runs(pid));
    }
}

#[offload(process, stream)]
fn dies(below: u32, out: &mut Sink<u32>) -> Result<(), Error> {
    for n in 0..below {
        out.send(n)?;
    }
    abort();
}

#[test]
fn the_death_of_the_worker_is_the_last_item() {
    // More than are on their way at once.
    for below in [0, 1, 100] {
        let (items, error) = last(dies(below));
        assert_eq!(items, below as usize);
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        assert!(error.to_string().contains("SIGABRT"), "{error}");
    }
}

#[test]
fn a_panic_is_the_last_item() {
    let (items, error) = last(pushed(20, Some("no more".to_owned())));
    assert_eq!((items, error.kind(), error.ran()), (20, ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("no more"), "{error}");
}

#[offload(process, stream)]
fn panics_between() -> impl Iterator<Item = Result<u32, Error>> {
    (0..5).map(|n| if n < 3 { Ok(n) } else { panic!("number {n}") })
}

#[test]
fn a_panic_of_an_iterator_is_the_last_item() {
    let (items, error) = last(panics_between());
    assert_eq!((items, error.kind()), (3, ErrorKind::Panicked));
    assert!(error.to_string().contains("number 3"), "{error}");
}

static LATE: ProcessPool = ProcessPool::new("late streams").workers(1);

#[offload(process, stream, pool = LATE)]
fn starts_the_worker() -> impl Iterator<Item = Result<u32, Error>> {
    std::iter::empty()
}

#[offload(process, stream, pool = LATE, timeout = "3s")]
fn never_ends(out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(id())?;
    spin()
}

#[test]
fn a_deadline_kills_the_worker_and_is_the_last_item() {
    assert_eq!(all(starts_the_worker()).len(), 0);
    let mut items = Box::pin(never_ends());
    let pid = next(&mut items).unwrap().unwrap();
    let (before, error) = last(items);
    assert_eq!((before, error.kind(), error.ran()), (0, ErrorKind::TimedOut, Ran::Maybe));
    settle("it is killed", || !runs(pid));
}

static STALLED: ProcessPool = ProcessPool::new("stalled streams").workers(1);

#[offload(process, stream = 2, pool = STALLED, stall_timeout = "50ms")]
fn waits_for_room(out: &mut Sink<u32>) -> Result<(), Error> {
    loop {
        out.send(id())?;
    }
}

#[offload(process, stream = 2, pool = STALLED, stall_timeout = "50ms")]
fn iterates_for_ever() -> impl Iterator<Item = Result<u32, Error>> {
    std::iter::repeat_with(|| Ok(id()))
}

#[test]
fn a_consumer_that_takes_nothing_for_too_long_loses_the_worker() {
    fn check(mut items: Pin<Box<impl Stream<Item = Result<u32, Error>>>>) {
        let pid = next(&mut items).unwrap().unwrap();
        settle("it is killed", || !runs(pid));
        let (made, error) = last(items);
        assert!(made >= 2, "what was made is there: {made}");
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Yes), "{error}");
    }
    check(Box::pin(waits_for_room()));
    check(Box::pin(iterates_for_ever()));
}

static ONE: Limiter = Limiter::new(1);

#[offload(process, stream = 1, limit = ONE, name = "limited stream")]
fn limited(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

#[test]
fn a_stream_has_its_permit_to_its_end() {
    let mut first = Box::pin(limited(50));
    assert_eq!(next(&mut first).unwrap().unwrap(), 0);
    let mut second = Box::pin(limited(1));
    assert!(poll(&mut second).is_pending());
    settle("it waits for the permit", || numbers("limited stream").limit.unwrap().waiting == 1);
    assert_eq!(all(first).len(), 49);
    assert_eq!(all(second).len(), 1);
}

static KINDLY: ProcessPool =
    ProcessPool::new("kindly streams").workers(1).grace(std::time::Duration::from_secs(60));

#[offload(process, stream = 1, pool = KINDLY)]
fn until_closed(path: String, out: &mut Sink<u32>) -> Result<(), Error> {
    while out.send(id()).is_ok() {}
    assert!(is_cancelled());
    tell(&path);
    Ok(())
}

#[test]
fn in_its_grace_a_body_learns_that_nobody_takes_its_items() {
    let told = Told::new();
    let mut items = Box::pin(until_closed(told.path()));
    let pid = next(&mut items).unwrap().unwrap();
    settle("the worker waits", || receives(pid));
    drop(items);
    assert_eq!(told.pid(), pid);
    // The worker is as it was, and so is what it reads and writes.
    let mut items = Box::pin(until_closed(told.path()));
    assert_eq!(next(&mut items).unwrap().unwrap(), pid);
    assert_eq!(workers("kindly streams").kills, 0);
}

static SIZES: ProcessPool = ProcessPool::new("large items").workers(1).max_message(1 << 20);

/// Bytes that go beside the item, and something behind them that may fail.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(serialize_with = "write_mood", deserialize_with = "read_mood")]
    mood: u8,
}

fn write_mood<S: Serializer>(mood: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    match mood {
        1 => Err(serde::ser::Error::custom("a bad mood")),
        2 => panic!("a worse mood"),
        mood => serializer.serialize_u8(*mood),
    }
}

fn read_mood<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        6 => panic!("the worst mood"),
        mood => Ok(mood),
    }
}

fn page(number: u8, bytes: usize) -> Page {
    Page { bytes: vec![number; bytes], mood: number }
}

#[offload(process, stream, pool = SIZES)]
fn pages(moods: Vec<u8>, bytes: usize, out: &mut Sink<Page>) -> Result<(), Error> {
    for mood in moods {
        // A body may catch what it likes.
        let _ = catch_unwind(AssertUnwindSafe(|| out.send(page(mood, bytes))));
    }
    Ok(())
}

#[test]
fn items_are_large_and_what_cannot_be_sent_ends_the_stream() {
    let large = 200 << 10;
    let of = |moods: &[u8]| all(pages(moods.to_vec(), large));
    let good = |number| page(number, large);
    let intact = of(&[3, 4, 5]).into_iter().map(Result::unwrap);
    assert!(intact.eq([3, 4, 5].map(good)));
    // What was sent of one that panicked does not come with the next.
    let intact = of(&[3, 2, 4]).into_iter().map(Result::unwrap);
    assert!(intact.eq([3, 4].map(good)));
    let (items, error) = last(pages(vec![3, 1, 4], large));
    assert_eq!((items, error.kind(), error.ran()), (1, ErrorKind::Serialization, Ran::Yes));
    assert!(error.to_string().contains("a bad mood"), "{error}");
    let (items, error) = last(pages(vec![3], 2 << 20));
    assert_eq!((items, error.kind(), error.ran()), (0, ErrorKind::Serialization, Ran::Yes));
    assert!(error.to_string().contains("made an item of 2097"), "{error}");
    assert_eq!(of(&[5]).len(), 1);
    let well = workers("large items");
    assert_eq!((well.restarts, well.kills), (0, 0), "the worker is well");
    // One whose reading panics ends the stream, too, and the worker, which has more to say.
    let (items, error) = last(pages(vec![3, 6, 4], large));
    assert_eq!((items, error.kind()), (1, ErrorKind::Panicked), "{error}");
    assert_eq!(of(&[5]).len(), 1);
    let ended = workers("large items");
    assert_eq!((ended.alive, ended.restarts, ended.kills), (1, 0, 1));
}

static FOREIGN: ProcessPool = ProcessPool::new("foreign items").workers(1);

/// Where an item has code that is not the runtime's, in the process that takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Read,
    /// It waits to be taken when the stream is dropped.
    DropOfWaiting,
    /// It is being read when the stream is dropped.
    DropOfLate,
}

/// What is to be done next, and where. Once.
static PLAN: Mutex<Option<(Place, Deed)>> = Mutex::new(None);

/// On which thread it was done.
static DONE: Mutex<Option<String>> = Mutex::new(None);

/// Met twice as the late one is read.
static LATE_ITEM: Barrier = Barrier::new(2);

fn is_planned(place: Place) -> bool {
    PLAN.lock().unwrap().is_some_and(|(planned, _)| planned == place)
}

/// This is one of these places.
fn at(places: &[Place]) {
    let plan = PLAN.lock().unwrap().take_if(|(planned, _)| places.contains(planned));
    if let Some((_, deed)) = plan {
        *DONE.lock().unwrap() = std::thread::current().name().map(str::to_owned);
        deed.happens();
    }
}

#[derive(Debug, Serialize)]
struct Foreign(u32);

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Foreign, D::Error> {
        let item = Foreign(u32::deserialize(deserializer)?);
        if item.0 == 1 {
            at(&[Place::Read]);
            if is_planned(Place::DropOfLate) {
                LATE_ITEM.wait();
                LATE_ITEM.wait();
            }
        }
        Ok(item)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if self.0 == 1 {
            at(&[Place::DropOfWaiting, Place::DropOfLate]);
        }
    }
}

#[offload(process, stream = 8, pool = FOREIGN, name = "foreign items")]
fn foreign() -> impl Iterator<Item = Result<Foreign, Error>> {
    (0..3).map(|n| Ok(Foreign(n)))
}

#[test]
fn what_reads_an_item_or_drops_it_costs_its_own_stream() {
    for place in [Place::Read, Place::DropOfWaiting, Place::DropOfLate] {
        for deed in Deed::ALL {
            println!("{place:?}: {deed:?}");
            *PLAN.lock().unwrap() = Some((place, deed));
            let mut items = Box::pin(foreign());
            match place {
                Place::Read if deed == Deed::Panic => {
                    let (before, error) = last(items);
                    assert_eq!((before, error.kind()), (1, ErrorKind::Panicked), "{error}");
                }
                Place::Read => assert_eq!(all(items).into_iter().map(Result::unwrap).count(), 3),
                Place::DropOfWaiting => {
                    assert_eq!(next(&mut items).unwrap().unwrap().0, 0);
                    adds_up("foreign items");
                    drop(items);
                }
                Place::DropOfLate => {
                    assert_eq!(next(&mut items).unwrap().unwrap().0, 0);
                    LATE_ITEM.wait();
                    drop(items);
                    LATE_ITEM.wait();
                }
            }
            settle("it is done", || PLAN.lock().unwrap().is_none());
            let done = DONE.lock().unwrap().take().unwrap();
            let expected = match place {
                Place::DropOfWaiting => "offload-thread-",
                Place::Read | Place::DropOfLate => "foreign items-",
            };
            assert!(done.starts_with(expected), "{place:?} is on `{done}`");
            adds_up("foreign items");
            assert_eq!(all(foreign()).into_iter().map(Result::unwrap).count(), 3);
        }
    }
    settle("the counts of the pool add up", || {
        let pool = offload_tests::pool("foreign items");
        let workers = workers("foreign items");
        pool.running + pool.queued == 0 && (workers.alive, workers.idle) == (1, 1)
    });
}

/// Not read as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(into = "String", from = "u8")]
struct Unreadable(u8);

impl Clone for Unreadable {
    fn clone(&self) -> Unreadable {
        Unreadable(self.0)
    }
}

impl From<Unreadable> for String {
    fn from(value: Unreadable) -> String {
        value.0.to_string()
    }
}

impl From<u8> for Unreadable {
    fn from(value: u8) -> Unreadable {
        Unreadable(value)
    }
}

#[offload(process, stream)]
fn unreadable(out: &mut Sink<Unreadable>) -> Result<(), Error> {
    loop {
        out.send(Unreadable(7))?;
    }
}

#[test]
fn an_item_that_cannot_be_read_ends_the_stream_and_the_worker() {
    let (items, error) = last(unreadable());
    assert_eq!((items, error.kind(), error.ran()), (0, ErrorKind::Serialization, Ran::Yes));
    assert!(error.to_string().contains("made an item that cannot be read"), "{error}");
}

static MODEL: Resource<u32> = Resource::new("model of a stream", || Ok(10)).size(1);

#[offload(process, stream)]
fn asks(#[resource(MODEL)] model: &mut u32, out: &mut Sink<u32>) -> Result<(), Error> {
    for _ in 0..3 {
        *model += 1;
        out.send(*model)?;
    }
    Ok(())
}

#[test]
fn a_body_that_sends_items_has_its_resource() {
    let items: Vec<u32> = block_on(asks().try_collect()).unwrap();
    assert_eq!(items, [11, 12, 13]);
}

#[offload(process)]
fn nested(below: u32) -> Result<(u32, u32, String), Error> {
    let worker = id();
    let sum = block_on(pushed(below, None).try_fold(0, async |sum, n| Ok(sum + n)))?;
    let (_, error) = last(pushed(1, Some("in place".to_owned())));
    let first = block_on(async { Box::pin(for_ever(1)).next().await }).unwrap()?;
    assert_eq!(first, worker, "it runs in this process");
    assert_eq!(all(iterated("a b")).len(), 2);
    assert_eq!(block_on(asks().try_collect::<Vec<_>>())?.len(), 3);
    Ok((worker, sum, error.to_string()))
}

#[test]
fn a_stream_that_a_worker_makes_use_of_runs_there() {
    let (worker, sum, error) = block_on(nested(100)).unwrap();
    assert_ne!(worker, id());
    assert_eq!(sum, 4950);
    assert!(error.contains("in place"), "{error}");
}

static MANY: ProcessPool = ProcessPool::new("many streams").workers(2);

#[offload(process, stream = 2, pool = MANY)]
fn some(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

#[test]
fn streams_that_are_dropped_anywhere_leave_the_pool_as_it_was() {
    for taken in 0..12 {
        let mut items = Box::pin(some(8));
        for expected in 0..taken {
            match next(&mut items) {
                Some(item) => assert_eq!(item.unwrap(), expected),
                None => assert!(expected >= 8),
            }
        }
    }
    assert_eq!(all(some(8)).len(), 8);
    settle("nothing runs", || {
        let pools = offload_runtime::stats().pools;
        pools.iter().filter(|pool| pool.name == "many streams").all(|pool| pool.running == 0)
    });
}
