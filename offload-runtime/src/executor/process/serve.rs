//! Inside a worker: from the first line of `main` to the end of the process.
//!
//! The main thread reads calls and runs their bodies, one after the other. A
//! second thread, the watch, reads what the parent tells during a call, and
//! kills the process and all that it started when the parent is gone: a body
//! that spins cannot keep it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, mem, process, thread};

use rustix::process::{
    Resource, Rlimit, Signal, getpgrp, getpid, getppid, kill_current_process_group, kill_process,
    setrlimit,
};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};

use super::messages::{Hello, Kind, MAX_HEAD, Panic};
use super::to_parent::{self, REJECTED, Then, frame, message, reject, write};
use super::{descendants, events, inherited, one_call, panics, plan, way};
use crate::error::Ran;
use crate::system::abort::abort_on_panic;
use crate::system::pipe::PipeReader;
use crate::wire::codec;
use crate::wire::frames::{Incoming, ReadError};
use crate::wire::registry;

/// A worker that nobody greets ends after this.
const GREETING: Duration = Duration::from_secs(60);

/// This process is a worker, and user code may run.
static WORKING: AtomicBool = AtomicBool::new(false);

/// Whether this process is a worker: a `process` function that is called in one
/// runs in place.
pub fn in_worker() -> bool {
    WORKING.load(Ordering::Relaxed)
}

/// Works for the parent until it is told to end.
pub(crate) fn serve() -> ! {
    let (mut data, control) = match take_over() {
        Ok(channels) => channels,
        Err(reason) => {
            // Not through `eprintln!`: what it cannot write must not panic.
            let _ = writeln!(
                io::stderr(),
                "this program was started under the name `{}`, which is that of the workers it \
                 starts itself, and {reason}: start it under another name",
                way::MARK,
            );
            process::exit(REJECTED);
        }
    };
    let mut incoming = Incoming::new(plan::MAX_MESSAGE);
    write(&message(Kind::Here, &()), Then::Continue);
    let hello = watch(control)
        .map_err(|error| format!("the system denies a thread: {error}"))
        .and_then(|()| greet(&mut data, &mut incoming));
    let hello = match hello {
        Ok(hello) => hello,
        Err(reason) => reject(&reason),
    };
    incoming.set_limit(hello.max_message.saturating_add(MAX_HEAD));
    write(&message(Kind::Ready, &()), Then::Close);
    loop {
        match incoming.read(&mut data) {
            Ok(frame) if frame.kind == Kind::Call as u8 => {
                to_parent::listen();
                let mut call = codec::Decoder::with_blobs(frame.payload, mem::take(frame.blobs));
                let Ok(head) = call.next() else { process::exit(REJECTED) };
                write(&one_call::answer(&head, call, hello.max_message), Then::Close);
            }
            // It was idle, and might have died.
            Ok(frame) if frame.kind == Kind::Ping as u8 => to_parent::answer_ping(),
            // The last items of the last stream were taken.
            Ok(frame) if frame.kind == Kind::More as u8 => {}
            // The end, by which the parent says that it has no more.
            Err(ReadError::Closed) => {
                // Before: one of them may have to do with what was started.
                if let Some(function) = registry::function(hello.function) {
                    function.drop_lent();
                }
                descendants::end_own();
                process::exit(0)
            }
            Err(ReadError::Io(error)) => {
                // What it prints last is in the error of its call.
                let _ = writeln!(
                    io::stderr(),
                    "this worker's channel to its parent is broken ({error}): has a body closed files \
                     that are not its own?",
                );
                process::exit(REJECTED)
            }
            Ok(_) | Err(_) => process::exit(REJECTED),
        }
    }
}

/// Takes the channels out of the numbers under which they were passed on,
/// where foreign code would print into them. The error: this is no worker.
fn take_over() -> Result<(UnixStream, PipeReader), String> {
    let own = |file| rustix::io::fcntl_dupfd_cloexec(file, 3).map_err(|error| error.to_string());
    let data = own(stdin())?;
    let control = own(stdout())?;
    is_parent(&data)?;
    if getpgrp() != getpid() {
        return Err("it leads no group of processes, as a worker does".to_owned());
    }
    let redirect = || {
        dup2_stdin(File::open("/dev/null")?)?;
        dup2_stdout(stderr())?;
        let data = UnixStream::from(data);
        data.set_nonblocking(false)?;
        Ok((data.try_clone()?, data))
    };
    let (writer, data) =
        redirect().map_err(|error: io::Error| format!("its files cannot be set up: {error}"))?;
    inherited::close_files();
    inherited::leave_signals_to_parent();
    descendants::adopt();
    to_parent::open(writer);
    Ok((data, PipeReader::from(control)))
}

/// Whether the other end of the channel was made by this process's parent.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_parent(data: &OwnedFd) -> Result<(), String> {
    let peer = rustix::net::sockopt::socket_peercred(data).ok();
    // As the system notes it of who made the channel.
    let uid = rustix::process::geteuid();
    let is_parent = peer.is_some_and(|peer| Some(peer.pid) == getppid() && peer.uid == uid);
    is_parent.then_some(()).ok_or_else(|| "its parent is none that did so".to_owned())
}

/// Here only the greeting tells.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_parent(_: &OwnedFd) -> Result<(), String> {
    Ok(())
}

/// Ends this process when its parent is gone, and hears what it says until then.
fn watch(mut control: PipeReader) -> io::Result<()> {
    let watch = move || {
        let mut number = [0; 8];
        while control.read_exact(&mut number).is_ok() {
            one_call::cancel(u64::from_le_bytes(number));
        }
        // With all that it started. Not `exit`, which foreign code could hold
        // up.
        descendants::end_own();
        let _ = kill_current_process_group(Signal::KILL);
        let _ = kill_process(getpid(), Signal::KILL);
    };
    let watch = || abort_on_panic("the thread that hears the parent of a worker", watch);
    thread::Builder::new().name("offload-watch".into()).spawn(watch).map(drop)
}

/// Hears who the parent is, and starts up as it wants. The error is for it.
fn greet(data: &mut UnixStream, incoming: &mut Incoming) -> Result<Hello, String> {
    let give_up = Instant::now() + GREETING;
    let _ = data.set_read_timeout(Some(GREETING));
    let hello: Hello = loop {
        match incoming.read(data) {
            Ok(frame) if frame.kind == Kind::Hello as u8 => {
                break codec::Decoder::new(frame.payload).next()?;
            }
            Err(ReadError::Io(error))
                if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < give_up => {}
            _ => return Err("nobody greeted it as a parent does".to_owned()),
        }
    };
    let _ = data.set_read_timeout(None);
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get());
    if parent != i32::try_from(hello.parent).ok() {
        return Err("it was greeted by a process that is not its parent".to_owned());
    }
    if registry::build().ok() != Some(hello.build) {
        return Err("it is another build of the program than its parent".to_owned());
    }
    let function = registry::function(hello.function)
        .ok_or("it does not have the function that its parent asks for")?;
    let host = function.host().ok_or("it has a function of no pool")?;
    limit_memory(hello.max_memory)?;
    name_thread(host.name());
    hello.priority.apply();
    panics::report(send_panic);
    events::install(send_records);
    events::begin(hello.level);
    WORKING.store(true, Ordering::Relaxed);
    if let Some(on_start) = host.on_start() {
        catch_unwind(on_start).map_err(|payload| {
            format!("its start-up function panicked: {}", panics::take(&*payload, Ran::No).message)
        })?;
    }
    events::end();
    Ok(hello)
}

/// What it may allocate.
fn limit_memory(most: Option<u64>) -> Result<(), String> {
    if most.is_none() {
        return Ok(());
    }
    let limit = Rlimit { current: most, maximum: most };
    setrlimit(Resource::Data, limit)
        .map_err(|error| format!("the system does not limit its memory: {error}"))
}

/// What `ps` and `top` show, in place of the `exe` of `/proc/self/exe`.
fn name_thread(pool: &str) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(name) = std::ffi::CString::new(format!("offload-{pool}")) {
        let _ = rustix::thread::set_name(&name);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = pool;
}

fn send_panic(panic: &Panic) {
    write(&message(Kind::Panicking, panic), Then::Continue);
}

/// What a body said through `tracing`. False: nobody listens, or it is too much.
fn send_records(records: &[u8]) -> bool {
    frame(Kind::Event, records).is_some_and(|message| write(&message, Then::Continue))
}
