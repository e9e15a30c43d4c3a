//! One thread that does things later, for all calls and pools, with or without
//! a tokio runtime. It is started at its first use, and sleeps while nothing is
//! due.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Instant;

use crate::courier;
use crate::pool::Pool;
use crate::pool::state::Watch;

static TIMER: Timer = Timer {
    entries: Mutex::new(Entries { due: BTreeMap::new(), number: 0, running: false }),
    sooner: Condvar::new(),
};

/// As `running`, to be read without the lock. Once true, it stays so.
static RUNNING: AtomicBool = AtomicBool::new(false);

struct Timer {
    entries: Mutex<Entries>,
    /// An entry was added that is due before all others.
    sooner: Condvar,
}

struct Entries {
    due: BTreeMap<Key, Due>,
    number: u64,
    running: bool,
}

/// When, and, where times are equal, which first.
type Key = (Instant, u64);

enum Due {
    Look(&'static Pool, Watch),
    Couriers,
    Wake(Waker),
}

/// Lets `pool` look at its queue at `at`. It fails if the system refuses the
/// timer its thread.
pub(crate) fn look_at(pool: &'static Pool, watch: Watch, at: Instant) -> io::Result<()> {
    add(at, Due::Look(pool, watch)).map(drop)
}

/// Looks whether callers wait to be woken, at `at`. It fails if the system
/// refuses the timer its thread.
pub(crate) fn look_at_couriers(at: Instant) -> io::Result<()> {
    add(at, Due::Couriers).map(drop)
}

/// Wakes a task, unless it is dropped first.
#[derive(Debug)]
pub(crate) struct Alarm {
    key: Key,
}

impl Alarm {
    /// Wakes at `at`. It fails if the system refuses the timer its thread.
    pub(crate) fn new(at: Instant, waker: &Waker) -> io::Result<Alarm> {
        add(at, Due::Wake(waker.clone())).map(|key| Alarm { key })
    }

    pub(crate) fn at(&self) -> Instant {
        self.key.0
    }

    /// Wakes this one instead. False: it is too late for that, as the old one
    /// is being woken.
    #[must_use]
    pub(crate) fn set_waker(&self, waker: &Waker) -> bool {
        // A waker is foreign code, and its drop may be that of a whole task
        // with an alarm of its own: cloned and dropped while nothing is locked.
        let mut waker = waker.clone();
        let in_time = match lock().due.get_mut(&self.key) {
            Some(Due::Wake(old)) => {
                std::mem::swap(old, &mut waker);
                true
            }
            _ => false,
        };
        drop(waker);
        in_time
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let entry = lock().due.remove(&self.key);
        // Its waker, too, while nothing is locked.
        drop(entry);
    }
}

fn add(at: Instant, due: Due) -> io::Result<Key> {
    let mut entries = lock();
    start(&mut entries)?;
    entries.number += 1;
    let key = (at, entries.number);
    entries.due.insert(key, due);
    let sooner = entries.due.first_key_value().is_some_and(|(first, _)| *first == key);
    drop(entries);
    if sooner {
        TIMER.sooner.notify_one();
    }
    Ok(key)
}

/// Whether what is to happen later will. If not, the system refused the timer
/// its thread, also now.
pub(crate) fn is_running() -> bool {
    RUNNING.load(Ordering::Relaxed) || start(&mut lock()).is_ok()
}

fn start(entries: &mut Entries) -> io::Result<()> {
    if !entries.running {
        thread::Builder::new().name("offload-timer".into()).spawn(run)?;
        entries.running = true;
        RUNNING.store(true, Ordering::Relaxed);
    }
    Ok(())
}

fn run() {
    let mut entries = lock();
    loop {
        let now = Instant::now();
        match entries.due.first_entry() {
            None => {
                entries = TIMER.sooner.wait(entries).unwrap_or_else(PoisonError::into_inner);
            }
            Some(first) if first.key().0 > now => {
                let left = first.key().0 - now;
                let woken = TIMER.sooner.wait_timeout(entries, left);
                entries = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(first) => {
                let due = first.remove();
                drop(entries);
                match due {
                    Due::Look(pool, watch) => pool.look(watch, now),
                    Due::Couriers => courier::look(),
                    // A waker that panics must not stop the timer.
                    Due::Wake(waker) => crate::outcome::quietly(|| waker.wake()),
                }
                entries = lock();
            }
        }
    }
}

fn lock() -> MutexGuard<'static, Entries> {
    TIMER.entries.lock().unwrap_or_else(PoisonError::into_inner)
}
