//! Resources of worker processes: one in each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::try_join_all;
use offload_runtime::{
    Error, ErrorKind, ProcessPool, Ran, Resource, SharedResource, ThreadResource, offload,
};

use crate::resource;

/// No `serde` type.
struct Model {
    asked: u32,
}

static MODELS: ProcessPool = ProcessPool::new("models").workers(2);
static MODEL: Resource<Model> = Resource::new("model in a worker", || {
    // What it does from a disk.
    std::thread::sleep(Duration::from_millis(1000));
    Ok(Model { asked: 0 })
});

#[offload(process, pool = MODELS)]
fn ask(by: u32, #[resource(MODEL)] model: &mut Model) -> Result<(u32, u32), Error> {
    model.asked += by;
    Ok((model.asked, std::process::id()))
}

#[test]
fn a_model_that_takes_a_second_to_load_is_loaded_once_in_a_worker() {
    let (asked, pid) = block_on(ask(1)).unwrap();
    assert_ne!(pid, std::process::id());
    assert_eq!(asked, 1);
    // One at a time, by its size: the worker that has it is idle, and gets them all.
    let answers = block_on(try_join_all((0..5).map(|_| ask(1)))).unwrap();
    let mut asked: Vec<_> = answers.iter().map(|(asked, _)| *asked).collect();
    asked.sort_unstable();
    assert_eq!(asked, [2, 3, 4, 5, 6]);
    assert!(answers.iter().all(|(_, other)| *other == pid), "{answers:?}");
    let stats = resource("model in a worker");
    assert_eq!((stats.size, stats.in_use, stats.waiting), (Some(1), 0, 0));
    assert_eq!(stats.made, 0, "the parent has none");
}

static OWN: ProcessPool = ProcessPool::new("nested borrowers").workers(1);
static ONE: Resource<u32> = Resource::new("one in a worker", || Ok(0));
static TABLE: SharedResource<Vec<u32>> =
    SharedResource::new("table in a worker", || Ok(vec![1, 2, 3]));
static LOCAL: ThreadResource<Mutex<u32>> =
    ThreadResource::new("local in a worker", || Ok(Mutex::new(1)));

#[offload(process, pool = OWN, sync = sum_sync)]
fn sum(
    #[resource(TABLE)] table: &Vec<u32>,
    by: u32,
    #[resource(LOCAL)] local: &mut Mutex<u32>,
) -> Result<u32, Error> {
    *local.get_mut().unwrap() += by;
    Ok(table.iter().sum::<u32>() + *local.get_mut().unwrap())
}

#[test]
fn a_worker_has_shared_ones_and_those_of_its_thread() {
    assert_eq!(block_on(sum(0)).unwrap(), 7);
    assert_eq!(block_on(sum(2)).unwrap(), 9);
    assert_eq!(sum_sync(&vec![5], 1, &mut Mutex::new(1)).unwrap(), 7);
}

#[offload(process, pool = OWN)]
fn inner(#[resource(ONE)] one: &mut u32) -> Result<u32, Error> {
    *one += 1;
    Ok(*one)
}

#[offload(process, pool = OWN)]
fn outer(#[resource(ONE)] one: &mut u32) -> Result<u32, Error> {
    *one += 1;
    block_on(inner())
}

#[offload(process, pool = OWN)]
fn around() -> Result<u32, Error> {
    block_on(async { Ok(inner().await? + inner().await?) })
}

/// In a worker, calls run in place.
#[test]
fn nested_calls_in_a_worker_borrow_and_find_what_is_held() {
    assert_eq!(block_on(around()).unwrap(), 3);
    let error = block_on(outer()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Deadlock, Ran::No));
    assert_eq!(block_on(inner()).unwrap(), 4);
}

static FAILS: Resource<()> = Resource::new("not there in a worker", || {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    match TRIES.fetch_add(1, Ordering::SeqCst) {
        0 => Err("no such model".into()),
        1 => panic!("it cannot be read"),
        _ => Ok(()),
    }
});

#[offload(process, pool = OWN, name = "wants a model")]
fn touch(#[resource(FAILS)] _fails: &mut ()) -> Result<(), Error> {
    Ok(())
}

#[test]
fn what_a_worker_cannot_make_is_an_error_with_its_source_and_costs_no_worker() {
    for text in ["no such model", "panicked: it cannot be read"] {
        let error = block_on(touch()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No), "{error}");
        assert_eq!(error.function(), "wants a model");
        let source = std::error::Error::source(&error).expect("it has a source");
        assert_eq!(source.to_string(), text);
    }
    block_on(touch()).unwrap();
}

#[offload(process, pool = OWN)]
fn panics(yes: bool, #[resource(PANICKED)] one: &mut u32) -> Result<u32, Error> {
    *one += 1;
    assert!(!yes, "in a worker");
    Ok(*one)
}

static PANICKED: Resource<u32> = Resource::new("panicked in a worker", || Ok(0));

#[test]
fn after_a_panic_in_a_worker_a_new_one_is_made_there() {
    assert_eq!(block_on(panics(false)).unwrap(), 1);
    assert_eq!(block_on(panics(true)).unwrap_err().kind(), ErrorKind::Panicked);
    assert_eq!(block_on(panics(false)).unwrap(), 1);
    assert_eq!(block_on(panics(false)).unwrap(), 2);
}
