//! What workers print: to this process's stderr, and its tail is kept for the
//! error, should the worker die.
//!
//! One thread reads for all workers, so that none ever blocks on a full pipe.
//! It is also the first to see that a worker has died while it had no call.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fmt, thread};

use rustix::event::{PollFd, PollFlags, poll};

use crate::pool::Pool;

/// So much is kept for the error, in bytes.
const TAIL: usize = 16 << 10;

/// So much is read at once, before others have their turn.
const TURN: usize = 64 << 10;

/// What one worker prints.
pub(crate) struct Stderr {
    pipe: PipeReader,
    /// Its workers are looked at when this one prints no more.
    pool: &'static Pool,
    tail: Mutex<Tail>,
}

#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    /// Nobody is left who could write.
    ended: bool,
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stderr").field("pipe", &self.pipe).finish_non_exhaustive()
    }
}

impl Stderr {
    /// Has what comes out of `pipe` read from now on.
    pub(crate) fn read_from(pipe: PipeReader, pool: &'static Pool) -> io::Result<Arc<Stderr>> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let stderr = Arc::new(Stderr { pipe, pool, tail: Mutex::default() });
        reader()?.add(Arc::clone(&stderr));
        Ok(stderr)
    }

    /// Forgets what was printed so far: a new call begins.
    pub(crate) fn forget(&self) {
        self.lock().bytes.clear();
    }

    /// Whether nobody is left who could print.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The last that the worker printed.
    pub(crate) fn tail(&self) -> String {
        let mut tail = self.lock();
        while self.pass_on(&mut tail) {}
        String::from_utf8_lossy(&tail.bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what is there; whether there may be more.
    fn pass_on(&self, tail: &mut Tail) -> bool {
        let mut chunk = [0; 4096];
        let mut left = TURN;
        while left > 0 {
            match (&self.pipe).read(&mut chunk) {
                Ok(0) => {
                    tail.ended = true;
                    return false;
                }
                Ok(length) => {
                    let bytes = &chunk[..length];
                    // There is nobody to tell that stderr is closed.
                    let _ = io::stderr().write_all(bytes);
                    tail.bytes.extend_from_slice(bytes);
                    let old = tail.bytes.len().saturating_sub(TAIL);
                    tail.bytes.drain(..old);
                    left = left.saturating_sub(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tail.ended = error.kind() != io::ErrorKind::WouldBlock;
                    return false;
                }
            }
        }
        true
    }
}

/// The thread that reads.
struct Reader {
    /// Those that it does not know of yet.
    new: Mutex<Vec<Arc<Stderr>>>,
    /// Wakes it up.
    bell: PipeWriter,
}

impl Reader {
    fn add(&self, stderr: Arc<Stderr>) {
        self.new.lock().unwrap_or_else(PoisonError::into_inner).push(stderr);
        // A full pipe wakes it as well.
        let _ = (&self.bell).write(&[0]);
    }
}

/// The thread, started if it is not there. An error: the system refuses it.
fn reader() -> io::Result<&'static Reader> {
    static READER: OnceLock<Reader> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reader) = READER.get() {
        return Ok(reader);
    }
    let (listener, bell) = io::pipe()?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    rustix::io::ioctl_fionbio(&bell, true)?;
    thread::Builder::new().name("offload-stderr".into()).spawn(move || {
        read_all(READER.wait(), listener);
    })?;
    Ok(READER.get_or_init(|| Reader { new: Mutex::default(), bell }))
}

fn read_all(reader: &Reader, mut listener: PipeReader) -> ! {
    let mut workers: Vec<Arc<Stderr>> = Vec::new();
    loop {
        let ready = {
            let pipes = workers.iter().map(|stderr| stderr.pipe.as_fd());
            ready(std::iter::once(listener.as_fd()).chain(pipes))
        };
        if ready.first() == Some(&true) {
            let _ = listener.read(&mut [0; 64]);
        }
        let mut number = 0;
        workers.retain(|stderr| {
            number += 1;
            if ready.get(number) != Some(&true) {
                return true;
            }
            let ended = {
                let mut tail = stderr.lock();
                stderr.pass_on(&mut tail);
                tail.ended
            };
            if ended {
                stderr.pool.processes().workers.look(stderr.pool);
            }
            !ended
        });
        workers.append(&mut reader.new.lock().unwrap_or_else(PoisonError::into_inner));
    }
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
