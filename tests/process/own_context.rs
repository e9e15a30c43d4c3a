//! Context of the program's own kind, where bodies run in a worker: it is the parent's side alone.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload, propagate_with, to_thread};
use offload_tests::pool;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{settle, workers};

thread_local! {
    static HUB: Cell<u32> = const { Cell::new(0) };
    /// 1: the capture panics; 2: `enter` does.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Puts the hub back.
struct Back(u32);

impl Drop for Back {
    fn drop(&mut self) {
        HUB.set(self.0);
    }
}

fn register() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        propagate_with(
            || {
                assert!(PANICS.get() != 1, "while it is captured");
                let state = (HUB.get(), PANICS.get());
                Some(state).filter(|state| *state != (0, 0))
            },
            |(hub, panics)| {
                assert!(panics != 2, "while it is entered");
                Back(HUB.replace(hub))
            },
        );
    });
}

/// Written as the hub of the thread that writes it, and read as what was written.
#[derive(Deserialize)]
struct Seen {
    hub: u32,
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seen = serializer.serialize_struct("Seen", 1)?;
        seen.serialize_field("hub", &HUB.get())?;
        seen.end()
    }
}

#[offload(process, spawn = hubs_soon)]
fn hubs(seen: Seen) -> Result<[u32; 2], Error> {
    Ok([seen.hub, HUB.get()])
}

/// Calls the other one, from a thread of this process.
async fn nested() -> Result<[u32; 2], Error> {
    to_thread(|| block_on(hubs(Seen { hub: 0 }))).await
}

#[test]
fn what_is_entered_is_around_the_arguments_and_not_in_the_worker() {
    register();
    HUB.set(7);
    let ended = [
        block_on(hubs(Seen { hub: 0 })).unwrap(),
        hubs_soon(Seen { hub: 0 }).wait().unwrap().unwrap(),
        block_on(nested()).unwrap(),
    ];
    HUB.set(0);
    assert_eq!(ended, [[7, 0]; 3]);
    assert_eq!(block_on(hubs(Seen { hub: 0 })).unwrap(), [0, 0], "nothing is left on the thread");
}

/// What is plain may be sent before a thread of the pool has it, but not with what it carries along.
#[test]
fn nothing_has_begun_where_it_cannot_be_entered_though_the_arguments_are_plain() {
    static POOL: ProcessPool = ProcessPool::new("enters").workers(1);

    #[offload(process, pool = POOL)]
    fn pid(n: u32) -> Result<u32, Error> {
        Ok(std::process::id() + n)
    }

    register();
    let worker = block_on(pid(0)).unwrap();
    for _ in 0..10 {
        settle("the pool is at rest", || (pool("enters").idle, workers("enters").idle) == (1, 1));
        PANICS.set(2);
        let panic = catch_unwind(AssertUnwindSafe(|| block_on(pid(0)))).unwrap_err();
        PANICS.set(0);
        assert_eq!(panic.downcast_ref(), Some(&"while it is entered"));
        assert_eq!(block_on(pid(0)).unwrap(), worker, "it lives on");
    }
}

#[test]
fn a_panic_of_either_function_is_of_that_call_alone_and_its_worker_lives_on() {
    register();
    for (panics, text, ran) in
        [(1, "while it is captured", Ran::No), (2, "while it is entered", Ran::No)]
    {
        PANICS.set(panics);
        let error = hubs_soon(Seen { hub: 0 }).wait().unwrap_err();
        PANICS.set(0);
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, ran));
        assert!(error.to_string().ends_with(text), "{error}");
        assert_eq!(block_on(hubs(Seen { hub: 0 })).unwrap(), [0, 0]);
    }
}
