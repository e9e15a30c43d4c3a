//! Functions that can be written, and that they do what they say.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use offload_runtime::{Error, ErrorKind, Ran, Sink, offload};
use serde::{Deserialize, Serialize};

#[offload(process)]
fn pid() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[test]
fn a_body_runs_in_another_process() {
    assert_ne!(block_on(pid()).unwrap(), std::process::id());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    title: String,
    pages: Vec<u32>,
}

/// Its docs stay.
#[offload(process)]
pub(crate) fn patterns(
    Document { title, mut pages }: Document,
    (first, second): (u8, u8),
    _: String,
    _unused: Option<u8>,
) -> Result<Document, Error> {
    pages.push(u32::from(first) + u32::from(second));
    Ok(Document { title, pages })
}

#[test]
fn arguments_are_taken_apart() {
    let document = Document { title: "a".into(), pages: vec![1] };
    let changed = block_on(patterns(document, (2, 3), String::new(), None)).unwrap();
    assert_eq!(changed, Document { title: "a".into(), pages: vec![1, 5] });
}

/// Of a type that only has a `str` in its name nothing is read of the message.
#[offload(process)]
fn kind(_: PhantomData<&'static str>) -> Result<String, Error> {
    Ok("text".to_owned())
}

#[test]
fn a_type_may_name_what_is_lent_for_ever_and_have_none() {
    assert_eq!(block_on(kind(PhantomData)).unwrap(), "text");
}

/// What the expansion calls its own.
#[offload(process)]
fn named_as_in_the_expansion(
    __arguments: u32,
    #[to_owned] __result: &str,
    __outbound: u32,
    __body: u32,
) -> Result<u32, Error> {
    Ok(__arguments + __result.parse::<u32>().unwrap() + __outbound + __body)
}

#[offload(process, stream)]
fn pushed_as_in_the_expansion(
    __arguments: u32,
    __result: &mut Sink<u32>,
    __outbound: u32,
) -> Result<(), Error> {
    __result.send(__arguments + __outbound)?;
    Ok(())
}

#[test]
fn arguments_may_have_the_names_of_the_expansion() {
    assert_eq!(block_on(named_as_in_the_expansion(1, "2", 3, 4)).unwrap(), 10);
    let items: Vec<_> = block_on(pushed_as_in_the_expansion(1, 2).collect());
    assert_eq!(items.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [3]);
}

#[offload(process)]
fn lent(
    #[to_owned] text: &str,
    by: usize,
    #[to_owned] numbers: &[u64],
    #[to_owned] path: &Path,
) -> Result<(String, u64, PathBuf), Error> {
    Ok((text.repeat(by), numbers.iter().sum(), path.join("b")))
}

#[test]
fn what_is_lent_is_sent() {
    let text = String::from("ab");
    let result = block_on(lent(&text, 2, &[1, 2, 3], Path::new("/a"))).unwrap();
    assert_eq!(result, ("abab".into(), 6, "/a/b".into()));
}

/// A call of `lent` that outlives what it was lent.
fn made_before() -> BoxFuture<'static, Result<(String, u64, PathBuf), Error>> {
    let (text, numbers, path) = (String::from("ab"), vec![1, 2, 3], PathBuf::from("/a"));
    Box::pin(lent(&text, 2, &numbers, &path))
}

/// In a worker, too, where the body runs in place.
#[offload(process)]
fn lends_in_a_worker() -> Result<(String, u64, PathBuf), Error> {
    block_on(made_before())
}

#[tokio::test]
async fn a_call_borrows_nothing_of_what_it_is_lent() {
    let expected = ("abab".into(), 6, PathBuf::from("/a/b"));
    assert_eq!(tokio::spawn(made_before()).await.unwrap().unwrap(), expected);
    assert_eq!(lends_in_a_worker().await.unwrap(), expected);
}

/// It cannot be cloned, and is lent: only what owns it is read.
#[offload(process)]
fn returns_early(n: u32) -> Result<u32, Error> {
    if n == 0 {
        return Ok(1);
    }
    let half = halve(n)?;
    Ok(half)
}

fn halve(n: u32) -> Result<u32, Error> {
    Ok(n / 2)
}

#[test]
fn return_and_question_mark() {
    assert_eq!(block_on(returns_early(0)).unwrap(), 1);
    assert_eq!(block_on(returns_early(8)).unwrap(), 4);
}

/// An error type of one's own.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum Refusal {
    #[error("no {0}")]
    Missing(String),
    #[error("offload: {0}")]
    Offload(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Offload(error.to_string())
    }
}

type Answer<T> = Result<T, Refusal>;

#[offload(process)]
fn own_error(key: String) -> Answer<u8> {
    if key == "panic" {
        panic!("asked for");
    }
    Err(Refusal::Missing(key))
}

#[test]
fn an_error_of_the_body_and_one_of_the_call() {
    assert_eq!(block_on(own_error("a".into())), Err(Refusal::Missing("a".into())));
    let Err(Refusal::Offload(text)) = block_on(own_error("panic".into())) else {
        panic!("it panics");
    };
    assert!(text.contains("asked for"), "{text}");
}

struct Engine;

impl Engine {
    #[offload(process)]
    fn render(n: u32) -> Result<String, Error> {
        Ok(format!("engine {n}"))
    }
}

struct Motor;

impl Motor {
    #[offload(process)]
    fn render(n: u32) -> Result<String, Error> {
        Ok(format!("motor {n}"))
    }
}

macro_rules! renderer {
    ($($name:ident $word:literal)*) => {
        $(mod $name {
            use super::*;

            #[offload(process)]
            pub(super) fn render(n: u32) -> Result<String, Error> {
                Ok(format!("{} {n}", $word))
            }
        })*
    };
}

renderer!(first "one" second "two");

#[test]
fn functions_of_one_name_are_told_apart() {
    #[offload(process)]
    fn render(n: u32) -> Result<String, Error> {
        Ok(format!("inner {n}"))
    }

    assert_eq!(block_on(Engine::render(1)).unwrap(), "engine 1");
    assert_eq!(block_on(Motor::render(2)).unwrap(), "motor 2");
    assert_eq!(block_on(first::render(3)).unwrap(), "one 3");
    assert_eq!(block_on(second::render(4)).unwrap(), "two 4");
    assert_eq!(block_on(render(5)).unwrap(), "inner 5");
}

#[offload(process, sync = double_sync, name = "double")]
fn double(n: u32) -> Result<(u32, u32), Error> {
    Ok((n * 2, std::process::id()))
}

#[test]
fn the_synchronous_function_stays_here() {
    assert_eq!(double_sync(2).unwrap(), (4, std::process::id()));
    let (doubled, pid) = block_on(double(3)).unwrap();
    assert_eq!(doubled, 6);
    assert_ne!(pid, std::process::id());
}

#[offload(process)]
fn nested(depth: u32) -> Result<Vec<u32>, Error> {
    let mut pids = vec![std::process::id()];
    if depth > 0 {
        // It is ready at once, on any executor.
        pids.extend(nested(depth - 1).now_or_never().unwrap()?);
    }
    Ok(pids)
}

#[test]
fn in_a_worker_a_call_runs_in_place() {
    let pids = block_on(nested(3)).unwrap();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| *pid == pids[0] && *pid != std::process::id()), "{pids:?}");
}

/// It could be kept only by killing the body that waits.
#[test]
fn in_a_worker_a_call_has_no_limit_and_no_deadline_and_panics_into_its_caller() {
    #[offload(process, limit = 1, queue = 0, timeout = "1ms")]
    fn inner(depth: u32) -> Result<u32, Error> {
        std::thread::sleep(Duration::from_millis(5));
        assert!(depth > 0, "deep down");
        Ok(depth)
    }

    #[offload(process)]
    fn outer(depth: u32) -> Result<(u32, bool), Error> {
        // Both at once, beside each other on two threads.
        let other = std::thread::spawn(|| block_on(inner(1)).unwrap());
        let caught = std::panic::catch_unwind(|| block_on(inner(0))).is_err();
        Ok((block_on(inner(depth))? + other.join().unwrap(), caught))
    }

    assert_eq!(block_on(outer(2)).unwrap(), (3, true));
    let error = block_on(outer(0)).unwrap_err();
    assert_eq!(error.kind(), offload_runtime::ErrorKind::Panicked, "{error}");
    assert!(error.to_string().contains("deep down"), "{error}");
}

#[offload(process)]
fn uses_threads(n: u32) -> Result<u32, Error> {
    Ok(block_on(offload_runtime::to_cpu(move || n + 1)))
}

#[test]
fn the_other_kinds_work_in_a_worker() {
    assert_eq!(block_on(uses_threads(1)).unwrap(), 2);
}

#[test]
fn names_that_the_expansion_uses_too() {
    mod core {}
    mod std {}

    #[allow(non_camel_case_types, dead_code)]
    struct Ok;

    #[offload(process)]
    fn shadows(
        arguments: u8,
        outbound: u8,
        result: u8,
        __offload: u8,
        r#type: BTreeMap<u8, u8>,
    ) -> Result<u32, Error> {
        let sum = arguments + outbound + result + __offload + r#type[&1];
        Result::Ok(u32::from(sum))
    }

    assert_eq!(block_on(shadows(1, 2, 3, 4, [(1, 5)].into())).unwrap(), 15);
}

#[test]
fn a_pool_serves_any_executor() {
    let in_tokio = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(pid()).unwrap()
    };
    // One after the other: the pool outlives each.
    assert_ne!(in_tokio(), std::process::id());
    assert_ne!(in_tokio(), std::process::id());
    assert_ne!(block_on(pid()).unwrap(), std::process::id());
}

#[test]
fn nothing_happens_before_the_first_poll() {
    #[offload(process, name = "never polled")]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    drop(never());
    let known = offload_runtime::stats().functions;
    assert!(!known.iter().any(|function| function.name == "never polled"));
}

/// What looks like parameters of an `impl` block around it, and is none.
mod named_by_a_letter {
    use std::fmt::Display;

    use super::*;

    const N: usize = 2;

    #[offload(process)]
    fn inside(text: String) -> Result<usize, Error> {
        const K: usize = 3;
        struct S<T>(T);
        impl<T: Display> S<T> {
            fn length(self) -> usize {
                self.0.to_string().len()
            }
        }
        fn length<T: Display>(value: T) -> usize {
            S::<T>(value).length()
        }
        Ok(length(text) * N + [0; K].len())
    }

    #[test]
    fn a_body_has_items_and_constants_with_such_names() {
        assert_eq!(block_on(inside("ab".to_owned())).unwrap(), 7);
    }
}

/// As what it calls.
#[offload(process, sync = as_called_sync, spawn = as_called_soon)]
fn as_called(as_called: u32, as_called_sync: u32) -> Result<u32, Error> {
    Ok(as_called + as_called_sync)
}

#[test]
fn arguments_have_the_names_of_what_the_expansion_calls() {
    assert_eq!(block_on(as_called(1, 2)).unwrap(), 3);
    assert_eq!(as_called_soon(1, 2).wait().unwrap().unwrap(), 3);
    assert_eq!(as_called_sync(1, 2).unwrap(), 3);
}

/// A panic of the body is one without it.
#[test]
fn with_the_option_for_panics_one_before_the_body_is_an_error_too() {
    #[offload(process, panic = "error")]
    fn falls(why: String) -> Result<(), Error> {
        panic!("{why}")
    }
    #[offload(process, timeout = no_clock(), panic = "error")]
    fn is_not_timed() -> Result<(), Error> {
        Ok(())
    }
    fn no_clock() -> Duration {
        panic!("there is no clock")
    }
    let error = block_on(falls("a stone".to_owned())).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("a stone"), "{error}");
    let error = block_on(is_not_timed()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().ends_with("there is no clock"), "{error}");
}
