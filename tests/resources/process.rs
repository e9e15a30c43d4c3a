//! Resources of worker processes: one in each.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::try_join_all;
use offload_runtime::{
    Error, ErrorKind, ProcessPool, Ran, Resource, SharedResource, ThreadResource, offload, shutdown,
};
use offload_tests::{own_process, passes};

use crate::resource;
use crate::support::{PATIENCE, begin, settle};

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

static PAIR: ProcessPool = ProcessPool::new("borrowers of two").workers(4);
static TWO: Resource<()> = Resource::new("two workers at once", || Ok(())).size(2);

/// Says that it is there, and ends when there is another file.
#[offload(process, pool = PAIR)]
fn hold(folder: PathBuf, number: u32, #[resource(TWO)] _two: &mut ()) -> Result<u32, Error> {
    File::create(folder.join(number.to_string())).unwrap();
    while !folder.join("go on").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(std::process::id())
}

#[test]
fn as_many_workers_use_one_at_once_as_its_size_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut calls: Vec<_> = (0..5).map(|n| begin(hold(path.to_owned(), n))).collect();
    let begun = || fs::read_dir(path).unwrap().count();
    settle("two have one, and three wait", || {
        let stats = resource("two workers at once");
        (stats.in_use, stats.waiting, begun()) == (2, 3, 2)
    });
    assert_eq!(resource("two workers at once").size, Some(2));
    // One that waits is dropped: it never begins.
    let dropped = calls.pop();
    drop(dropped);
    assert_eq!(resource("two workers at once").waiting, 2);
    File::create(path.join("go on")).unwrap();
    let mut pids = block_on(try_join_all(calls)).unwrap();
    assert_eq!(begun(), 5, "four of them, and what lets them go on");
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() >= 2, "{pids:?}");
    let stats = resource("two workers at once");
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
}

static SUM: Resource<u32> = Resource::new("of two threads", || Ok(0));
static LENT: Barrier = Barrier::new(2);
static OTHER: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

#[offload(process, pool = OWN)]
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

#[offload(process, pool = OWN)]
fn from_two_threads() -> Result<(u32, u32), Error> {
    let (told, tells) = mpsc::channel();
    *OTHER.lock().unwrap() = Some(tells);
    thread::scope(|scope| {
        let first = scope.spawn(|| block_on(add(true)));
        let second = scope.spawn(move || {
            LENT.wait();
            let sum = block_on(add(false));
            let _ = told.send(());
            sum
        });
        Ok((first.join().unwrap()?, second.join().unwrap()?))
    })
}

#[test]
fn threads_of_a_body_in_a_worker_borrow_one_after_the_other() {
    assert_eq!(block_on(from_two_threads()).unwrap(), (1, 2));
}

/// Writes its name into a file when it is dropped, which the shared one of them does slowly.
struct Noted(&'static str, Option<PathBuf>);

impl Drop for Noted {
    fn drop(&mut self) {
        let path = self.1.as_ref().expect("a body has said where");
        if self.0 == "shared" {
            // Longer than a worker has where there is no grace.
            thread::sleep(Duration::from_millis(1200));
        }
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        writeln!(file, "{}", self.0).unwrap();
        assert!(self.0 != "exclusive", "it must not keep the others");
    }
}

static ENDS: ProcessPool = ProcessPool::new("ends in good order").workers(1);
static EXCLUSIVE: Resource<Noted> =
    Resource::new("exclusive until the end", || Ok(Noted("exclusive", None)));
static SHARED: SharedResource<Mutex<Noted>> =
    SharedResource::new("shared until the end", || Ok(Mutex::new(Noted("shared", None))));
static OF_THREAD: ThreadResource<Noted> =
    ThreadResource::new("of a thread until the end", || Ok(Noted("of a thread", None)));

#[offload(process, pool = ENDS)]
fn note(
    path: PathBuf,
    #[resource(EXCLUSIVE)] exclusive: &mut Noted,
    #[resource(SHARED)] shared: &Mutex<Noted>,
    #[resource(OF_THREAD)] of_thread: &mut Noted,
) -> Result<(), Error> {
    exclusive.1 = Some(path.clone());
    shared.lock().unwrap().1 = Some(path.clone());
    of_thread.1 = Some(path);
    Ok(())
}

fn are_dropped(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines == ["exclusive", "of a thread", "shared"]
}

#[test]
fn a_worker_that_ends_in_good_order_drops_what_it_has_made() {
    let shuts_down = thread::spawn(|| {
        passes(&mut own_process("process::child_whose_worker_has_made_something"));
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dropped");
    block_on(note(file.clone())).unwrap();
    assert!(!file.exists(), "it is kept for the next call");
    assert_eq!(block_on(ENDS.close(PATIENCE)).abandoned, 0);
    assert!(are_dropped(&file));
    shuts_down.join().unwrap();
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_worker_has_made_something() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dropped");
    block_on(note(file.clone())).unwrap();
    assert_eq!(block_on(shutdown(PATIENCE)).abandoned, 0);
    assert!(are_dropped(&file));
}

#[test]
fn a_process_function_that_borrows_is_a_handler() {
    #[offload(process, pool = OWN)]
    #[axum::debug_handler]
    fn answer(by: String, #[resource(TABLE)] table: &Vec<u32>) -> Result<String, Error> {
        Ok(format!("{by}{table:?}"))
    }

    let _: axum::Router = axum::Router::new().route("/", axum::routing::post(answer));
    assert_eq!(block_on(answer("a".to_owned())).unwrap(), "a[1, 2, 3]");
}
