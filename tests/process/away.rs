//! Values whose code does not come back in the parent, where it cannot be killed.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, is_cancelled, offload};
use offload_tests::{begin, pool};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ends::{Told, tell};
use crate::support::{PATIENCE, is_there, settle, workers};

/// Tells that it waits, and waits until it is let go.
struct Door {
    begun: Mutex<Option<Sender<()>>>,
    go_on: Mutex<Option<Receiver<()>>>,
}

impl Door {
    const fn new() -> Door {
        Door { begun: Mutex::new(None), go_on: Mutex::new(None) }
    }

    fn set(&self) -> (Receiver<()>, Sender<()>) {
        let ((begun, is_begun), (open, go_on)) = (channel(), channel());
        *self.begun.lock().unwrap() = Some(begun);
        *self.go_on.lock().unwrap() = Some(go_on);
        (is_begun, open)
    }

    /// The first that comes stays here.
    fn pass(&self) {
        let go_on = self.go_on.lock().unwrap().take();
        if let Some(go_on) = go_on {
            self.begun.lock().unwrap().take().unwrap().send(()).unwrap();
            let _ = go_on.recv();
        }
    }
}

/// One for each test.
static READ: [Door; 2] = [const { Door::new() }; 2];

static WRITTEN: [Door; 2] = [const { Door::new() }; 2];

/// A result: the process of the body.
struct Slow<const DOOR: usize>(u32);

impl<const DOOR: usize> Serialize for Slow<DOOR> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, const DOOR: usize> Deserialize<'de> for Slow<DOOR> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Slow<DOOR>, D::Error> {
        // A worker reads no results.
        READ[DOOR].pass();
        u32::deserialize(deserializer).map(Slow)
    }
}

/// An argument.
struct SlowToWrite<const DOOR: usize>;

impl<const DOOR: usize> Serialize for SlowToWrite<DOOR> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WRITTEN[DOOR].pass();
        serializer.serialize_unit()
    }
}

impl<'de, const DOOR: usize> Deserialize<'de> for SlowToWrite<DOOR> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SlowToWrite<DOOR>, D::Error> {
        <()>::deserialize(deserializer).map(|()| SlowToWrite)
    }
}

/// Once, the pool's only thread was gone for good.
#[test]
fn a_result_that_is_read_for_ever_costs_its_call_and_the_pool_goes_on() {
    static POOL: ProcessPool = ProcessPool::new("reads for ever").workers(1);

    #[offload(process, pool = POOL, timeout = "3s")]
    fn pid() -> Result<Slow<0>, Error> {
        Ok(Slow(std::process::id()))
    }

    let first = block_on(pid()).unwrap().0;
    let (is_begun, open) = READ[0].set();
    let error = match block_on(pid()) {
        Ok(_) => panic!("it was not held up"),
        Err(error) => error,
    };
    is_begun.recv_timeout(PATIENCE).unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let second = block_on(pid()).unwrap().0;
    assert_ne!(first, second);
    assert!(is_there(first), "nobody has reaped it: its thread is away");
    drop(open);
    settle("it is reaped", || !is_there(first));
    settle("no thread is too many", || pool("reads for ever").threads == 1);
    assert_eq!(workers("reads for ever").alive, 1);
    assert_eq!(block_on(pid()).unwrap().0, second);
}

#[test]
fn arguments_that_are_written_for_ever_cost_their_call_and_the_pool_goes_on() {
    static POOL: ProcessPool = ProcessPool::new("writes for ever").workers(1);

    #[offload(process, pool = POOL)]
    fn takes(_argument: SlowToWrite<0>) -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let first = block_on(pid()).unwrap();
    let (is_begun, open) = WRITTEN[0].set();
    let call = begin(takes(SlowToWrite::<0>));
    is_begun.recv_timeout(PATIENCE).unwrap();
    drop(call);
    let second = block_on(pid()).unwrap();
    assert_ne!(first, second);
    drop(open);
    settle("no worker is too many", || !is_there(first));
    settle("no thread is too many", || pool("writes for ever").threads == 1);
    assert_eq!(workers("writes for ever").alive, 1);
    assert_eq!(block_on(pid()).unwrap(), second);
}

#[test]
fn a_pool_that_is_closed_while_its_thread_is_away_has_another_when_it_is_open_again() {
    static POOL: ProcessPool = ProcessPool::new("closed while away").workers(1);

    #[offload(process, pool = POOL)]
    fn takes(_argument: SlowToWrite<1>) -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL, timeout = "60s")]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let (is_begun, open) = WRITTEN[1].set();
    let call = begin(takes(SlowToWrite::<1>));
    is_begun.recv_timeout(PATIENCE).unwrap();
    assert_eq!(block_on(POOL.close(Duration::ZERO)).abandoned, 1);
    POOL.open();
    let next = block_on(pid()).unwrap();
    drop(open);
    let error = block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::No), "{error}");
    assert!(error.to_string().contains("its pool `closed while away` is closed"), "{error}");
    settle("no thread is too many", || pool("closed while away").threads == 1);
    settle("no worker is too many", || workers("closed while away").alive == 1);
    assert_eq!(block_on(pid()).unwrap(), next);
}

/// Whose code might keep the thread for ever, and nobody is there any more who would give it up.
#[test]
fn the_result_of_a_cancelled_call_that_ends_in_its_grace_is_not_read() {
    static POOL: ProcessPool = ProcessPool::new("reads nothing").workers(1).grace(PATIENCE);

    #[offload(process, pool = POOL)]
    fn stops(path: String) -> Result<Slow<1>, Error> {
        tell(&path);
        while !is_cancelled() {
            std::thread::yield_now();
        }
        Ok(Slow(std::process::id()))
    }

    #[offload(process, pool = POOL, timeout = "60s")]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let (is_begun, _open) = READ[1].set();
    let told = Told::new();
    let call = begin(stops(told.path()));
    let worker = told.pid();
    drop(call);
    assert_eq!(block_on(pid()).unwrap(), worker, "the worker is not free");
    assert!(is_begun.try_recv().is_err(), "it was read");
}
