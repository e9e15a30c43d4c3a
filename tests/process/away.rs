//! Values whose code does not come back in the parent, where it cannot be killed.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, offload, stats};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ends::begin;
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

static READ: Door = Door::new();

static WRITTEN: Door = Door::new();

/// A result: the process of the body.
struct Slow(u32);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Slow, D::Error> {
        // A worker reads no results.
        READ.pass();
        u32::deserialize(deserializer).map(Slow)
    }
}

/// An argument.
struct SlowToWrite;

impl Serialize for SlowToWrite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WRITTEN.pass();
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for SlowToWrite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SlowToWrite, D::Error> {
        <()>::deserialize(deserializer).map(|()| SlowToWrite)
    }
}

fn threads(pool: &str) -> usize {
    stats().pools.iter().find(|known| known.name == pool).unwrap().threads
}

/// Once, the pool's only thread was gone for good.
#[test]
fn a_result_that_is_read_for_ever_costs_its_call_and_the_pool_goes_on() {
    static POOL: ProcessPool = ProcessPool::new("reads for ever").workers(1);

    #[offload(process, pool = POOL, timeout = "3s")]
    fn pid() -> Result<Slow, Error> {
        Ok(Slow(std::process::id()))
    }

    let first = block_on(pid()).unwrap().0;
    let (is_begun, open) = READ.set();
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
    settle("no thread is too many", || threads("reads for ever") == 1);
    assert_eq!(workers("reads for ever").alive, 1);
    assert_eq!(block_on(pid()).unwrap().0, second);
}

#[test]
fn arguments_that_are_written_for_ever_cost_their_call_and_the_pool_goes_on() {
    static POOL: ProcessPool = ProcessPool::new("writes for ever").workers(1);

    #[offload(process, pool = POOL)]
    fn takes(_argument: SlowToWrite) -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let first = block_on(pid()).unwrap();
    let (is_begun, open) = WRITTEN.set();
    let call = begin(takes(SlowToWrite));
    is_begun.recv_timeout(PATIENCE).unwrap();
    drop(call);
    let second = block_on(pid()).unwrap();
    assert_ne!(first, second);
    drop(open);
    settle("no worker is too many", || !is_there(first));
    settle("no thread is too many", || threads("writes for ever") == 1);
    assert_eq!(workers("writes for ever").alive, 1);
    assert_eq!(block_on(pid()).unwrap(), second);
}
