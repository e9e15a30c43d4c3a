//! A pool with rayon's threads: what a body does in parallel stays on them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread::{self, ThreadId};

use futures::executor::{block_on, block_on_stream};
use futures::future::join_all;
use offload_runtime::{CpuPool, Error, ErrorKind, Limiter, Sink, is_cancelled, offload};
use rayon::prelude::*;

fn threads_of(parts: usize) -> HashSet<ThreadId> {
    (0..parts).into_par_iter().map(|_| thread::current().id()).collect()
}

#[test]
fn parallel_parts_stay_on_the_threads_of_the_pool() {
    static POOL: CpuPool = CpuPool::new("parts").threads(3).rayon();

    #[offload(cpu, pool = POOL)]
    fn parts() -> (usize, HashSet<ThreadId>, HashSet<String>) {
        // All three meet here, so all three take part.
        let together = Barrier::new(3);
        let met: HashSet<_> = rayon::broadcast(|_| {
            together.wait();
            thread::current().id()
        })
        .into_iter()
        .collect();
        let names = (0..1000).into_par_iter().map(|_| thread::current().name().unwrap().to_owned());
        let names = names.collect();
        assert!(threads_of(1000).is_subset(&met));
        (rayon::current_num_threads(), met, names)
    }

    let (number, threads, names) = block_on(parts());
    assert_eq!((number, threads.len()), (3, 3));
    assert!(names.iter().all(|name| name.starts_with("parts-")), "{names:?}");
    // The next body finds the same ones.
    assert_eq!(block_on(parts()).1, threads);
    let stats = offload_runtime::stats();
    let pool = stats.pools.iter().find(|pool| pool.name == "parts").unwrap();
    assert_eq!((pool.threads, pool.limit, pool.queued), (3, 3, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn parallel_parts_have_the_priority_of_the_pool() {
    static POOL: CpuPool = CpuPool::new("priority").threads(2).rayon();

    /// Policy and nice value of the calling thread.
    fn schedule() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let field = |number: usize| after_name.split(' ').nth(number - 3).unwrap().parse().unwrap();
        (field(41), field(19))
    }

    #[offload(cpu, pool = POOL)]
    fn parts() -> Vec<(i32, i32)> {
        rayon::broadcast(|_| schedule())
    }

    #[offload(cpu)]
    fn other() -> (i32, i32) {
        schedule()
    }

    assert_eq!(block_on(parts()), [block_on(other()); 2]);
}

#[test]
fn other_pools_use_the_global_one_as_before() {
    static POOL: CpuPool = CpuPool::new("plain").threads(5);

    #[offload(cpu, pool = POOL)]
    fn threads() -> Option<usize> {
        rayon::current_thread_index()
    }

    assert_eq!(block_on(threads()), None);
}

/// Each body holds a lock while it waits for its parts: a thread that took
/// another call meanwhile would want the lock that it has.
#[test]
fn a_thread_whose_body_waits_for_its_parts_starts_no_other() {
    static POOL: CpuPool = CpuPool::new("lock").threads(2).rayon();
    static LOCK: Mutex<u64> = Mutex::new(0);

    #[offload(cpu, pool = POOL)]
    fn sum(below: u64) -> u64 {
        let mut sums = LOCK.lock().unwrap();
        *sums += 1;
        (0..below).into_par_iter().map(|n| n.isqrt()).sum()
    }

    let expected: u64 = (0..20_000_u64).map(u64::isqrt).sum();
    let sums = block_on(join_all((0..500).map(|_| sum(20_000))));
    assert!(sums.iter().all(|sum| *sum == expected));
    assert_eq!(*LOCK.lock().unwrap(), 500);
}

#[test]
fn a_body_that_reads_a_stream_of_its_pool_leaves_others_the_threads_of_rayon() {
    static POOL: CpuPool = CpuPool::new("reads").threads(4).rayon();

    #[offload(cpu, pool = POOL, stream)]
    fn numbers(out: &mut Sink<u8>) -> Result<(), Error> {
        loop {
            out.send(0)?;
        }
    }

    #[offload(cpu, pool = POOL)]
    fn index() -> Option<usize> {
        rayon::current_thread_index()
    }

    #[offload(cpu, pool = POOL)]
    fn reads() -> Option<usize> {
        let mut numbers = block_on_stream(numbers());
        assert_eq!(numbers.next().unwrap().unwrap(), 0);
        // The stream has a thread, and there are more.
        block_on(index())
    }

    assert!(block_on(reads()).is_some());
}

#[test]
fn calls_start_in_their_order_and_never_more_than_threads() {
    static POOL: CpuPool = CpuPool::new("order").threads(1).rayon();
    static ORDER: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    static RUNNING: AtomicUsize = AtomicUsize::new(0);

    #[offload(cpu, pool = POOL)]
    fn note(number: usize) {
        assert_eq!(RUNNING.fetch_add(1, Ordering::SeqCst), 0);
        let parts: usize = (0..50).into_par_iter().sum();
        assert_eq!(parts, 1225);
        ORDER.lock().unwrap().push(number);
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }

    block_on(join_all((0..1000).map(note)));
    let order = ORDER.lock().unwrap();
    assert!(order.len() == 1000 && order.is_sorted());
}

#[test]
fn a_body_may_block_on_another_call_of_its_full_pool() {
    static POOL: CpuPool = CpuPool::new("nested").threads(1).rayon();

    #[offload(cpu, pool = POOL)]
    fn depth(left: usize) -> usize {
        if left == 0 { 0 } else { 1 + block_on(depth(left - 1)) }
    }

    assert_eq!(block_on(depth(5)), 5);
}

#[test]
fn a_panic_in_a_part_resumes_in_the_caller_and_the_pool_goes_on() {
    static POOL: CpuPool = CpuPool::new("panic").threads(2).rayon();

    #[offload(cpu, pool = POOL)]
    fn part(panics: bool) -> usize {
        (0..100)
            .into_par_iter()
            .map(|n| if panics && n == 50 { panic!("part 50") } else { n })
            .sum()
    }

    for _ in 0..10 {
        let panic = thread::spawn(|| block_on(part(true))).join().unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"part 50"));
        assert_eq!(block_on(part(false)), 4950);
    }
}

#[test]
fn a_dropped_call_never_runs_or_is_told_while_it_runs() {
    static POOL: CpuPool = CpuPool::new("cancel").threads(1).rayon();

    #[offload(cpu, pool = POOL)]
    fn until_cancelled(started: mpsc::Sender<()>, ended: mpsc::Sender<()>) {
        started.send(()).unwrap();
        while !is_cancelled() {
            thread::yield_now();
        }
        ended.send(()).unwrap();
    }

    #[offload(cpu, pool = POOL)]
    fn never() {
        panic!("its caller has gone");
    }

    let poll = |call: &mut std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    };
    let ((started, start), (ended, end)) = (mpsc::channel(), mpsc::channel());
    let mut running: std::pin::Pin<Box<dyn Future<Output = ()>>> =
        Box::pin(until_cancelled(started, ended));
    poll(&mut running);
    start.recv().unwrap();
    let mut queued: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(never());
    poll(&mut queued);
    drop(queued);
    drop(running);
    end.recv().unwrap();
}

#[test]
fn limits_and_queues_bound_its_calls_as_those_of_others() {
    static POOL: CpuPool = CpuPool::new("limited").threads(4).rayon();
    static ONE: Limiter = Limiter::new(1);
    static RUNNING: AtomicUsize = AtomicUsize::new(0);

    #[offload(cpu, pool = POOL, limit = ONE)]
    fn alone() -> usize {
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        let _: usize = (0..100).into_par_iter().sum();
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        running
    }

    #[offload(cpu, pool = POOL, limit = ONE, queue = 0)]
    fn refused() -> Result<(), Error> {
        Ok(())
    }

    let most = block_on(join_all((0..200).map(|_| alone())));
    assert_eq!(most.into_iter().max(), Some(1));
    let (first, second) = block_on(async { futures::join!(refused(), refused()) });
    // Both may be served, if the first has ended when the second comes.
    let mut errors = [first, second].into_iter().filter_map(Result::err);
    assert!(errors.all(|error| error.kind() == ErrorKind::Overloaded));
}
