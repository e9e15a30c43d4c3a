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
//! *When it is woken.* With the first caller of a burst; but while brief bodies come one after
//! the other, a thread holds their callers back until there is a [load](round) of them, and
//! wakes the courier then. Else each body would be interrupted by the loop that the one
//! before it woke, which costs more than many of them do. A caller is held back for a
//! [part](hold) of the time that its call took, or a moment, and only for a body that is
//! expected to end in that time; and not when the thread has run out of calls.
//!
//! *When it stays.* A runtime with one thread that has nothing else to do goes to sleep, which
//! takes longer than a body that is quick. So there the courier [stays](stay) as long as
//! many callers of such come: it looks again and again, each time after all other tasks
//! and events had their turn, and nobody has to wake it. Where there are more threads, and
//! the system stops the one that it stays on, nobody would bring what the others wait for; and
//! on one core it would keep that from those who are to come.
//!
//! *No wake-up depends on a runtime that is not driven*, nor on a body that only seemed brief. A
//! caller may be in the context of a runtime that nobody drives at this time, or
//! whose threads all block. So every list that has waited for two looks of the
//! timer, at least [`PATIENCE`], is woken by the timer, directly, and so are all
//! callers after that until the courier comes, if it was on its way. A runtime that ends drops its
//! courier, which wakes what is left. Where the system refuses the timer its
//! thread, no courier is used.
//!
//! The [list](round) and who sees to it is apart from all that.

mod round;
mod stay;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::task::yield_now;

pub(crate) use self::round::Haste;
use self::round::{Found, Pushed, Round};
use self::stay::Stay;
use crate::cores;
use crate::outcome::{drop_quietly, quietly};
use crate::timer;

/// What a courier does not bring in this time, the timer wakes.
const PATIENCE: Duration = Duration::from_millis(2);

/// A caller is held back for this part of the time that its call took, or [`LEAST_HELD`].
const PART_HELD: u32 = 4;

/// To be held back for so long makes no difference in a crowd.
const LEAST_HELD: Duration = Duration::from_micros(100);

/// Nobody is held back for longer.
pub(crate) const MOST_HELD: Duration = Duration::from_millis(1);

/// The memory for more wakers than this is given back.
const KEPT: usize = 4096;

/// See the [module](self).
struct Courier {
    /// Wakes the courier itself; set when it is first polled.
    own: OnceLock<Waker>,
    round: Round<Waker>,
}

/// The couriers of all runtimes that have one.
static COURIERS: Mutex<Vec<(Id, Arc<Courier>)>> = Mutex::new(Vec::new());

/// The timer will look at them.
static WATCHED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The courier that this thread used last.
    static LAST: RefCell<Option<(Id, Arc<Courier>)>> = const { RefCell::new(None) };
    /// It is to be sent by this thread, which holds callers back until then at most.
    static OWED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// For how long a caller may be held back whose call took `total`.
pub(crate) fn hold(total: Duration) -> Duration {
    (total / PART_HELD).clamp(LEAST_HELD, MOST_HELD)
}

/// Wakes a caller whose call has ended. [`Haste::Soon`]: this thread calls [`send_before`] or
/// [`send`] before it does anything else. Returns whether a task was woken, which may have
/// taken a while.
pub(crate) fn wake(waker: Waker, runtime: Option<Id>, haste: Haste) -> bool {
    let sent = turn_to(runtime, haste);
    match hand_over(waker, runtime, haste) {
        Pushed::Listed => {
            if let Haste::Soon { until, .. } = haste {
                OWED.set(Some(OWED.get().map_or(until, |first| first.min(until))));
            }
            sent
        }
        Pushed::Wake => {
            OWED.set(None);
            true
        }
        Pushed::Back(waker) => {
            // It may be foreign, and take long.
            send();
            quietly(|| waker.wake());
            true
        }
    }
}

/// This thread is about to run a body that is expected to take so long, if that is known:
/// sends the courier, if those that it holds back would have to wait too long. Returns
/// whether it did.
pub(crate) fn send_before(expected: Option<Duration>, now: Instant) -> bool {
    let has_time = |until| expected.is_some_and(|expected| now + expected < until);
    OWED.get().is_some_and(|until| !has_time(until)) && send()
}

/// Sends the courier, if this thread has put callers on its list and not sent it yet. Returns
/// whether it did.
pub(crate) fn send() -> bool {
    if OWED.take().is_none() {
        return false;
    }
    let last = LAST.take();
    if let Some((_, courier)) = &last {
        courier.send();
    }
    LAST.set(last);
    true
}

/// This thread uses no courier any more: a courier keeps what is left of a runtime that has
/// ended.
pub(crate) fn forget() {
    drop_quietly(LAST.take());
}

/// From now on this thread uses the courier of this runtime, unless it is for a single call. As
/// it can hold back callers of one runtime only, it sends the courier that it used until now.
/// Returns whether it did.
fn turn_to(runtime: Option<Id>, haste: Haste) -> bool {
    let Some(runtime) = runtime.filter(|_| haste != Haste::Now) else { return false };
    if LAST.with_borrow(|last| last.as_ref().is_some_and(|(id, _)| *id == runtime)) {
        return false;
    }
    let sent = send();
    let courier = of(runtime);
    drop_quietly(LAST.replace(courier.map(|courier| (runtime, courier))));
    sent
}

/// Gives a waker to the courier of its runtime. It comes back if it is to be
/// woken here.
fn hand_over(waker: Waker, runtime: Option<Id>, haste: Haste) -> Pushed<Waker> {
    // Taken out, since foreign code may come here again.
    let last = LAST.take();
    let pushed = match &last {
        Some((id, courier)) if Some(*id) == runtime => courier.take(waker, haste),
        _ => Pushed::Back(waker),
    };
    LAST.set(last);
    pushed
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
    let courier = Arc::new(Courier { own: OnceLock::new(), round: Round::new() });
    {
        let mut couriers = couriers();
        if let Some(courier) = find(&couriers) {
            return Some(courier);
        }
        couriers.push((runtime, Arc::clone(&courier)));
    }
    let rounds = Rounds {
        runtime,
        courier: Arc::clone(&courier),
        spare: Vec::new(),
        stay: may_stay(handle.runtime_flavor()).then(Stay::default),
    };
    // While nothing is locked: a runtime that has ended drops it at once.
    drop(handle.spawn(rounds));
    Some(courier)
}

/// On one core, what it stays for has to have that core.
fn may_stay(flavor: RuntimeFlavor) -> bool {
    flavor == RuntimeFlavor::CurrentThread && cores::are_many()
}

impl Courier {
    /// Puts a waker on the list, if it is one for a courier.
    fn take(&self, waker: Waker, haste: Haste) -> Pushed<Waker> {
        let Some(own) = self.own.get() else { return Pushed::Back(waker) };
        if !ptr::eq(own.vtable(), waker.vtable()) {
            return Pushed::Back(waker);
        }
        let (pushed, begun) = self.round.push(waker, haste);
        if matches!(pushed, Pushed::Wake) {
            quietly(|| own.wake_by_ref());
        }
        if begun {
            watch();
        }
        pushed
    }

    fn send(&self) {
        if self.round.send()
            && let Some(own) = self.own.get()
        {
            quietly(|| own.wake_by_ref());
        }
    }
}

/// Wakes those that were on a list.
fn wake_all(list: impl IntoIterator<Item = Waker>) {
    for waker in list {
        quietly(|| waker.wake());
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
        match courier.round.look() {
            Found::Nothing => {}
            Found::New => any = true,
            Found::Late(list) => wake_all(list),
        }
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
    /// It may stay.
    stay: Option<Stay>,
}

impl Rounds {
    /// Comes for those that are on the list. Whether it stays.
    fn collect(&mut self) -> bool {
        let Rounds { courier, spare, stay, .. } = self;
        let may_stay = stay.as_mut().is_some_and(|stay| stay.look(Instant::now()));
        let stays = courier.round.collect(spare, may_stay);
        if let Some(stay) = stay {
            stay.found(spare.len(), stays);
        }
        stays
    }
}

impl Future for Rounds {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let rounds = self.get_mut();
        rounds.courier.own.get_or_init(|| cx.waker().clone());
        let stays = rounds.collect();
        wake_all(rounds.spare.drain(..));
        if rounds.spare.capacity() > KEPT {
            rounds.spare = Vec::new();
        }
        if stays {
            // Polled once, it has this task polled after all others had their turn.
            let others = pin!(yield_now());
            let _ = others.poll(cx);
        }
        Poll::Pending
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        couriers().retain(|(runtime, _)| *runtime != self.runtime);
        wake_all(self.courier.round.close());
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Call;
    use crate::function::Function;
    use crate::pools::ThreadPool;

    #[test]
    fn a_caller_is_held_back_for_a_quarter_of_the_time_that_its_call_took() {
        let micros = Duration::from_micros;
        assert_eq!(hold(micros(1600)), micros(400));
        // That is little, also for one that took no time.
        assert_eq!(hold(micros(20)), LEAST_HELD);
        assert_eq!(hold(micros(100_000)), MOST_HELD);
    }

    /// It is asked on the thread itself, since the timer would wake them, too.
    #[test]
    fn nobody_is_held_back_for_a_body_of_which_nothing_is_known() {
        static POOL: ThreadPool = ThreadPool::new("held").threads(1);
        static BRIEF: Function = Function::thread("brief", &POOL);
        static UNKNOWN: Function = Function::thread("unknown", &POOL).mixed();
        let holds_somebody = || OWED.get().is_some();
        let brief = move || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(60) {
                std::hint::spin_loop();
            }
            holds_somebody()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // It takes some to know that they are brief, and a machine that stalls makes one long.
        let (start, mut held) = (Instant::now(), false);
        while !held && start.elapsed() < Duration::from_secs(60) {
            held = runtime.block_on(async {
                let (open, gate) = mpsc::channel::<()>();
                let gate = tokio::spawn(Call::new(&UNKNOWN, move || gate.recv().unwrap()));
                let briefs: Vec<_> =
                    (0..100).map(|_| tokio::spawn(Call::new(&BRIEF, brief))).collect();
                let unknown = tokio::spawn(Call::new(&UNKNOWN, holds_somebody));
                let last = tokio::spawn(Call::new(&BRIEF, brief));
                tokio::task::yield_now().await;
                open.send(()).unwrap();
                gate.await.unwrap();
                let mut held = false;
                for brief in briefs {
                    held |= brief.await.unwrap();
                }
                assert!(!unknown.await.unwrap());
                last.await.unwrap();
                held
            });
        }
        assert!(held, "nobody was held back at all");
    }

    #[test]
    fn those_that_are_held_back_wait_for_bodies_that_are_expected_to_end_in_time() {
        let (now, micros) = (Instant::now(), Duration::from_micros);
        let sends = |held, expected| {
            OWED.set(Some(now + micros(held)));
            let sends = send_before(expected, now);
            assert_eq!(OWED.take().is_none(), sends);
            sends
        };
        assert!(!sends(100, Some(micros(99))));
        assert!(sends(100, Some(micros(100))));
        assert!(sends(100, None));
        assert!(sends(0, Some(Duration::ZERO)), "it is time");
        assert!(!send_before(None, now), "nobody is held back");
    }
}
