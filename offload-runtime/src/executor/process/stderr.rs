//! What workers print: to this process's stderr, and its tail is kept for the
//! error, should the worker die.
//!
//! One thread reads for all workers, so that none ever blocks on a full pipe, and another one
//! [prints](super::printer). The first is also the one to see that a worker has died while it had no call.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::{fmt, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};

use super::printer;
use crate::system::abort::{Unpoisoned, abort_on_panic};
use crate::system::pipe::{PipeReader, PipeWriter, pipe};

/// So much is kept for the error, in bytes.
const TAIL: usize = 16 << 10;

/// So much is read at once, before others have their turn.
const TURN: usize = 64 << 10;

/// Called when a worker has ended.
pub(crate) type OnEnd = Box<dyn Fn() + Send + Sync>;

/// What one worker prints.
pub(crate) struct Stderr {
    pipe: PipeReader,
    /// Called when the worker has ended.
    on_end: OnEnd,
    tail: Mutex<Tail>,
    /// The pipe is at its end: no process can write into it. The worker may run on with stderr closed.
    is_silent: AtomicBool,
    /// The worker has ended.
    ended: AtomicBool,
    end: OnceLock<End>,
}

/// How the end of a worker is seen where the system tells. What it started by
/// `fork` alone holds all its files open, so none of them tells.
struct End {
    /// It can be read when the process has ended.
    process: OwnedFd,
    /// Closed then, so that whoever waits for an answer need not wait on; what was
    /// answered can still be read.
    data: UnixStream,
}

#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    /// What was not passed on yet.
    unprinted: Vec<u8>,
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stderr").field("pipe", &self.pipe).finish_non_exhaustive()
    }
}

impl Stderr {
    /// Has what comes out of `pipe` read from now on.
    pub(crate) fn read_from(pipe: PipeReader, on_end: OnEnd) -> io::Result<Arc<Stderr>> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let stderr = Arc::new(Stderr {
            pipe,
            on_end,
            tail: Mutex::default(),
            is_silent: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            end: OnceLock::new(),
        });
        reader()?.add(Arc::clone(&stderr));
        Ok(stderr)
    }

    /// The worker that prints is this one, and waits for calls there.
    pub(crate) fn belongs_to(&self, worker: Pid, data: &UnixStream) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let process = rustix::process::pidfd_open(worker, PidfdFlags::empty())?;
            let _ = self.end.set(End { process, data: data.try_clone()? });
            reader()?.wake();
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = (worker, data);
        Ok(())
    }

    /// Forgets what was printed so far: a new call begins.
    pub(crate) fn forget(&self) {
        self.lock().bytes.clear();
    }

    /// The same, unless it would wait for who reads just now. Whether it was done.
    pub(crate) fn try_forget(&self) -> bool {
        let Ok(mut tail) = self.tail.try_lock() else { return false };
        tail.bytes.clear();
        true
    }

    /// Whether the worker has ended, as far as it was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What has news when it can be read.
    fn files(&self) -> [BorrowedFd<'_>; 2] {
        let pipe = self.pipe.as_fd();
        // One file for each, and perhaps the same twice.
        let Some(end) = self.end.get() else { return [pipe, pipe] };
        let process = end.process.as_fd();
        [if self.is_silent.load(Ordering::Acquire) { process } else { pipe }, process]
    }

    /// The last that the worker printed.
    pub(crate) fn tail(&self) -> String {
        let mut tail = self.lock();
        while self.receive(&mut tail) {}
        String::from_utf8_lossy(&tail.bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unpoisoned()
    }

    /// Takes what is there; whether there may be more.
    fn receive(&self, tail: &mut Tail) -> bool {
        let mut chunk = [0; 4096];
        let mut left = TURN;
        while left > 0 {
            match (&self.pipe).read(&mut chunk) {
                Ok(0) => {
                    self.is_silent.store(true, Ordering::Release);
                    return false;
                }
                Ok(length) => {
                    tail.unprinted.extend_from_slice(&chunk[..length]);
                    tail.bytes.extend_from_slice(&chunk[..length]);
                    let old = tail.bytes.len().saturating_sub(TAIL);
                    tail.bytes.drain(..old);
                    left = left.saturating_sub(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let is_silent = error.kind() != io::ErrorKind::WouldBlock;
                    self.is_silent.store(is_silent, Ordering::Release);
                    return false;
                }
            }
        }
        true
    }

    /// Passes on what is there. Only the thread that reads does.
    fn pass_on(&self) {
        let mut tail = self.lock();
        self.receive(&mut tail);
        let unprinted = std::mem::take(&mut tail.unprinted);
        drop(tail);
        printer::print(&unprinted);
    }
}

/// The thread that reads.
struct Reader {
    /// Those that it does not know of yet.
    new: Mutex<Vec<Arc<Stderr>>>,
    /// Wakes it up.
    waker: PipeWriter,
}

impl Reader {
    fn add(&self, stderr: Arc<Stderr>) {
        self.new.lock().unpoisoned().push(stderr);
        self.wake();
    }

    fn wake(&self) {
        // A full pipe wakes it as well.
        let _ = (&self.waker).write(&[0]);
    }
}

/// The thread, started if it is not there. An error: the system denies it.
fn reader() -> io::Result<&'static Reader> {
    static READER: OnceLock<Reader> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unpoisoned();
    if let Some(reader) = READER.get() {
        return Ok(reader);
    }
    static PRINTS: AtomicBool = AtomicBool::new(false);
    if !PRINTS.load(Ordering::Relaxed) {
        printer::start()?;
        PRINTS.store(true, Ordering::Relaxed);
    }
    let (listener, waker) = pipe()?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    rustix::io::ioctl_fionbio(&waker, true)?;
    thread::Builder::new().name("offload-stderr".into()).spawn(move || {
        // Whoever starts this thread has the lock until the reader is there.
        drop(STARTING.lock().unpoisoned());
        abort_on_panic("the thread that reads what workers print", || {
            read_all(READER.get().expect("it is set under the lock"), listener);
        });
    })?;
    Ok(READER.get_or_init(|| Reader { new: Mutex::default(), waker }))
}

fn read_all(reader: &Reader, mut listener: PipeReader) -> ! {
    let mut workers: Vec<Arc<Stderr>> = Vec::new();
    loop {
        let ready = {
            let files = workers.iter().flat_map(|stderr| stderr.files());
            ready(std::iter::once(listener.as_fd()).chain(files))
        };
        if ready.first() == Some(&true) {
            let _ = listener.read(&mut [0; 64]);
        }
        let mut number = 0;
        workers.retain(|stderr| {
            number += 2;
            let [prints, ends] = [number - 1, number].map(|at| ready.get(at) == Some(&true));
            if !prints && !ends {
                return true;
            }
            stderr.pass_on();
            let has_ended = match stderr.end.get() {
                Some(end) => {
                    // It may have come to be known since it was looked at.
                    let ends = ends && can_be_read(&end.process);
                    if ends {
                        let _ = end.data.shutdown(Shutdown::Both);
                    }
                    ends
                }
                // Nothing else tells.
                None => stderr.is_silent.load(Ordering::Acquire),
            };
            if has_ended {
                stderr.ended.store(true, Ordering::Release);
                (stderr.on_end)();
            }
            !has_ended
        });
        workers.append(&mut reader.new.lock().unpoisoned());
    }
}

fn can_be_read(file: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits until one of them can be read, and says which can.
fn ready<'a>(files: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<bool> {
    let mut files: Vec<_> =
        files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)).collect();
    match poll(&mut files, None) {
        Ok(_) => files.iter().map(|file| !file.revents().is_empty()).collect(),
        // Interrupted, most likely: whoever is ready is so the next time.
        Err(_) => Vec::new(),
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn who_must_not_wait_forgets_nothing_while_what_a_worker_prints_is_read() {
        let (prints, printed) = pipe().unwrap();
        let stderr = Stderr::read_from(prints, Box::new(|| ())).unwrap();
        let mut tail = stderr.lock();
        tail.bytes.extend_from_slice(b"said");
        assert!(!stderr.try_forget());
        assert_eq!(tail.bytes, b"said");
        drop(tail);
        // Nothing is printed, so nobody reads.
        assert!(stderr.try_forget());
        assert_eq!(stderr.tail(), "");
        drop(printed);
    }

    #[test]
    fn the_thread_that_reads_what_workers_print_ends_the_process_if_it_panics() {
        let said = aborts("executor::process::stderr::tests::child_whose_reader_panics");
        let words =
            "the thread that reads what workers print panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_reader_panics() {
        let reader = reader().unwrap();
        let poisons = || {
            let _new = reader.new.lock().unwrap();
            panic!("on purpose");
        };
        assert!(thread::spawn(poisons).join().is_err());
        (&reader.waker).write_all(&[0]).unwrap();
        wait_for_the_end();
    }
}
