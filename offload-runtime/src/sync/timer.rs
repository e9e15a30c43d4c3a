//! One thread that wakes wakers later, for all calls and pools, with or without a tokio
//! runtime. It is started at its first use, and sleeps while nothing is due.
//!
//! Two ways in: an [`Alarm`], which callers set and take back, is an entry under the timer's
//! lock; [`wake_at`], for pools, goes through a queue, so that no thread of a pool ever
//! holds what a caller wants.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Instant;

use crossbeam_queue::SegQueue;

use super::foreign::{drop_quietly, quietly};
use super::outer::Outer;
use crate::system::abort::{Unpoisoned, abort_on_panic};
use crate::system::priority;

static TIMER: Timer = Timer {
    entries: Mutex::new(Entries { due: BTreeMap::new(), number: 0 }),
    requests: SegQueue::new(),
    thread: OnceLock::new(),
    starting: Mutex::new(()),
};

struct Timer {
    entries: Mutex<Entries>,
    /// What [`wake_at`] was asked for, and the thread has not seen.
    requests: SegQueue<(Instant, Waker)>,
    thread: OnceLock<Thread>,
    /// Held while the thread is being started.
    starting: Mutex<()>,
}

struct Entries {
    due: BTreeMap<Key, Waker>,
    number: u64,
}

/// When, and, where times are equal, which first.
type Key = (Instant, u64);

/// Wakes a task, unless it is dropped first.
#[derive(Debug)]
pub(crate) struct Alarm {
    key: Key,
}

impl Alarm {
    /// Wakes at `at`. It fails if the system denies the timer its thread.
    pub(crate) fn new(at: Instant, waker: &Waker) -> io::Result<Alarm> {
        start()?;
        // A waker is foreign code: cloned while nothing is locked.
        let waker = waker.clone();
        let (key, is_first) = lock().add(at, waker);
        if is_first {
            unpark();
        }
        Ok(Alarm { key })
    }

    pub(crate) fn at(&self) -> Instant {
        self.key.0
    }

    /// Wakes this one instead. False: it is too late for that, as the old one is being
    /// woken.
    #[must_use]
    pub(crate) fn set_waker(&self, waker: &Waker) -> bool {
        // Its drop may be that of a whole task with an alarm of its own: cloned and
        // dropped while nothing is locked.
        let mut waker = waker.clone();
        let in_time = match lock().due.get_mut(&self.key) {
            Some(old) => {
                std::mem::swap(old, &mut waker);
                true
            }
            None => false,
        };
        drop_quietly(waker);
        in_time
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let entry = lock().due.remove(&self.key);
        // Its waker, too, while nothing is locked. It may be the last that holds a task, and this may
        // be dropped by a panic that unwinds.
        drop_quietly(entry);
    }
}

/// Wakes at `at`, for good. It takes no lock that a caller takes, but at the first use. It
/// fails if the system denies the timer its thread.
pub(crate) fn wake_at(at: Instant, waker: Waker) -> io::Result<()> {
    start()?;
    TIMER.requests.push((at, waker));
    unpark();
    Ok(())
}

/// Whether what is to happen later will. If not, the system denied the timer its thread,
/// also now.
pub(crate) fn is_running() -> bool {
    start().is_ok()
}

impl Entries {
    /// Adds an entry; also, whether it is due before all others.
    fn add(&mut self, at: Instant, waker: Waker) -> (Key, bool) {
        self.number += 1;
        let key = (at, self.number);
        self.due.insert(key, waker);
        (key, self.due.first_key_value().is_some_and(|(first, _)| *first == key))
    }
}

/// Starts the thread, unless it runs.
pub(crate) fn start() -> io::Result<()> {
    if TIMER.thread.get().is_some() {
        return Ok(());
    }
    let _starting = TIMER.starting.lock().unpoisoned();
    if TIMER.thread.get().is_none() {
        let run = || abort_on_panic("the thread of the timer", run);
        let thread = thread::Builder::new().name("offload-timer".into()).spawn(run)?;
        let _ = TIMER.thread.set(thread.thread().clone());
    }
    Ok(())
}

fn unpark() {
    if let Some(thread) = TIMER.thread.get() {
        thread.unpark();
    }
}

fn run() {
    priority::be_as_the_main_thread();
    loop {
        let now = Instant::now();
        let mut entries = lock();
        while let Some((at, waker)) = TIMER.requests.pop() {
            entries.add(at, waker);
        }
        let next = match entries.due.first_entry() {
            Some(first) if first.key().0 <= now => {
                let waker = first.remove();
                drop(entries);
                // One that panics must not stop the timer, nor one that enters a span have its events below that.
                let _outer = Outer::here();
                quietly(|| waker.wake());
                continue;
            }
            Some(first) => Some(first.key().0 - now),
            None => None,
        };
        drop(entries);
        match next {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

fn lock() -> MutexGuard<'static, Entries> {
    TIMER.entries.lock().unpoisoned()
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    /// A lock that a panic has left is a bug, and whoever meets it is a loop of ours.
    #[test]
    fn the_timer_ends_the_process_where_a_panic_has_left_its_lock() {
        let said = aborts("sync::timer::tests::child_leaves_the_lock_of_the_timer");
        assert!(
            said.contains("it panicked before while it had locked this: a bug of it"),
            "{said}"
        );
        assert!(
            said.contains("the thread of the timer panicked, which is a bug of it; aborting"),
            "{said}"
        );
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_leaves_the_lock_of_the_timer() {
        let poisons = || {
            let _entries = lock();
            panic!("on purpose");
        };
        assert!(thread::spawn(poisons).join().is_err());
        start().unwrap();
        unpark();
        wait_for_the_end();
    }
}
