//! `limit`: at most so many bodies at once, in order.

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{CpuPool, Limiter, ThreadPool, offload};

use crate::support::{Gate, Peak, begin, pool, settle};

#[test]
fn a_number_limits_the_bodies_and_waiting_calls_use_no_thread() {
    static POOL: ThreadPool = ThreadPool::new("three at once");

    #[offload(thread, limit = 3, pool = POOL)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..50).map(|_| begin(enter(gate.clone()))).collect();
    gate.wait_for(3);
    // How many threads came to look for work depends on the machine; none of them is held.
    settle("the others wait for a permit, and every thread but three is idle", || {
        let pool = pool("three at once");
        pool.queued == 0 && pool.running == 3 && pool.idle == pool.threads - 3
    });
    assert_eq!(gate.entered(), 3);
    gate.open();
    block_on(join_all(calls));
    assert_eq!(gate.entered(), 50);
}

#[test]
fn a_const_is_a_limit_too() {
    const AT_ONCE: usize = 2;
    static PEAK: Peak = Peak::new();

    #[offload(thread, limit = AT_ONCE)]
    fn work() {
        PEAK.during(std::thread::yield_now);
    }

    block_on(join_all((0..200).map(|_| work())));
    assert!(PEAK.most() <= 2, "{}", PEAK.most());
}

/// The permit belongs to the body. If the call had it, each dropped call would
/// let one more body in: five abandoned calls, five bodies at once.
#[test]
fn a_body_keeps_its_permit_when_its_caller_has_gone() {
    static LIMIT: Limiter = Limiter::new(1);
    static PEAK: Peak = Peak::new();

    #[offload(thread, limit = LIMIT)]
    fn work(gate: Gate) {
        PEAK.during(|| gate.pass());
    }

    let mut gates = Vec::new();
    for _ in 0..5 {
        let gate = Gate::default();
        let call = begin(work(gate.clone()));
        if let Some(before) = gates.last() {
            // Its body waits for the one before, whose caller has gone.
            settle("it is in the line", || LIMIT.waiting() == 1);
            assert_eq!(gate.entered(), 0);
            Gate::open(before);
        }
        gate.wait_for(1);
        drop(call);
        assert_eq!(LIMIT.in_use(), 1);
        gates.push(gate);
    }
    gates[4].open();
    settle("the last body has ended", || LIMIT.in_use() == 0);
    assert_eq!(PEAK.most(), 1);
}

/// In the order in which threads meet them: here it is one that meets all but the first.
#[test]
fn first_come_first_served() {
    static POOL: ThreadPool = ThreadPool::new("in order").threads(2);
    static ONE: Limiter = Limiter::new(1);

    #[offload(thread, limit = ONE, pool = POOL)]
    fn note(n: usize, order: Arc<Mutex<Vec<usize>>>, gate: Gate) {
        gate.pass();
        order.lock().unwrap().push(n);
    }

    let (order, gate) = (Arc::new(Mutex::new(Vec::new())), Gate::default());
    let mut calls = vec![begin(note(0, Arc::clone(&order), gate.clone()))];
    gate.wait_for(1);
    calls.extend((1..300).map(|n| begin(note(n, Arc::clone(&order), gate.clone()))));
    settle("all others wait for the permit", || ONE.waiting() == 299);
    gate.open();
    block_on(join_all(calls));
    assert_eq!(*order.lock().unwrap(), (0..300).collect::<Vec<_>>());
}

/// Of two permits that come back, one is kept for the call that waits, and the other is free when a thread meets it.
#[test]
fn a_call_has_the_permit_that_is_kept_for_it_though_another_is_free() {
    static POOL: ThreadPool = ThreadPool::new("meets it late").threads(1);
    static TWO: Limiter = Limiter::new(2);

    #[offload(thread, limit = TWO)]
    fn holds(gate: Gate) {
        gate.pass();
    }

    #[offload(thread, limit = TWO, pool = POOL)]
    fn waits() {}

    let hold_both = || {
        let gate = Gate::default();
        let holders = [begin(holds(gate.clone())), begin(holds(gate.clone()))];
        gate.wait_for(2);
        (gate, holders)
    };
    let (gate, holders) = hold_both();
    let waiting = begin(waits());
    settle("it waits", || TWO.waiting() == 1);
    // The only thread that meets it.
    let busy = Gate::default();
    let keeps = busy.clone();
    let keeps = begin(POOL.run(move || keeps.pass()));
    busy.wait_for(1);
    gate.open();
    block_on(join_all(holders));
    assert_eq!((TWO.in_use(), TWO.waiting()), (0, 0));
    busy.open();
    block_on(keeps);
    block_on(waiting);
    let (gate, holders) = hold_both();
    gate.open();
    block_on(join_all(holders));
}

#[test]
fn functions_of_both_kinds_share_a_limiter() {
    static DATABASE: Limiter = Limiter::new(3);
    static PEAK: Peak = Peak::new();

    #[offload(thread, limit = DATABASE)]
    fn wait(n: u32) -> u32 {
        PEAK.during(|| {
            std::thread::yield_now();
            n
        })
    }

    #[offload(cpu, limit = DATABASE)]
    fn compute(n: u32) -> u32 {
        PEAK.during(|| {
            std::thread::yield_now();
            n
        })
    }

    let sum = block_on(async {
        let waits = join_all((0..500).map(wait));
        let computes = join_all((0..500).map(compute));
        let (waits, computes) = futures::join!(waits, computes);
        waits.into_iter().chain(computes).sum::<u32>()
    });
    assert_eq!(sum, 2 * (0..500).sum::<u32>());
    assert!(PEAK.most() <= 3, "{}", PEAK.most());
    assert_eq!((DATABASE.in_use(), DATABASE.waiting()), (0, 0));
}

#[test]
fn a_limiter_is_resized_while_it_is_in_use() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT)]
    fn enter(gate: Gate) {
        gate.pass();
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..10).map(|_| begin(enter(gate.clone()))).collect();
    gate.wait_for(1);
    settle("nine wait", || LIMIT.waiting() == 9);
    LIMIT.set_limit(4);
    gate.wait_for(4);
    settle("six wait", || LIMIT.waiting() == 6);
    assert_eq!((LIMIT.in_use(), LIMIT.limit()), (4, 4));
    // Lowered below what runs: nobody starts until enough have ended.
    LIMIT.set_limit(2);
    gate.open();
    block_on(join_all(calls));
    settle("all permits are back", || LIMIT.in_use() == 0);
    assert_eq!(gate.entered(), 10);
}

#[test]
fn a_dropped_call_leaves_the_line_at_once() {
    static LIMIT: Limiter = Limiter::new(1);
    // One thread is in the body, and the other brings the calls into the line.
    static POOL: CpuPool = CpuPool::new("leave the line").threads(2);

    #[offload(cpu, limit = LIMIT, pool = POOL)]
    fn enter(gate: Gate, _argument: Arc<()>) {
        gate.pass();
    }

    let (gate, argument) = (Gate::default(), Arc::new(()));
    let first = begin(enter(gate.clone(), Arc::clone(&argument)));
    gate.wait_for(1);
    let others: Vec<_> =
        (0..100).map(|_| begin(enter(gate.clone(), Arc::clone(&argument)))).collect();
    settle("all others wait for the permit", || LIMIT.waiting() == 100);
    drop(others);
    assert_eq!(LIMIT.waiting(), 0);
    settle("the arguments are dropped", || Arc::strong_count(&argument) == 2);
    gate.open();
    block_on(first);
    assert_eq!(gate.entered(), 1);
    // The permit came back, and serves again.
    block_on(enter(gate.clone(), argument));
}

#[test]
fn a_panicking_body_gives_its_permit_back() {
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(thread, limit = LIMIT)]
    fn fail() {
        panic!("on purpose");
    }

    for _ in 0..3 {
        let call = std::panic::AssertUnwindSafe(fail());
        assert!(block_on(futures::FutureExt::catch_unwind(call)).is_err());
        assert_eq!(LIMIT.in_use(), 0);
    }
}

#[test]
#[should_panic = "a limit has to be at least 1"]
fn a_limit_of_zero_is_refused() {
    Limiter::new(4).set_limit(0);
}
