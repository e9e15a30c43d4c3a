//! One pool is closed and opened again, and others go on.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{join_all, ready};
use futures::{FutureExt, StreamExt};
use offload_runtime::{
    CpuPool, Error, ErrorKind, Limiter, ProcessPool, Ran, ThreadPool, is_cancelled, offload,
    shutdown, stats,
};
use offload_tests::{PATIENCE, begin, own_process, passes, pool, runs, settle, workers};

offload_runtime::test_worker!();

fn threads(name: &str) -> usize {
    pool(name).threads
}

fn assert_closed<T: std::fmt::Debug>(result: Result<T, Error>, pool: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No), "{error}");
    assert!(error.to_string().contains(&format!("its pool `{pool}` is closed")), "{error}");
}

/// A call that is told of a deadlock waits for its permit no more.
#[test]
fn a_deadlock_does_not_keep_a_pool_from_being_closed() {
    static POOL: ThreadPool = ThreadPool::new("had a deadlock");

    #[offload(thread, pool = POOL, limit = 1)]
    fn calls_itself() -> Result<(), Error> {
        block_on(calls_itself())
    }

    assert_eq!(block_on(calls_itself()).unwrap_err().kind(), ErrorKind::Deadlock);
    assert_eq!(block_on(POOL.close(PATIENCE)).abandoned, 0);
}

#[test]
fn a_closed_pool_takes_no_calls_until_it_is_opened_and_others_go_on() {
    static CLOSED: ThreadPool = ThreadPool::new("closed");
    static OTHER: ThreadPool = ThreadPool::new("other");
    static CPU: CpuPool = CpuPool::new("closed cpu").threads(1);
    static RAYON: CpuPool = CpuPool::new("closed rayon").threads(1).rayon();

    #[offload(thread, pool = CLOSED)]
    fn here() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, pool = CLOSED)]
    fn infallible() {}

    #[offload(thread, pool = OTHER)]
    fn there() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, pool = CPU)]
    fn computes() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, pool = RAYON)]
    fn in_parallel() -> Result<(), Error> {
        Ok(())
    }

    for _ in 0..3 {
        block_on(here()).unwrap();
        block_on(computes()).unwrap();
        block_on(in_parallel()).unwrap();
        for (name, close) in [
            ("closed", block_on(CLOSED.close(PATIENCE))),
            ("closed cpu", block_on(CPU.close(PATIENCE))),
            ("closed rayon", block_on(RAYON.close(PATIENCE))),
        ] {
            assert_eq!(close.abandoned, 0);
            assert_eq!(threads(name), 0, "{name}");
        }
        assert_closed(block_on(here()), "closed");
        assert_closed(CLOSED.spawn(|| ()).wait(), "closed");
        assert_closed(block_on(computes()), "closed cpu");
        assert_closed(block_on(in_parallel()), "closed rayon");
        let panic = block_on(AssertUnwindSafe(infallible()).catch_unwind()).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("its pool `closed` is closed"), "{message}");
        block_on(there()).unwrap();
        CLOSED.open();
        CPU.open();
        RAYON.open();
    }
    block_on(here()).unwrap();
    block_on(infallible());
}

#[test]
fn a_pool_that_was_never_used_can_be_closed() {
    static POOL: ThreadPool = ThreadPool::new("never used");

    #[offload(thread, pool = POOL)]
    fn call() -> Result<(), Error> {
        Ok(())
    }

    let report = block_on(POOL.close(Duration::ZERO));
    assert_eq!((report.finished, report.abandoned), (0, 0));
    assert_closed(block_on(call()), "never used");
    POOL.open();
    block_on(call()).unwrap();
}

#[test]
fn calls_that_were_taken_have_the_grace_and_so_has_what_their_bodies_wait_for() {
    static POOL: ThreadPool = ThreadPool::new("graceful").threads(1);

    #[offload(thread, pool = POOL)]
    fn nested() -> Result<u32, Error> {
        Ok(7)
    }

    #[offload(thread, pool = POOL)]
    fn waits(started: Sender<()>, go_on: Receiver<()>) -> Result<u32, Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        // On another pool, or in a task, it would be a call as any other.
        block_on(nested())
    }

    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let running = begin(waits(started.clone(), waiting));
    start.recv_timeout(PATIENCE).unwrap();
    let queued = begin(nested());
    let closing = std::thread::spawn(|| block_on(POOL.close(PATIENCE)));
    // Its only thread is taken: one that is queued is dropped again.
    settle("it is closed", || nested().now_or_never().is_some_and(|ended| ended.is_err()));
    assert!(!closing.is_finished());
    go_on.send(()).unwrap();
    assert_eq!(block_on(running).unwrap(), 7);
    assert_eq!(block_on(queued).unwrap(), 7);
    let report = closing.join().unwrap();
    assert_eq!(report.abandoned, 0);
    assert!(report.finished >= 2, "{report:?}");
    assert_eq!(threads("graceful"), 0);
}

#[test]
fn after_the_grace_queued_calls_end_and_bodies_are_told_also_when_it_is_open_again() {
    static POOL: ThreadPool = ThreadPool::new("impatient").threads(1);

    #[offload(thread, pool = POOL)]
    fn spins(started: Sender<()>, told: Sender<()>, go_on: Receiver<()>) -> Result<bool, Error> {
        started.send(()).unwrap();
        while !is_cancelled() {
            std::thread::yield_now();
        }
        told.send(()).unwrap();
        let _ = go_on.recv();
        Ok(is_cancelled())
    }

    #[offload(thread, pool = POOL)]
    fn is_told() -> Result<bool, Error> {
        Ok(is_cancelled())
    }

    let (started, start) = channel();
    let (told, tell) = channel();
    let (go_on, waiting) = channel();
    let running = begin(spins(started, told, waiting));
    start.recv_timeout(PATIENCE).unwrap();
    let queued = begin(is_told());
    let report = block_on(POOL.close(Duration::ZERO));
    assert_eq!((report.finished, report.abandoned), (0, 2));
    assert_closed(block_on(queued), "impatient");
    tell.recv_timeout(PATIENCE).unwrap();
    POOL.open();
    // The body that was abandoned has its thread still.
    let next = begin(is_told());
    go_on.send(()).unwrap();
    assert!(block_on(running).unwrap(), "it was abandoned, and is");
    assert!(!block_on(next).unwrap(), "nobody has told the next one");
}

#[test]
fn of_those_in_line_for_a_permit_only_the_calls_of_the_closed_pool_end() {
    static CLOSED: ThreadPool = ThreadPool::new("shares a limit");
    static OTHER: ThreadPool = ThreadPool::new("has the permit");
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, pool = OTHER, limit = ONE)]
    fn has_it(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(thread, pool = OTHER, limit = ONE)]
    fn other() -> Result<u32, Error> {
        Ok(1)
    }

    #[offload(thread, pool = CLOSED, limit = ONE)]
    fn closed() -> Result<u32, Error> {
        Ok(2)
    }

    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let first = begin(has_it(started, waiting));
    start.recv_timeout(PATIENCE).unwrap();
    let mut calls = Vec::new();
    for n in 1..=3 {
        calls.push((begin(closed()), begin(other())));
        settle("they are in line", || {
            let functions = stats().functions;
            let is_its = |name: &str| name.ends_with("::has_it");
            let limit = functions.iter().find(|one| is_its(one.name)).unwrap().limit;
            limit.unwrap().waiting == 2 * n
        });
    }
    let report = block_on(CLOSED.close(Duration::ZERO));
    assert_eq!((report.finished, report.abandoned), (0, 3));
    let mut others = Vec::new();
    for (closed, other) in calls {
        // While the permit is not free.
        assert_closed(block_on(closed), "shares a limit");
        others.push(other);
    }
    go_on.send(()).unwrap();
    block_on(first).unwrap();
    for other in others {
        assert_eq!(block_on(other).unwrap(), 1);
    }
    CLOSED.open();
    assert_eq!(block_on(closed()).unwrap(), 2);
}

/// Nothing of it is on the pool while it waits: the permit is that of a body elsewhere.
#[test]
fn a_call_that_waits_for_a_permit_has_the_grace() {
    static POOL: ThreadPool = ThreadPool::new("in line");
    static ELSEWHERE: ThreadPool = ThreadPool::new("elsewhere");
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, pool = ELSEWHERE, limit = ONE)]
    fn keeps_it(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(thread, pool = POOL, limit = ONE)]
    fn waits() -> Result<u32, Error> {
        Ok(7)
    }

    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let first = begin(keeps_it(started, waiting));
    start.recv_timeout(PATIENCE).unwrap();
    let second = begin(waits());
    settle("it is in line", || ONE.waiting() == 1);
    let closing = std::thread::spawn(|| block_on(POOL.close(PATIENCE)));
    settle("it is closed", || POOL.spawn(|| ()).wait().is_err());
    settle("no thread has anything to do", || threads("in line") == 0);
    assert!(!closing.is_finished());
    go_on.send(()).unwrap();
    block_on(first).unwrap();
    assert_eq!(block_on(second).unwrap(), 7);
    assert_eq!(closing.join().unwrap().abandoned, 0);
}

/// No thread of its pool has met it since there is a permit for it.
#[test]
fn the_permit_that_is_kept_for_a_queued_call_comes_back_when_its_pool_is_closed() {
    static BUSY: ThreadPool = ThreadPool::new("busy").threads(1);
    static FREE: ThreadPool = ThreadPool::new("free");
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, pool = FREE, limit = ONE, timeout = "60s")]
    fn has_it(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(thread, pool = BUSY)]
    fn keeps_busy(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(thread, pool = BUSY, limit = ONE)]
    fn waits() -> Result<(), Error> {
        Ok(())
    }

    for is_closed in [true, false] {
        let (started, start) = channel();
        let (give_back, kept) = channel();
        let (go_on, busy) = channel();
        let first = begin(has_it(started.clone(), kept));
        start.recv_timeout(PATIENCE).unwrap();
        let second = begin(waits());
        settle("it is in line", || ONE.waiting() == 1);
        let running = begin(keeps_busy(started.clone(), busy));
        start.recv_timeout(PATIENCE).unwrap();
        give_back.send(()).unwrap();
        block_on(first).unwrap();
        settle("it is queued, with a permit", || pool("busy").queued == 1);
        if is_closed {
            assert_eq!(block_on(BUSY.close(Duration::ZERO)).abandoned, 2);
            assert_closed(block_on(second), "busy");
            BUSY.open();
        } else {
            // Dropped, the call is cancelled.
            drop(second);
        }
        drop(give_back);
        let (_, ended) = channel();
        block_on(has_it(started, ended)).unwrap();
        go_on.send(()).unwrap();
        block_on(running).unwrap();
    }
}

#[test]
fn opened_while_it_is_being_closed_it_keeps_its_calls() {
    static POOL: ThreadPool = ThreadPool::new("changes its mind");

    #[offload(thread, pool = POOL)]
    fn waits(started: Sender<()>, go_on: Receiver<()>) -> Result<bool, Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(is_cancelled())
    }

    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let running = begin(waits(started, waiting));
    start.recv_timeout(PATIENCE).unwrap();
    let closing = std::thread::spawn(|| block_on(POOL.close(PATIENCE)));
    settle("it is closed", || POOL.spawn(|| ()).wait().is_err());
    POOL.open();
    // A call of the loop above may have been taken before it was closed, and have finished.
    assert_eq!(closing.join().unwrap().abandoned, 0);
    go_on.send(()).unwrap();
    assert!(!block_on(running).unwrap());
    POOL.spawn(|| ()).wait().unwrap();
}

/// They are no calls for which one of its own bodies waits.
#[test]
fn calls_of_bodies_of_other_pools_have_no_grace() {
    static POOL: ThreadPool = ThreadPool::new("closed for bodies");
    static OTHER: ThreadPool = ThreadPool::new("not closed");

    #[offload(thread, pool = POOL)]
    fn here() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, pool = OTHER)]
    fn calls() -> Result<(), Error> {
        block_on(here())
    }

    #[offload(thread, pool = OTHER)]
    fn starts() -> Result<(), Error> {
        POOL.spawn(|| ()).wait()
    }

    let (go_on, waiting) = channel::<()>();
    let running = POOL.spawn(move || waiting.recv().is_err());
    let closing = begin(POOL.close(PATIENCE));
    assert_closed(block_on(calls()), "closed for bodies");
    assert_closed(block_on(starts()), "closed for bodies");
    drop(go_on);
    assert!(running.wait().unwrap());
    assert_eq!(block_on(closing).abandoned, 0);
}

/// One that is still busy with what a body has left.
#[test]
fn opened_while_its_threads_end_it_is_not_waited_for() {
    static POOL: ThreadPool = ThreadPool::new("ends its threads");

    /// Nobody takes it, and so a thread of the pool drops it.
    struct Blocks(Sender<()>, Receiver<()>);

    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            let _ = self.1.recv();
        }
    }

    #[offload(thread, pool = POOL)]
    fn leaves(started: Sender<()>, go_on: Receiver<()>, left: Blocks) -> Blocks {
        started.send(()).unwrap();
        let _ = go_on.recv();
        left
    }

    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let (begun, begins) = channel();
    let (end, ended) = channel();
    let call = begin(leaves(started, waiting, Blocks(begun, ended)));
    start.recv_timeout(PATIENCE).unwrap();
    drop(call);
    go_on.send(()).unwrap();
    begins.recv_timeout(PATIENCE).unwrap();
    // No call is under way.
    let closing = begin(POOL.close(Duration::MAX));
    POOL.open();
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(block_on(closing)));
    let report = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((report.finished, report.abandoned), (0, 0));
    drop(end);
}

/// While its consumer has enough, nothing of a stream is on the pool.
#[test]
fn a_stream_that_is_read_on_after_the_grace_ends_though_no_thread_is_free_for_it() {
    static POOL: ThreadPool = ThreadPool::new("stays taken").threads(1);

    #[offload(thread, pool = POOL, stream = 1)]
    fn counts() -> impl Iterator<Item = Result<u32, Error>> + Send + 'static {
        (0..).map(Ok)
    }

    #[offload(thread, pool = POOL)]
    fn stays(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    let mut numbers = Box::pin(counts());
    assert_eq!(block_on(numbers.next()).unwrap().unwrap(), 0);
    settle("it is suspended", || pool("stays taken").running == 0);
    let (started, start) = channel();
    let (go_on, waiting) = channel();
    let running = begin(stays(started, waiting));
    start.recv_timeout(PATIENCE).unwrap();
    assert_eq!(block_on(POOL.close(Duration::ZERO)).abandoned, 2);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut errors = numbers.filter_map(|number| ready(number.err()));
        tell.send(block_on(errors.next())).unwrap();
    });
    let error = told.recv_timeout(PATIENCE).expect("it does not wait for the thread").unwrap();
    assert_eq!(error.kind(), ErrorKind::ShuttingDown, "{error}");
    go_on.send(()).unwrap();
    block_on(running).unwrap();
}

/// Each call runs, or is told that the pool is closed: none is forgotten while threads end and others
/// are started.
#[test]
fn no_call_is_lost_while_a_pool_is_closed_and_opened_over_and_over() {
    static POOL: CpuPool = CpuPool::new("over and over").threads(2);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    static RAN: AtomicUsize = AtomicUsize::new(0);

    #[offload(cpu, pool = POOL)]
    fn counts() -> Result<(), Error> {
        RAN.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    let callers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let (mut done, mut rejected) = (0, 0);
                while !IS_OVER.load(Ordering::Relaxed) {
                    match block_on(counts()) {
                        Ok(()) => done += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ShuttingDown, "{error}");
                            rejected += 1;
                        }
                    }
                }
                (done, rejected)
            })
        })
        .collect();
    for n in 0..300 {
        block_on(POOL.close(Duration::from_micros(n % 3 * 100)));
        POOL.open();
        std::thread::yield_now();
    }
    IS_OVER.store(true, Ordering::Relaxed);
    let results: Vec<(usize, usize)> =
        callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let done: usize = results.iter().map(|(done, _)| done).sum();
    assert_eq!(done, RAN.load(Ordering::Relaxed), "{results:?}");
    block_on(counts()).unwrap();
}

/// Makes calls on four threads until `is_over`, so many at a time on each. Each is told that its pool is
/// closed, or ends well.
fn callers<F>(
    at_a_time: usize,
    call: fn() -> F,
    is_over: &'static AtomicBool,
) -> Vec<JoinHandle<()>>
where
    F: Future<Output = Result<(), Error>> + 'static,
{
    let calls = move || {
        while !is_over.load(Ordering::Relaxed) {
            let answers = block_on(join_all((0..at_a_time).map(|_| call())));
            for error in answers.into_iter().filter_map(Result::err) {
                assert_eq!(error.kind(), ErrorKind::ShuttingDown, "{error}");
            }
        }
    };
    (0..4).map(|_| std::thread::spawn(calls)).collect()
}

/// A body that was started at that very moment, too: nobody would tell it afterwards.
#[test]
fn all_bodies_are_told_that_their_pool_is_closed() {
    static POOL: CpuPool = CpuPool::new("tells all").threads(2);
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    #[offload(cpu, pool = POOL)]
    fn runs_until_it_is_told() -> Result<(), Error> {
        while !is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    }

    let callers = callers(1, runs_until_it_is_told, &IS_OVER);
    for _ in 0..500 {
        block_on(POOL.close(Duration::ZERO));
        settle("all bodies have ended", || threads("tells all") == 0);
        POOL.open();
    }
    IS_OVER.store(true, Ordering::Relaxed);
    block_on(POOL.close(Duration::ZERO));
    callers.into_iter().for_each(|caller| caller.join().unwrap());
}

/// One that gets into the line at that very moment, too: the permit is never given back.
#[test]
fn no_call_stays_in_line_when_its_pool_is_closed() {
    static POOL: CpuPool = CpuPool::new("empties its line").threads(2);
    static ELSEWHERE: ThreadPool = ThreadPool::new("keeps the permit");
    static ONE: Limiter = Limiter::new(1);
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    #[offload(thread, pool = ELSEWHERE, limit = ONE)]
    fn keeps_it(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(cpu, pool = POOL, limit = ONE)]
    fn waits() -> Result<(), Error> {
        Ok(())
    }

    let (started, start) = channel();
    let (go_on, kept) = channel();
    let first = begin(keeps_it(started, kept));
    start.recv_timeout(PATIENCE).unwrap();
    let callers = callers(200, waits, &IS_OVER);
    for n in 0..200 {
        settle("some are in line", || ONE.waiting() > n % 4);
        block_on(POOL.close(Duration::ZERO));
        settle("its threads have ended", || threads("empties its line") == 0);
        settle("nobody is in line", || ONE.waiting() == 0);
        POOL.open();
    }
    IS_OVER.store(true, Ordering::Relaxed);
    block_on(POOL.close(Duration::ZERO));
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    go_on.send(()).unwrap();
    block_on(first).unwrap();
}

/// Nobody counts it twice.
#[test]
fn what_is_left_in_line_of_a_cancelled_call_goes_as_its_pool_is_closed() {
    static POOL: ThreadPool = ThreadPool::new("has shells in line");
    static ELSEWHERE: ThreadPool = ThreadPool::new("keeps its permit");
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, pool = ELSEWHERE, limit = ONE)]
    fn keeps_it(started: Sender<()>, go_on: Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }

    #[offload(thread, pool = POOL, limit = ONE)]
    fn waits() -> Result<(), Error> {
        Ok(())
    }

    let (started, start) = channel();
    let (go_on, kept) = channel();
    let first = begin(keeps_it(started, kept));
    start.recv_timeout(PATIENCE).unwrap();
    let calls = [begin(waits()), begin(waits())];
    settle("both are in line", || ONE.waiting() == 2);
    let [cancelled, stays] = calls;
    drop(cancelled);
    assert_eq!(ONE.waiting(), 1);
    assert_eq!(block_on(POOL.close(Duration::ZERO)).abandoned, 1);
    assert_eq!(block_on(stays).unwrap_err().kind(), ErrorKind::ShuttingDown);
    assert_eq!((ONE.waiting(), ONE.in_use()), (0, 1));
    POOL.open();
    let next = begin(waits());
    go_on.send(()).unwrap();
    block_on(first).unwrap();
    block_on(next).unwrap();
    assert_eq!((ONE.waiting(), ONE.in_use()), (0, 0));
}

/// While a call is in the hands of a thread that has taken it out of the queue, no list has it.
#[test]
fn a_call_that_was_taken_runs_though_its_pool_is_closed_at_whatever_step_it_is() {
    static POOL: ThreadPool = ThreadPool::new("at any step").threads(4);
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    #[offload(thread, pool = POOL)]
    fn call() -> Result<(), Error> {
        Ok(())
    }

    let callers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                while !IS_OVER.load(Ordering::Relaxed) {
                    let mut call = Box::pin(call());
                    let mut cx = Context::from_waker(Waker::noop());
                    if call.as_mut().poll(&mut cx).is_pending() {
                        // It was not rejected.
                        block_on(call).unwrap();
                    }
                }
            })
        })
        .collect();
    for _ in 0..500 {
        assert_eq!(block_on(POOL.close(PATIENCE)).abandoned, 0);
        POOL.open();
        // So that some are taken in between.
        std::thread::yield_now();
    }
    IS_OVER.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(|caller| caller.join().unwrap());
}

#[test]
fn the_workers_of_a_closed_pool_end_and_others_are_started_when_it_is_open() {
    static POOL: ProcessPool = ProcessPool::new("workers").workers(2).min_workers(2);
    static OTHER: ProcessPool = ProcessPool::new("other workers").workers(1);

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = OTHER)]
    fn other() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    block_on(POOL.ready()).unwrap();
    let (first, theirs) = (block_on(pid()).unwrap(), block_on(other()).unwrap());
    assert_eq!(block_on(POOL.close(PATIENCE)).abandoned, 0);
    assert_eq!(workers("workers").alive, 0);
    settle("it has ended", || !runs(first));
    assert_closed(block_on(pid()), "workers");
    let error = block_on(POOL.ready()).unwrap_err();
    assert_eq!(error.to_string(), "the pool `workers` is closed");
    assert_eq!(block_on(other()).unwrap(), theirs);
    POOL.open();
    assert_ne!(block_on(pid()).unwrap(), first);
    block_on(POOL.ready()).unwrap();
    assert_eq!(workers("workers").alive, 2);
}

#[test]
fn what_runs_in_workers_after_the_grace_is_killed() {
    static POOL: ProcessPool = ProcessPool::new("killed").workers(1);

    #[offload(process, pool = POOL)]
    fn spins(path: String) -> Result<(), Error> {
        std::fs::write(format!("{path}.new"), std::process::id().to_string()).unwrap();
        std::fs::rename(format!("{path}.new"), path).unwrap();
        loop {
            std::hint::spin_loop();
        }
    }

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid").to_str().unwrap().to_owned();
    let running = begin(spins(path.clone()));
    let mut worker = None;
    settle("it runs", || {
        worker = std::fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
        worker.is_some()
    });
    let queued = begin(pid());
    let report = block_on(POOL.close(Duration::ZERO));
    assert_eq!((report.finished, report.abandoned), (0, 2));
    let error = block_on(running).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::Maybe));
    assert!(error.to_string().contains("its pool was closed"), "{error}");
    assert_closed(block_on(queued), "killed");
    settle("the worker is dead", || !runs(worker.unwrap()));
    POOL.open();
    assert_ne!(Some(block_on(pid()).unwrap()), worker);
}

#[test]
fn after_a_shutdown_nothing_opens_a_pool() {
    passes(&mut own_process("child_opens_after_the_end"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_opens_after_the_end() {
    static POOL: ThreadPool = ThreadPool::new("over");

    #[offload(thread, pool = POOL)]
    fn call() -> Result<(), Error> {
        Ok(())
    }

    block_on(call()).unwrap();
    block_on(shutdown(PATIENCE));
    POOL.open();
    let error = block_on(call()).unwrap_err();
    assert!(error.to_string().contains("the process is shutting down"), "{error}");
    assert_eq!(block_on(POOL.close(PATIENCE)).abandoned, 0);
}
