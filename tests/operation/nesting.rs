//! Bodies that wait for calls: nothing hangs.

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{CpuPool, Error, ErrorKind, Limiter, Ran, ThreadPool, offload};

use crate::support::{Gate, begin};

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

    #[offload(thread, limit = LIMIT, queue = 10, name = "inner thread")]
    fn inner_thread() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, limit = LIMIT, queue = 10, name = "inner cpu")]
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

    #[offload(thread, limit = LIMIT, queue = 10)]
    fn inner() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = LIMIT)]
    fn outer(together: std::sync::Arc<std::sync::Barrier>) -> Result<(), Error> {
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
