//! A pool whose bodies have processes of their own, without a server: they are this program's.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Waker};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, RemotePool, offload};

static APART: RemotePool = RemotePool::new("apart").isolated().max_message(1 << 20);

#[offload(remote, timeout = "60s", pool = APART)]
fn process_id() -> Result<u32, Error> {
    Ok(std::process::id())
}

#[test]
fn a_body_that_aborts_costs_its_call_and_the_next_one_runs() {
    #[offload(remote, timeout = "60s", pool = APART, attempts = 3, name = "aborts")]
    fn abort() -> Result<(), Error> {
        std::process::abort()
    }
    for _ in 0..3 {
        let error = block_on(abort()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
        assert_eq!(error.signal(), Some(6), "{error}");
        assert_ne!(block_on(process_id()).unwrap(), std::process::id());
    }
    let stats = offload_runtime::stats();
    let function = stats.functions.iter().find(|function| function.name == "aborts").unwrap();
    assert_eq!((function.started, function.finished, function.died), (3, 0, 3));
}

#[test]
fn results_and_panics_come_back_as_from_elsewhere() {
    #[offload(remote, timeout = "60s", pool = APART)]
    fn bytes(count: usize) -> Result<Vec<u8>, Error> {
        assert_ne!(count, 0, "no bytes");
        Ok((0..count).map(|number| number as u8).collect())
    }
    // Less and more than what is sent beside a message.
    for count in [1, 1000, 300_000] {
        let bytes = block_on(bytes(count)).unwrap();
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
        assert_eq!(bytes.len(), count);
    }
    let error = block_on(bytes(0)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().contains("no bytes"), "{error}");
    let error = block_on(bytes(2 << 20)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::Yes), "{error}");
}

#[test]
fn a_body_that_nobody_waits_for_is_killed() {
    #[offload(remote, timeout = "60s", pool = APART)]
    fn hold(test: u16) -> Result<(), Error> {
        let mut connection = TcpStream::connect(("127.0.0.1", test)).expect("the test listens");
        connection.write_all(b"h").expect("the test listens");
        let _ = connection.read(&mut [0]);
        Ok(())
    }
    let line = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut body = {
        let mut call = pin!(hold(line.local_addr().unwrap().port()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        let (mut body, _) = line.accept().unwrap();
        body.read_exact(&mut [0]).unwrap();
        body
    };
    // It ends with its process, and not by a word from here.
    let _ = body.read_to_end(&mut Vec::new());
}
