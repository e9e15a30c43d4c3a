//! Calls that are dropped while they wait for a limit that nobody gives back: what is left of them does
//! not add up.

use std::sync::mpsc;

use dhat::{Alloc, HeapStats, Profiler};
use futures::executor::block_on;
use offload_runtime::{Limiter, offload};
use offload_tests::{begin, settle};

#[global_allocator]
static ALLOC: Alloc = Alloc;

static STUCK: Limiter = Limiter::new(1);

#[offload(thread, limit = STUCK)]
fn limited<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

fn until_so_many_wait(calls: usize) {
    settle("so many wait", || STUCK.waiting() == calls);
}

#[test]
fn calls_that_are_dropped_behind_a_limit_that_is_stuck_leave_nothing_that_adds_up() {
    let _profiler = Profiler::builder().testing().build();
    let (release, held) = mpsc::channel::<()>();
    let (starts, started) = mpsc::channel();
    let holder = begin(limited(move || {
        starts.send(()).unwrap();
        held.recv().unwrap_err();
    }));
    started.recv().unwrap();
    // Those that stay are served in their order, after all.
    let (runs, ran) = mpsc::channel();
    let mut stay = Vec::new();
    let mut memory = Vec::new();
    for batch in 0..100 {
        let goes = (0..1000)
            .map(|_| begin(limited(|| unreachable!("it was dropped"))))
            .collect::<Vec<_>>();
        until_so_many_wait(1000 + stay.len());
        drop(goes);
        assert_eq!(STUCK.waiting(), stay.len());
        if batch % 10 == 0 {
            let runs = runs.clone();
            stay.push(begin(limited(move || runs.send(batch).unwrap())));
            until_so_many_wait(stay.len());
        }
        memory.push(HeapStats::get().curr_bytes);
    }
    let (before, after) = (memory[4..14].iter().max().unwrap(), memory.last().unwrap());
    assert!(*after < before + (100 << 10), "{memory:?}");
    drop(release);
    block_on(holder);
    stay.into_iter().for_each(block_on);
    assert!(ran.try_iter().eq((0..100).step_by(10)));
}
