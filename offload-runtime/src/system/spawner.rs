//! One thread that starts all others, so that a thread of a pool is what its pool says, and
//! not what the thread was that made the first call: a new thread has the affinity, the
//! signal mask and the priority of the one that starts it.
//!
//! It is started at its first use, and takes for itself what the main thread of the process
//! has. Requests go through a queue without a lock.

use std::io;
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};

use crossbeam_queue::SegQueue;

use super::abort::{Unpoisoned, abort_on_panic};
use super::priority;

/// What to do on the spawner's thread: to start a thread.
pub(crate) type Request = Box<dyn FnOnce() + Send>;

static REQUESTS: SegQueue<Request> = SegQueue::new();
static SPAWNER: OnceLock<Thread> = OnceLock::new();

/// Has the spawner do this. It fails if the system denies the spawner its thread.
pub(crate) fn request(request: Request) -> io::Result<()> {
    start()?;
    REQUESTS.push(request);
    if let Some(spawner) = SPAWNER.get() {
        spawner.unpark();
    }
    Ok(())
}

fn start() -> io::Result<()> {
    static STARTING: Mutex<()> = Mutex::new(());
    if SPAWNER.get().is_some() {
        return Ok(());
    }
    let _starting = STARTING.lock().unpoisoned();
    if SPAWNER.get().is_none() {
        let thread = thread::Builder::new().name("offload-spawner".into()).spawn(run)?;
        let _ = SPAWNER.set(thread.thread().clone());
    }
    Ok(())
}

fn run() {
    abort_on_panic("the thread that starts threads", serve);
}

fn serve() {
    priority::be_as_the_main_thread();
    loop {
        while let Some(request) = REQUESTS.pop() {
            request();
        }
        thread::park();
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn the_thread_that_starts_threads_ends_the_process_if_it_panics() {
        let said = aborts("system::spawner::tests::child_whose_spawner_panics");
        assert!(said.contains("on purpose"), "{said}");
        let words = "offload-runtime: the thread that starts threads panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_spawner_panics() {
        request(Box::new(|| panic!("on purpose"))).unwrap();
        wait_for_the_end();
    }
}
