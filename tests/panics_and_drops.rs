//! What becomes of a call whose body panics, or whose future is dropped.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::{self, FutureExt, join_all};
use offload_runtime::{CpuPool, Limiter, ThreadPool, offload, spawn_cpu, to_cpu, to_thread};
use offload_tests::{PATIENCE, one_at_a_time, pool, soon};
use tokio::runtime::Builder;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Thread,
    Cpu,
}

const KINDS: [Kind; 2] = [Kind::Thread, Kind::Cpu];

#[offload(thread)]
fn on_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

#[offload(cpu)]
fn on_cpu<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

/// Calls an offloaded function of this kind that runs `body`.
async fn on<T: Send + 'static>(kind: Kind, body: impl FnOnce() -> T + Send + 'static) -> T {
    match kind {
        Kind::Thread => on_thread(body).await,
        Kind::Cpu => on_cpu(body).await,
    }
}

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

/// Every thread of the CPU pool: each body waits for all the others.
fn cpu_threads() -> HashSet<ThreadId> {
    let together = Arc::new(Barrier::new(cores()));
    let calls = (0..cores()).map(|_| {
        let together = Arc::clone(&together);
        on(Kind::Cpu, move || {
            together.wait();
            thread::current().id()
        })
    });
    block_on(join_all(calls)).into_iter().collect()
}

/// While this is alive, every thread of the CPU pool is at work, and so is every one that stands
/// in for a body that is blocked.
struct FullCpuPool {
    _release: Vec<Sender<()>>,
    _alone: MutexGuard<'static, ()>,
}

fn fill_cpu_pool() -> FullCpuPool {
    let alone = one_at_a_time();
    let (started, start) = mpsc::channel();
    let release = (0..2 * cores()).map(|_| {
        let started = started.clone();
        let (release, held) = mpsc::channel::<()>();
        let call = on(Kind::Cpu, move || {
            started.send(()).unwrap();
            // Ends when the other side is dropped.
            let _ = held.recv();
        });
        let mut call = pin!(call);
        assert!(poll(call.as_mut()).is_pending());
        soon(&start);
        release
    });
    FullCpuPool { _release: release.collect(), _alone: alone }
}

/// Polls once: afterwards the pool has the call.
fn poll<F: Future + ?Sized>(call: Pin<&mut F>) -> Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that tells when it is woken.
struct Bell(Sender<()>);

fn bell() -> (Waker, Receiver<()>) {
    let (ring, rung) = mpsc::channel();
    (Arc::new(Bell(ring)).into(), rung)
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Tells on which thread it is dropped.
struct Told(Sender<String>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().name().unwrap_or_default().to_owned());
    }
}

/// A call whose body runs, and waits to be let go before it runs `body`.
fn running<T: Send + 'static>(
    kind: Kind,
    body: impl FnOnce() -> T + Send + 'static,
) -> (Pin<Box<impl Future<Output = T> + Send>>, Sender<()>) {
    let (started, start) = mpsc::channel();
    let (release, held) = mpsc::channel();
    let mut call = Box::pin(on(kind, move || {
        started.send(()).unwrap();
        soon(&held);
        body()
    }));
    assert!(poll(call.as_mut()).is_pending());
    soon(&start);
    (call, release)
}

/// A call that has ended, and whose result waits to be taken.
fn finished<T: Send + 'static>(
    kind: Kind,
    body: impl FnOnce() -> T + Send + 'static,
) -> Pin<Box<impl Future<Output = T> + Send>> {
    let (mut call, release) = running(kind, body);
    let (waker, rung) = bell();
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    release.send(()).unwrap();
    soon(&rung);
    call
}

fn is_of(name: &str, kind: Kind) -> bool {
    name.starts_with(match kind {
        Kind::Thread => "offload-thread",
        Kind::Cpu => "offload-cpu",
    })
}

/// Panics where it is dropped, after it has told where.
struct Bomb(Option<Told>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0 = None;
        panic!("a bomb went off");
    }
}

/// A bomb, and what tells that it went off.
fn bomb() -> (Bomb, Receiver<String>) {
    let (told, tells) = mpsc::channel();
    (Bomb(Some(Told(told))), tells)
}

/// The payload of the panic that awaiting this call ends with.
fn panic_of<T>(call: impl Future<Output = T>) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(|| block_on(call))) {
        Err(payload) => payload,
        Ok(_) => panic!("the call did not panic"),
    }
}

fn word_of(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&str>().expect("a panic with a literal")
}

/// Both pools still serve, the CPU pool with all its threads.
fn assert_the_pools_serve() {
    assert_eq!(cpu_threads().len(), cores());
    assert_eq!(block_on(on(Kind::Thread, || 7)), 7);
}

// Panics of bodies.

#[test]
fn a_panic_resumes_in_the_awaiting_task_with_its_own_payload() {
    #[derive(Debug, PartialEq)]
    struct Reason(u8);

    for kind in KINDS {
        let literal = panic_of(on(kind, || panic!("a literal")));
        assert_eq!(literal.downcast_ref(), Some(&"a literal"));
        let number = 7;
        let formatted = panic_of(on(kind, move || panic!("number {number}")));
        assert_eq!(formatted.downcast_ref(), Some(&"number 7".to_owned()));
        let own = panic_of(on(kind, || panic_any(Reason(7))));
        assert_eq!(own.downcast_ref(), Some(&Reason(7)));
    }
    let closure = panic_of(to_thread(|| panic_any(Reason(1))));
    assert_eq!(closure.downcast_ref(), Some(&Reason(1)));
    let closure = panic_of(to_cpu(|| panic_any(Reason(2))));
    assert_eq!(closure.downcast_ref(), Some(&Reason(2)));
}

#[test]
fn a_panic_of_one_task_is_none_of_the_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        for kind in KINDS {
            let calls: Vec<_> = (0..100)
                .map(|n| {
                    tokio::spawn(on(kind, move || {
                        assert!(n % 3 > 0, "one third panics");
                        n
                    }))
                })
                .collect();
            for (n, call) in calls.into_iter().enumerate() {
                match call.await {
                    Ok(answer) => assert_eq!(answer, n),
                    Err(error) => assert!(error.is_panic() && n % 3 == 0),
                }
            }
        }
    });
}

#[test]
fn the_threads_survive_the_panics_of_their_bodies() {
    // Others may have many threads of the default pool started.
    static POOL: ThreadPool = ThreadPool::new("survives").keep_alive(Duration::from_secs(3600));

    #[offload(thread, pool = POOL)]
    fn fail_on_thread() {
        panic_any(thread::current().id());
    }

    #[offload(cpu)]
    fn fail_on_cpu() {
        panic_any(thread::current().id());
    }

    let _alone = one_at_a_time();
    let (mut waits, mut computes) = (HashSet::new(), HashSet::new());
    let thread = |payload: Box<dyn Any + Send>| *payload.downcast::<ThreadId>().unwrap();
    for _ in 0..500 {
        waits.insert(thread(panic_of(fail_on_thread())));
        computes.insert(thread(panic_of(fail_on_cpu())));
    }
    assert_eq!(cpu_threads().len(), cores());
    // Where the machine is busy, there may be many. All are there still.
    assert!(pool("survives").threads >= waits.len(), "{} threads", waits.len());
    // One after the other, they need one thread; a pool that lost a thread to
    // each panic would have used 500.
    assert!(computes.len() < 100, "{} threads", computes.len());
}

// Panics of destructors.

#[test]
fn a_panicking_destructor_of_an_argument_or_of_a_local_is_a_panic_of_the_body() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        let (argument, went_off) = bomb();
        let payload = panic_of(on(kind, move || drop(argument)));
        assert_eq!(word_of(&*payload), "a bomb went off");
        assert!(is_of(&soon(&went_off), kind));

        let payload = panic_of(on(kind, || {
            let _local = Bomb(None);
            7
        }));
        assert_eq!(word_of(&*payload), "a bomb went off");
    }

    #[offload(thread)]
    fn unused(_: u8, _argument: Bomb) -> u8 {
        7
    }
    assert_eq!(word_of(&*panic_of(unused(0, Bomb(None)))), "a bomb went off");
    assert_the_pools_serve();
}

/// A task that drops such a result while it tidies up after the body aborts the
/// process, or takes the pool's thread with it.
#[test]
fn a_panicking_destructor_of_a_result_that_nobody_awaits_takes_nothing_down() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        let (result, went_off) = bomb();
        let (call, release) = running(kind, move || result);
        drop(call);
        release.send(()).unwrap();
        assert!(is_of(&soon(&went_off), kind));

        let (result, went_off) = bomb();
        drop(finished(kind, move || result));
        assert!(is_of(&soon(&went_off), Kind::Thread), "where what is left is dropped");
    }
    assert_the_pools_serve();
    assert_eq!(cpu_threads().len(), cores());
}

#[test]
fn a_panic_payload_that_panics_when_it_is_dropped_takes_nothing_down() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        // The payload of the body's panic, which nobody awaits: dropped while
        // it runs, dropped when it has ended.
        let (payload, went_off) = bomb();
        let (call, release) = running(kind, move || panic_any(payload));
        drop(call);
        release.send(()).unwrap();
        soon(&went_off);

        let (payload, went_off) = bomb();
        drop(finished(kind, move || panic_any(payload)));
        soon(&went_off);

        // The payload of a destructor's panic, which nobody could await.
        let (payload, went_off) = bomb();
        let (call, release) = running(kind, move || PanicsWith(Some(payload)));
        drop(call);
        release.send(()).unwrap();
        soon(&went_off);

        // Awaited, it is the caller's, whole.
        let (payload, went_off) = bomb();
        let payload = panic_of(on(kind, move || panic_any(payload)));
        let mut bomb = payload.downcast::<Bomb>().unwrap();
        assert!(went_off.try_recv().is_err());
        drop(bomb.0.take());
        std::mem::forget(bomb);
    }
    assert_the_pools_serve();
    assert_eq!(cpu_threads().len(), cores());
}

/// Panics with this payload where it is dropped.
struct PanicsWith(Option<Bomb>);

impl Drop for PanicsWith {
    fn drop(&mut self) {
        panic_any(self.0.take());
    }
}

/// The value belongs to the job as an argument does.
#[test]
fn a_panicking_destructor_of_a_propagated_value_takes_nothing_down() {
    /// Of which the caller's is harmless, and each copy is not.
    struct Value(Option<Sender<String>>);

    impl Clone for Value {
        fn clone(&self) -> Value {
            // The caller's tells for the copies.
            let told = TOLD.lock().unwrap().clone();
            Value(told)
        }
    }

    impl Drop for Value {
        fn drop(&mut self) {
            if let Some(told) = self.0.take() {
                drop(Bomb(Some(Told(told))));
            }
        }
    }

    tokio::task_local! {
        static VALUE: Value;
    }
    static TOLD: Mutex<Option<Sender<String>>> = Mutex::new(None);

    offload_runtime::propagate(&VALUE);
    let (told, tells) = mpsc::channel();
    *TOLD.lock().unwrap() = Some(told);

    // It panics at the end of a body,
    let call = VALUE.scope(Value(None), on(Kind::Thread, || 7));
    assert_eq!(word_of(&*panic_of(call)), "a bomb went off");
    soon(&tells);

    // and with a call that is dropped in the queue.
    let full = fill_cpu_pool();
    let mut call = Box::pin(VALUE.scope(Value(None), on(Kind::Cpu, || 7)));
    assert!(poll(call.as_mut()).is_pending());
    drop(call);
    soon(&tells);
    drop(full);
    let _alone = one_at_a_time();
    assert_the_pools_serve();
}

#[test]
fn a_panicking_destructor_of_an_argument_that_was_never_used_takes_nothing_down() {
    let full = fill_cpu_pool();
    let (argument, went_off) = bomb();
    let mut call = Box::pin(on(Kind::Cpu, move || drop(argument)));
    assert!(poll(call.as_mut()).is_pending());
    // The call is still queued; a thread of the thread pool drops what it leaves.
    drop(call);
    assert!(is_of(&soon(&went_off), Kind::Thread));

    // The same where the caller unwinds: a second panic that gets out of a
    // destructor aborts the process.
    let (argument, went_off) = bomb();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let mut call = Box::pin(on(Kind::Cpu, move || drop(argument)));
        assert!(poll(call.as_mut()).is_pending());
        panic!("the caller fails");
    }));
    assert_eq!(word_of(&*unwound.unwrap_err()), "the caller fails");
    assert!(is_of(&soon(&went_off), Kind::Thread));
    drop(full);

    let _alone = one_at_a_time();
    assert_the_pools_serve();
}

// Drops of calls.

#[test]
fn a_call_that_is_never_polled_never_runs() {
    for kind in KINDS {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            drop(on(kind, move || ran.fetch_add(1, Ordering::Relaxed)));
        }
        // At once, as no pool has heard of them.
        assert_eq!(Arc::strong_count(&ran), 1);
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    }
}

/// Waits until so many hold it. What is left of a call is dropped by a thread of the thread
/// pool, although none of its own pool is free.
fn fall_to<T>(held: &Arc<T>, holders: usize) {
    let start = Instant::now();
    while Arc::strong_count(held) > holders {
        assert!(start.elapsed() < PATIENCE, "{} hold it", Arc::strong_count(held));
        thread::yield_now();
    }
    assert_eq!(Arc::strong_count(held), holders);
}

#[test]
fn a_thousand_dropped_calls_of_a_full_pool_never_run_and_their_arguments_are_gone_before_it_has_room()
 {
    let full = fill_cpu_pool();
    let ran = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for _ in 0..1000 {
        let ran = Arc::clone(&ran);
        let mut call = Box::pin(on(Kind::Cpu, move || ran.fetch_add(1, Ordering::Relaxed)));
        assert!(poll(call.as_mut()).is_pending());
        calls.push(call);
    }
    assert_eq!(Arc::strong_count(&ran), 1001);
    // From the middle to both ends: the order is the caller's.
    calls.drain(300..700);
    fall_to(&ran, 601);
    drop(calls);
    fall_to(&ran, 1);
    drop(full);

    // What was queued before this would run before it.
    let _alone = one_at_a_time();
    cpu_threads();
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

#[test]
fn a_call_that_select_or_a_timeout_dropped_in_the_queue_never_runs() {
    let full = fill_cpu_pool();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = |ran: &Arc<AtomicUsize>| {
        let ran = Arc::clone(ran);
        on(Kind::Cpu, move || ran.fetch_add(1, Ordering::Relaxed))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = count(&ran) => unreachable!("the pool is full"),
                () = future::ready(()) => {}
            }
            tokio::time::timeout(Duration::ZERO, count(&ran)).await.unwrap_err();
        }
    });
    fall_to(&ran, 1);
    drop(full);
    let _alone = one_at_a_time();
    cpu_threads();
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

/// The guard stands for a lock or a permit: were it gone with the caller, the
/// body would go on without it.
#[test]
fn a_dropped_call_that_runs_goes_on_to_its_end_with_all_its_arguments() {
    #[offload(thread)]
    fn on_thread(
        _guard: Event,
        started: Event,
        release: Receiver<()>,
        ended: Sender<&'static str>,
    ) {
        drop(started);
        soon(&release);
        ended.send("the body ends").unwrap();
    }

    #[offload(cpu)]
    fn on_cpu(_guard: Event, started: Event, release: Receiver<()>, ended: Sender<&'static str>) {
        drop(started);
        soon(&release);
        ended.send("the body ends").unwrap();
    }

    /// Tells that it is dropped.
    struct Event(&'static str, Sender<&'static str>);

    impl Drop for Event {
        fn drop(&mut self) {
            self.1.send(self.0).unwrap();
        }
    }

    let _alone = one_at_a_time();
    for kind in KINDS {
        let (event, events) = mpsc::channel();
        let guard = Event("the guard goes", event.clone());
        let started = Event("the body starts", event.clone());
        let (release, released) = mpsc::channel();
        let mut call: Pin<Box<dyn Future<Output = ()>>> = match kind {
            Kind::Thread => Box::pin(on_thread(guard, started, released, event.clone())),
            Kind::Cpu => Box::pin(on_cpu(guard, started, released, event.clone())),
        };
        assert!(poll(call.as_mut()).is_pending());
        assert_eq!(soon(&events), "the body starts");
        drop(call);
        event.send("the caller has gone").unwrap();
        release.send(()).unwrap();
        assert_eq!(soon(&events), "the caller has gone");
        assert_eq!(soon(&events), "the body ends");
        assert_eq!(soon(&events), "the guard goes");
    }
    assert_the_pools_serve();
}

#[test]
fn a_result_that_nobody_awaits_is_dropped_on_the_pool() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        // The caller goes first.
        let (told, tells) = mpsc::channel();
        let (call, release) = running(kind, move || Told(told));
        drop(call);
        release.send(()).unwrap();
        let thread = soon(&tells);
        assert!(is_of(&thread, kind), "dropped on {thread}");

        // The body ends first.
        let (told, tells) = mpsc::channel();
        drop(finished(kind, move || Told(told)));
        let thread = soon(&tells);
        assert!(is_of(&thread, Kind::Thread), "dropped on {thread}");
    }
}

#[test]
fn a_result_of_a_detached_call_that_nobody_awaits_is_dropped_on_the_pool() {
    #[offload(cpu, detach)]
    fn detached(started: Sender<()>, release: Receiver<()>, result: Told) -> Told {
        started.send(()).unwrap();
        soon(&release);
        result
    }

    let _alone = one_at_a_time();
    for caller_goes_first in [true, false] {
        let (started, start) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (told, tells) = mpsc::channel();
        let mut call = Box::pin(detached(started, released, Told(told)));
        let (waker, rung) = bell();
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        soon(&start);
        if caller_goes_first {
            drop(call);
            release.send(()).unwrap();
        } else {
            release.send(()).unwrap();
            soon(&rung);
            drop(call);
        }
        let thread = soon(&tells);
        let kind = if caller_goes_first { Kind::Cpu } else { Kind::Thread };
        assert!(is_of(&thread, kind), "dropped on {thread}");
    }
}

/// A thread takes a call from the queue, finds no permit for it, and puts it in
/// the line. A caller that went away at that moment looked for it in the line
/// first, then in the queue, and found it in neither; it stayed in the line,
/// with its arguments, until the permits before it came back.
#[test]
fn a_call_that_is_dropped_on_its_way_to_wait_for_a_permit_does_not_stay_in_the_line() {
    static ONE: Limiter = Limiter::new(1);
    static THREADS: ThreadPool = ThreadPool::new("permit").threads(2);

    #[offload(thread, pool = THREADS, limit = ONE)]
    fn limited(_argument: Arc<()>, body: Box<dyn FnOnce() + Send>) {
        body();
    }

    let (started, start) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let holds = move || {
        started.send(()).unwrap();
        let _ = held.recv();
    };
    let mut holder = Box::pin(limited(Arc::default(), Box::new(holds)));
    assert!(poll(holder.as_mut()).is_pending());
    soon(&start);
    let mut random = Random(0);
    for n in 0..50_000 {
        let argument = Arc::new(());
        let body = Box::new(|| unreachable!("it has no permit"));
        let mut call = Box::pin(limited(Arc::clone(&argument), body));
        assert!(poll(call.as_mut()).is_pending());
        (0..random.below(1000)).for_each(|_| std::hint::spin_loop());
        drop(call);
        // At once, or by the thread that had it.
        let start = Instant::now();
        while Arc::strong_count(&argument) > 1 {
            assert!(start.elapsed() < PATIENCE, "call {n} stayed in the line");
            thread::yield_now();
        }
    }
    assert_eq!(ONE.waiting(), 0);
    drop(release);
    block_on(holder);
}

/// Nothing of the pools is locked while a destructor runs, nor is one called
/// where its call could not be served.
#[test]
fn a_destructor_may_itself_make_a_call() {
    struct Calls(Kind, Sender<i32>);

    impl Drop for Calls {
        fn drop(&mut self) {
            self.1.send(block_on(on(self.0, || 7))).unwrap();
        }
    }

    let (answer, answers) = mpsc::channel();
    // An argument of a queued call.
    let full = fill_cpu_pool();
    let argument = Calls(Kind::Thread, answer.clone());
    let mut call = Box::pin(on(Kind::Cpu, move || drop(argument)));
    assert!(poll(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(soon(&answers), 7);
    drop(full);

    let _alone = one_at_a_time();
    for (kind, other) in [(Kind::Thread, Kind::Cpu), (Kind::Cpu, Kind::Thread)] {
        let result = Calls(other, answer.clone());
        let (call, release) = running(kind, move || result);
        drop(call);
        release.send(()).unwrap();
        assert_eq!(soon(&answers), 7);

        let result = Calls(other, answer.clone());
        drop(finished(kind, move || result));
        assert_eq!(soon(&answers), 7);
    }
}

#[test]
fn a_body_may_drop_its_own_call() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        type Slot = Arc<Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>>;
        let slot: Slot = Arc::default();
        let (told, tells) = mpsc::channel();
        let body = {
            let slot = Arc::clone(&slot);
            move || {
                let _argument = Told(told);
                drop(slot.lock().unwrap().take());
            }
        };
        let (call, release) = running(kind, body);
        *slot.lock().unwrap() = Some(call);
        release.send(()).unwrap();
        assert!(is_of(&soon(&tells), kind));
    }
    assert_the_pools_serve();
}

// Polls.

#[test]
fn a_call_that_is_polled_after_its_answer_says_so() {
    for mut call in
        [Box::pin(to_thread(|| 7)) as Pin<Box<dyn Future<Output = _>>>, Box::pin(to_cpu(|| 7))]
    {
        assert_eq!(block_on(call.as_mut()), 7);
        let again = word_of(&*panic_of(call.as_mut()));
        assert_eq!(again, "a call was polled after it gave its answer");
        drop(call);
    }
    let mut call = Box::pin(to_thread(|| panic!("the body fails")));
    assert_eq!(word_of(&*panic_of(call.as_mut())), "the body fails");
    let again = word_of(&*panic_of(call.as_mut()));
    assert_eq!(again, "a call was polled after it gave its answer");
}

#[test]
fn a_call_wakes_the_task_that_polled_it_last() {
    let _alone = one_at_a_time();
    for kind in KINDS {
        let (mut call, release) = running(kind, || 7);
        let (first, _) = bell();
        assert!(call.as_mut().poll(&mut Context::from_waker(&first)).is_pending());
        // It moves to another thread and another task.
        let (second, rung) = bell();
        let mut call = thread::spawn(move || {
            assert!(call.as_mut().poll(&mut Context::from_waker(&second)).is_pending());
            call
        })
        .join()
        .unwrap();
        release.send(()).unwrap();
        soon(&rung);
        assert_eq!(poll(call.as_mut()), Poll::Ready(7));
    }
}

// All of it at once.

/// Numbers that look random, and are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

const TASKS: usize = 8;
const CALLS: usize = 3000;

/// What happened in all calls.
struct Ledger {
    /// How often the argument of each call, then the result of each, was dropped.
    drops: Vec<AtomicU8>,
    made: AtomicUsize,
    dropped: AtomicUsize,
    started: AtomicUsize,
    ended: AtomicUsize,
}

/// An argument or a result that is counted.
struct Counted {
    number: usize,
    ledger: Arc<Ledger>,
}

impl Counted {
    fn new(number: usize, ledger: &Arc<Ledger>) -> Counted {
        ledger.made.fetch_add(1, Ordering::SeqCst);
        Counted { number, ledger: Arc::clone(ledger) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.drops[self.number].fetch_add(1, Ordering::SeqCst);
        self.ledger.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts the end of a body, also of one that panics.
struct Ends<'a>(&'a Ledger);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn calls_that_are_dropped_at_any_moment_are_neither_lost_nor_run_twice() {
    let ledger = Arc::new(Ledger {
        drops: (0..2 * TASKS * CALLS).map(|_| AtomicU8::new(0)).collect(),
        made: AtomicUsize::new(0),
        dropped: AtomicUsize::new(0),
        started: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|task| tokio::spawn(drop_at_random(task, Arc::clone(&ledger))));
        let awaited: usize = join_all(tasks)
            .await
            .into_iter()
            .map(|task| task.expect("all answers were right"))
            .sum();
        assert!(awaited > CALLS, "{awaited} awaited");
        assert!(awaited < TASKS * CALLS, "some were dropped");
    });

    // The last bodies are still running, perhaps.
    let start = Instant::now();
    let open = |ledger: &Ledger| {
        ledger.made.load(Ordering::SeqCst) - ledger.dropped.load(Ordering::SeqCst)
    };
    while open(&ledger) > 0 {
        assert!(start.elapsed() < PATIENCE, "{} values were not dropped", open(&ledger));
        thread::yield_now();
    }
    assert_eq!(ledger.started.load(Ordering::SeqCst), ledger.ended.load(Ordering::SeqCst));
    let (arguments, results) = ledger.drops.split_at(TASKS * CALLS);
    assert!(arguments.iter().all(|drops| drops.load(Ordering::SeqCst) == 1));
    assert!(results.iter().all(|drops| drops.load(Ordering::SeqCst) <= 1));
}

/// How many calls of this task gave their answer.
async fn drop_at_random(task: usize, ledger: Arc<Ledger>) -> usize {
    let mut random = Random(task as u64);
    let mut awaited = 0;
    let mut kept = Vec::new();
    for number in task * CALLS..(task + 1) * CALLS {
        let kind = KINDS[random.below(2) as usize];
        let panics = random.below(50) == 0;
        let spins = random.below(2000);
        let argument = Counted::new(number, &ledger);
        let mut call = Box::pin(on(kind, move || {
            argument.ledger.started.fetch_add(1, Ordering::SeqCst);
            let _ends = Ends(&argument.ledger);
            (0..spins).for_each(|_| std::hint::spin_loop());
            if panics {
                // Without the hook: it would print thousands of lines.
                std::panic::resume_unwind(Box::new(number));
            }
            Counted::new(TASKS * CALLS + number, &argument.ledger)
        }));
        match random.below(5) {
            // Never polled.
            0 => drop(call),
            // Polled now and then, and dropped.
            1 => {
                for _ in 0..random.below(4) {
                    if futures::poll!(AssertUnwindSafe(call.as_mut()).catch_unwind()).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            // Dropped when later calls run, by whichever thread.
            2 => {
                let polled = AssertUnwindSafe(call.as_mut()).catch_unwind();
                if futures::poll!(polled).is_pending() {
                    kept.push(call);
                }
            }
            // Awaited.
            _ => {
                match AssertUnwindSafe(call).catch_unwind().await {
                    Ok(answer) => assert_eq!(answer.number, TASKS * CALLS + number),
                    Err(payload) => assert_eq!(payload.downcast_ref(), Some(&number)),
                }
                awaited += 1;
            }
        }
        if kept.len() > 20 {
            let late = kept.swap_remove(random.below(20) as usize);
            drop(late);
        }
    }
    drop(kept);
    awaited
}

static ONE: CpuPool = CpuPool::new("one").threads(1);

#[offload(cpu, pool = ONE)]
fn on_the_one<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

/// Its destructor makes a call to a pool, and waits for it.
struct Cleans(Sender<u64>);

impl Drop for Cleans {
    fn drop(&mut self) {
        let _ = self.0.send(block_on(on_the_one(|| 7)));
    }
}

/// The thread that drops the result is the only one of the pool, so the call in
/// the destructor has to run beside it, as one in the body would.
#[test]
fn the_destructor_of_a_result_that_nobody_awaits_may_make_a_call_to_its_own_full_pool() {
    let (cleaned, clean) = mpsc::channel();
    let (started, start) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let mut call = Box::pin(on_the_one(move || {
        started.send(()).unwrap();
        held.recv().unwrap();
        Cleans(cleaned)
    }));
    assert!(poll(call.as_mut()).is_pending());
    soon(&start);
    drop(call);
    release.send(()).unwrap();
    assert_eq!(soon(&clean), 7);
    assert_eq!(block_on(on_the_one(|| 8)), 8);
}

/// A body that leaks the guard of a runtime's context has its result, and its thread, which
/// nobody can free of that, is replaced.
#[test]
fn a_body_that_leaks_the_guard_of_a_runtime_costs_its_thread_and_nothing_else() {
    let _alone = one_at_a_time();
    let runtime = Builder::new_current_thread().build().unwrap();
    let other = Builder::new_current_thread().build().unwrap();
    let handle = other.handle().clone();
    let name = || thread::current().name().unwrap().to_owned();
    let leaks = on_the_one(move || {
        std::mem::forget(handle.enter());
        name()
    });
    let before = runtime.block_on(leaks);
    let (is_in_runtime, after) =
        block_on(on_the_one(move || (tokio::runtime::Handle::try_current().is_ok(), name())));
    assert!(!is_in_runtime);
    assert_ne!(before, after);
}

/// A task that has gone may be dropped with its waker, which is foreign code.
#[test]
fn the_waker_of_a_call_that_is_dropped_goes_with_it() {
    struct Noted(Sender<String>);

    impl Wake for Noted {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Noted {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().unwrap_or_default().to_owned());
        }
    }

    let _alone = one_at_a_time();
    let (noted, note) = mpsc::channel();
    let (mut call, release) = running(Kind::Cpu, || ());
    {
        let waker = Waker::from(Arc::new(Noted(noted)));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(call);
    // Before the body has ended.
    assert_eq!(soon(&note), thread::current().name().unwrap());
    release.send(()).unwrap();
    assert_the_pools_serve();
}

/// The future of a call, a stream, or the handle of a call that was started may be kept by a thread-local, and be dropped
/// as that thread ends, when nothing of the thread's own is there any more.
#[test]
fn a_call_that_is_dropped_as_its_thread_ends_is_cancelled() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    }

    #[offload(cpu, stream)]
    fn items(_argument: Arc<()>) -> impl Iterator<Item = ()> {
        std::iter::repeat_with(|| unreachable!("it has no consumer"))
    }

    let full = fill_cpu_pool();
    let (argument, runs) = (Arc::new(()), Arc::new(()));
    let theirs = [&argument, &argument, &runs].map(Arc::clone);
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    thread::spawn(move || {
        // So that it is there before the runtime's own locals, and goes after them.
        KEPT.with_borrow(|kept| assert!(kept.is_empty()));
        let _runtime = handle.enter();
        let [argument, of_stream, of_started] = theirs;
        let mut call =
            Box::pin(on::<()>(Kind::Cpu, move || unreachable!("{argument:?} has no caller")));
        let mut stream = Box::pin(items(of_stream));
        let started = spawn_cpu(move || drop(of_started));
        assert!(poll(call.as_mut()).is_pending());
        assert!(poll(pin!(stream.next())).is_pending());
        KEPT.set(vec![Box::new(call), Box::new(stream), Box::new(started)]);
    })
    .join()
    .unwrap();
    fall_to(&argument, 1);
    assert_eq!(Arc::strong_count(&runs), 2);
    drop(full);
    // It was let go, and not cancelled.
    fall_to(&runs, 1);
    let _alone = one_at_a_time();
    assert_the_pools_serve();
}
