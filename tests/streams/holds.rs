//! What a stream holds as long as it is open, and gives back: a permit, an instance, a thread; up to its deadline.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use offload_runtime::{
    Closed, Error, ErrorKind, Limiter, Resource, Sink, ThreadPool, is_cancelled, offload,
};
use offload_tests::{begin, numbers, pool, settle, soon, soon_unless_gone};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Says on which thread it is dropped.
struct Told(mpsc::Sender<String>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().name().unwrap_or_default().to_owned());
    }
}

/// The last of these items, which is an error.
fn last<T: std::fmt::Debug>(items: Vec<Result<T, Error>>) -> Error {
    items.into_iter().next_back().expect("there is a last one").unwrap_err()
}

#[test]
fn at_its_deadline_an_iterator_that_nobody_reads_on_is_dropped_and_its_permit_is_free() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, stream = 2, limit = LIMIT, timeout = "200ms", name = "read by nobody")]
    fn endless(told: Told) -> impl Iterator<Item = Result<u32, Error>> {
        (0..).map(move |n| {
            let _ = &told;
            Ok(n)
        })
    }

    #[offload(thread, limit = LIMIT)]
    fn other() -> u32 {
        7
    }

    // On a busy machine it may be too late before it begins.
    let mut streams = 0;
    let (stream, dropped) = loop {
        let (sender, dropped) = mpsc::channel();
        let mut stream = Box::pin(endless(Told(sender)));
        streams += 1;
        if block_on(stream.next()).unwrap().is_ok() {
            break (stream, dropped);
        }
    };
    // Nobody looks at the stream meanwhile.
    assert!(soon(&dropped).starts_with("offload-thread"));
    assert_eq!(block_on(other()), 7);
    let numbers = numbers("read by nobody");
    assert_eq!((numbers.finished, numbers.running), (numbers.started, 0));
    // What was made is still there.
    let items: Vec<_> = block_on(stream.collect());
    assert!(!items.is_empty() && items.len() <= 3, "{items:?}");
    assert_eq!(last(items).kind(), ErrorKind::TimedOut);
    assert_eq!(offload_tests::numbers("read by nobody").timed_out, streams);
}

/// It makes its last item after the deadline, and would be suspended then.
#[test]
fn an_iterator_that_fills_the_buffer_too_late_goes_on_no_more() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, stream = 1, limit = LIMIT, timeout = "20ms")]
    fn late(told: Told) -> impl Iterator<Item = Result<u32, Error>> {
        (0..).map(move |n| {
            let _ = &told;
            while !is_cancelled() {
                thread::yield_now();
            }
            Ok(n)
        })
    }

    let (sender, dropped) = mpsc::channel();
    let mut stream = Box::pin(late(Told(sender)));
    let _ = stream.next().now_or_never();
    soon(&dropped);
    settle("its permit is free", || LIMIT.in_use() == 0);
    let error = last(block_on(stream.collect()));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[offload(thread, stream = 1, timeout = "50ms")]
fn sends_on(ended: mpsc::Sender<bool>, out: &mut Sink<u32>) -> Result<(), Error> {
    let sent = (0..).try_for_each(|n| out.send(n));
    let _ = ended.send(is_cancelled());
    Ok(sent?)
}

/// A thread of the body's own sends until it is told that nobody takes any more.
fn send_from_a_helper(out: &mut Sink<u32>) -> Result<(), Closed> {
    thread::scope(|scope| {
        let helper = scope.spawn(|| (0..).try_for_each(|n| out.send(n)));
        helper.join().expect("it does not panic")
    })
}

#[offload(thread, stream = 1, timeout = "50ms")]
fn sends_on_from_a_helper(ended: mpsc::Sender<bool>, out: &mut Sink<u32>) -> Result<(), Error> {
    let sent = send_from_a_helper(out);
    let _ = ended.send(is_cancelled());
    Ok(sent?)
}

#[test]
fn at_its_deadline_a_body_that_waits_for_room_ends_though_nobody_looks() {
    let streams: [fn(_) -> _; 2] =
        [|ended| sends_on(ended).boxed(), |ended| sends_on_from_a_helper(ended).boxed()];
    for make in streams {
        loop {
            let (sender, ended) = mpsc::channel();
            let mut stream: BoxStream<'_, _> = make(sender);
            let _ = stream.next().now_or_never();
            let has_ended = soon_unless_gone(&ended);
            assert_eq!(last(block_on(stream.collect())).kind(), ErrorKind::TimedOut);
            // On a busy machine it may be too late before it begins.
            if let Some(is_late) = has_ended {
                assert!(is_late, "it is too late for it");
                break;
            }
        }
    }
}

static HELPED: ThreadPool = ThreadPool::new("helped");

#[offload(thread, stream = 1, pool = HELPED)]
fn helped(ended: mpsc::Sender<bool>, out: &mut Sink<u32>) -> Result<(), Error> {
    let sent = send_from_a_helper(out);
    let _ = ended.send(is_cancelled());
    Ok(sent?)
}

#[test]
fn a_helper_of_a_body_that_waits_for_room_learns_that_its_pool_is_closed() {
    let (sender, ended) = mpsc::channel();
    block_on(async {
        let mut stream = Box::pin(helped(sender));
        assert_eq!(stream.next().await.unwrap().unwrap(), 0);
        assert_eq!(HELPED.close(Duration::ZERO).await.abandoned, 1);
        assert!(soon(&ended));
        assert!(last(stream.collect().await).to_string().contains("nobody takes"));
    });
}

#[test]
fn the_permit_of_a_sink_is_its_own_until_it_ends_or_is_dropped() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, stream = 1, limit = LIMIT)]
    fn limited(below: u32, out: &mut Sink<u32>) -> Result<(), Error> {
        (0..below).try_for_each(|n| Ok(out.send(n)?))
    }

    block_on(async {
        let mut first = Box::pin(limited(100));
        assert_eq!(first.next().await.unwrap().unwrap(), 0);
        let mut second = Box::pin(limited(u32::MAX));
        assert!(second.next().now_or_never().is_none());
        settle("it waits for the permit", || LIMIT.waiting() == 1);
        assert!(first.try_collect::<Vec<_>>().await.unwrap().into_iter().eq(1..100));
        assert_eq!(second.next().await.unwrap().unwrap(), 0);
        assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (1, 0));
        drop(second);
        assert_eq!(limited(100).try_collect::<Vec<_>>().await.unwrap().len(), 100);
        assert_eq!(LIMIT.in_use(), 0);
    });
}

#[test]
fn what_the_body_of_a_sink_borrows_is_its_own_until_it_ends_is_dropped_or_panics() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static ONE: Resource<usize> =
        Resource::new("of a sink", || Ok(MADE.fetch_add(1, Ordering::SeqCst)));

    #[offload(thread, stream = 1)]
    fn rows(
        below: u32,
        #[resource(ONE)] one: &mut usize,
        out: &mut Sink<(usize, u32)>,
    ) -> Result<(), Error> {
        (0..below).try_for_each(|n| out.send((*one, n)))?;
        assert!(below != 13, "an unlucky number");
        Ok(())
    }

    #[offload(thread)]
    fn which(#[resource(ONE)] one: &mut usize) -> usize {
        *one
    }

    let resource = || {
        let all = offload_runtime::stats().resources;
        all.into_iter().find(|resource| resource.name == "of a sink").unwrap()
    };
    block_on(async {
        // To its end.
        let mut stream = Box::pin(rows(50));
        assert_eq!(stream.next().await.unwrap().unwrap(), (0, 0));
        let call = begin(which());
        settle("it waits for the instance", || resource().waiting == 1);
        assert_eq!(resource().in_use, 1);
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 49);
        assert_eq!(call.await, 0);
        // Dropped, when the body has learned it.
        let mut stream = Box::pin(rows(u32::MAX));
        assert_eq!(stream.next().await.unwrap().unwrap(), (0, 0));
        drop(stream);
        assert_eq!(which().await, 0);
        // After a panic there is another.
        let error = last(rows(13).collect().await);
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert_eq!(which().await, 1);
        assert_eq!((resource().made, resource().dropped, resource().in_use), (2, 1, 0));
    });
}

/// Notes around which event there is which span.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Vec<String>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        self.0.lock().unwrap().push(scope.map(|span| span.name().to_owned()).collect());
    }
}

#[test]
fn the_span_of_a_sink_is_that_of_who_made_the_stream_for_every_item() {
    static ONE: ThreadPool = ThreadPool::new("in a span").threads(1);

    #[offload(thread, stream = 1, pool = ONE)]
    fn tells(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..5).try_for_each(|n| {
            tracing::info!("an item");
            Ok(out.send(n)?)
        })
    }

    #[offload(thread, stream = 1, pool = ONE)]
    fn makes() -> impl Iterator<Item = u32> {
        (0..5).inspect(|_| tracing::info!("an item"))
    }

    let spans = Spans::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let (told, made) = tracing::info_span!("request").in_scope(|| (tells(), makes()));
    assert_eq!(block_on(told.count()), 5);
    assert_eq!(block_on(made.count()), 5);
    let seen = spans.0.lock().unwrap();
    assert_eq!(seen.len(), 10);
    assert!(seen.iter().all(|spans| spans == &["request", "offload"]), "{seen:?}");
}

/// Read on, or awaited, in a body that has the only thread of its pool, by which it goes nevertheless.
#[test]
fn what_was_first_polled_outside_gets_through_the_full_pool_of_the_body_that_waits_for_it() {
    static ONE: ThreadPool = ThreadPool::new("read in a body").threads(1);

    #[offload(thread, stream = 1, pool = ONE)]
    fn made() -> impl Iterator<Item = u32> {
        0..20
    }

    #[offload(thread, stream = 1, pool = ONE)]
    fn pushed(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..20).try_for_each(|n| Ok(out.send(n)?))
    }

    #[offload(thread, pool = ONE)]
    fn answer() -> u32 {
        7
    }

    // Begun, and suspended.
    let mut begun = Box::pin(made());
    assert_eq!(block_on(begun.next()), Some(0));
    let (sent, streams) = mpsc::channel();
    let (enter, entered) = mpsc::channel();
    let body = ONE.spawn(move || {
        enter.send(()).unwrap();
        let (begun, made, mut pushed, call) = soon(&streams);
        block_on(async {
            // Begun here, and read on last: it blocks a thread meanwhile.
            let first: Result<u32, Error> = StreamExt::next(&mut pushed).await.unwrap();
            let begun: Vec<u32> = StreamExt::collect(begun).await;
            let made: Vec<u32> = StreamExt::collect(made).await;
            let answer = call.await;
            let rest: Vec<u32> = TryStreamExt::try_collect(pushed).await.unwrap();
            (begun, made, [vec![first.unwrap()], rest].concat(), answer)
        })
    });
    soon(&entered);
    // Queued, behind the body.
    let (mut queued, mut pushed) = (Box::pin(made()), Box::pin(pushed()));
    assert!(queued.next().now_or_never().is_none());
    assert!(pushed.next().now_or_never().is_none());
    sent.send((begun, queued, pushed, begin(answer()))).unwrap();
    let (begun, made, pushed, answer) = block_on(body).unwrap();
    assert!(begun.into_iter().eq(1..20));
    assert!(made.into_iter().eq(0..20));
    assert!(pushed.into_iter().eq(0..20));
    assert_eq!(answer, 7);
}

/// Each of them blocks while the others are read.
#[test]
fn a_body_reads_sinks_of_its_own_full_pool_beside_each_other() {
    static ONE: ThreadPool = ThreadPool::new("sinks beside each other").threads(1);

    #[offload(thread, stream = 1, pool = ONE)]
    fn pushed(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..20).try_for_each(|n| Ok(out.send(n)?))
    }

    #[offload(thread, pool = ONE)]
    fn answer() -> Result<u32, Error> {
        Ok(7)
    }

    #[offload(thread, pool = ONE)]
    fn reads() -> Result<Vec<(u32, u32, u32)>, Error> {
        block_on(async {
            let calls = futures::stream::repeat_with(answer).then(|call| call);
            let pairs = pushed().zip(pushed()).zip(calls);
            pairs.map(|((left, right), answer)| Ok((left?, right?, answer?))).try_collect().await
        })
    }

    assert!(block_on(reads()).unwrap().into_iter().eq((0..20).map(|n| (n, n, 7))));
}

#[test]
fn threads_in_the_place_of_bodies_that_push_end_with_the_streams_and_not_later() {
    static ONE: ThreadPool =
        ThreadPool::new("no surplus").threads(1).keep_alive(Duration::from_secs(3600));

    #[offload(thread, stream = 1, pool = ONE)]
    fn pushed(out: &mut Sink<u32>) -> Result<(), Error> {
        Ok(out.send(0)?)
    }

    let threads = |at_most: usize| {
        settle("those that are too many have ended", || pool("no surplus").threads <= at_most);
    };
    ONE.spawn(move || {
        block_on(async {
            let mut streams = [(); 3].map(|()| Box::pin(pushed()));
            for stream in &mut streams {
                assert_eq!(stream.next().await.unwrap().unwrap(), 0);
            }
            settle("their threads are idle", || pool("no surplus").running == 1);
            drop(streams);
            // The one that stands in for this body stays.
            threads(2);
        });
    })
    .wait()
    .unwrap();
    threads(1);
}

/// Its consumer does something else for long, whoever that is.
#[test]
fn a_sink_that_the_body_of_its_full_pool_has_and_does_not_read_is_ended_by_its_stall_timeout() {
    static ONE: ThreadPool = ThreadPool::new("not read in a body").threads(1);

    #[offload(thread, stream = 1, pool = ONE, stall_timeout = "20ms")]
    fn pushed(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..20).try_for_each(|n| Ok(out.send(n)?))
    }

    #[offload(thread, pool = ONE)]
    fn answer() -> u32 {
        7
    }

    let (sent, calls) = mpsc::channel();
    let (enter, entered) = mpsc::channel();
    let body = ONE.spawn(move || {
        enter.send(()).unwrap();
        let (pushed, call) = soon(&calls);
        block_on(async { (call.await, StreamExt::collect::<Vec<_>>(pushed).await) })
    });
    soon(&entered);
    // In this order: the thread that stands in for the body takes the stream first.
    let mut pushed = Box::pin(pushed());
    assert!(pushed.next().now_or_never().is_none());
    sent.send((pushed, begin(answer()))).unwrap();
    let (answer, items) = block_on(body).unwrap();
    assert_eq!(answer, 7);
    assert_eq!(last(items).kind(), ErrorKind::TimedOut);
}

/// From outside of the pool, so nothing stands in for the first, which waits until somebody reads it on.
#[test]
fn of_sinks_that_are_read_beside_each_other_and_have_one_thread_the_first_is_ended_by_its_stall_timeout()
 {
    static ONE: ThreadPool = ThreadPool::new("sinks with one thread").threads(1);

    #[offload(thread, stream = 1, pool = ONE, stall_timeout = "20ms")]
    fn impatient(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..20).try_for_each(|n| Ok(out.send(n)?))
    }

    #[offload(thread, stream = 1, pool = ONE)]
    fn patient(out: &mut Sink<u32>) -> Result<(), Error> {
        (0..20).try_for_each(|n| Ok(out.send(n)?))
    }

    let (left, right) = block_on(async {
        let (mut left, mut right) = (Box::pin(impatient()), Box::pin(patient()));
        let first = left.next().await.unwrap();
        assert_eq!(first.unwrap(), 0);
        assert_eq!(right.next().await.unwrap().unwrap(), 0);
        futures::join!(left.collect(), right.try_collect::<Vec<_>>())
    });
    assert_eq!(last(left).kind(), ErrorKind::TimedOut);
    assert!(right.unwrap().into_iter().eq(1..20));
}

#[test]
fn a_stream_that_waits_for_the_permit_of_the_body_that_reads_it_on_is_a_deadlock() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, stream, limit = LIMIT)]
    fn limited() -> impl Iterator<Item = Result<u32, Error>> {
        (0..3).map(Ok)
    }

    #[offload(thread, limit = LIMIT)]
    fn reads<S>(entered: mpsc::Sender<()>, streams: mpsc::Receiver<S>) -> Vec<Result<u32, Error>>
    where
        S: futures::Stream<Item = Result<u32, Error>> + Send + Unpin + 'static,
    {
        entered.send(()).unwrap();
        block_on(soon(&streams).collect())
    }

    let (enter, entered) = mpsc::channel();
    let (sent, streams) = mpsc::channel();
    let body = begin(reads(enter, streams));
    soon(&entered);
    let mut stream = Box::pin(limited());
    assert!(stream.next().now_or_never().is_none());
    settle("it waits for the permit", || LIMIT.waiting() == 1);
    sent.send(stream).unwrap();
    assert_eq!(last(block_on(body)).kind(), ErrorKind::Deadlock);
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
}
