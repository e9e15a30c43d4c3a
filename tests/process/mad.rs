//! What a worker may do that has lost its mind, as by a stray pointer or a wrong number: that costs its own call at most,
//! no other call has its answer, and the pool goes on.

use std::fs;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use futures::FutureExt;
use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Signal, getpid, kill_process};

use crate::ends::{Told, tell};
use crate::support::{is_there, settle};

/// In a worker: its channel.
fn channel() -> BorrowedFd<'static> {
    let open = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let is_socket = |path: &Path| {
        fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    let number = open
        .filter(|path| is_socket(path))
        .find_map(|path| path.file_name()?.to_str()?.parse::<RawFd>().ok());
    // SAFETY: the number is that of an open file of this process, which is not closed.
    #[expect(unsafe_code, reason = "a worker that goes mad is the subject")]
    unsafe {
        BorrowedFd::borrow_raw(number.unwrap())
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[kind][..], &length, payload].concat()
}

/// Kinds of frames.
const CALL: u8 = 4;
const DONE: u8 = 5;
const PANICKED: u8 = 6;
const PANICKING: u8 = 7;
const EVENT: u8 = 9;
const HERE: u8 = 10;
const ITEM: u8 = 11;
const BLOB: u8 = 254;

/// As a result is written: `Ok(7)`.
const SEVEN: &[u8] = b"\x81\xa2Ok\x07";

/// As a number is that no call has, and one that none will have.
const NEVER: [&[u8]; 2] = [b"\0", &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]];

#[test]
fn garbage_costs_its_call_only() {
    static POOL: ProcessPool = ProcessPool::new("garbage").workers(1);

    #[offload(process, pool = POOL)]
    fn writes(garbage: Vec<u8>) -> Result<u8, Error> {
        rustix::io::write(channel(), &garbage).unwrap();
        Ok(1)
    }

    let [before, after] = NEVER.map(|number| frame(DONE, &[number, SEVEN].concat()));
    let garbage = [
        ("a frame of four thousand million", vec![DONE, 0xff, 0xff, 0xff, 0xff]),
        ("an unknown kind", frame(99, b"")),
        ("what parents send", frame(CALL, b"")),
        ("an answer of nothing", frame(DONE, b"")),
        ("an answer to nobody", frame(DONE, SEVEN)),
        ("an answer to another call", before),
        ("an answer to a later call", after),
        ("a panic of nothing", frame(PANICKED, b"")),
        ("a byte that means nothing", frame(PANICKED, b"\xc1")),
        ("an item of what is no stream", frame(ITEM, b"\x07")),
        ("bytes beside, without end", vec![BLOB, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (what, garbage) in garbage {
        let error = block_on(writes(garbage)).expect_err(what);
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        assert!(error.to_string().contains("sent what no worker sends"), "{what}: {error}");
        assert!(!is_there(error.pid().unwrap()));
    }
    // What says nothing costs nothing.
    for garbage in [frame(EVENT, b""), frame(PANICKING, b""), frame(BLOB, b""), vec![]] {
        assert_eq!(block_on(writes(garbage)).unwrap(), 1);
    }
}

/// Once, such an answer was that of the next call.
#[test]
fn what_is_said_between_calls_is_no_answer_to_the_next() {
    static POOL: ProcessPool = ProcessPool::new("says more").workers(1);

    #[offload(process, pool = POOL)]
    fn says_more(path: String, forged: Vec<u8>) -> Result<u8, Error> {
        std::thread::spawn(move || {
            // Its call is over by then.
            settle("it is asked for", || Path::new(&path).exists());
            rustix::io::write(channel(), &forged).unwrap();
            fs::remove_file(path).unwrap();
        });
        Ok(1)
    }

    let told = Told::new();
    let answers = NEVER.map(|number| frame(DONE, &[number, SEVEN].concat()));
    for forged in answers.into_iter().chain([frame(HERE, b"")]) {
        // One that is long is sent to a worker that has said that it is there.
        for length in [0, 1 << 20] {
            assert_eq!(block_on(says_more(told.path(), forged.clone())).unwrap(), 1);
            fs::write(told.path(), "").unwrap();
            settle("it was said", || !Path::new(&told.path()).exists());
            let error = block_on(says_more(String::new(), vec![0; length])).unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        }
    }
}

/// Also where nobody looks at the clock but the thread that listens to it: the caller's is at something else.
#[test]
fn who_speaks_without_end_has_its_deadline() {
    static POOL: ProcessPool = ProcessPool::new("speaks").workers(1);

    #[offload(process, pool = POOL)]
    fn is_ready() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL, timeout = "3s")]
    fn speaks(path: String) -> Result<(), Error> {
        tell(&path);
        loop {
            rustix::io::write(channel(), &frame(EVENT, b"")).unwrap();
        }
    }

    block_on(is_ready()).unwrap();
    let told = Told::new();
    let mut call = std::pin::pin!(speaks(told.path()));
    assert!(call.as_mut().now_or_never().is_none());
    let pid = told.pid();
    settle("it is killed", || !is_there(pid));
    let error = block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe), "{error}");
}

/// All threads of this process: this one a moment later.
fn stop() -> ! {
    kill_process(getpid(), Signal::STOP).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_worker_that_stops_itself_is_killed_with_its_call() {
    static AT_ONCE: ProcessPool = ProcessPool::new("stops").workers(1);
    static LATER: ProcessPool = ProcessPool::new("stops in its grace")
        .workers(1)
        .grace(std::time::Duration::from_millis(50));

    #[offload(process, pool = AT_ONCE)]
    fn at_once_is_ready() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = LATER)]
    fn later_is_ready() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = AT_ONCE, timeout = "3s")]
    fn stops(path: String) -> Result<(), Error> {
        tell(&path);
        stop()
    }

    #[offload(process, pool = LATER, timeout = "3s")]
    fn stops_later(path: String) -> Result<(), Error> {
        tell(&path);
        stop()
    }

    block_on(at_once_is_ready()).and(block_on(later_is_ready())).unwrap();
    let (first, second) = (Told::new(), Told::new());
    let calls = futures::future::join(stops(first.path()), stops_later(second.path()));
    let errors = block_on(calls);
    for (error, told) in [(errors.0.unwrap_err(), first), (errors.1.unwrap_err(), second)] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe), "{error}");
        let pid = told.pid();
        settle("it is reaped", || !is_there(pid));
    }
}

#[test]
fn a_worker_that_hears_no_more_answers_and_is_replaced() {
    static POOL: ProcessPool = ProcessPool::new("hears no more").workers(1);

    #[offload(process, pool = POOL)]
    fn closes(half: bool) -> Result<u32, Error> {
        if half {
            shutdown(channel(), Shutdown::Read).unwrap();
        }
        Ok(std::process::id())
    }

    let first = block_on(closes(true)).unwrap();
    let second = block_on(closes(false)).unwrap();
    assert_ne!(first, second);
    assert_eq!(block_on(closes(false)).unwrap(), second);
}

#[test]
fn a_worker_that_says_no_more_is_killed() {
    static POOL: ProcessPool = ProcessPool::new("says no more").workers(1);

    #[offload(process, pool = POOL)]
    fn closes(half: bool) -> Result<u32, Error> {
        if half {
            shutdown(channel(), Shutdown::Write).unwrap();
            std::thread::sleep(std::time::Duration::MAX);
        }
        Ok(std::process::id())
    }

    let error = block_on(closes(true)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
    assert!(error.to_string().contains("closed its channel"), "{error}");
    assert_ne!(block_on(closes(false)).unwrap(), error.pid().unwrap());
}

#[test]
fn a_body_that_closes_its_standard_files_keeps_its_worker() {
    static POOL: ProcessPool = ProcessPool::new("closes its files").workers(1);

    #[offload(process, pool = POOL)]
    fn closes(number: Option<RawFd>) -> Result<u32, Error> {
        if let Some(number) = number {
            // SAFETY: none that matters: the file is this process's, and nobody opens another here.
            #[expect(unsafe_code, reason = "a worker that goes mad is the subject")]
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        println!("to nobody");
        Ok(std::process::id())
    }

    let first = block_on(closes(Some(1))).unwrap();
    for number in [Some(0), Some(2), None] {
        assert_eq!(block_on(closes(number)).unwrap(), first);
    }
}

#[test]
fn the_largest_message_is_sent_and_one_byte_more_is_not() {
    static POOL: ProcessPool = ProcessPool::new("one byte more").workers(1).max_message(2 << 20);

    #[offload(process, pool = POOL)]
    fn takes(text: String) -> Result<usize, Error> {
        Ok(text.len())
    }

    #[offload(process, pool = POOL)]
    fn gives(bytes: usize) -> Result<String, Error> {
        Ok("x".repeat(bytes))
    }

    // The head of a text takes five bytes, and that it is a result takes four.
    let most = (2 << 20) - 5;
    assert_eq!(block_on(takes("x".repeat(most))).unwrap(), most);
    assert_eq!(block_on(gives(most - 4)).unwrap().len(), most - 4);
    let refused = |result: Result<usize, Error>, ran| {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, ran), "{error}");
        let bytes = format!("{} bytes, and its pool sends at most {}", (2 << 20) + 1, 2 << 20);
        assert!(error.to_string().contains(&bytes), "{error}");
    };
    refused(block_on(takes("x".repeat(most + 1))), Ran::No);
    refused(block_on(gives(most - 3)).map(|text| text.len()), Ran::Yes);
}
