//! Every end of a call: what counts it and what is noted, who is woken, and where what it leaves is
//! dropped.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::task::{Wake, Waker};
use std::thread;

use crossbeam_utils::atomic::AtomicCell;

use super::*;
use crate::sync::semaphore::Semaphore;
use crate::task::counts::Counts;
use crate::task::current::Stops;
use crate::task::loan::Loans;
use crate::task::meta::{Deadlines, Slot, StandIn};
use crate::task::under_way::UnderWay;
use crate::task::{Admitted, Owner, maker};

/// A function that has nothing to lend.
struct Function {
    about: About,
    under_way: &'static UnderWay,
    /// How many of its calls have left the line of a gate.
    left_line: AtomicUsize,
}

impl Function {
    fn new(name: String, is_detached: bool) -> &'static Function {
        let mut about = About::new(name.leak(), "thread");
        about.is_detached = is_detached;
        let under_way = Box::leak(Box::new(UnderWay::new(1)));
        Box::leak(Box::new(Function { about, under_way, left_line: AtomicUsize::new(0) }))
    }
}

impl Owner for Function {
    fn about(&self) -> &About {
        &self.about
    }

    fn admit(&'static self, _: Queued) -> Admitted {
        unreachable!("no thread of a pool is here")
    }

    fn resume(&'static self, _: Queued) {
        unreachable!("no permit is reserved for a call of it")
    }

    fn is_gated_by(&self, _: usize) -> bool {
        false
    }

    fn lend(&'static self) -> Result<Loans, Error> {
        Err(Error::config("there is none"))
    }

    fn executor_place(&self) -> usize {
        0
    }

    fn stand_in(&'static self) -> Option<StandIn> {
        None
    }

    fn under_way(&self) -> &'static UnderWay {
        self.under_way
    }

    fn leave_line(&'static self, _: usize) {
        self.left_line.fetch_add(1, Ordering::Relaxed);
    }

    fn reject_lines(&'static self) {}

    fn give_up_reservation(&'static self, _: usize) {}
}

/// What a call takes, and its body returns or panics with. Its destructor panics.
struct Told(Drops);

/// When it was dropped.
type Drops = Arc<Mutex<Vec<Instant>>>;

impl Drop for Told {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(Instant::now());
        if !thread::panicking() {
            resume_unwind(Box::new("a destructor"));
        }
    }
}

/// Who awaits a call; `look` is called as it is woken.
struct Bell<F> {
    rung: AtomicUsize,
    look: F,
}

impl<F: Fn() + Send + Sync + 'static> Bell<F> {
    fn of(task: &Awaited, look: F) -> Arc<Bell<F>> {
        let bell = Arc::new(Bell { rung: AtomicUsize::new(0), look });
        task.meta().waker.register(&Waker::from(Arc::clone(&bell)));
        bell
    }

    /// How often it was woken, and whether its waker is kept.
    fn state(self: &Arc<Self>) -> (usize, bool) {
        (self.rung.load(Ordering::SeqCst), Arc::strong_count(self) > 1)
    }
}

impl<F: Fn() + Send + Sync + 'static> Wake for Bell<F> {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        (self.look)();
    }
}

/// A call under way: its body panics with what it has taken, or returns it.
fn task(function: &'static Function, deadlines: Deadlines, panics: bool) -> (Awaited, Drops) {
    let drops = Drops::default();
    let told = Told(Arc::clone(&drops));
    let body = move || {
        if panics {
            resume_unwind(Box::new(told));
        }
        told
    };
    let meta = Meta::new(function, false, deadlines, None, [Slot::default(), Slot::default()]);
    meta.set_under_way();
    (maker()(meta, Captured::NOTHING, body), drops)
}

/// All numbers of calls and bodies that have ended, but those that are 0, by their names.
fn numbers(counts: &Counts) -> Vec<(&'static str, u64)> {
    let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let all = [
        ("abandoned", of(&counts.abandoned)),
        ("cancelled", of(&counts.cancelled)),
        ("died", of(&counts.died)),
        ("failed", of(&counts.failed)),
        ("finished", counts.finished()),
        ("killed", of(&counts.killed)),
        ("panicked", of(&counts.panicked)),
        ("rejected", of(&counts.rejected)),
        ("run", counts.run.total()),
        ("spawned", of(&counts.spawned)),
        ("suspended", of(&counts.suspended)),
        ("timed out", of(&counts.timed_out)),
        ("unstarted", of(&counts.unstarted)),
    ];
    all.into_iter().filter(|(_, number)| *number != 0).collect()
}

/// Whether what looks at incidents is told of just those ends of this function that are counted so.
#[cfg(feature = "axum")]
fn are_noted(name: &str, counted: &[&str]) -> bool {
    use incidents::What;

    let noted = incidents::all().into_iter().filter(|one| one.whose == name).map(|one| {
        let words = match one.what {
            What::Panicked => "panicked: with a payload that is no text",
            What::TimedOut => "timed out after ",
            _ => "was not started, since its pool `p` is closed",
        };
        let is_so = one.times == 1 && one.words.starts_with(&format!("`{name}` {words}"));
        is_so.then_some(one.what)
    });
    // The last first.
    let ends =
        [("timed out", What::TimedOut), ("rejected", What::Rejected), ("panicked", What::Panicked)];
    noted.eq(ends.into_iter().filter(|(end, _)| counted.contains(end)).map(|(_, what)| Some(what)))
}

/// Nobody looks.
#[cfg(not(feature = "axum"))]
fn are_noted(_: &str, _: &[&str]) -> bool {
    true
}

/// What becomes of who awaits a call, before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Awaits,
    /// Its future was dropped.
    Dropped,
    /// The function is detached.
    AwaitsDetached,
    DroppedDetached,
    /// The call was started, and the handle is there.
    HasHandle,
    DroppedHandle,
    /// The handle has given the answer that a deadline has passed.
    WasAnswered,
}

impl Caller {
    fn is_detached(self) -> bool {
        matches!(self, Caller::AwaitsDetached | Caller::DroppedDetached)
    }

    fn is_started(self) -> bool {
        matches!(self, Caller::HasHandle | Caller::DroppedHandle | Caller::WasAnswered)
    }

    fn awaits(self) -> bool {
        matches!(self, Caller::Awaits | Caller::AwaitsDetached | Caller::HasHandle)
    }

    /// The body has begun, or somebody is about to end the call without.
    fn leave(self, task: &Awaited) {
        let left = match self {
            Caller::Awaits | Caller::AwaitsDetached | Caller::HasHandle => return,
            Caller::Dropped | Caller::WasAnswered => cancel(task),
            Caller::DroppedDetached | Caller::DroppedHandle => detach(task),
        };
        assert!(left.phase == Phase::Running && left.leftover.is_none());
    }
}

/// What counts a body that has ended in time, or too late, beside how it ended.
const ENDED: [(Caller, &[&str], &[&str]); 7] = [
    (Caller::Awaits, &[], &["abandoned"]),
    (Caller::Dropped, &["abandoned"], &["abandoned"]),
    (Caller::AwaitsDetached, &[], &[]),
    (Caller::DroppedDetached, &[], &[]),
    (Caller::HasHandle, &[], &["abandoned"]),
    (Caller::DroppedHandle, &[], &["abandoned", "timed out"]),
    (Caller::WasAnswered, &["abandoned"], &["abandoned"]),
];

/// What counts a call that was rejected, or expired in its queue, beside that it did not start. Who awaits
/// it counts the error itself.
const UNSTARTED: [(Caller, &[&str], &[&str]); 7] = [
    (Caller::Awaits, &[], &["cancelled"]),
    (Caller::Dropped, &["cancelled"], &["cancelled"]),
    (Caller::AwaitsDetached, &[], &["cancelled"]),
    (Caller::DroppedDetached, &["cancelled"], &["cancelled"]),
    (Caller::HasHandle, &[], &["cancelled"]),
    (Caller::DroppedHandle, &["rejected"], &["cancelled", "timed out"]),
    (Caller::WasAnswered, &["cancelled"], &["cancelled"]),
];

/// A call ends in this way, or is not started. Whether what is noted is what is counted.
fn end(
    caller: Caller,
    ending: Option<Ending>,
    is_late: bool,
    counted: &[&str],
    attempt: u32,
) -> bool {
    // What is noted of one is not what is noted of the next.
    let name = format!("{caller:?} {ending:?} {is_late} {attempt}");
    let function = Function::new(name.clone(), caller.is_detached());
    let answer = is_late.then_some(Duration::ZERO);
    let deadlines = Deadlines::new(answer, None, caller.is_detached());
    let (task, drops) = task(function, deadlines, ending == Some(Ending::Panicked));
    let meta = task.meta();
    if caller.is_started() {
        meta.set_spawned();
    }
    let bell = Bell::of(&task, || ());
    assert!(meta.state.begin(), "{name}");
    caller.leave(&task);
    // Nobody is to meet the waker of who does not wait any more.
    assert_eq!(bell.state(), (0, caller.awaits()), "{name}");

    while meta.answer_by().is_some_and(|by| Instant::now() < by) {}
    let outcome = match ending {
        Some(ending) => {
            let (began, mut panic) = (Instant::now(), None);
            task.call(&mut |_, body| panic = panic_of(body));
            let failure = panic.map(|payload| Failure::Panic(payload, Ran::Yes));
            Outcome::Ran { ending, failure, began }
        }
        None if is_late => Outcome::Rejected(expired_in_queue(&*task, Instant::now())),
        None => Outcome::Rejected(Error::pool_closed(&name, "p")),
    };
    assert_eq!(drops.lock().unwrap().len(), 0, "{name}");
    let frame = Frame::new(Arc::clone(&task), Permits::NONE, None);
    let ended = frame.enter(|| complete(Arc::clone(&task), outcome));

    assert_eq!(
        numbers(function.about.counts()),
        counted.iter().map(|number| (*number, 1)).collect::<Vec<_>>(),
        "{name}"
    );
    assert_eq!(function.under_way.count(), 0, "{name}");
    assert_eq!(bell.state(), (usize::from(caller.awaits()), false), "{name}");
    // What nobody takes was dropped here, which is a part of the time that the end took.
    let is_expired = is_late && !caller.is_detached();
    let is_kept = caller.awaits() && ending.is_some() && !is_expired;
    assert_eq!(drops.lock().unwrap().len(), usize::from(!is_kept), "{name}");
    assert!(drops.lock().unwrap().iter().all(|dropped| *dropped <= ended), "{name}");

    assert_eq!(Arc::strong_count(&task), 1, "{name}");
    let mut result = None::<Told>;
    let failure = task.take(&mut result);
    let what = match &failure {
        Some(Failure::Error(error)) => Some(error.kind()),
        Some(Failure::Panic(..)) => Some(ErrorKind::Panicked),
        None => None,
    };
    let wanted = match ending {
        _ if !caller.awaits() => None,
        None if !is_late => Some(ErrorKind::ShuttingDown),
        _ if is_expired || ending.is_none() => Some(ErrorKind::TimedOut),
        Some(Ending::Panicked) => Some(ErrorKind::Panicked),
        _ => None,
    };
    assert_eq!((what, result.is_some()), (wanted, is_kept && wanted.is_none()), "{name}");
    drop_quietly((failure, result, task));
    assert_eq!(drops.lock().unwrap().len(), 1, "{name}");
    are_noted(&name, counted)
}

/// So often, as an error is not noted while others tell of theirs.
fn assert_ends(caller: Caller, ending: Option<Ending>, is_late: bool, mut counted: Vec<&str>) {
    counted.sort_unstable();
    let is_noted = (0..100).any(|attempt| end(caller, ending, is_late, &counted, attempt));
    assert!(is_noted, "{caller:?}, {ending:?}, {is_late}: other things are noted than {counted:?}");
}

#[test]
fn each_end_of_a_body_is_counted_and_noted_for_what_it_is() {
    let endings = [
        (Ending::Returned, "finished"),
        (Ending::Panicked, "panicked"),
        (Ending::Died, "died"),
        (Ending::Killed, "killed"),
        (Ending::Failed, "failed"),
    ];
    for (ending, number) in endings {
        for (caller, in_time, late) in ENDED {
            assert_ends(caller, Some(ending), false, [&["run", number], in_time].concat());
            assert_ends(caller, Some(ending), true, [&["run", number], late].concat());
        }
    }
}

#[test]
fn each_call_that_is_not_started_is_counted_and_noted_for_what_it_is() {
    for (caller, rejected, late) in UNSTARTED {
        assert_ends(caller, None, false, [&["unstarted"], rejected].concat());
        assert_ends(caller, None, true, [&["unstarted"], late].concat());
    }
}

#[test]
fn at_the_moment_of_its_deadline_a_call_is_late() {
    let function = Function::new("just late".to_owned(), false);
    let (task, _) = task(function, Deadlines::new(Some(Duration::ZERO), None, false), false);
    let by = task.meta().answer_by().unwrap();
    assert!(is_late(task.meta(), by) && !is_late(task.meta(), task.meta().since));
    drop_quietly(task);
}

/// What is left of it in its queue is met later.
#[test]
fn a_call_that_is_cancelled_before_it_starts_keeps_no_waker_and_its_body_is_for_who_cancels_it() {
    type Way = fn(&Awaited) -> Option<Left>;
    let ways: [(Way, bool); 3] =
        [(|task| Some(cancel(task)), false), (cancel_unstarted, false), (cancel_started, true)];
    for (number, (way, is_awaited)) in ways.into_iter().enumerate() {
        for phase in [Phase::Queued, Phase::Waiting] {
            let function = Function::new(format!("cancelled {number} {phase:?}"), false);
            let (task, drops) = task(function, Deadlines::default(), false);
            let shell = Queued::new(Arc::clone(&task));
            let bell = Bell::of(&task, || ());
            let is_waiting = phase == Phase::Waiting;
            assert!(!is_waiting || task.meta().state.set_waiting());

            let left = way(&task).unwrap();
            assert_eq!(left.phase, phase);
            assert_eq!(bell.state(), (usize::from(is_awaited), false));
            assert_eq!(numbers(function.about.counts()), [("cancelled", 1), ("unstarted", 1)]);
            assert_eq!(function.left_line.load(Ordering::Relaxed), usize::from(is_waiting));
            assert_eq!((drops.lock().unwrap().len(), function.under_way.count()), (0, 0));
            clear(&left.leftover.unwrap());
            assert_eq!(drops.lock().unwrap().len(), 1);
            assert!(shell.begin().is_none());
            assert_eq!(Arc::strong_count(&task), 1);
            drop(task);
            assert_eq!(drops.lock().unwrap().len(), 1);
        }
    }
}

#[test]
fn who_is_told_that_nothing_can_be_borrowed_finds_the_permit_and_the_thread_free() {
    static RUNNING: AtomicCell<Option<&'static About>> = AtomicCell::new(None);
    static ENDED: AtomicU64 = AtomicU64::new(0);
    static STOPS: AtomicU64 = AtomicU64::new(0);

    let function = Function::new("nothing to borrow".to_owned(), false);
    let gate: &'static Semaphore<Queued> = Box::leak(Box::new(Semaphore::new(1)));
    let mut permits = Permits::NONE;
    permits.push(gate.try_acquire().unwrap());
    let mut meta = Meta::new(function, true, Deadlines::default(), None, Default::default());
    meta.borrows = true;
    let task = maker()(meta, Captured::NOTHING, || ());
    let found = Arc::new(Mutex::new(None));
    let note = Arc::clone(&found);
    let bell = Bell::of(&task, move || {
        let now = (gate.in_use(), RUNNING.load().is_none(), ENDED.load(Ordering::Relaxed));
        *note.lock().unwrap() = Some(now);
    });
    let busy = Busy::new(&RUNNING, &ENDED, &function.about, Stops::new(&STOPS, 0));
    let queued = Queued::new(Arc::clone(&task));
    assert!(run(queued, permits, Some(busy), Instant::now()).is_some());
    assert_eq!(bell.state(), (1, false));
    assert_eq!(*found.lock().unwrap(), Some((0, true, 1)));
    assert_eq!(task.error().map(|error| error.kind()), Some(ErrorKind::Config));
}

/// A body that runs in parts. Its consumer has taken all that the last part has made, or nothing.
struct Parts {
    meta: Meta,
    kept: Kept<Permits>,
    wants_more: bool,
}

impl Work for Parts {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn call(&self, _: &mut dyn FnMut(Captured, &mut dyn FnMut())) {}

    fn fail(&self, _: Failure) {}

    fn take(&self, _: &mut dyn Any) -> Option<Failure> {
        None
    }

    fn clear(&self) {}

    fn error(&self) -> Option<Error> {
        None
    }

    fn has_drop_glue(&self) -> bool {
        false
    }

    fn kept(&self) -> Option<&Kept<Permits>> {
        Some(&self.kept)
    }

    fn wants_more(&self) -> bool {
        self.wants_more
    }
}

/// The consumer takes items, the deadline passes, or the stream is dropped, while the last part ends.
#[test]
fn a_part_that_goes_on_at_once_has_its_permit_and_its_time_as_before() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Meanwhile {
        Nothing,
        Taken,
        Late,
        Dropped,
    }
    const BEFORE: Duration = Duration::from_secs(3);

    for meanwhile in [Meanwhile::Nothing, Meanwhile::Taken, Meanwhile::Late, Meanwhile::Dropped] {
        let function = Function::new(format!("in parts {meanwhile:?}"), false);
        let answer = (meanwhile == Meanwhile::Late).then_some(Duration::ZERO);
        let deadlines = Deadlines::new(answer, None, false);
        let meta = Meta::new(function, true, deadlines, None, Default::default());
        let wants_more = meanwhile == Meanwhile::Taken;
        let parts = Arc::new(Parts { meta, kept: Kept::default(), wants_more });
        let task: Awaited = Arc::clone(&parts) as Awaited;
        assert!(parts.meta.state.begin());
        parts.kept.set_ran(BEFORE);
        if meanwhile == Meanwhile::Dropped {
            cancel(&task);
        }
        let gate: &'static Semaphore<Queued> = Box::leak(Box::new(Semaphore::new(1)));
        let mut permits = Permits::NONE;
        permits.push(gate.try_acquire().unwrap());

        Frame::new(Arc::clone(&task), permits, None).enter(|| {
            let began = Instant::now();
            while began.elapsed().is_zero() {}
            let suspended = suspend(&parts.kept, &*task, began);
            let is_left = meanwhile == Meanwhile::Nothing;
            let is_as_wanted = match suspended {
                Suspended::Left => is_left,
                Suspended::Again => matches!(meanwhile, Meanwhile::Taken | Meanwhile::Late),
                Suspended::Cancelled => meanwhile == Meanwhile::Dropped,
            };
            assert!(is_as_wanted, "{meanwhile:?}");
            // The rest of its time is added when it has ended, or is suspended again.
            assert_eq!(parts.kept.ran() > BEFORE, is_left, "{meanwhile:?}");
            let counted: &[_] = if is_left { &[("suspended", 1)] } else { &[] };
            assert_eq!(numbers(function.about.counts()), counted, "{meanwhile:?}");
            assert_eq!(gate.in_use(), 1, "{meanwhile:?}");
            assert_eq!(current::take_permits().is_empty(), is_left, "{meanwhile:?}");
            assert_eq!(parts.kept.take().is_some(), is_left, "{meanwhile:?}");
        });
        assert_eq!(gate.in_use(), 0, "{meanwhile:?}");
    }
}
