//! The way back: how callers are woken when their calls have ended.
//!
//! To wake a task of a tokio runtime from a thread that is not the runtime's
//! costs a lock that all its threads want, and, if it is a `current_thread`
//! one, a system call, each time. To wake it on a thread of the runtime costs
//! next to nothing. So the wake-ups of a burst are brought there together, by a
//! *courier*: a task of ours in the runtime, that wakes whoever is on its list
//! each time that it is polled. Of a burst, only the first wake-up wakes the
//! courier; those that come before it has been polled just join the list.
//!
//! *Who takes the courier.* Wakers of tokio's own tasks, which are told by their
//! vtable, in a runtime that has a courier; and it gets one when a thread ends
//! a call while more are queued. All others (of other executors, of `block_on`,
//! of combinators) are woken at once, as is the single call.
//!
//! *No wake-up depends on a runtime that is not driven.* A caller may be in the
//! context of a runtime that nobody drives at this time, or whose threads all
//! block. So every list that has waited for two looks of the timer, at least
//! [`PATIENCE`], is woken by the timer, directly, and so are all callers after that until the
//! courier comes. A runtime that ends drops its
//! courier, which wakes what is left. Where the system refuses the timer its
//! thread, no courier is used.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{mem, ptr};

use tokio::runtime::{Handle, Id};

use crate::outcome::quietly;
use crate::timer;

/// What a courier does not bring in this time, the timer wakes.
const PATIENCE: Duration = Duration::from_millis(2);

/// See the [module](self).
struct Courier {
    /// Wakes the courier itself; set when it is first polled.
    own: OnceLock<Waker>,
    round: Mutex<Round>,
}

#[derive(Default)]
struct Round {
    list: Vec<Waker>,
    /// It was woken, and has not been polled since.
    on_its_way: bool,
    /// How often it was woken.
    number: u64,
    /// The round that the timer saw on its way.
    seen: u64,
    /// It did not come in time: until it does, nobody waits for it.
    late: bool,
    /// Its runtime has ended.
    gone: bool,
}

/// The couriers of all runtimes that have one.
static COURIERS: Mutex<Vec<(Id, Arc<Courier>)>> = Mutex::new(Vec::new());

/// The timer will look at them.
static WATCHED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The courier that this thread used last.
    static LAST: RefCell<Option<(Id, Arc<Courier>)>> = const { RefCell::new(None) };
}

/// Wakes a caller whose call has ended. `burst`: more calls are about to end.
pub(crate) fn wake(waker: Waker, runtime: Option<Id>, burst: bool) {
    if let Some(waker) = hand_over(waker, runtime, burst) {
        quietly(|| waker.wake());
    }
}

/// Gives a waker to the courier of its runtime. It comes back if it is to be
/// woken here.
fn hand_over(waker: Waker, runtime: Option<Id>, burst: bool) -> Option<Waker> {
    let Some(runtime) = runtime else { return Some(waker) };
    // Taken out, since foreign code may come here again.
    let mut last = LAST.take();
    if last.as_ref().is_none_or(|(id, _)| *id != runtime) {
        if !burst {
            LAST.set(last);
            return Some(waker);
        }
        last = of(runtime).map(|courier| (runtime, courier));
    }
    let left = match &last {
        Some((_, courier)) => courier.take(waker, burst),
        None => Some(waker),
    };
    LAST.set(last);
    left
}

/// The courier of the runtime that this thread is in the context of; none, if
/// that is another than this one.
fn of(runtime: Id) -> Option<Arc<Courier>> {
    let find = |couriers: &[(Id, Arc<Courier>)]| {
        let known = couriers.iter().find(|(id, _)| *id == runtime);
        known.map(|(_, courier)| Arc::clone(courier))
    };
    if let Some(courier) = find(&couriers()) {
        return Some(courier);
    }
    let handle = Handle::try_current().ok().filter(|handle| handle.id() == runtime)?;
    if !timer::is_running() {
        return None;
    }
    let courier = Arc::new(Courier { own: OnceLock::new(), round: Mutex::default() });
    {
        let mut couriers = couriers();
        if let Some(courier) = find(&couriers) {
            return Some(courier);
        }
        couriers.push((runtime, Arc::clone(&courier)));
    }
    // While nothing is locked: a runtime that has ended drops it at once.
    drop(handle.spawn(Rounds { runtime, courier: Arc::clone(&courier), spare: Vec::new() }));
    Some(courier)
}

impl Courier {
    /// Puts a waker on the list, if it is one for a courier.
    fn take(&self, waker: Waker, burst: bool) -> Option<Waker> {
        let Some(own) = self.own.get() else { return Some(waker) };
        if !ptr::eq(own.vtable(), waker.vtable()) {
            return Some(waker);
        }
        let mut round = self.round();
        if round.gone || round.late || !burst && !round.on_its_way {
            return Some(waker);
        }
        round.list.push(waker);
        if !mem::replace(&mut round.on_its_way, true) {
            round.number += 1;
            drop(round);
            own.wake_by_ref();
            watch();
        }
        None
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those that wait on the list.
    fn flush(&self, mut round: MutexGuard<'_, Round>) {
        let list = mem::take(&mut round.list);
        drop(round);
        for waker in list {
            quietly(|| waker.wake());
        }
    }

    /// The timer looks. False: there is nothing to look after.
    fn look(&self) -> bool {
        let mut round = self.round();
        if !round.on_its_way {
            return false;
        }
        if round.seen != round.number {
            round.seen = round.number;
            return true;
        }
        round.late = true;
        self.flush(round);
        false
    }
}

/// Sees to it that the timer looks.
fn watch() {
    // Most often it will: read before it is written.
    if WATCHED.load(Ordering::SeqCst) || WATCHED.swap(true, Ordering::SeqCst) {
        return;
    }
    if timer::look_at_couriers(Instant::now() + PATIENCE).is_err() {
        // It was running when the courier was made, and never ends.
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// What the timer does.
pub(crate) fn look() {
    // First, so that who wakes a courier from now on calls the timer again.
    WATCHED.store(false, Ordering::SeqCst);
    let all: Vec<_> = couriers().iter().map(|(_, courier)| Arc::clone(courier)).collect();
    let mut any = false;
    for courier in all {
        any |= courier.look();
    }
    if any {
        watch();
    }
}

fn couriers() -> MutexGuard<'static, Vec<(Id, Arc<Courier>)>> {
    COURIERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The courier's task.
struct Rounds {
    runtime: Id,
    courier: Arc<Courier>,
    /// The memory of the list before.
    spare: Vec<Waker>,
}

impl Future for Rounds {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Rounds { courier, spare, .. } = self.get_mut();
        courier.own.get_or_init(|| cx.waker().clone());
        {
            let mut round = courier.round();
            round.on_its_way = false;
            round.late = false;
            mem::swap(&mut round.list, spare);
        }
        for waker in spare.drain(..) {
            waker.wake();
        }
        Poll::Pending
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        couriers().retain(|(runtime, _)| *runtime != self.runtime);
        let mut round = self.courier.round();
        round.gone = true;
        self.courier.flush(round);
    }
}
