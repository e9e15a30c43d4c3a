//! `queue`: at most so many calls wait, and one more is rejected at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{CpuPool, Error, ErrorKind, Ran, ThreadPool, offload, propagate};

use crate::support::{Gate, begin, numbers, poll, pool, settle};

/// The error of a call that is rejected at its first poll.
fn rejected<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Error>>) -> Error {
    match poll(&mut Box::pin(call)) {
        std::task::Poll::Ready(answer) => answer.unwrap_err(),
        std::task::Poll::Pending => panic!("it was let in"),
    }
}

#[test]
fn the_call_beyond_the_queue_is_rejected_at_once() {
    #[offload(thread, limit = 1, queue = 2, name = "two wait")]
    fn enter(gate: Gate, _argument: Arc<()>) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    let (gate, argument) = (Gate::default(), Arc::new(()));
    let call = || enter(gate.clone(), Arc::clone(&argument));
    let running = begin(call());
    gate.wait_for(1);
    let waiting = [begin(call()), begin(call())];
    let error = rejected(call());
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No));
    assert_eq!(error.function(), "two wait");
    assert_eq!(error.to_string(), "`two wait` was rejected, since 2 calls wait already");
    // Its argument is gone, and it left nothing behind.
    assert_eq!(Arc::strong_count(&argument), 4);
    // A call that leaves makes room for one: at once, if no thread has it in its hands.
    settle("both are in the line", || numbers("two wait").limit.unwrap().waiting == 2);
    let [first, second] = waiting;
    drop(second);
    let third = begin(call());
    rejected(call());
    gate.open();
    for answer in block_on(join_all([running, first, third])) {
        answer.unwrap();
    }
    block_on(call()).unwrap();
    assert_eq!(numbers("two wait").refused, 2);
    assert_eq!(gate.entered(), 4);
}

#[test]
fn calls_of_others_in_the_queue_of_a_pool_take_no_place_of_a_function_with_a_limit() {
    static POOL: ThreadPool = ThreadPool::new("wait side by side").threads(2);

    #[offload(thread, pool = POOL)]
    fn fill(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = POOL, limit = 1, queue = 1)]
    fn enter(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    let gate = Gate::default();
    let filling = begin(fill(gate.clone()));
    let running = begin(enter(gate.clone()));
    gate.wait_for(2);
    let fills = [(); 3].map(|()| begin(fill(gate.clone())));
    let waiting = begin(enter(gate.clone()));
    rejected(enter(gate.clone()));
    gate.open();
    block_on(join_all(fills.into_iter().chain([filling])));
    block_on(running).unwrap();
    block_on(waiting).unwrap();
}

/// A queue of none takes exactly the calls that free threads take. It would
/// take fewer, if a call counted as waiting while its thread is on the way.
#[test]
fn calls_that_free_threads_take_do_not_wait() {
    static POOL: CpuPool = CpuPool::new("two free").threads(2);

    #[offload(cpu, pool = POOL, queue = 0)]
    fn enter(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    for _ in 0..100 {
        let gate = Gate::default();
        let calls = [begin(enter(gate.clone())), begin(enter(gate.clone()))];
        assert_eq!(rejected(enter(gate.clone())).kind(), ErrorKind::Overloaded);
        gate.open();
        for answer in block_on(join_all(calls)) {
            answer.unwrap();
        }
        settle("both threads are idle", || pool("two free").idle == 2);
    }
}

#[test]
fn a_pool_has_a_queue_of_its_own() {
    static POOL: ThreadPool = ThreadPool::new("one waits").threads(1).queue(1);

    #[offload(thread, pool = POOL, queue = 1000)]
    fn enter(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    let gate = Gate::default();
    let running = begin(enter(gate.clone()));
    gate.wait_for(1);
    let waiting = begin(enter(gate.clone()));
    assert_eq!(rejected(enter(gate.clone())).kind(), ErrorKind::Overloaded);
    assert_eq!(pool("one waits").queue_limit, Some(1));
    gate.open();
    for answer in block_on(join_all([running, waiting])) {
        answer.unwrap();
    }
}

#[test]
#[should_panic = "was rejected, since 0 calls wait already"]
fn a_function_that_cannot_fail_panics_in_a_full_pool() {
    static POOL: ThreadPool = ThreadPool::new("none waits").threads(1).queue(0);

    #[offload(thread, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let gate = Gate::default();
    let running = begin(enter(gate.clone()));
    gate.wait_for(1);
    let opens = scopeguard(gate.clone());
    block_on(enter(gate));
    drop((opens, running));
}

/// Opens the gate also when the test panics.
fn scopeguard(gate: Gate) -> impl Drop {
    struct Opens(Gate);
    impl Drop for Opens {
        fn drop(&mut self) {
            self.0.open();
        }
    }
    Opens(gate)
}

tokio::task_local! {
    static PANICS_AS_IT_IS_CLONED: Panics;
}

struct Panics;

impl Clone for Panics {
    fn clone(&self) -> Panics {
        panic!("on purpose")
    }
}

/// By that panic, and by nothing else.
fn fails(call: impl FnOnce() -> Result<(), Error>) {
    if let Ok(answer) = catch_unwind(AssertUnwindSafe(call)) {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Panicked);
    }
}

/// What is asked for when a call has its place already, and is not the runtime's.
#[test]
fn a_call_that_panics_before_it_is_made_gives_its_places_back() {
    static POOL: ThreadPool = ThreadPool::new("gives back").threads(1).queue(1);
    static PANICS: AtomicUsize = AtomicUsize::new(0);

    fn deadline(number: usize) -> Duration {
        assert_ne!(PANICS.load(Ordering::SeqCst), number, "on purpose");
        Duration::from_secs(600)
    }

    #[offload(
        thread, pool = POOL, limit = 1, queue = 1, timeout = deadline(1), queue_timeout = deadline(2), spawn = enter_soon
    )]
    fn enter() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, stream, pool = POOL, limit = 1, queue = 1, timeout = deadline(1))]
    fn items() -> impl Iterator<Item = Result<(), Error>> {
        std::iter::once(Ok(()))
    }

    propagate(&PANICS_AS_IT_IS_CLONED);
    // More often than there are places.
    for number in [1, 2, 3].repeat(3) {
        PANICS.store(number, Ordering::SeqCst);
        let calls = || {
            fails(|| block_on(enter()));
            fails(|| enter_soon().wait().and_then(|result| result));
            if number == 1 {
                fails(|| block_on(Box::pin(items()).next()).unwrap());
            }
        };
        match number {
            3 => PANICS_AS_IT_IS_CLONED.sync_scope(Panics, calls),
            _ => calls(),
        }
    }
    PANICS.store(0, Ordering::SeqCst);
    block_on(enter()).unwrap();
    enter_soon().wait().unwrap().unwrap();
    block_on(Box::pin(items()).next()).unwrap().unwrap();
}
