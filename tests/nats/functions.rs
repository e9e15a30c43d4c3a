//! The functions that the tests call and the worker serves. Bodies that wait do so on a connection to the
//! test, which so knows when they run, and where.

#![allow(dead_code, reason = "the worker calls none of them")]

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{ErrorKind as Io, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use offload_runtime::{Error, Limiter, RemotePool, Resource, is_cancelled, offload};
use serde::{Deserialize, Serialize};

pub(crate) const JOBS_NAME: &str = "jobs";

/// Soon after its worker is silent, a call has failed.
pub(crate) static JOBS: RemotePool = RemotePool::new(JOBS_NAME).ack_wait(Duration::from_secs(5));

/// One call may wait.
pub(crate) static FULL: RemotePool = RemotePool::new("full").queue(1);

/// Soon after its worker is silent, a call has failed: for tests in which it is silent.
pub(crate) static PARTED: RemotePool = RemotePool::new("parted").ack_wait(Duration::from_secs(3));

/// Bodies have processes of their own.
pub(crate) static ISOLATED: RemotePool =
    RemotePool::new("isolated").isolated().ack_wait(Duration::from_secs(5));

/// The permits of several functions.
static ONE: Limiter = Limiter::new(1);

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Problem {
    #[error("there is no {0}")]
    Missing(String),
    #[error(transparent)]
    Offload(#[from] Error),
}

#[offload(remote, timeout = "60s", pool = JOBS, spawn = start_process_id, name = "process id")]
pub(crate) fn process_id() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[offload(remote, timeout = "60s", pool = JOBS, panic = "error", name = "process id or panic")]
pub(crate) fn process_id_or_panic() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "look up")]
pub(crate) fn look_up(word: String) -> Result<usize, Problem> {
    if word.is_empty() { Err(Problem::Missing("word".to_owned())) } else { Ok(word.len()) }
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "fall")]
pub(crate) fn fall(why: String) -> Result<(), Error> {
    panic!("{why}")
}

/// One in each worker.
pub(crate) static SUM: Resource<u32> = Resource::new("sum", || Ok(0));

#[offload(remote, timeout = "60s", pool = JOBS, name = "add")]
pub(crate) fn add(by: u32, #[resource(SUM)] sum: &mut u32) -> Result<u32, Error> {
    *sum += by;
    Ok(*sum)
}

/// Tells the test that it runs, and waits for its word, or until nobody waits for it.
#[offload(remote, timeout = "60s", pool = JOBS, name = "hold")]
pub(crate) fn hold(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "2s", pool = JOBS, name = "hold for two seconds")]
pub(crate) fn hold_for_two_seconds(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = JOBS, limit = 1, name = "hold alone")]
pub(crate) fn hold_alone(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = JOBS, limit = 1, queue = 1, name = "hold before one")]
pub(crate) fn hold_before_one(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = JOBS, attempts = 3, name = "hold again")]
pub(crate) fn hold_again(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", queue_timeout = "500ms", pool = JOBS, name = "soon")]
pub(crate) fn soon() -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "1s", pool = JOBS, limit = ONE, spawn = start_late, name = "late")]
pub(crate) fn late(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", queue_timeout = "300ms", pool = JOBS, limit = ONE, spawn = start_late_to_begin, name = "late to begin")]
pub(crate) fn late_to_begin(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = JOBS, limit = ONE, name = "next")]
pub(crate) fn next() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[offload(remote, timeout = "60s", pool = PARTED, name = "process id, parted")]
pub(crate) fn process_id_parted() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[offload(remote, timeout = "60s", pool = PARTED, name = "hold, parted")]
pub(crate) fn hold_parted(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = PARTED, attempts = 3, name = "hold again, parted")]
pub(crate) fn hold_again_parted(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = PARTED, attempts = 2, name = "hold twice, parted")]
pub(crate) fn hold_twice_parted(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

/// There is time for one attempt, and for its worker to be found out.
#[offload(remote, timeout = "6s", pool = PARTED, attempts = 3, name = "hold again for six seconds, parted")]
pub(crate) fn hold_again_for_six_seconds_parted(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

#[offload(remote, timeout = "60s", pool = PARTED, name = "give back, parted")]
pub(crate) fn give_back_parted(text: String) -> Result<String, Error> {
    Ok(text)
}

/// When the test says so, a result of so many bytes.
#[offload(remote, timeout = "60s", pool = JOBS, name = "hold and fill")]
pub(crate) fn hold_and_fill(test: u16, with: u8, bytes: usize) -> Result<Vec<u8>, Error> {
    wait_for_word(test)?;
    Ok(vec![with; bytes])
}

#[offload(remote, timeout = "60s", pool = FULL, name = "fill")]
pub(crate) fn fill(number: u32) -> Result<u32, Error> {
    Ok(number)
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "repeat")]
pub(crate) fn repeat(text: String, times: usize) -> Result<String, Error> {
    Ok(text.repeat(times))
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "hold with")]
pub(crate) fn hold_with(with: String, test: u16) -> Result<u32, Error> {
    drop(with);
    wait_for_word(test)
}

/// The same, and a result as large.
#[offload(remote, timeout = "60s", pool = JOBS, name = "hold and give back")]
pub(crate) fn hold_and_give_back(with: String, test: u16) -> Result<String, Error> {
    wait_for_word(test)?;
    Ok(with)
}

#[offload(remote, timeout = "2s", pool = JOBS, name = "hold with, for two seconds")]
pub(crate) fn hold_with_for_two_seconds(with: String, test: u16) -> Result<u32, Error> {
    drop(with);
    wait_for_word(test)
}

/// It says of itself that it cannot be written.
#[derive(Debug, Deserialize)]
pub(crate) struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "take it")]
pub(crate) fn take_it(_it: Stubborn) -> Result<(), Error> {
    Ok(())
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "give it")]
pub(crate) fn give_it() -> Result<Stubborn, Error> {
    Ok(Stubborn)
}

/// Where code that is not the runtime's is called on the way of a call: at its caller, and in the worker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    WriteArgument,
    ReadArgument,
    Body,
    DropOfArgument,
    WriteResult,
    ReadResult,
    Nowhere,
}

/// What it does there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Deed {
    Panic,
    Block,
    CallBack,
    /// At the caller: of the call that is under way.
    DropHandle,
}

impl Deed {
    /// Where code is called that is not the runtime's. Calls are started: on the thread of the connection none can be awaited.
    pub(crate) fn carry_out(self) {
        match self {
            Deed::Panic => panic!("on purpose"),
            Deed::Block => std::thread::sleep(Duration::from_millis(50)),
            Deed::CallBack | Deed::DropHandle => {
                drop(offload_runtime::stats());
                drop(offload_runtime::spawn_cpu(|| 7));
                drop(offload_runtime::spawn_thread(|| 7));
                drop(start_process_id());
            }
        }
    }
}

/// It goes there and back, beside as many bytes as are to be in the result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) deed: Deed,
    pub(crate) bytes: usize,
}

/// What the test does besides, where it has come to the place that is planned.
pub(crate) static IN_TEST: Mutex<Option<fn(Plan)>> = Mutex::new(None);

impl Plan {
    fn at(self, place: Place) {
        if self.place != place {
            return;
        }
        let in_test = *IN_TEST.lock().expect("nobody panics while it is locked");
        if let Some(in_test) = in_test {
            // In the test's process the argument is dropped, too; only the worker's drop counts.
            if place == Place::DropOfArgument {
                return;
            }
            in_test(self);
        }
        self.deed.carry_out();
    }
}

#[derive(Debug)]
pub(crate) struct Argument(pub(crate) Plan);

impl Serialize for Argument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.at(Place::WriteArgument);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Argument, D::Error> {
        let plan = Plan::deserialize(deserializer)?;
        plan.at(Place::ReadArgument);
        Ok(Argument(plan))
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        self.0.at(Place::DropOfArgument);
    }
}

#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Plan);

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.at(Place::WriteResult);
        (self.0, "x".repeat(self.0.bytes)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Answer, D::Error> {
        let (plan, _) = <(Plan, String)>::deserialize(deserializer)?;
        plan.at(Place::ReadResult);
        Ok(Answer(plan))
    }
}

#[offload(remote, timeout = "60s", pool = JOBS, limit = 1, name = "answers")]
pub(crate) fn answers(argument: Argument) -> Result<Answer, Error> {
    argument.0.at(Place::Body);
    Ok(Answer(argument.0))
}

/// Says something to the subscriber of its worker.
#[offload(remote, timeout = "60s", pool = JOBS, name = "say")]
pub(crate) fn say(word: String) -> Result<(), Error> {
    tracing::info!(word);
    Ok(())
}

/// Notes that it has run, in a file of its worker's, and returns its number.
#[offload(remote, timeout = "400s", pool = JOBS, name = "note")]
pub(crate) fn note(number: u32, folder: PathBuf) -> Result<u32, Error> {
    Ok(write_note(number, &folder))
}

#[offload(remote, timeout = "400s", pool = JOBS, attempts = 3, name = "note again")]
pub(crate) fn note_again(number: u32, folder: PathBuf) -> Result<u32, Error> {
    Ok(write_note(number, &folder))
}

/// The same with more than is in a message of the server, both ways.
#[offload(remote, timeout = "400s", pool = JOBS, name = "note and give back")]
pub(crate) fn note_and_give_back(
    number: u32,
    folder: PathBuf,
    text: String,
) -> Result<(u32, String), Error> {
    Ok((write_note(number, &folder), text))
}

fn write_note(number: u32, folder: &Path) -> u32 {
    let file = folder.join(std::process::id().to_string());
    let mut notes =
        OpenOptions::new().append(true).create(true).open(file).expect("it can be made");
    notes.write_all(&number.to_le_bytes()).expect("it can be written");
    number
}

thread_local! {
    /// In the worker: that of the body on this thread.
    pub(crate) static TRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[offload(remote, timeout = "60s", pool = JOBS, name = "trace")]
pub(crate) fn trace() -> Result<Option<String>, Error> {
    Ok(TRACE.with_borrow(Clone::clone))
}

#[offload(remote, timeout = "60s", pool = ISOLATED, name = "hold apart")]
pub(crate) fn hold_apart(test: u16) -> Result<u32, Error> {
    wait_for_word(test)
}

/// Tells the test that it runs, and ends its process.
#[offload(remote, timeout = "60s", pool = ISOLATED, attempts = 3, name = "crash")]
pub(crate) fn crash(test: u16) -> Result<(), Error> {
    let mut connection = TcpStream::connect(("127.0.0.1", test)).expect("the test listens");
    connection.write_all(&std::process::id().to_le_bytes()).expect("the test listens");
    std::process::abort()
}

#[offload(remote, timeout = "60s", pool = ISOLATED, name = "bytes")]
pub(crate) fn bytes(count: usize) -> Result<Vec<u8>, Error> {
    Ok((0..count).map(|number| number as u8).collect())
}

/// That of the body, of its process, and of the process that has started that.
#[offload(remote, timeout = "60s", pool = ISOLATED, name = "surroundings")]
pub(crate) fn surroundings() -> Result<(Option<String>, u32, u32), Error> {
    let trace = TRACE.with_borrow(Clone::clone);
    Ok((trace, std::process::id(), std::os::unix::process::parent_id()))
}

/// The test's connection may be closed meanwhile: that is no word.
fn wait_for_word(test: u16) -> Result<u32, Error> {
    let look = Duration::from_millis(20);
    let mut connection = TcpStream::connect(("127.0.0.1", test)).expect("the test listens");
    connection.write_all(&std::process::id().to_le_bytes()).expect("the test listens");
    connection.set_read_timeout(Some(look)).expect("it can be set");
    loop {
        match connection.read(&mut [0]) {
            Ok(0) => std::thread::sleep(look),
            Ok(_) => return Ok(std::process::id()),
            Err(error) if matches!(error.kind(), Io::WouldBlock | Io::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        if is_cancelled() {
            let _ = connection.write_all(b"c");
            return Ok(0);
        }
    }
}
