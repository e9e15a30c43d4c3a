//! Calls that wait for an instance, and the threads of pools: neither keeps the other from those who could go on.

use futures::executor::block_on;
use offload_runtime::{Resource, ThreadPool, offload};

use crate::resource;
use crate::support::{Gate, begin, settle};

/// `x` has the only thread of its pool and waits for `inner`, on another pool, which borrows the
/// instance; that is free, or reserved for `queued`, which waits for the thread of `x`.
#[test]
fn a_call_that_blocks_a_body_borrows_what_is_reserved_for_one_behind_the_body() {
    static ONE: ThreadPool = ThreadPool::new("of the borrower").threads(1);
    static OTHER: ThreadPool = ThreadPool::new("of what it waits for").threads(2);
    static LENT: Resource<u32> = Resource::new("reserved", || Ok(7));

    #[offload(thread, pool = OTHER)]
    fn inner(#[resource(LENT)] lent: &mut u32) -> u32 {
        *lent
    }

    #[offload(thread, pool = OTHER)]
    fn holds(gate: Gate, #[resource(LENT)] _lent: &mut u32) {
        gate.pass();
    }

    #[offload(thread, pool = ONE)]
    fn queued(#[resource(LENT)] lent: &mut u32) -> u32 {
        *lent + 1
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
        // With the instance lent, it is met by the thread, and waits for it; then the thread is free
        // for x. With the instance free it stays behind x.
        let before = is_reserved.then(|| begin(queued()));
        if is_reserved {
            settle("it waits for the instance", || resource("reserved").waiting == 1);
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
    let stats = resource("reserved");
    assert_eq!((stats.in_use, stats.waiting, stats.made), (0, 0, 1));
}

/// An instance belongs to a body that runs: a call that only waits for a thread does not keep it.
#[test]
fn a_call_does_not_wait_for_the_busy_pool_of_another_call_with_its_resource() {
    static BUSY: ThreadPool = ThreadPool::new("busy borrowers").threads(1);
    static FREE: ThreadPool = ThreadPool::new("free borrowers").threads(1);
    static LENT: Resource<u32> = Resource::new("of both pools", || Ok(7));

    #[offload(thread, pool = BUSY)]
    fn keeps_it_busy(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, pool = BUSY)]
    fn queued(#[resource(LENT)] lent: &mut u32) -> u32 {
        *lent + 1
    }

    #[offload(thread, pool = FREE)]
    fn free(#[resource(LENT)] lent: &mut u32) -> u32 {
        *lent
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
