//! Without a server: the bodies run here, and all that is sent is encoded and decoded.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{
    Error, ErrorKind, Limiter, Ran, RemotePool, Resource, is_cancelled, offload,
};
use serde::{Deserialize, Serialize};

static SMALL: RemotePool = RemotePool::new("small").max_message(1000);

#[test]
fn a_body_runs_on_the_cpu_pool_and_counts_once() {
    #[offload(remote, timeout = "20s", name = "where am I")]
    fn thread_name() -> Result<String, Error> {
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }
    let name = block_on(thread_name()).unwrap();
    assert!(name.starts_with("offload-cpu"), "{name}");
    let stats = offload_runtime::stats();
    let found: Vec<_> =
        stats.functions.iter().filter(|function| function.name == "where am I").collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].started, found[0].finished), (1, 1));
}

#[test]
fn what_is_too_large_or_cannot_be_written_is_told_and_says_whether_the_body_ran() {
    #[offload(remote, timeout = "20s", pool = SMALL)]
    fn grow(bytes: String, to: usize) -> Result<String, Error> {
        Ok(bytes.repeat(to))
    }
    #[offload(remote, timeout = "20s")]
    fn by_pair(map: BTreeMap<String, Stubborn>) -> Result<(), Error> {
        drop(map);
        Ok(())
    }
    assert_eq!(block_on(grow("x".to_owned(), 5)).unwrap(), "xxxxx");
    let error = block_on(grow("x".repeat(2000), 1)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
    let error = block_on(grow("x".to_owned(), 2000)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes), "{error}");
    let map = BTreeMap::from([("a".to_owned(), Stubborn)]);
    let error = block_on(by_pair(map)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
    assert!(error.to_string().contains("not today"), "{error}");
}

/// It cannot be written.
#[derive(Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

/// It is written with a field that the build that reads it does not know, and read with one that the other did not have.
#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    what: String,
    #[serde(default)]
    count: u32,
}

impl Serialize for Order {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Other<'a> {
            colour: &'a str,
            what: &'a str,
        }
        Other { colour: "red", what: &self.what }.serialize(serializer)
    }
}

#[test]
fn a_field_that_is_not_known_is_skipped_and_one_that_is_not_there_has_its_default() {
    #[offload(remote, timeout = "20s")]
    fn give_back(order: Order) -> Result<Order, Error> {
        Ok(order)
    }
    let order = block_on(give_back(Order { what: "bread".to_owned(), count: 7 })).unwrap();
    assert_eq!(order, Order { what: "bread".to_owned(), count: 0 });
}

#[test]
fn a_panic_of_the_body_is_an_error() {
    #[offload(remote, timeout = "20s")]
    fn fall(why: String) -> Result<(), Error> {
        panic!("{why}");
    }
    let error = block_on(fall("a stone".to_owned())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().ends_with("a stone"), "{error}");
}

#[test]
fn a_call_that_is_dropped_while_it_waits_never_runs() {
    static ONE: Limiter = Limiter::new(1);
    static RAN: AtomicBool = AtomicBool::new(false);
    static HOLD: Barrier = Barrier::new(2);

    #[offload(remote, timeout = "20s", limit = ONE)]
    fn hold() -> Result<(), Error> {
        HOLD.wait();
        HOLD.wait();
        Ok(())
    }
    #[offload(remote, timeout = "20s", limit = ONE)]
    fn run() -> Result<(), Error> {
        RAN.store(true, Ordering::SeqCst);
        Ok(())
    }
    let holder = std::thread::spawn(|| block_on(hold()));
    HOLD.wait();
    {
        let mut waiting = pin!(run());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    HOLD.wait();
    holder.join().unwrap().unwrap();
    // The permit is free again, and the dropped call was before this one.
    block_on(hold_no_more()).unwrap();
    assert!(!RAN.load(Ordering::SeqCst));

    #[offload(remote, timeout = "20s", limit = ONE)]
    fn hold_no_more() -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_body_that_nobody_awaits_is_told() {
    static TOLD: std::sync::Mutex<Option<mpsc::Sender<()>>> = std::sync::Mutex::new(None);
    static BEGUN: Barrier = Barrier::new(2);

    #[offload(remote, timeout = "20s")]
    fn work() -> Result<(), Error> {
        BEGUN.wait();
        while !is_cancelled() {
            std::thread::yield_now();
        }
        TOLD.lock().unwrap().take().unwrap().send(()).unwrap();
        Ok(())
    }
    let (tell, told) = mpsc::channel();
    *TOLD.lock().unwrap() = Some(tell);
    {
        let mut call = pin!(work());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        BEGUN.wait();
    }
    told.recv().unwrap();
}

#[test]
fn a_deadline_ends_a_call_and_tells_the_body() {
    static TOLD: std::sync::Mutex<Option<mpsc::Sender<()>>> = std::sync::Mutex::new(None);

    #[offload(remote, timeout = "50ms")]
    fn work() -> Result<(), Error> {
        while !is_cancelled() {
            std::thread::yield_now();
        }
        TOLD.lock().unwrap().take().unwrap().send(()).unwrap();
        Ok(())
    }
    let (tell, told) = mpsc::channel();
    *TOLD.lock().unwrap() = Some(tell);
    for calls in 1.. {
        let error = block_on(work()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // On a busy machine it may be too late before it begins.
        if error.ran() != Ran::No {
            assert_eq!(error.ran(), Ran::Yes);
            break;
        }
        assert!(calls < 1000, "it never begins");
    }
    told.recv().unwrap();
}

/// By its size two may be lent at once, to two workers; here there is one, and so the second waits for the first.
#[test]
fn bodies_of_one_worker_borrow_its_only_instance_one_after_the_other() {
    static SUM: Resource<u32> = Resource::new("one in a worker", || Ok(0)).size(2);
    static LENT: Barrier = Barrier::new(2);
    static OTHER: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

    #[offload(remote, timeout = "20s")]
    fn add(is_first: bool, #[resource(SUM)] sum: &mut u32) -> Result<u32, Error> {
        if is_first {
            LENT.wait();
            // The other one waits meanwhile; it would be told at once.
            let other = OTHER.lock().unwrap().take().unwrap();
            assert!(other.recv_timeout(Duration::from_millis(20)).is_err());
        }
        *sum += 1;
        Ok(*sum)
    }

    let (told, tells) = mpsc::channel();
    *OTHER.lock().unwrap() = Some(tells);
    let first = std::thread::spawn(|| block_on(add(true)));
    LENT.wait();
    let second = block_on(add(false));
    let _ = told.send(());
    assert_eq!((first.join().unwrap().unwrap(), second.unwrap()), (1, 2));
}
