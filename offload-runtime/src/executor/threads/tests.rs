//! The pools with real threads. What needs every order of steps is in models; what a user
//! sees, in the `tests` crate.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;

use super::Pool;
use super::pool::{Seen, Serve};
use crate::api::pools::{CpuPool, ThreadPool};
use crate::call::Call;
use crate::error::ErrorKind;
use crate::executor::{Executor, Load};
use crate::function::Function;
use crate::system::abort::tests::aborts;
use crate::task::context::Captured;
use crate::task::current::Busy;
use crate::task::meta::{Deadlines, Meta, Slot};
use crate::task::{Permits, Queued, maker};

/// So long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the pool is as it should be. Nothing reports that a thread has
/// parked or ended, so this looks again and again.
fn settle(pool: &'static Pool, mut wanted: impl FnMut(Load) -> bool) -> Load {
    let start = Instant::now();
    loop {
        let load = pool.load();
        if wanted(load) {
            return load;
        }
        assert!(start.elapsed() < PATIENCE, "the pool stayed at {load:?}");
        thread::yield_now();
    }
}

#[test]
fn bodies_that_block_get_a_thread_each() {
    static POOL: ThreadPool = ThreadPool::new("block");
    static FUNCTION: Function = Function::thread("block", &POOL);
    // Each body waits for all the others: with one thread less, none returns.
    let together = Arc::new(Barrier::new(100));
    let calls = (0..100).map(|_| {
        let together = Arc::clone(&together);
        Call::new(&FUNCTION, move || together.wait().is_leader())
    });
    let leaders = block_on(join_all(calls)).into_iter().filter(|leader| *leader).count();
    assert_eq!(leaders, 1);
    assert!(POOL.pool().load().threads >= 100);
}

#[test]
fn a_burst_of_short_calls_does_not_start_hundreds_of_threads() {
    // One for each core, and a few more, where this machine stalled for a millisecond. It
    // may stall for long, and then there are many, but not each time.
    let most = thread::available_parallelism().unwrap().get() + 60;
    let start = Instant::now();
    loop {
        let pool = ThreadPool::new("short").leak();
        let calls = (0..2_000).map(|n| pool.run(move || n));
        assert_eq!(block_on(join_all(calls)).into_iter().sum::<i32>(), 1_999_000);
        let threads = pool.pool().load().threads;
        block_on(pool.close(PATIENCE));
        if threads < most {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{threads} threads");
    }
}

/// The pool itself may not grow: it is asked here, at times that are made up.
#[test]
fn a_pool_whose_bodies_do_not_end_doubles_and_one_that_is_too_small_has_a_thread_added() {
    static POOL: ThreadPool = ThreadPool::new("asked").threads(1);
    static FUNCTION: Function = Function::thread("asked", &POOL);
    let (release, held) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let calls = thread::spawn(move || {
        let first = Call::new(&FUNCTION, move || {
            started.send(()).unwrap();
            let _ = held.recv();
        });
        let others = join_all((0..3).map(|_| Call::new(&FUNCTION, || ())));
        block_on(futures::future::join(first, others));
    });
    start.recv().unwrap();
    settle(POOL.pool(), |pool| pool.queued == 3);

    let (mut seen, begin) = (Seen::default(), Instant::now());
    let mut look = |millis, have_ended: bool, threads| {
        if let Some((_, ended)) = &mut seen.last {
            *ended += u64::from(have_ended);
        }
        POOL.pool().wanted(&mut seen, begin + Duration::from_millis(millis), threads)
    };
    // Bodies end, but those that wait have not waited for long, and then they have.
    let moves = (0..13).map(|millis| look(millis, true, 1));
    assert!(moves.eq([0; 10].into_iter().chain([1; 3])));
    // None does: a machine that stands still for a moment looks so once.
    assert_eq!([look(13, false, 2), look(14, false, 2), look(15, false, 8)], [0, 2, 3]);
    drop(release);
    calls.join().unwrap();
}

/// It has all threads that it may have.
#[test]
fn a_full_pool_is_not_looked_at() {
    static POOL: ThreadPool = ThreadPool::new("full").threads(40);
    static FUNCTION: Function = Function::thread("full", &POOL);
    POOL.pool().check().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let calls = thread::spawn(move || {
        let calls = (0..50).map(|_| {
            let held = Arc::clone(&held);
            Call::new(&FUNCTION, move || _ = held.lock().unwrap().recv())
        });
        block_on(join_all(calls));
    });
    settle(POOL.pool(), |pool| (pool.running, pool.queued) == (40, 10));
    let is_watched = &POOL.pool().started().growth.is_watched;
    let mut in_a_row = 0;
    settle(POOL.pool(), |_| {
        // Each look sets it back for a moment.
        in_a_row = if is_watched.load(Ordering::SeqCst) { 0 } else { in_a_row + 1 };
        thread::sleep(Duration::from_millis(1));
        in_a_row == 20
    });
    drop(release);
    calls.join().unwrap();
}

#[test]
fn the_limit_of_threads_holds_and_the_rest_waits_in_order() {
    static POOL: ThreadPool = ThreadPool::new("limit").threads(1);
    static FUNCTION: Function = Function::thread("limit", &POOL);
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls = (0..1000).map(|n| {
        let order = Arc::clone(&order);
        Call::new(&FUNCTION, move || order.lock().unwrap().push(n))
    });
    block_on(join_all(calls));
    assert_eq!(POOL.pool().load().threads, 1);
    assert!(order.lock().unwrap().is_sorted());
}

#[test]
fn calls_one_after_the_other_have_one_thread() {
    // No more are started where the machine is busy.
    static POOL: ThreadPool = ThreadPool::new("last").threads(50);
    static FUNCTION: Function = Function::thread("last", &POOL);
    let together = Arc::new(Barrier::new(50));
    let calls = (0..50).map(|_| {
        let together = Arc::clone(&together);
        Call::new(&FUNCTION, move || together.wait())
    });
    block_on(join_all(calls));
    let mut used: HashSet<ThreadId> = HashSet::new();
    for _ in 0..500 {
        settle(POOL.pool(), |pool| pool.idle == pool.threads);
        used.insert(block_on(Call::new(&FUNCTION, || thread::current().id())));
    }
    assert_eq!(used.len(), 1);
}

#[test]
fn threads_that_nobody_needs_end_and_the_busy_one_stays() {
    static POOL: ThreadPool = ThreadPool::new("shrink").keep_alive(Duration::from_millis(50));
    static FUNCTION: Function = Function::thread("shrink", &POOL);
    let (release, held) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let stays = thread::spawn(move || {
        block_on(Call::new(&FUNCTION, move || {
            started.send(()).unwrap();
            held.recv().unwrap();
            thread::current().id()
        }))
    });
    start.recv().unwrap();
    let together = Arc::new(Barrier::new(40));
    let calls = (0..40).map(|_| {
        let together = Arc::clone(&together);
        Call::new(&FUNCTION, move || together.wait())
    });
    block_on(join_all(calls));
    let left = settle(POOL.pool(), |pool| pool.threads == 1);
    assert_eq!((left.running, left.idle), (1, 0));
    release.send(()).unwrap();
    stays.join().unwrap();
    settle(POOL.pool(), |pool| pool.threads == 0);
    // An empty pool starts again.
    assert_eq!(block_on(Call::new(&FUNCTION, || 7)), 7);
}

#[test]
fn the_cpu_pool_has_a_thread_for_each_core_and_no_more() {
    static POOL: CpuPool = CpuPool::new("cores");
    static FUNCTION: Function = Function::cpu("cores", &POOL);
    let cores = thread::available_parallelism().unwrap().get();
    let together = Arc::new(Barrier::new(cores));
    let calls = (0..cores * 20).map(|_| {
        let together = Arc::clone(&together);
        Call::new(&FUNCTION, move || together.wait())
    });
    block_on(join_all(calls));
    // On a busy machine another may stand in for a body that waits, which ends.
    settle(POOL.pool(), |pool| pool.threads == cores);
}

#[test]
fn dropped_calls_leave_the_queue_and_never_run() {
    static POOL: ThreadPool = ThreadPool::new("drop").threads(1);
    static FUNCTION: Function = Function::thread("drop", &POOL);
    let (release, held) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let blocker = thread::spawn(move || {
        block_on(Call::new(&FUNCTION, move || {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
    });
    start.recv().unwrap();
    let argument = Arc::new(());
    let mut calls = Vec::new();
    for _ in 0..1000 {
        let argument = Arc::clone(&argument);
        let mut call = Box::pin(Call::new(&FUNCTION, move || -> () { panic!("{argument:?} ran") }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        calls.push(call);
    }
    assert_eq!(POOL.pool().load().queued, 1000);
    drop(calls);
    // At once, although the only thread is busy.
    assert_eq!(POOL.pool().load().queued, 0);
    // The arguments are dropped by a thread of the default pool.
    let start = Instant::now();
    while Arc::strong_count(&argument) > 1 {
        assert!(start.elapsed() < PATIENCE, "{} arguments are left", Arc::strong_count(&argument));
        thread::yield_now();
    }
    release.send(()).unwrap();
    blocker.join().unwrap();
}

/// As one does that was handed a permit while its pool was ended.
#[test]
fn a_call_that_comes_ahead_of_others_after_the_end_is_ended_though_no_thread_is_free() {
    static POOL: ThreadPool = ThreadPool::new("ended").threads(1);
    static FUNCTION: Function = Function::thread("ended", &POOL);
    let (release, held) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let stays = thread::spawn(move || {
        block_on(Call::new(&FUNCTION, move || {
            started.send(()).unwrap();
            let _ = held.recv();
        }));
    });
    start.recv().unwrap();
    POOL.pool().close(None);
    assert!(POOL.pool().drain());
    let slots = [Slot::default(), Slot::default()];
    let meta = Meta::new(&FUNCTION, false, Deadlines::default(), None, slots);
    let task = maker()(meta, Captured::NOTHING, || ());
    POOL.pool().submit_ahead(Queued::new(Arc::clone(&task)));
    assert_eq!(task.error().unwrap().kind(), ErrorKind::ShuttingDown);
    drop(release);
    stays.join().unwrap();
}

/// Tells of each error that the runtime reports whether the lock of the pool's growth is free then.
#[cfg(feature = "tracing")]
struct Told(Mutex<mpsc::Sender<bool>>);

#[cfg(feature = "tracing")]
static ALL_BLOCKED: CpuPool = CpuPool::new("all blocked").threads(1);

#[cfg(feature = "tracing")]
impl tracing::Subscriber for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "offload" && *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        let is_free = ALL_BLOCKED.pool().started().growth.seen.try_lock().is_ok();
        // It may use the pool, too.
        let load = ALL_BLOCKED.pool().load();
        self.0.lock().unwrap().send(is_free && load.queued > 0).unwrap();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[cfg(feature = "tracing")]
#[test]
fn who_is_told_that_all_threads_are_blocked_is_called_under_no_lock() {
    static FUNCTION: Function = Function::cpu("all blocked", &ALL_BLOCKED);
    let (tell, told) = mpsc::channel();
    tracing::subscriber::set_global_default(Told(Mutex::new(tell))).unwrap();
    let (gates, calls): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (release, held) = mpsc::channel::<()>();
            (release, Call::new(&FUNCTION, move || held.recv().is_ok()))
        })
        .unzip();
    let all = thread::spawn(|| block_on(join_all(calls)));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(true), "a lock of the pool is held meanwhile");
    drop(gates);
    all.join().unwrap();
}

/// Whoever searches is relied upon, also for many calls: who takes one of these asks for a thread, and this for the next.
#[test]
fn calls_that_come_while_a_thread_searches_get_a_thread_each() {
    static POOL: ThreadPool = ThreadPool::new("searched");
    POOL.spawn(|| ()).wait().unwrap();
    settle(POOL.pool(), |load| load.idle == 1);
    let sleep = &POOL.pool().started().sleep;
    while !sleep.search() {
        thread::yield_now();
    }
    let together = Arc::new(Barrier::new(20));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let together = Arc::clone(&together);
            POOL.spawn(move || together.wait().is_leader())
        })
        .collect();
    assert_eq!(POOL.pool().load().threads, 1);
    sleep.found();
    POOL.pool().tend();
    let leaders = calls.into_iter().map(|call| call.wait().unwrap());
    assert_eq!(leaders.filter(|leader| *leader).count(), 1);
}

/// What runs a call panics, which is ours.
struct Panics;

impl Serve for Panics {
    fn serve(&'static self, _: Queued, _: Permits, _: Busy) -> Option<Instant> {
        panic!("on purpose")
    }

    fn thread_ended(&'static self) {}
}

#[test]
fn a_thread_of_a_pool_and_its_growth_end_the_process_if_they_panic() {
    let said = aborts("executor::threads::tests::child_whose_thread_panics");
    assert!(said.contains("a thread of a pool panicked, which is a bug of it; aborting"), "{said}");
    let said = aborts("executor::threads::tests::child_whose_growth_panics");
    assert!(
        said.contains("the growth of a pool panicked, which is a bug of it; aborting"),
        "{said}"
    );
}

/// And not rayon, which says something else then.
#[cfg(feature = "rayon")]
#[test]
fn a_thread_of_rayon_ends_the_process_if_its_turn_panics() {
    let said = aborts("executor::threads::tests::child_whose_turn_panics");
    assert!(said.contains("a thread of a pool panicked, which is a bug of it; aborting"), "{said}");
}

#[cfg(feature = "rayon")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_turn_panics() {
    static POOL: CpuPool = CpuPool::new("panics").threads(1).rayon();
    POOL.pool().start(POOL.pool(), Some(&Panics)).unwrap();
    let _ = POOL.spawn(|| ()).wait();
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_thread_panics() {
    static POOL: ThreadPool = ThreadPool::new("panics");
    POOL.pool().start(POOL.pool(), Some(&Panics)).unwrap();
    let _ = POOL.spawn(|| ()).wait();
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_growth_panics() {
    static POOL: ThreadPool = ThreadPool::new("panics");
    POOL.spawn(|| ()).wait().unwrap();
    let poisons = || {
        let _seen = POOL.pool().started().growth.seen.lock().unwrap();
        panic!("on purpose");
    };
    assert!(thread::spawn(poisons).join().is_err());
    // More than there are threads at once.
    let calls: Vec<_> = (0..600).map(|_| POOL.spawn(thread::park)).collect();
    for call in calls {
        let _ = call.wait();
    }
}
