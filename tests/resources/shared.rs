//! `SharedResource`: one instance for all bodies.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{Error, ErrorKind, Ran, SharedResource, ThreadPool, offload};

use crate::resource;
use crate::support::{Gate, begin, pool, settle};

#[test]
fn it_is_made_once_and_lent_to_all_at_once() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static TABLE: SharedResource<Vec<u32>> = SharedResource::new("table", || {
        MADE.fetch_add(1, Ordering::SeqCst);
        Ok(vec![1, 2, 3])
    });

    #[offload(thread)]
    fn sum(gate: Gate, #[resource(TABLE)] table: &Vec<u32>) -> u32 {
        gate.pass();
        table.iter().sum()
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..8).map(|_| begin(sum(gate.clone()))).collect();
    gate.wait_for(8);
    let stats = resource("table");
    assert_eq!((stats.kind, stats.size, stats.in_use, stats.waiting), ("shared", None, 8, 0));
    gate.open();
    assert_eq!(block_on(join_all(calls)), [6; 8]);
    assert_eq!((MADE.load(Ordering::SeqCst), resource("table").made), (1, 1));
}

#[test]
fn calls_that_come_while_it_is_made_wait_without_a_thread() {
    static GO: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
    static POOL: ThreadPool = ThreadPool::new("loads a model");
    static MODEL: SharedResource<u32> = SharedResource::new("model", || {
        GO.lock().unwrap().take().expect("it is made once").recv()?;
        Ok(7)
    });

    #[offload(thread, pool = POOL)]
    fn ask(#[resource(MODEL)] model: &u32) -> u32 {
        *model
    }

    let (go, held) = mpsc::channel();
    *GO.lock().unwrap() = Some(held);
    let calls: Vec<_> = (0..50).map(|_| begin(ask())).collect();
    // How many threads came to look for work depends on the machine; none of them is held.
    settle("all but one wait, and every thread but one is idle", || {
        let pool = pool("loads a model");
        resource("model").waiting == 49 && pool.idle + 1 == pool.threads
    });
    go.send(()).unwrap();
    assert_eq!(block_on(join_all(calls)), [7; 50]);
}

#[test]
fn if_it_cannot_be_made_each_call_tries_again() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    static LATE: SharedResource<u32> =
        SharedResource::new("there at last", || match TRIES.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err("not yet".into()),
            _ => Ok(5),
        });

    #[offload(thread)]
    fn ask(#[resource(LATE)] late: &u32) -> Result<u32, Error> {
        Ok(*late)
    }

    for _ in 0..2 {
        let error = block_on(ask()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No));
    }
    assert_eq!(block_on(ask()).unwrap(), 5);
    assert_eq!((resource("there at last").made, resource("there at last").failed), (1, 2));
}

#[test]
fn a_panic_of_a_body_leaves_it_there() {
    static TABLE: SharedResource<u32> = SharedResource::new("untouched", || Ok(3));

    #[offload(thread)]
    fn ask(panics: bool, #[resource(TABLE)] table: &u32) -> u32 {
        assert!(!panics, "in the body");
        *table
    }

    catch_unwind(|| block_on(ask(true))).unwrap_err();
    assert_eq!(block_on(ask(false)), 3);
    assert_eq!((resource("untouched").made, resource("untouched").dropped), (1, 0));
}

#[test]
fn a_nested_call_has_it_too() {
    static TABLE: SharedResource<u32> = SharedResource::new("nested table", || Ok(3));

    #[offload(thread)]
    fn inner(#[resource(TABLE)] table: &u32) -> u32 {
        *table
    }

    #[offload(thread)]
    fn outer(#[resource(TABLE)] table: &u32) -> u32 {
        block_on(inner()) + *table
    }

    assert_eq!(block_on(outer()), 6);
}
