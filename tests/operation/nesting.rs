//! Bodies that wait for calls: nothing hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use futures::executor::block_on;
use futures::future::{BoxFuture, join_all};
use offload_runtime::{CpuPool, Error, ErrorKind, Limiter, Ran, ThreadPool, offload};

use crate::support::{Gate, Peak, begin, pool, settle};

/// One thread, which waits for what needs that thread.
#[test]
fn a_call_from_a_body_gets_through_a_full_pool() {
    static THREAD: ThreadPool = ThreadPool::new("one thread").threads(1);
    static CPU: CpuPool = CpuPool::new("one cpu thread").threads(1);

    #[offload(thread, pool = THREAD)]
    fn wait(depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + block_on(wait(depth - 1)) }
    }

    #[offload(cpu, pool = CPU)]
    fn compute(depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + block_on(compute(depth - 1)) }
    }

    assert_eq!(block_on(wait(5)), 5);
    assert_eq!(block_on(compute(5)), 5);
    // Also while others wait for that thread.
    let waits = join_all((0..20).map(|_| wait(3)));
    let computes = join_all((0..20).map(|_| compute(3)));
    let (waits, computes) = block_on(futures::future::join(waits, computes));
    assert!(waits.iter().chain(&computes).all(|depth| *depth == 3));
}

/// The thread that the inner call needs is not that of its caller, but of its
/// caller's caller.
#[test]
fn a_call_by_way_of_another_pool_gets_through() {
    static THREAD: ThreadPool = ThreadPool::new("there").threads(1);
    static CPU: CpuPool = CpuPool::new("and back").threads(1);

    #[offload(cpu, pool = CPU)]
    fn here(depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + block_on(there(depth - 1)) }
    }

    #[offload(thread, pool = THREAD)]
    fn there(depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + block_on(here(depth - 1)) }
    }

    assert_eq!(block_on(here(6)), 6);
}

#[test]
fn a_call_that_needs_the_only_permit_of_its_caller_is_a_deadlock() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT, name = "inner thread")]
    fn inner_thread() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, limit = LIMIT, name = "inner cpu")]
    fn inner_cpu() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = LIMIT)]
    fn from_thread() -> Error {
        block_on(inner_thread()).unwrap_err()
    }

    #[offload(cpu, limit = LIMIT)]
    fn from_cpu() -> Error {
        block_on(inner_cpu()).unwrap_err()
    }

    #[offload(thread, limit = LIMIT)]
    fn across() -> Error {
        block_on(inner_cpu()).unwrap_err()
    }

    for (error, function) in [
        (block_on(from_thread()), "inner thread"),
        (block_on(from_cpu()), "inner cpu"),
        (block_on(across()), "inner cpu"),
    ] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Deadlock, Ran::No));
        assert_eq!(error.function(), function);
    }
    assert_eq!(LIMIT.in_use(), 0);
    block_on(inner_thread()).unwrap();
}

#[test]
#[should_panic = "would wait for ever"]
fn a_deadlock_of_a_function_that_cannot_fail_is_a_panic() {
    #[offload(cpu, limit = 1)]
    fn again(depth: u32) {
        if depth > 0 {
            block_on(again(depth - 1));
        }
    }

    block_on(again(1));
}

/// Each of two bodies holds one of two permits and asks for another: the last
/// to ask is told, and the other then gets what that one gives back.
#[test]
fn bodies_that_wait_for_each_others_permits_do_not_hang() {
    static LIMIT: Limiter = Limiter::new(2);

    #[offload(thread, limit = LIMIT)]
    fn inner() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = LIMIT)]
    fn outer(together: Arc<Barrier>) -> Result<(), Error> {
        together.wait();
        block_on(inner())
    }

    for _ in 0..50 {
        let together = std::sync::Arc::new(std::sync::Barrier::new(2));
        let calls = [outer(together.clone()), outer(together)];
        let answers = block_on(join_all(calls));
        let told = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(told.clone().all(|error| error.kind() == ErrorKind::Deadlock), "{answers:?}");
        assert!(told.count() <= 1);
    }
}

/// Each of three bodies holds what the next one asks for: the last to ask is told, and the others get it
/// one after the other.
#[test]
fn bodies_that_wait_for_each_other_in_a_ring_of_limits_do_not_hang() {
    static LIMITS: [Limiter; 3] = [const { Limiter::new(1) }; 3];

    #[offload(thread, limit = LIMITS[0])]
    fn first(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(second(None))
        })
    }

    #[offload(thread, limit = LIMITS[1])]
    fn second(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(third(None))
        })
    }

    #[offload(cpu, limit = LIMITS[2])]
    fn third(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(first(None))
        })
    }

    for _ in 0..50 {
        let together = Some(Arc::new(Barrier::new(3)));
        let (a, b) = (first(together.clone()), second(together.clone()));
        let (a, b, c) = block_on(async { futures::join!(a, b, third(together)) });
        let answers = [a, b, c];
        let told: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(told.len(), 1, "{answers:?}");
        assert_eq!((told[0].kind(), told[0].ran()), (ErrorKind::Deadlock, Ran::No));
    }
    assert!(LIMITS.iter().all(|limit| (limit.in_use(), limit.waiting()) == (0, 0)));
}

/// Who has the other permit of one of the limits waits for nobody, and ends.
#[test]
fn bodies_that_wait_for_each_other_and_for_one_that_ends_are_no_deadlock() {
    static TWO: Limiter = Limiter::new(2);
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, limit = TWO)]
    fn hold(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, limit = TWO)]
    fn of_two(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(of_one(None))
        })
    }

    #[offload(thread, limit = ONE)]
    fn of_one(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(of_two(None))
        })
    }

    let gate = Gate::default();
    let holder = begin(hold(gate.clone()));
    gate.wait_for(1);
    let together = Some(Arc::new(Barrier::new(2)));
    let (mut first, mut second) = (begin(of_two(together.clone())), begin(of_one(together)));
    settle("both wait", || (TWO.waiting(), ONE.waiting()) == (1, 1));
    assert!(crate::support::poll(&mut first).is_pending());
    assert!(crate::support::poll(&mut second).is_pending());
    gate.open();
    block_on(async {
        second.await.unwrap();
        first.await.unwrap();
        holder.await;
    });
}

/// The first body has given up its call, and goes on: the second waits for what it gives back.
#[test]
fn a_body_that_waits_no_more_is_no_part_of_a_deadlock() {
    static LIMIT: Limiter = Limiter::new(2);

    #[offload(thread, limit = LIMIT)]
    fn inner() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = LIMIT)]
    fn gives_up(gate: Gate) {
        let mut call = begin(inner());
        settle("it waits", || LIMIT.waiting() == 1);
        assert!(crate::support::poll(&mut call).is_pending());
        drop(call);
        gate.pass();
    }

    #[offload(thread, limit = LIMIT)]
    fn waits(gate: Gate) -> Result<(), Error> {
        gate.pass();
        block_on(inner())
    }

    let (gate, held) = (Gate::default(), Gate::default());
    let waits = begin(waits(gate.clone()));
    gate.wait_for(1);
    let gives_up = begin(gives_up(held.clone()));
    held.wait_for(1);
    gate.open();
    settle("it waits", || LIMIT.waiting() == 1);
    held.open();
    block_on(async {
        waits.await.unwrap();
        gives_up.await;
    });
}

/// The permit that the inner call needs is with a body that ends, so it waits
/// for it: on the only thread of its pool, before which other calls queue.
#[test]
fn a_call_from_a_body_waits_for_a_permit_that_comes() {
    static POOL: CpuPool = CpuPool::new("waits inside").threads(1);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT)]
    fn hold(gate: Gate) {
        gate.pass();
    }

    #[offload(cpu, limit = LIMIT, pool = POOL)]
    fn inner(n: u32) -> u32 {
        n
    }

    #[offload(cpu, pool = POOL)]
    fn outer(gate: Gate) -> u32 {
        gate.pass();
        block_on(inner(7))
    }

    let (held, gate) = (Gate::default(), Gate::default());
    let holder = begin(hold(held.clone()));
    held.wait_for(1);
    let outer = begin(outer(gate.clone()));
    gate.wait_for(1);
    let queued: Vec<_> = (0..5).map(|n| begin(inner(n))).collect();
    gate.open();
    crate::support::settle("the inner call waits", || LIMIT.waiting() >= 1);
    held.open();
    assert_eq!(block_on(outer), 7);
    assert_eq!(block_on(join_all(queued)), [0, 1, 2, 3, 4]);
    block_on(holder);
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
}

/// What a body waits for comes by way of a task: nobody sees that it is a call of the body's own
/// pool, but that its thread is blocked while that call waits.
#[test]
fn a_call_that_a_task_makes_for_a_body_gets_through_its_full_cpu_pool() {
    static ONE: CpuPool = CpuPool::new("by way of a task").threads(1);

    #[offload(cpu, pool = ONE)]
    fn leaf() -> u32 {
        7
    }

    #[offload(cpu, pool = ONE)]
    fn spawns() -> u32 {
        let task = async { tokio::spawn(leaf()).await.unwrap() };
        tokio::runtime::Handle::current().block_on(task)
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for _ in 0..3 {
        assert_eq!(runtime.block_on(spawns()), 7);
    }
    assert_eq!(block_on(leaf()), 7);
    settle("nothing stands in any more", || pool("by way of a task").threads <= 1);
}

/// The same by way of a thread, in each of the two bodies that the pool has room for.
#[test]
fn bodies_that_wait_for_threads_which_call_their_own_pool_get_through() {
    static TWO: CpuPool = CpuPool::new("by way of threads").threads(2);

    #[offload(cpu, pool = TWO)]
    fn leaf() -> u32 {
        7
    }

    #[offload(cpu, pool = TWO)]
    fn starts(together: Arc<Barrier>) -> u32 {
        together.wait();
        std::thread::spawn(|| block_on(leaf())).join().unwrap()
    }

    let together = Arc::new(Barrier::new(2));
    let calls = (0..2).map(|_| starts(Arc::clone(&together)));
    assert_eq!(block_on(join_all(calls)), [7, 7]);
}

/// The timer asks the system for each of the threads, and has little time for anything else if it does so
/// without a rest.
#[cfg(target_os = "linux")]
#[test]
fn to_look_whether_many_threads_are_blocked_takes_a_small_part_of_the_time() {
    static MANY: CpuPool = CpuPool::new("many to look at").threads(64);

    #[offload(cpu, pool = MANY)]
    fn wait(gate: Gate) {
        gate.pass();
    }

    // How long the timer was on a processor, in nanoseconds.
    fn used() -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let name = |file: &std::path::Path| std::fs::read_to_string(file.join("comm"));
        let mut timer = tasks.filter(|task| name(task).is_ok_and(|name| name == "offload-timer\n"));
        let times = std::fs::read_to_string(timer.next().unwrap().join("schedstat")).unwrap();
        times.split_whitespace().next().unwrap().parse().unwrap()
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..200).map(|_| begin(wait(gate.clone()))).collect();
    // As many as there are, and as many in their place: there is nothing to do but to look.
    gate.wait_for(128);
    let (start, before) = (std::time::Instant::now(), used());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (used, elapsed) = (used() - before, start.elapsed().as_nanos());
    gate.open();
    block_on(join_all(calls));
    assert!(u128::from(used) < elapsed / 5, "{used} ns of {elapsed}");
}

#[test]
fn a_body_that_waits_for_many_calls_has_one_thread_in_its_place() {
    static ONE: ThreadPool = ThreadPool::new("one in its place").threads(1);
    static PEAK: Peak = Peak::new();

    #[offload(thread, pool = ONE)]
    fn leaf(n: usize) -> usize {
        PEAK.during(|| {
            std::thread::yield_now();
            n
        })
    }

    #[offload(thread, pool = ONE)]
    fn many() -> usize {
        block_on(join_all((0..500).map(leaf))).into_iter().sum()
    }

    assert_eq!(block_on(many()), 124_750);
    assert_eq!(PEAK.most(), 1, "and not a thread for each call");
    assert_eq!(block_on(leaf(3)), 3);
    settle("nothing stands in any more", || pool("one in its place").threads <= 1);
}

/// What is done under a lock for each of them does not grow with their number.
#[test]
fn a_body_waits_for_many_calls_of_a_limit_that_is_taken() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT)]
    fn holds(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, limit = LIMIT)]
    fn leaf(n: usize) -> usize {
        n
    }

    #[offload(thread)]
    fn many(count: usize) -> usize {
        block_on(join_all((0..count).map(leaf))).into_iter().sum()
    }

    let (gate, count) = (Gate::default(), 60_000);
    let holder = begin(holds(gate.clone()));
    gate.wait_for(1);
    let call = begin(many(count));
    // Within its patience, as each takes as long as the first.
    settle("all wait", || LIMIT.waiting() == count);
    gate.open();
    assert_eq!(block_on(call), count * (count - 1) / 2);
    block_on(holder);
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
}

/// `x` has the only thread of its pool and waits for `inner`, on another pool, which needs the
/// permit; the permit is free, or reserved for `queued`, which waits for the thread of `x`.
#[test]
fn a_call_that_blocks_a_body_takes_the_permit_that_is_reserved_for_one_behind_the_body() {
    static ONE: ThreadPool = ThreadPool::new("of x").threads(1);
    static OTHER: ThreadPool = ThreadPool::new("of inner").threads(2);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, pool = OTHER, limit = LIMIT)]
    fn inner() -> u32 {
        7
    }

    #[offload(thread, pool = OTHER, limit = LIMIT)]
    fn holds(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = ONE, limit = LIMIT)]
    fn queued() -> u32 {
        8
    }

    #[offload(thread, pool = ONE)]
    fn x(begun: Gate, gate: Gate) -> u32 {
        begun.pass();
        gate.pass();
        block_on(inner())
    }

    for is_reserved in [false, true] {
        let (held, begun, gate) = (Gate::default(), Gate::default(), Gate::default());
        begun.open();
        let holder = is_reserved.then(|| begin(holds(held.clone())));
        if is_reserved {
            held.wait_for(1);
        }
        // With the permit taken, it is met by the thread, and waits for the permit; then the
        // thread is free for x. With the permit free it stays behind x.
        let before = is_reserved.then(|| begin(queued()));
        if is_reserved {
            settle("it waits for the permit", || LIMIT.waiting() == 1);
        }
        let outer = begin(x(begun.clone(), gate.clone()));
        begun.wait_for(1);
        let behind = (!is_reserved).then(|| begin(queued()));
        held.open();
        if let Some(holder) = holder {
            block_on(holder);
        }
        gate.open();
        assert_eq!(block_on(outer), 7);
        for call in [before, behind].into_iter().flatten() {
            assert_eq!(block_on(call), 8);
        }
    }
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
}

/// `x` has the only thread of its pool and waits for `inner`, which waits for the permit behind `queued`.
/// That one gets the permit first, and needs a thread of that pool.
#[test]
fn a_body_gets_through_whose_call_waits_for_a_permit_behind_one_for_its_own_pool() {
    static ONE: ThreadPool = ThreadPool::new("of x, behind").threads(1);
    static OTHER: ThreadPool = ThreadPool::new("of inner, behind").threads(3);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, pool = OTHER, limit = LIMIT, spawn = start_inner)]
    fn inner() -> u32 {
        7
    }

    #[offload(thread, pool = OTHER, limit = LIMIT)]
    fn holds(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = ONE, limit = LIMIT)]
    fn queued() -> u32 {
        8
    }

    #[offload(thread, pool = OTHER)]
    fn waits_for_queued() -> u32 {
        block_on(queued())
    }

    #[offload(thread, pool = ONE)]
    fn x(is_started: bool) -> u32 {
        if is_started { start_inner().wait().unwrap() } else { block_on(inner()) }
    }

    for is_started in [false, true] {
        let held = Gate::default();
        let holder = begin(holds(held.clone()));
        held.wait_for(1);
        let first = begin(waits_for_queued());
        settle("it waits for the permit", || LIMIT.waiting() == 1);
        let second = begin(x(is_started));
        settle("it waits behind it", || LIMIT.waiting() == 2);
        held.open();
        assert_eq!(block_on(async { futures::join!(holder, first, second) }), ((), 8, 7));
        settle("nothing stands in any more", || pool("of x, behind").threads <= 1);
    }
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
}

/// A permit belongs to a body that runs: a call that only waits for a thread does not keep it.
#[test]
fn a_call_does_not_wait_for_the_busy_pool_of_another_call_with_its_limit() {
    static BUSY: ThreadPool = ThreadPool::new("busy").threads(1);
    static FREE: ThreadPool = ThreadPool::new("free").threads(1);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, pool = BUSY)]
    fn keeps_it_busy(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = BUSY, limit = LIMIT)]
    fn queued() -> u32 {
        8
    }

    #[offload(thread, pool = FREE, limit = LIMIT)]
    fn free() -> u32 {
        7
    }

    let gate = Gate::default();
    let busy = begin(keeps_it_busy(gate.clone()));
    gate.wait_for(1);
    let waits = begin(queued());
    assert_eq!(block_on(free()), 7);
    gate.open();
    block_on(busy);
    assert_eq!(block_on(waits), 8);
}

/// Its permit is another's by then, though a call that it made waits on.
#[test]
fn a_body_that_has_ended_is_in_no_circle() {
    static LEFT: Limiter = Limiter::new(1);
    static RIGHT: Limiter = Limiter::new(1);
    static IS_ANSWERED: AtomicBool = AtomicBool::new(false);

    #[offload(thread, limit = LEFT)]
    fn holds_left(gate: Gate) -> Result<(), Error> {
        gate.pass();
        Ok(())
    }

    #[offload(thread, limit = RIGHT)]
    fn right() -> Result<(), Error> {
        Ok(())
    }

    /// It begins a call, and somebody else waits for that.
    #[offload(thread, limit = LEFT)]
    fn begins_right() -> BoxFuture<'static, Result<(), Error>> {
        begin(right())
    }

    #[offload(thread, limit = RIGHT)]
    fn waits_for_left(gate: Gate) -> Result<(), Error> {
        gate.pass();
        let answer = block_on(holds_left(gate));
        IS_ANSWERED.store(true, Ordering::SeqCst);
        answer
    }

    let (waits, holds) = (Gate::default(), Gate::default());
    let has_right = begin(waits_for_left(waits.clone()));
    waits.wait_for(1);
    let begun = block_on(begins_right());
    settle("it waits", || RIGHT.waiting() == 1);
    let has_left = begin(holds_left(holds.clone()));
    holds.wait_for(1);
    waits.open();
    settle("it waits, or is told", || LEFT.waiting() == 1 || IS_ANSWERED.load(Ordering::SeqCst));
    holds.open();
    block_on(has_left).unwrap();
    block_on(has_right).unwrap();
    block_on(begun).unwrap();
}
