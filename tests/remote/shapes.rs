//! The shapes that the attribute accepts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Limiter, Ran, RemotePool, Resource, offload};
use serde::{Deserialize, Serialize};

static SHAPES: RemotePool = RemotePool::new("shapes");
static FEW: Limiter = Limiter::new(2);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    title: String,
    pages: Vec<u32>,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum Problem {
    #[error("no pages")]
    Empty,
    #[error(transparent)]
    Offload(#[from] Error),
}

#[offload(remote, timeout = PATIENCE)]
fn count(document: Document) -> Result<usize, Problem> {
    if document.pages.is_empty() { Err(Problem::Empty) } else { Ok(document.pages.len()) }
}

#[offload(remote, timeout = "20s", pool = SHAPES, name = "shapes of it", sync = shout_sync)]
fn shout(#[to_owned] text: &str, mut times: usize, _: u8) -> Result<String, Error> {
    times += 1;
    Ok(text.to_uppercase().repeat(times))
}

#[offload(remote, timeout = "20s", limit = FEW, queue_timeout = "10s", queue = 1000, attempts = 3)]
fn most_at_once() -> Result<usize, Error> {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    std::thread::yield_now();
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    Ok(running)
}

struct Tools;

impl Tools {
    #[offload(remote, timeout = "20s")]
    fn sum(numbers: Vec<u64>) -> Result<u64, Error> {
        Ok(numbers.into_iter().sum())
    }
}

/// Calls that outlive what they were lent.
#[tokio::test]
async fn a_call_borrows_nothing_of_what_it_is_lent() {
    let call = {
        let text = "ab".to_owned();
        tokio::spawn(shout(&text, 1, 0))
    };
    assert_eq!(call.await.unwrap().unwrap(), "ABAB");
}

#[test]
fn arguments_and_results_are_those_of_the_function() {
    let document = Document { title: "t".to_owned(), pages: vec![1, 2, 3] };
    assert_eq!(block_on(count(document.clone())).unwrap(), 3);
    let problem = block_on(count(Document { pages: Vec::new(), ..document })).unwrap_err();
    assert!(matches!(problem, Problem::Empty), "{problem:?}");
    assert_eq!(block_on(Tools::sum(vec![1, 2])).unwrap(), 3);
}

#[test]
fn what_is_lent_is_sent_and_the_synchronous_function_is_there_too() {
    assert_eq!(block_on(shout("hey", 1, 0)).unwrap(), "HEYHEY");
    assert_eq!(shout_sync("hey", 0, 0).unwrap(), "HEY");
    let stats = offload_runtime::stats();
    let shout = stats.functions.iter().find(|function| function.name == "shapes of it").unwrap();
    assert_eq!((shout.kind, shout.pool), ("remote", "shapes"));
}

#[test]
fn the_future_of_a_call_is_send_and_static() {
    fn is_send<T: Send + 'static>(value: T) -> T {
        value
    }
    drop(is_send(count(Document { title: String::new(), pages: Vec::new() })));
}

#[tokio::test]
async fn no_more_run_at_once_than_the_limit_allows() {
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(most_at_once())).collect();
    for call in calls {
        assert!(call.await.unwrap().unwrap() <= 2);
    }
}

static SUM: Resource<u32> = Resource::new("sum of a remote pool", || Ok(40));

#[offload(remote, timeout = "20s")]
fn add(by: u32, #[resource(SUM)] sum: &mut u32) -> Result<u32, Error> {
    assert_ne!(by, 0, "nothing to add");
    *sum += by;
    Ok(*sum)
}

#[test]
fn a_body_borrows_a_resource_and_its_panic_is_an_error() {
    assert_eq!(block_on(add(1)).unwrap(), 41);
    assert_eq!(block_on(add(2)).unwrap(), 43);
    let error = block_on(add(0)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("nothing to add"), "{error}");
}

/// A panic of the body is one without it.
#[test]
fn with_the_option_for_panics_one_before_the_body_is_an_error_too() {
    #[offload(remote, timeout = PATIENCE, panic = "error")]
    fn falls(why: String) -> Result<(), Error> {
        panic!("{why}")
    }
    #[offload(remote, timeout = no_clock(), panic = "error")]
    fn is_not_timed() -> Result<(), Error> {
        Ok(())
    }
    fn no_clock() -> Duration {
        panic!("there is no clock")
    }
    let error = block_on(falls("a stone".to_owned())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().ends_with("a stone"), "{error}");
    let error = block_on(is_not_timed()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().ends_with("there is no clock"), "{error}");
}
