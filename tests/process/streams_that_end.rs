//! The end of the pool of a stream, with a process for each test where all pools end.

use std::fs;
use std::pin::Pin;
use std::process::id;
use std::time::Duration;

use futures::executor::block_on;
use futures::{Stream, StreamExt};
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, Sink, offload, shutdown};
use offload_tests::{begin, pool};

use crate::ending::passes;
use crate::ends::{Told, spin, tell};
use crate::support::{PATIENCE, children, receives, runs, settle};

fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    block_on(stream.next())
}

/// What is left of it: the items, and the error that was the last.
fn rest(stream: Pin<Box<impl Stream<Item = Result<u32, Error>>>>) -> (Vec<u32>, Option<Error>) {
    let mut items: Vec<_> = block_on(stream.collect());
    let error = items.pop_if(|item| item.is_err()).and_then(Result::err);
    (items.into_iter().map(Result::unwrap).collect(), error)
}

fn is_ended(error: Option<Error>, ran: Ran) {
    let error = error.expect("the last item is an error");
    assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, ran), "{error}");
}

#[offload(process, stream = 2)]
fn counts(path: String, below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    tell(&path);
    (0..below).map(Ok)
}

/// More than its buffers hold, while nobody takes any.
#[test]
fn a_stream_that_has_begun_has_the_grace() {
    passes("streams_that_end", "child_gives_streams_grace");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_gives_streams_grace() {
    let told = Told::new();
    let mut items = Box::pin(counts(told.path(), 100));
    assert_eq!(next(&mut items).unwrap().unwrap(), 0);
    let pid = told.pid();
    settle("the worker waits", || receives(pid));
    let ending = begin(shutdown(PATIENCE));
    let (late, error) = rest(Box::pin(counts(told.path(), 1)));
    assert!(late.is_empty());
    is_ended(error, Ran::No);
    let (items, error) = rest(items);
    assert!(items.into_iter().eq(1..100), "{error:?}");
    assert!(error.is_none(), "{error:?}");
    let report = block_on(ending);
    assert_eq!((report.finished, report.abandoned), (1, 0));
    settle("no worker is left", || children().is_empty());
}

static KILLED: ProcessPool = ProcessPool::new("killed streams").workers(2);

#[offload(process, stream = 2, pool = KILLED)]
fn spins_after(first: u32, out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(id())?;
    for n in 0..first {
        out.send(n)?;
    }
    spin()
}

#[test]
fn after_the_grace_streams_are_killed_whether_they_work_or_wait() {
    passes("streams_that_end", "child_kills_streams");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_kills_streams() {
    let mut works = Box::pin(spins_after(1));
    let mut waits = Box::pin(spins_after(1000));
    let pids = [&mut works, &mut waits].map(|items| next(items).unwrap().unwrap());
    settle("the second waits for its consumer", || receives(pids[1]));
    assert_eq!(block_on(shutdown(Duration::ZERO)).abandoned, 2);
    for pid in pids {
        settle("it is killed", || !runs(pid));
    }
    // What had come is there, and then it ends.
    let (items, error) = rest(works);
    assert!(items.is_empty() || items == [0], "{items:?}");
    is_ended(error, Ran::Maybe);
    let (items, error) = rest(waits);
    assert!(items.iter().copied().eq(0..items.len() as u32), "{items:?}");
    is_ended(error, Ran::Maybe);
    settle("no worker is left", || children().is_empty());
}

static CLOSED: ProcessPool = ProcessPool::new("closed streams").workers(2);

#[offload(process, stream = 2, pool = CLOSED)]
fn for_ever(out: &mut Sink<u32>) -> Result<(), Error> {
    out.send(id())?;
    for n in 0.. {
        out.send(n)?;
    }
    Ok(())
}

#[offload(process, stream = 2, pool = CLOSED)]
fn until(path: String) -> impl Iterator<Item = Result<u32, Error>> {
    let go = format!("{path}.go");
    let first = std::iter::once_with(move || {
        tell(&path);
        Ok(0)
    });
    let last = std::iter::from_fn(move || {
        while !fs::exists(&go).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    });
    first.chain(last)
}

#[test]
fn a_closed_pool_ends_its_streams_as_a_shutdown_does_and_opens_again() {
    let mut waits = Box::pin(for_ever());
    let pid = next(&mut waits).unwrap().unwrap();
    settle("it waits for its consumer", || receives(pid));
    assert_eq!(block_on(CLOSED.close(Duration::ZERO)).abandoned, 1);
    settle("it is killed", || !runs(pid));
    let (_, error) = rest(waits);
    is_ended(error, Ran::Maybe);
    let (_, error) = rest(Box::pin(for_ever()));
    is_ended(error, Ran::No);

    CLOSED.open();
    let told = Told::new();
    let mut has_grace = Box::pin(until(told.path()));
    assert_eq!(next(&mut has_grace).unwrap().unwrap(), 0);
    let closing = begin(CLOSED.close(PATIENCE));
    fs::write(told.path() + ".go", "").unwrap();
    assert!(next(&mut has_grace).is_none());
    assert_eq!(block_on(closing).abandoned, 0);
    let pool = pool("closed streams");
    assert_eq!((pool.running, pool.queued, pool.threads), (0, 0, 0));
    CLOSED.open();
}
