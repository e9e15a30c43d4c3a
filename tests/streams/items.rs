//! What comes out of a stream, in which order, and how it ends.

use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use axum::body::Bytes;
use futures::executor::block_on;
use futures::future::poll_fn;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use offload_runtime::{
    Error, ErrorKind, Limiter, Sink, ThreadPool, is_cancelled, offload, to_thread,
};
use offload_tests::{Deed, PATIENCE, adds_up, pool, settle};

#[offload(thread, stream)]
fn numbers(below: u32) -> impl Iterator<Item = u32> {
    0..below
}

#[offload(cpu, stream = 2)]
fn boxed(below: u32) -> Box<dyn Iterator<Item = u32> + Send> {
    Box::new(0..below)
}

#[offload(thread, stream = 1)]
fn named(values: Vec<String>) -> std::vec::IntoIter<String> {
    values.into_iter()
}

#[offload(thread, stream)]
fn lines(text: Option<String>) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let text = text.ok_or(io::ErrorKind::NotFound)?;
    Ok(text.lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>().into_iter())
}

#[offload(thread, stream)]
fn words(text: Option<&'static str>) -> Result<impl Iterator<Item = &'static str>, Error> {
    match text {
        Some(text) => Ok(text.split(' ')),
        None => {
            offload_runtime::check_cancelled()?;
            Ok("nothing".split(' '))
        }
    }
}

#[offload(thread, stream = 4)]
fn pushed(below: u32, out: &mut Sink<u32>) -> Result<(), Error> {
    for n in 0..below {
        out.send(n)?;
    }
    Ok(())
}

#[offload(thread, stream, sync = written_sync)]
fn written(#[to_owned] name: &str, out: &mut Sink<String>, times: usize) -> io::Result<()> {
    for _ in 0..times {
        out.send(name.to_owned())?;
    }
    Err(io::Error::other("the end"))
}

#[derive(Clone)]
struct Store {
    rows: Vec<u8>,
}

impl Store {
    #[offload(thread, stream)]
    fn rows(#[to_owned] &self, from: usize) -> impl Iterator<Item = u8> {
        self.rows.clone().into_iter().skip(from)
    }

    #[offload(cpu, stream)]
    fn push_rows(self, out: &mut Sink<u8>) -> Result<(), Error> {
        for row in self.rows {
            out.send(row)?;
        }
        Ok(())
    }
}

fn is_stream<S: Stream + Send + 'static>(stream: S) -> S {
    stream
}

#[test]
fn items_come_in_their_order_from_an_iterator_however_small_the_buffer_is() {
    block_on(async {
        assert!(is_stream(numbers(1000)).collect::<Vec<_>>().await.into_iter().eq(0..1000));
        assert!(boxed(100).collect::<Vec<_>>().await.into_iter().eq(0..100));
        let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(named(values.clone()).collect::<Vec<_>>().await, values);
        assert_eq!(words(Some("a b")).try_collect::<Vec<_>>().await.unwrap(), ["a", "b"]);
        let store = Store { rows: vec![1, 2, 3] };
        assert_eq!(is_stream(store.rows(1)).collect::<Vec<_>>().await, [2, 3]);
        assert_eq!(store.push_rows().try_collect::<Vec<_>>().await.unwrap(), [1, 2, 3]);
    });
}

#[test]
fn items_come_in_their_order_from_a_sink_and_its_error_is_the_last() {
    block_on(async {
        let all: Vec<u32> = is_stream(pushed(1000)).try_collect().await.unwrap();
        assert!(all.into_iter().eq(0..1000));
        let items: Vec<io::Result<String>> = written("x", 2).collect().await;
        assert_eq!(items.len(), 3);
        assert_eq!(items[2].as_ref().unwrap_err().to_string(), "the end");
    });
}

#[test]
fn the_error_of_an_opening_is_the_only_item() {
    block_on(async {
        let items: Vec<io::Result<String>> = lines(None).collect().await;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].as_ref().unwrap_err().kind(), io::ErrorKind::NotFound);
        let items: Vec<String> = lines(Some("a\nb".to_owned())).try_collect().await.unwrap();
        assert_eq!(items, ["a", "b"]);
    });
}

static ONE: ThreadPool = ThreadPool::new("one").threads(1);

#[offload(thread, stream = 4, pool = ONE)]
fn forever() -> impl Iterator<Item = u64> {
    0..
}

/// If they held the pool's one thread, the call would never run.
#[test]
fn a_hundred_streams_that_nobody_reads_on_hold_no_thread() {
    block_on(async {
        let mut streams = Vec::new();
        for _ in 0..100 {
            let mut stream = Box::pin(forever());
            assert_eq!(stream.next().await, Some(0));
            streams.push(stream);
        }
        assert_eq!(ONE.run(|| 7).await, 7);
        for stream in &mut streams {
            assert!(stream.by_ref().take(20).collect::<Vec<_>>().await.into_iter().eq(1..=20));
        }
    });
}

static LIMIT: Limiter = Limiter::new(1);

#[offload(thread, stream = 1, limit = LIMIT)]
fn limited() -> impl Iterator<Item = u32> {
    0..100
}

#[test]
fn the_permit_of_a_stream_is_its_own_until_it_ends_or_is_dropped() {
    block_on(async {
        let mut first = Box::pin(limited());
        assert_eq!(first.next().await, Some(0));
        let mut second = Box::pin(limited());
        assert!(second.next().now_or_never().is_none());
        for n in 1..100 {
            assert_eq!(first.next().await, Some(n));
        }
        assert_eq!(LIMIT.in_use(), 1);
        assert_eq!(first.next().await, None);
        assert_eq!(second.next().await, Some(0));
        drop(second);
        assert_eq!(limited().collect::<Vec<_>>().await.len(), 100);
        assert_eq!(LIMIT.in_use(), 0);
    });
}

static ALONE: Limiter = Limiter::new(1);

#[offload(thread, stream = 2, limit = ALONE, name = "left alone")]
fn left_alone(gate: Option<Gate>) -> impl Iterator<Item = u32> {
    if let Some(gate) = gate {
        let _ = gate.recv();
    }
    0..1000
}

type Gate = mpsc::Receiver<()>;

/// Tells how many permits are in use as it is dropped.
struct Looks(mpsc::Sender<usize>);

impl Drop for Looks {
    fn drop(&mut self) {
        let _ = self.0.send(ALONE.in_use());
    }
}

#[offload(thread, stream = 2, limit = ALONE)]
fn left_with_guard(looks: Looks) -> impl Iterator<Item = u32> {
    (0..1000).inspect(move |_| {
        let _ = &looks;
    })
}

/// While it is on no thread.
#[test]
fn a_stream_that_is_dropped_gives_its_permit_back_and_is_counted_once() {
    let numbers = || offload_tests::numbers("left alone");
    for n in 1..=3 {
        let mut stream = Box::pin(left_alone(None));
        assert_eq!(block_on(stream.next()), Some(0));
        settle("it is suspended", || numbers().running == 0);
        assert_eq!(ALONE.in_use(), 1);
        drop(stream);
        // Nothing of it has a destructor.
        assert_eq!(ALONE.in_use(), 0);
        assert_eq!((numbers().abandoned, numbers().running), (n, 0));
    }
    let (go_on, gate) = mpsc::channel();
    let mut stream = Box::pin(left_alone(Some(gate)));
    assert!(stream.next().now_or_never().is_none());
    settle("it runs", || numbers().running == 1);
    drop(go_on);
    assert_eq!(block_on(stream.count()), 1000);
    // What has one is dropped before.
    let (tell, told) = mpsc::channel();
    let mut stream = Box::pin(left_with_guard(Looks(tell)));
    assert_eq!(block_on(stream.next()), Some(0));
    settle("it is suspended", || pool("thread").running == 0);
    drop(stream);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
    settle("its permit is back", || ALONE.in_use() == 0);
}

static BOUNDED: ThreadPool = ThreadPool::new("bounded").threads(1).queue(1);

#[offload(thread, stream = 2, pool = BOUNDED)]
fn of_bounded(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

#[offload(thread, pool = BOUNDED)]
fn waits_there(gate: Gate) -> Result<(), Error> {
    let _ = gate.recv();
    Ok(())
}

/// Nobody has the other end.
fn open() -> Gate {
    mpsc::channel().1
}

/// But for the one that is about to go on.
#[test]
fn streams_that_are_on_no_thread_are_none_of_those_that_wait_for_one() {
    let is_idle = || settle("they are suspended", || pool("bounded").running == 0);
    let mut streams: Vec<_> = (0..4).map(|_| Box::pin(of_bounded(100))).collect();
    for stream in &mut streams {
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 0);
        is_idle();
    }
    // One has the thread, and one goes on when that is free: there is room for no other.
    let (go_on, gate) = mpsc::channel();
    let mut holds = Box::pin(waits_there(gate));
    assert!(holds.as_mut().now_or_never().is_none());
    settle("it has the thread", || pool("bounded").running == 1);
    assert_eq!(block_on(streams[0].next()).unwrap().unwrap(), 1);
    assert_eq!(pool("bounded").queued, 1);
    let answer = waits_there(open()).now_or_never().expect("there is no room");
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Overloaded);
    drop(go_on);
    block_on(holds).unwrap();
    for stream in streams {
        assert!(block_on(stream.all(async |item| item.is_ok())));
    }
    for _ in 0..10 {
        block_on(waits_there(open())).unwrap();
    }
}

/// The name of this thread: that of a pool's says so.
fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Tells on which thread it is dropped.
struct Told(mpsc::Sender<String>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(thread_name());
    }
}

static DROPS: ThreadPool = ThreadPool::new("drops").threads(1);

#[offload(thread, stream = 2, pool = DROPS)]
fn guarded(told: Told, below: u32) -> impl Iterator<Item = u32> {
    (0..below).inspect(move |_| {
        let _ = &told;
    })
}

/// The name of the thread on which the iterator was dropped.
fn dropped_on(dropped: &mpsc::Receiver<String>) -> String {
    dropped.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn an_iterator_whose_stream_is_dropped_is_dropped_on_a_pool() {
    // It is on no thread, as its buffer is full: the default pool sees to it.
    let (sender, dropped) = mpsc::channel();
    let mut stream = Box::pin(guarded(Told(sender), u32::MAX));
    assert_eq!(block_on(stream.next()), Some(0));
    settle("it is idle", || is_idle("drops"));
    drop(stream);
    assert!(dropped_on(&dropped).starts_with("offload-thread"));

    // It waits for the thread of its pool, which is busy.
    let (sender, dropped) = mpsc::channel();
    let mut stream = Box::pin(guarded(Told(sender), u32::MAX));
    assert_eq!(block_on(stream.next()), Some(0));
    settle("it is idle", || is_idle("drops"));
    let (go_on, held) = mpsc::channel::<()>();
    let busy = DROPS.spawn(move || held.recv().is_err());
    settle("it is at work", || !is_idle("drops"));
    assert_eq!(block_on(stream.next()), Some(1));
    drop(stream);
    assert!(dropped_on(&dropped).starts_with("offload-thread"));
    drop(go_on);
    busy.wait().unwrap();

    // It has come to its end.
    let (sender, dropped) = mpsc::channel();
    let mut stream = Box::pin(guarded(Told(sender), 1));
    assert_eq!(block_on(stream.next()), Some(0));
    assert_eq!(block_on(stream.next()), None);
    assert!(dropped_on(&dropped).starts_with("drops-"));
}

fn is_idle(name: &str) -> bool {
    let pool = pool(name);
    pool.running + pool.queued == 0
}

#[offload(thread, stream = 2)]
fn tells(told: mpsc::Sender<(bool, bool)>, out: &mut Sink<u32>) -> Result<(), Error> {
    loop {
        if out.send(1).is_err() {
            let _ = told.send((is_cancelled(), out.send(2).is_err()));
            return Ok(());
        }
    }
}

#[test]
fn a_body_that_waits_for_room_learns_that_its_stream_was_dropped() {
    let (sender, told) = mpsc::channel();
    block_on(async {
        let mut stream = Box::pin(tells(sender));
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    });
    assert_eq!(told.recv().unwrap(), (true, true));
}

#[offload(thread, stream)]
fn panics_late() -> impl Iterator<Item = Result<u32, Error>> {
    (0..).map(|n| if n < 3 { Ok(n) } else { panic!("three") })
}

#[offload(thread, stream)]
fn panics_without_errors() -> impl Iterator<Item = u32> {
    (0..).map(|n| if n < 3 { n } else { panic!("three") })
}

#[offload(cpu, stream)]
fn panics_while_it_pushes(out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(1)?;
    panic!("one")
}

#[test]
fn a_panic_is_the_last_item_or_resumes_where_items_cannot_carry_it() {
    block_on(async {
        let items: Vec<_> = panics_late().collect().await;
        assert_eq!(items.len(), 4);
        assert_eq!(items[3].as_ref().unwrap_err().kind(), ErrorKind::Panicked);
        let items: Vec<_> = panics_while_it_pushes().collect().await;
        assert_eq!(items[0].as_ref().unwrap(), &1);
        assert!(items[1].as_ref().unwrap_err().to_string().ends_with("panicked: one"));
        let mut stream = Box::pin(panics_without_errors());
        for n in 0..3 {
            assert_eq!(stream.next().await, Some(n));
        }
        let payload = AssertUnwindSafe(stream.next()).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"three"));
        assert_eq!(stream.next().await, None);
    });
}

#[offload(thread, stream, timeout = "50ms")]
fn slow() -> impl Iterator<Item = Result<u32, Error>> {
    let (_never, never) = mpsc::channel::<()>();
    (0..).map(move |n| {
        if n == 1 {
            while !is_cancelled() {
                let _ = never.recv_timeout(Duration::from_millis(1));
            }
        }
        Ok(n)
    })
}

#[test]
fn a_deadline_is_the_last_item() {
    block_on(async {
        let items: Vec<_> = slow().collect().await;
        assert_eq!(items.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[offload(thread, stream = 1, stall_timeout = "20ms")]
fn stalls(ended: mpsc::Sender<()>, out: &mut Sink<u32>) -> Result<(), Error> {
    let sent = (0..).try_for_each(|n| out.send(n));
    let _ = ended.send(());
    sent.map_err(Error::from)
}

#[test]
fn a_body_whose_consumer_takes_nothing_is_ended_and_the_stream_says_so() {
    let (sender, ended) = mpsc::channel();
    block_on(async {
        let mut stream = Box::pin(stalls(sender));
        assert_eq!(stream.next().await.unwrap().unwrap(), 0);
        ended.recv().unwrap();
        let rest: Vec<_> = stream.collect().await;
        let last = rest.last().unwrap().as_ref().unwrap_err();
        assert_eq!(
            (last.kind(), last.to_string().contains("nobody took")),
            (ErrorKind::TimedOut, true)
        );
    });
}

#[offload(thread, stream)]
fn lazy(began: &'static AtomicBool) -> impl Iterator<Item = u32> {
    began.store(true, Ordering::SeqCst);
    0..1
}

#[test]
fn a_stream_that_is_not_polled_does_nothing() {
    static BEGAN: AtomicBool = AtomicBool::new(false);
    drop(lazy(&BEGAN));
    assert!(!BEGAN.load(Ordering::SeqCst));
    block_on(lazy(&BEGAN).for_each(|_| async {}));
    assert!(BEGAN.load(Ordering::SeqCst));
}

tokio::task_local! {
    static TENANT: u32;
}

#[offload(thread, stream = 1)]
fn tenants() -> impl Iterator<Item = Option<u32>> {
    (0..20).map(|_| TENANT.try_with(|tenant| *tenant).ok())
}

#[test]
fn the_context_is_that_of_who_made_the_stream_for_every_item() {
    offload_runtime::propagate(&TENANT);
    let stream = TENANT.sync_scope(7, tenants);
    assert!(block_on(stream.collect::<Vec<_>>()).iter().all(|tenant| *tenant == Some(7)));
}

#[offload(thread, stream = 2)]
fn counted(made: &'static AtomicUsize) -> impl Iterator<Item = usize> {
    (0..).inspect(|_| {
        made.fetch_add(1, Ordering::SeqCst);
    })
}

#[test]
fn no_more_is_made_ahead_than_the_buffer_holds() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    block_on(async {
        let mut stream = Box::pin(counted(&MADE));
        for n in 0..1000 {
            assert_eq!(stream.next().await, Some(n));
            assert!(MADE.load(Ordering::SeqCst) <= n + 1 + 2);
        }
    });
}

#[test]
fn a_stream_is_one_call_in_the_numbers() {
    #[offload(thread, stream = 1, name = "one_in_stats")]
    fn one_in_stats() -> impl Iterator<Item = u32> {
        0..50
    }
    block_on(async {
        assert_eq!(one_in_stats().count().await, 50);
        let mut dropped = Box::pin(one_in_stats());
        assert_eq!(dropped.next().await, Some(0));
        drop(dropped);
        let stats = || offload_tests::numbers("one_in_stats");
        poll_fn(|cx| {
            if stats().abandoned == 1 {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        assert_eq!((stats().started, stats().finished), (2, 2));
    });
}

#[offload(thread, stream = 2)]
fn table(rows: u32, out: &mut Sink<Bytes>) -> io::Result<()> {
    for n in 0..rows {
        writeln!(out, "{n},row")?;
    }
    Ok(())
}

#[test]
fn what_is_written_into_a_sink_of_bytes_is_the_body_of_a_response() {
    let body = axum::body::Body::from_stream(table(10_000));
    let bytes = block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
    let expected: String = (0..10_000).map(|n| format!("{n},row\n")).collect();
    assert_eq!(bytes, expected.as_bytes());
}

/// Tells on which thread it is dropped, and does that then.
struct Item {
    dropped: mpsc::Sender<String>,
    deed: Deed,
}

impl Drop for Item {
    fn drop(&mut self) {
        let _ = self.dropped.send(thread_name());
        self.deed.happens();
    }
}

#[offload(thread, stream)]
fn items(dropped: mpsc::Sender<String>, deed: Deed) -> impl Iterator<Item = Item> {
    (0..8).map(move |_| Item { dropped: dropped.clone(), deed })
}

#[offload(thread, stream)]
fn pushed_items(
    dropped: mpsc::Sender<String>,
    deed: Deed,
    out: &mut Sink<Item>,
) -> Result<(), Error> {
    for _ in 0..8 {
        out.send(Item { dropped: dropped.clone(), deed })?;
    }
    Ok(())
}

/// One item is taken and forgotten, and the other seven are dropped with the stream.
fn leaves_seven<T>(mut stream: impl Stream<Item = T> + Unpin, name: &str) {
    std::mem::forget(block_on(stream.next()));
    let has_ended = || {
        let stats = offload_runtime::stats();
        stats.functions.iter().any(|one| one.name.ends_with(name) && one.finished == one.started)
    };
    settle("it has ended", has_ended);
    drop(stream);
}

#[test]
fn what_nobody_takes_is_dropped_on_a_pool_whatever_that_does() {
    for deed in Deed::ALL {
        let (sender, made) = mpsc::channel();
        leaves_seven(Box::pin(items(sender, deed)), "::items");
        let (sender, pushed) = mpsc::channel();
        leaves_seven(Box::pin(pushed_items(sender, deed)), "::pushed_items");
        for dropped in [made, pushed] {
            let threads: Vec<_> = dropped.iter().take(7).collect();
            let are_of_a_pool = threads.iter().all(|name| name.starts_with("offload-thread"));
            assert!(threads.len() == 7 && are_of_a_pool, "{threads:?}");
        }
        adds_up("streams::items::items");
        adds_up("streams::items::pushed_items");
        assert_eq!(block_on(numbers(3).collect::<Vec<_>>()), [0, 1, 2]);
    }
}

/// Panics where a thread of a pool wakes it.
struct Panics(ThreadId);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        assert_eq!(thread::current().id(), self.0, "woken");
    }
}

#[test]
fn a_waker_that_panics_ends_no_stream() {
    let waker = Waker::from(Arc::new(Panics(thread::current().id())));
    let mut streams: Vec<Pin<Box<dyn Stream<Item = u32> + Send>>> = vec![
        Box::pin(numbers(1000)),
        Box::pin(boxed(1000)),
        Box::pin(pushed(1000).map(Result::unwrap)),
    ];
    for stream in &mut streams {
        let mut got = Vec::new();
        loop {
            match stream.as_mut().poll_next(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(n)) => got.push(n),
                Poll::Ready(None) => break,
                Poll::Pending => thread::yield_now(),
            }
        }
        assert!(got.into_iter().eq(0..1000));
    }
}

async fn sums() -> (u64, u64) {
    let numbers =
        tokio::spawn(numbers(5000).map(u64::from).fold(0, |sum, n| async move { sum + n }));
    let pushed = pushed(5000).map_ok(u64::from).try_fold(0, |sum, n| async move { Ok(sum + n) });
    (numbers.await.unwrap(), pushed.await.unwrap())
}

#[test]
fn streams_flow_in_both_runtimes_of_tokio() {
    let sum = (0..5000).sum();
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(current.block_on(sums()), (sum, sum));
    let multi = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    assert_eq!(multi.block_on(async { tokio::spawn(sums()).await.unwrap() }), (sum, sum));
}

#[offload(thread, stream = 2, name = "endless")]
fn endless() -> impl Iterator<Item = u64> {
    0..
}

#[test]
fn six_hundred_streams_that_nobody_reads_on_do_not_stop_the_default_pool() {
    #[offload(thread)]
    fn other() -> u32 {
        7
    }
    block_on(async {
        let mut streams = Vec::new();
        for _ in 0..600 {
            let mut stream = Box::pin(endless());
            assert_eq!(stream.next().await, Some(0));
            streams.push(stream);
        }
        assert_eq!(other().await, 7);
        settle("none has a thread", || offload_tests::numbers("endless").running == 0);
    });
}

static READERS: ThreadPool = ThreadPool::new("slow readers").threads(4);

#[offload(thread, stream = 1, pool = READERS, stall_timeout = "2ms")]
fn for_readers(out: &mut Sink<u32>) -> Result<(), Error> {
    (0..).try_for_each(|n| Ok(out.send(n)?))
}

/// Their bodies hold the threads of a pool of their own, and none for long: each has its turn.
#[test]
fn five_hundred_readers_of_sinks_that_read_nothing_stop_nobody_else() {
    let mut streams: Vec<_> = (0..500).map(|_| Box::pin(for_readers())).collect();
    for stream in &mut streams {
        // Begun, and not read.
        let _ = stream.next().now_or_never();
    }
    block_on(async {
        for n in 0..100 {
            assert_eq!(to_thread(move || n).await, n);
        }
        let readers = pool("slow readers");
        assert!(readers.threads <= 4, "{readers:?}");
        settle("it is idle", || is_idle("slow readers"));
        for stream in streams {
            let items: Vec<_> = stream.collect().await;
            let last = items.last().unwrap().as_ref().unwrap_err();
            assert_eq!(last.kind(), ErrorKind::TimedOut, "{last}");
        }
    });
}

/// By its name it might be a `Result`.
struct SearchResult(std::ops::Range<u32>);

impl Iterator for SearchResult {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next()
    }
}

#[offload(thread, stream)]
fn find(below: u32) -> SearchResult {
    SearchResult(0..below)
}

#[test]
fn an_iterator_may_be_called_as_it_likes() {
    assert_eq!(block_on(find(3).collect::<Vec<_>>()), [0, 1, 2]);
}
