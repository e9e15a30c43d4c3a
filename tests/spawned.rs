//! The option `spawn`: functions that start a call and do not wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use offload_runtime::{
    Error, ErrorKind, Limiter, Ran, Resource, Started, ThreadPool, is_cancelled, offload, stats,
};
use offload_tests::{numbers, settle, soon};

#[offload(thread, spawn = tell_soon)]
fn tell(channel: Sender<&'static str>, word: &'static str) -> usize {
    channel.send(word).unwrap();
    word.len()
}

#[test]
fn a_call_starts_though_nobody_polls_it() {
    let (sender, told) = mpsc::channel();
    drop(tell_soon(sender, "word"));
    assert_eq!(soon(&told), "word");
}

#[test]
fn the_async_function_beside_it_is_as_lazy_as_ever() {
    let (sender, told) = mpsc::channel();
    drop(tell(sender.clone(), "never"));
    assert_eq!(block_on(tell(sender, "word")), 4);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["word"]);
}

#[test]
fn a_destructor_starts_a_call_while_its_thread_unwinds() {
    struct Guard(Option<Sender<&'static str>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            tell_soon(self.0.take().unwrap(), "dropped");
        }
    }
    let (sender, told) = mpsc::channel();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _guard = Guard(Some(sender));
        resume_unwind(Box::new("unwinds"));
    }));
    assert!(unwound.is_err());
    assert_eq!(soon(&told), "dropped");
}

#[offload(cpu, spawn = parse_soon, sync = parse_sync, name = "spawned parse")]
fn parse(#[to_owned] text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

#[test]
fn the_outer_error_is_the_offloads_and_the_inner_one_the_functions() {
    let text = String::from("42");
    let started = parse_soon(&text);
    drop(text);
    assert_eq!(block_on(started).unwrap(), parse_sync("42"));
    assert!(parse_soon("forty-two").wait().unwrap().is_err());
}

/// One `static` stands for the function, however it is called.
#[test]
fn both_ways_have_one_label_and_one_set_of_numbers() {
    #[offload(cpu, name = "spawned twice", spawn = count_soon)]
    fn count() -> u32 {
        1
    }
    let before = block_on(count());
    let after = count_soon().wait().unwrap();
    assert_eq!(before + after, 2);
    assert_eq!(numbers("spawned twice").finished, 2);
}

#[offload(thread, spawn = fail_soon)]
fn fail(text: String) -> Result<u8, Error> {
    panic!("{text}")
}

#[test]
fn a_panic_is_the_outer_error_also_where_the_result_could_carry_it() {
    let error = fail_soon("broken".to_owned()).wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("broken"), "{error}");
    assert!(block_on(AssertUnwindSafe(fail("x".to_owned())).catch_unwind()).is_err());
}

static ONE: ThreadPool = ThreadPool::new("spawned one").threads(1);

#[offload(thread, pool = ONE, limit = 1, queue = 1, timeout = "60s", detach, spawn = hold_soon)]
fn hold(started: Sender<()>, gate: Receiver<()>) -> Result<bool, Error> {
    started.send(()).unwrap();
    let _ = gate.recv();
    Ok(is_cancelled())
}

#[test]
fn the_options_are_those_of_both_functions_and_a_refusal_is_in_the_handle() {
    let (started, running) = mpsc::channel();
    let (release, gate) = mpsc::channel();
    let first = hold_soon(started.clone(), gate);
    soon(&running);
    let (_keep, gate) = mpsc::channel();
    let queued = hold_soon(started.clone(), gate);
    let (_keep, gate) = mpsc::channel();
    let refused = hold_soon(started, gate).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    queued.cancel();
    assert_eq!(queued.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    first.cancel();
    drop(release);
    assert!(first.wait().unwrap().unwrap(), "its body is told");
}

static TIMED: ThreadPool = ThreadPool::new("spawned timed").threads(1);

#[offload(thread, pool = TIMED, queue_timeout = "1ms", name = "spawned late to start", spawn = start_late_soon)]
fn start_late() -> Result<(), Error> {
    Ok(())
}

#[offload(thread, pool = TIMED, timeout = "1ms", name = "spawned late to end", spawn = end_late_soon)]
fn end_late(gate: Receiver<()>) -> Result<(), Error> {
    let _ = gate.recv();
    Ok(())
}

/// Its number of calls that expired, and how many were counted as cancelled or as abandoned.
fn expired(name: &str) -> (u64, u64) {
    let functions = stats().functions;
    let function = functions.iter().find(|function| function.name == name);
    function
        .map_or((0, 0), |function| (function.timed_out, function.cancelled + function.abandoned))
}

/// Until a deadline of a millisecond has passed.
fn pass_the_time() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
}

#[test]
fn a_call_that_expires_is_counted_as_such_though_nobody_has_its_handle() {
    for (calls, is_kept) in [(1, false), (2, true)] {
        let (release, gate) = mpsc::channel::<()>();
        let holds = TIMED.spawn(move || gate.recv().is_err());
        let kept = Some(start_late_soon()).filter(|_| is_kept);
        pass_the_time();
        drop(release);
        assert!(holds.wait().unwrap());
        settle("it is met", || expired("spawned late to start").1 == calls);
        // Where its handle is still there, that counts it as it goes.
        drop(kept);
        settle("it is counted", || expired("spawned late to start") == (calls, calls));
        // This one starts, or does not on a machine that is busy.
        let (release, gate) = mpsc::channel();
        let kept = Some(end_late_soon(gate)).filter(|_| is_kept);
        pass_the_time();
        drop(release);
        settle("it ends", || expired("spawned late to end").1 == calls);
        drop(kept);
        settle("it is counted", || expired("spawned late to end") == (calls, calls));
    }
    assert_eq!(numbers("spawned late to start").started, 0);
}

#[derive(Clone)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// Adds, soon.
    #[offload(cpu, spawn = add_soon)]
    fn add(#[to_owned] &self, by: usize) -> usize {
        self.0.fetch_add(by, Ordering::Relaxed) + by
    }

    #[offload(thread, spawn = Self::made_soon)]
    fn made(at: usize) -> usize {
        at
    }

    #[offload(thread, spawn = end_soon)]
    fn end(self: Arc<Self>) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[offload(thread, spawn = into_soon)]
    fn into(mut self, (a, b): (usize, usize)) -> Self {
        self.0 = Arc::new(AtomicUsize::new(a + b));
        self
    }
}

#[test]
fn methods_with_any_receiver_start_too() {
    let counter = Counter(Arc::default());
    assert_eq!(counter.add_soon(2).wait().unwrap(), 2);
    assert_eq!(block_on(counter.add(3)), 5);
    assert_eq!(Counter::made_soon(7).wait().unwrap(), block_on(Counter::made(7)));
    assert_eq!(Arc::new(counter.clone()).end_soon().wait().unwrap(), 5);
    assert_eq!(block_on(Arc::new(counter.clone()).end()), 5);
    assert_eq!(counter.clone().into_soon((1, 2)).wait().unwrap().0.load(Ordering::Relaxed), 3);
    assert_eq!(block_on(counter.into((1, 3))).0.load(Ordering::Relaxed), 4);
}

#[offload(cpu, spawn = fill_soon)]
fn fill<T, const N: usize>(value: T) -> [T; N]
where
    T: Clone + Send + Sync + 'static,
{
    std::array::from_fn(|_| value.clone())
}

#[offload(cpu, spawn = doubled_soon)]
fn doubled(values: impl Iterator<Item = u32> + Send + 'static) -> Vec<u32> {
    values.map(|value| value * 2).collect()
}

#[offload(thread, spawn = exists_soon)]
fn exists(#[to_owned] path: &impl AsRefPath) -> bool {
    path.path().exists()
}

trait AsRefPath: ToOwned<Owned: Send> + Sync + 'static {
    fn path(&self) -> &Path;
}

impl AsRefPath for Path {
    fn path(&self) -> &Path {
        self
    }
}

impl AsRefPath for std::path::PathBuf {
    fn path(&self) -> &Path {
        self
    }
}

#[test]
fn generic_functions_and_arguments_without_a_name_start_too() {
    let filled: Started<[String; 2]> = fill_soon("x".to_owned());
    assert_eq!(filled.wait().unwrap(), ["x", "x"]);
    let doubled = block_on(doubled_soon([1, 2].into_iter())).unwrap();
    assert_eq!(doubled, [2, 4]);
    assert!(exists_soon(&std::path::PathBuf::from("/")).wait().unwrap());
}

#[offload(thread, spawn = loop_soon)]
fn r#loop() -> u8 {
    7
}

struct Odd;

impl Odd {
    // One of both says that this is an `impl` block.
    #[offload(thread, sync = Self::one_sync, spawn = one_soon)]
    fn one(n: u8) -> u8 {
        n
    }

    #[offload(thread, sync = two_sync, spawn = Self::two_soon)]
    fn two(n: u8) -> u8 {
        n
    }
}

#[test]
fn raw_names_and_names_in_an_impl_block_are_found() {
    assert_eq!((loop_soon().wait().unwrap(), block_on(r#loop())), (7, 7));
    assert_eq!(
        (Odd::one_soon(1).wait().unwrap(), block_on(Odd::one(1)), Odd::one_sync(1)),
        (1, 1, 1)
    );
    assert_eq!(
        (Odd::two_soon(2).wait().unwrap(), block_on(Odd::two(2)), Odd::two_sync(2)),
        (2, 2, 2)
    );
}

/// A copy that panics does not unwind into who starts the call.
#[test]
fn a_copy_that_panics_is_an_error_of_a_call_that_did_not_start() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Fragile {
            panic!("no second one")
        }
    }
    #[offload(cpu, spawn = look_soon)]
    fn look(#[to_owned] _fragile: &Fragile) {}
    let error = look_soon(&Fragile).wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().contains("no second one"), "{error}");
}

/// Whose argument's copy starts another call, and awaits a third one.
#[test]
fn calls_that_start_within_the_start_of_another_are_not_mistaken_for_it() {
    struct Nested;
    impl Clone for Nested {
        fn clone(&self) -> Nested {
            assert_eq!(parse_soon("1").wait().unwrap(), Ok(1));
            assert_eq!(block_on(parse("2")), Ok(2));
            Nested
        }
    }
    #[offload(cpu, spawn = nest_soon)]
    fn nest(#[to_owned] _nested: &Nested) -> &'static str {
        "outer"
    }
    assert_eq!(nest_soon(&Nested).wait().unwrap(), "outer");
}

/// The last calls of a thread are made by the destructors of its thread-locals.
#[test]
fn a_destructor_of_a_thread_local_starts_a_call() {
    struct Last(Sender<&'static str>);
    impl Drop for Last {
        fn drop(&mut self) {
            tell_soon(self.0.clone(), "last");
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });
    let (sender, told) = mpsc::channel();
    std::thread::spawn(move || LAST.set(Some(Last(sender)))).join().unwrap();
    assert_eq!(soon(&told), "last");
}

#[offload(cpu, spawn = squares_soon)]
fn squares(
    #[to_owned] from: &str,
    n: u64,
) -> Result<impl Iterator<Item = u64> + Send + use<>, String> {
    let from: u64 = from.parse().map_err(|_| format!("{from} is no number"))?;
    Ok((from..from + n).map(|n| n * n))
}

#[offload(thread, spawn = adder_soon)]
fn adder<T: Copy + Send + 'static + std::ops::Add<Output = T>>(by: T) -> impl Fn(T) -> T {
    move |to| to + by
}

#[test]
fn a_result_without_a_name_is_started_as_well() {
    let from = "3".to_owned();
    let started = squares_soon(&from, 3);
    drop(from);
    assert_eq!(started.wait().unwrap().unwrap().collect::<Vec<_>>(), [9, 16, 25]);
    assert_eq!(block_on(squares_soon("x", 3)).unwrap().err().unwrap(), "x is no number");
    assert_eq!(block_on(squares("1", 2)).unwrap().sum::<u64>(), 5);
    assert_eq!(adder_soon(2).wait().unwrap()(3), 5);
}

/// What is below the attribute is around both ways.
#[test]
fn an_attribute_macro_below_is_a_part_of_the_start() {
    use tracing_subscriber::Registry;
    use tracing_subscriber::registry::LookupSpan;

    #[offload(thread, spawn = look_soon)]
    #[tracing::instrument(name = "below")]
    fn look() -> Option<&'static str> {
        let around = |(id, dispatch): (&tracing::Id, &tracing::Dispatch)| {
            let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
            Some(span.parent()?.name())
        };
        tracing::Span::current().with_subscriber(around).flatten()
    }

    tracing::subscriber::with_default(Registry::default(), || {
        assert_eq!(look_soon().wait().unwrap(), Some("below"));
        assert_eq!(block_on(look()), Some("below"));
    });
}

/// A default method of a trait may be another function in one of its `impl` blocks.
#[test]
fn what_is_not_the_call_of_the_attribute_is_not_started() {
    trait Numbers: Copy + Send + 'static {
        #[offload(cpu, spawn = next_soon)]
        fn next(self) -> u32
        where
            Self: Sized,
        {
            7
        }
    }

    #[derive(Clone, Copy)]
    struct Offloaded;
    impl Numbers for Offloaded {}

    #[derive(Clone, Copy)]
    struct Own;
    impl Numbers for Own {
        async fn next(self) -> u32 {
            8
        }
    }

    assert_eq!(Offloaded.next_soon().wait().unwrap(), 7);
    assert_eq!((block_on(Offloaded.next()), block_on(Own.next())), (7, 8));
    let error = Own.next_soon().wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
}

/// Both have the same label: the method that is called within the start is not the one that is wanted.
#[test]
fn what_an_override_calls_is_not_taken_for_the_call_that_is_started() {
    trait Numbers: Send + Sized + 'static {
        #[offload(cpu, spawn = next_soon)]
        fn next(self) -> u32
        where
            Self: Sized,
        {
            7
        }
    }

    struct Offloaded;
    impl Numbers for Offloaded {}

    struct Cached<T>(T);
    impl<T: Numbers> Numbers for Cached<T> {
        async fn next(self) -> u32 {
            self.0.next().await + 1
        }
    }

    assert_eq!(block_on(Cached(Offloaded).next()), 8);
    let error = Cached(Offloaded).next_soon().wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
}

/// It is in no queue of a pool, but in the line for a permit.
#[test]
fn a_call_that_is_cancelled_as_it_waits_for_a_permit_leaves_the_line() {
    static TWO: ThreadPool = ThreadPool::new("spawned two").threads(2);
    static LIMIT: Limiter = Limiter::new(1);
    static INSTANCE: Resource<u8> = Resource::new("spawned instance", || Ok(7)).size(1);

    #[offload(thread, pool = TWO, limit = LIMIT, spawn = limited_soon)]
    fn limited(started: Sender<u8>, gate: Receiver<()>) -> Result<(), Error> {
        started.send(7).unwrap();
        let _ = gate.recv();
        Ok(())
    }

    #[offload(thread, pool = TWO, spawn = borrows_soon, name = "spawned borrows")]
    fn borrows(
        started: Sender<u8>,
        gate: Receiver<()>,
        #[resource(INSTANCE)] instance: &mut u8,
    ) -> Result<(), Error> {
        started.send(*instance).unwrap();
        let _ = gate.recv();
        Ok(())
    }

    type Start = fn(Sender<u8>, Receiver<()>) -> Started<Result<(), Error>>;

    fn check(start: Start, waiting: impl Fn() -> usize) {
        let (started, running) = mpsc::channel();
        let (release, gate) = mpsc::channel();
        let first = start(started.clone(), gate);
        assert_eq!(soon(&running), 7);
        let (_keep, gate) = mpsc::channel();
        let cancelled = start(started.clone(), gate);
        settle("it waits for the permit", || waiting() == 1);
        cancelled.cancel();
        assert_eq!(waiting(), 0);
        let error = cancelled.wait().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Cancelled, Ran::No));
        let (open, gate) = mpsc::channel();
        let third = start(started, gate);
        settle("it waits for the permit", || waiting() == 1);
        drop(release);
        first.wait().unwrap().unwrap();
        assert_eq!(soon(&running), 7, "the third has the permit");
        drop(open);
        third.wait().unwrap().unwrap();
        assert!(running.recv().is_err(), "the cancelled one never ran");
    }

    check(limited_soon, || LIMIT.waiting());
    check(borrows_soon, || {
        let resources = stats().resources;
        resources.iter().find(|resource| resource.name == "spawned instance").unwrap().waiting
    });
}

#[test]
fn a_started_call_borrows_what_its_function_borrows() {
    static LINES: Resource<Vec<String>> = Resource::new("spawned lines", || Ok(Vec::new())).size(1);
    static NONE: Resource<u8> = Resource::new("spawned none", || Err("not there".into()));

    #[offload(thread, spawn = add_soon)]
    fn add(
        #[to_owned] line: &str,
        #[resource(LINES)] lines: &mut Vec<String>,
    ) -> Result<usize, Error> {
        lines.push(line.to_owned());
        Ok(lines.len())
    }

    #[offload(thread, spawn = ask_soon)]
    fn ask(#[resource(NONE)] _none: &mut u8) -> Result<(), Error> {
        Ok(())
    }

    assert_eq!(add_soon("one").wait().unwrap().unwrap(), 1);
    assert_eq!(block_on(add("two")).unwrap(), 2);
    let error = ask_soon().wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No));
}

/// The handle carries panics by itself, and the async function because of the option.
#[test]
fn where_panics_are_errors_that_of_a_started_call_is_the_outer_error() {
    #[offload(cpu, panic = "error", spawn = check_soon, name = "spawned check")]
    fn check(number: u8) -> Result<u8, Error> {
        assert!(number > 0, "{number} is too small");
        Ok(number)
    }

    assert_eq!(check_soon(1).wait().unwrap().unwrap(), 1);
    for error in [check_soon(0).wait().unwrap_err(), block_on(check(0)).unwrap_err()] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
        assert!(error.to_string().contains("0 is too small"), "{error}");
        assert!(error.into_panic().is_ok());
    }
    let counts = numbers("spawned check");
    assert_eq!((counts.finished, counts.panicked, counts.spawned), (1, 2, 0));
}

#[test]
fn a_body_that_waits_for_a_started_call_of_the_limit_it_holds_is_told() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT, spawn = inner_soon)]
    fn inner() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, limit = LIMIT)]
    fn outer() -> Result<(), Error> {
        inner_soon().wait()?
    }

    let error = block_on(outer()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Deadlock, Ran::No));
    assert_eq!(LIMIT.in_use() + LIMIT.waiting(), 0);
    block_on(inner()).unwrap();
}

/// Its runtime is there, and its task is on the way out.
#[tokio::test]
async fn a_destructor_in_a_task_that_is_aborted_starts_a_call() {
    struct Guard(Sender<&'static str>);
    impl Drop for Guard {
        fn drop(&mut self) {
            tell_soon(self.0.clone(), "aborted");
        }
    }
    let (sender, told) = mpsc::channel();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let _guard = Guard(sender);
        begun.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    begins.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(soon(&told), "aborted");
}

#[tokio::test]
async fn a_handler_answers_while_what_it_has_started_goes_on() {
    let (started, running) = mpsc::channel();
    let gate = Arc::new(Barrier::new(2));
    let handler = {
        let gate = Arc::clone(&gate);
        move || async move {
            drop(hold_on_soon(started, gate));
            axum::http::StatusCode::ACCEPTED
        }
    };
    let request = axum::extract::Request::new(axum::body::Body::empty());
    let response = axum::handler::Handler::call(handler, request, ()).await;
    assert_eq!(response.status(), axum::http::StatusCode::ACCEPTED);
    assert!(!soon(&running), "it has begun");
    gate.wait();
    assert!(soon(&running), "and comes to its end");
}

#[offload(thread, spawn = hold_on_soon)]
fn hold_on(told: Sender<bool>, gate: Arc<Barrier>) {
    told.send(false).unwrap();
    gate.wait();
    told.send(!is_cancelled()).unwrap();
}
