//! What makes and drops the resources that bodies share, or that threads have: it panics, blocks and calls back.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{
    Error, ErrorKind, SharedResource, ThreadPool, ThreadResource, offload, shutdown, stats,
};
use offload_tests::{own_process, passes};

use crate::resource;
use crate::support::settle;

static ONE: ThreadPool = ThreadPool::new("one for all").threads(1);
static OTHER: ThreadPool = ThreadPool::new("another").threads(1);

/// Also on the thread of a pool of one, for a call of that pool.
fn calls_back(pool: &'static ThreadPool) {
    thread::sleep(Duration::from_millis(50));
    let _ = stats();
    assert_eq!(pool.spawn(|| 7).wait().unwrap(), 7);
}

#[test]
fn what_makes_and_drops_an_instance_of_a_thread_costs_its_own_call() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    static LOCAL: ThreadResource<Foreign> = ThreadResource::new("a thread's", || {
        match MADE.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            1 => calls_back(&ONE),
            _ => {}
        }
        Ok(Foreign)
    });

    struct Foreign;

    impl Drop for Foreign {
        fn drop(&mut self) {
            // Others are dropped as their threads end, when the pool is closed.
            calls_back(if DROPPED.fetch_add(1, Ordering::SeqCst) == 0 { &ONE } else { &OTHER });
            panic!("on purpose");
        }
    }

    #[offload(thread, pool = ONE)]
    fn borrows(panics: bool, #[resource(LOCAL)] _instance: &mut Foreign) -> Result<(), Error> {
        assert!(!panics, "in the body");
        Ok(())
    }

    assert_eq!(block_on(borrows(false)).unwrap_err().kind(), ErrorKind::Unavailable);
    block_on(borrows(false)).unwrap();
    let panicked = catch_unwind(|| block_on(borrows(true))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"in the body"));
    block_on(borrows(false)).unwrap();
    block_on(ONE.close(Duration::from_secs(60)));
    // A thread that stood in for the one that waited may have had another one.
    settle("all are dropped", || {
        let numbers = resource("a thread's");
        numbers.made >= 2 && numbers.dropped == numbers.made && numbers.in_use == 0
    });
    assert_eq!(OTHER.spawn(|| 7).wait().unwrap(), 7);
}

#[test]
fn what_makes_and_drops_what_is_shared_costs_its_own_call_and_no_shutdown() {
    passes(&mut own_process("foreign_code::child_shares_what_is_foreign"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_shares_what_is_foreign() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static SHARED: SharedResource<Foreign> = SharedResource::new("shared by all", || {
        match MADE.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            _ => calls_back(&ONE),
        }
        Ok(Foreign)
    });

    struct Foreign;

    impl Drop for Foreign {
        fn drop(&mut self) {
            let _ = (stats(), ONE.spawn(|| 7).wait());
            panic!("on purpose");
        }
    }

    #[offload(thread, pool = ONE)]
    fn borrows(#[resource(SHARED)] _instance: &Foreign) -> Result<(), Error> {
        Ok(())
    }

    assert_eq!(block_on(borrows()).unwrap_err().kind(), ErrorKind::Unavailable);
    block_on(borrows()).unwrap();
    assert_eq!(ONE.spawn(|| 7).wait().unwrap(), 7);
    block_on(shutdown(Duration::from_secs(60)));
    settle("it is dropped", || resource("shared by all").dropped == 1);
    settle("nothing runs", || stats().pools.iter().all(|pool| pool.running + pool.queued == 0));
}
