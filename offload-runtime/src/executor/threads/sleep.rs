//! The threads of a pool that have nothing to do, and how one is woken.
//!
//! # The protocol
//!
//! A thread of the pool is in one of three states:
//!
//! * **at work**: it runs a body, or is about to ask for the next call;
//! * **searching**: it has found the queue empty and looks on for some microseconds, or it was
//!   woken and is on its way to the queue. `searching` counts these; of those that look on
//!   there is one at a time;
//! * **idle**: its bit is set; it parks, or is about to.
//!
//! Who queues a call does so first and then looks at this: is a thread searching, it will find
//! the call; else an idle one is woken, and counts as searching from then on. So a burst costs
//! its sender one wake-up. A searching thread that has found a call stops searching, and if
//! more are queued wakes the next one: so the threads are woken one by the other.
//!
//! *No call is forgotten.* A thread goes idle in this order: it sets its bit, stops searching,
//! and looks at the queue once more; with a fence before the look, as there is one between
//! queuing a call and looking at the threads. So either the thread sees the call, or who
//! queued it sees the thread.
//!
//! *No wake-up is lost.* Who clears a thread's bit has to wake it, and nobody else does. Unless it was claimed, it
//! counts as searching. Its flag is set, and it is unparked; the thread looks at the flag
//! before each park. A thread that ends after a time clears its own bit; if somebody else did,
//! it was woken, and waits for the flag.
//!
//! The idle thread with the lowest number is woken first: so as few as can do the work have
//! it, and those with high numbers stay idle, and end.
//!
//! *A thread is claimed* by who has something for it that is in no queue: its bit is cleared, and nothing else is
//! done yet. It counts as one at work from then on, so who queues a call meanwhile does not rely on it; and as one at
//! work does, it looks at the queue afterwards. It is woken when it is given what it was claimed for, or, if that comes to
//! nothing, as any other.

#[cfg(any(feature = "process", all(test, offload_loom)))]
pub(super) mod claimed;

use std::sync::atomic::{
    AtomicBool as StdAtomicBool, AtomicU64 as StdAtomicU64, AtomicUsize as StdAtomicUsize,
    Ordering as StdOrdering,
};
use std::sync::{Mutex as StdMutex, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use crate::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Thread, current, fence, lock, park,
    park_timeout,
};
use crate::system::abort::Unpoisoned;
use crate::system::sleepers;
use crate::task::about::About;
use crate::task::current::{Busy, Stops};
use crate::task::meta::StandIn;

/// So many threads have their bits in one word.
const WORD: usize = if cfg!(offload_loom) { 2 } else { u64::BITS as usize };

/// The bits of all of them.
const ALL: u64 = u64::MAX >> (u64::BITS as usize - WORD);

/// No pool has more.
const MOST: usize = 1 << 20;

/// See the [module](self). `G` is what threads are given that were claimed.
pub(super) struct Sleep<G> {
    searching: CachePadded<AtomicUsize>,
    /// Made as threads need them.
    groups: Box<[OnceLock<Box<Group<G>>>]>,
    /// So many were made.
    used: AtomicUsize,
}

/// The threads of one word.
struct Group<G> {
    idle: CachePadded<AtomicU64>,
    /// Numbers that threads have.
    taken: AtomicU64,
    states: [WorkerState<G>; WORD],
}

/// One thread, as the others see it.
pub(super) struct WorkerState<G>(CachePadded<Inner<G>>);

struct Inner<G> {
    /// Written by the thread before it is idle for the first time, and read by who wakes it: so
    /// nobody ever waits for this lock.
    thread: Mutex<Option<Thread>>,
    notified: AtomicBool,
    /// What the thread was claimed for. Whoever claims it writes this and then wakes it; the thread takes it when it
    /// is awake: so nobody ever waits for this lock either.
    given: Mutex<Option<G>>,
    /// Its number, as the system knows it.
    thread_id: StdAtomicUsize,
    /// Whose body it runs.
    running: AtomicCell<Option<&'static About>>,
    /// Since when, in nanoseconds after the start of the pool.
    began: StdAtomicU64,
    /// What is in its place while its body is blocked; and whether there is something.
    stand_in: StdMutex<Option<StandIn>>,
    is_stood_in_for: StdAtomicBool,
    /// Calls that were taken here, and bodies that ended.
    popped: StdAtomicU64,
    ended: StdAtomicU64,
}

impl<G> Default for Inner<G> {
    fn default() -> Inner<G> {
        Inner {
            thread: Mutex::new(None),
            notified: AtomicBool::new(false),
            given: Mutex::new(None),
            thread_id: StdAtomicUsize::new(0),
            running: AtomicCell::new(None),
            began: StdAtomicU64::new(0),
            stand_in: StdMutex::new(None),
            is_stood_in_for: StdAtomicBool::new(false),
            popped: StdAtomicU64::new(0),
            ended: StdAtomicU64::new(0),
        }
    }
}

impl<G> Sleep<G> {
    /// For a pool of about `threads` threads.
    pub(super) fn new(threads: usize) -> Sleep<G> {
        // Bodies that wait have threads in their place.
        let groups = (2 * threads.min(MOST / 2)).div_ceil(WORD) + WORD;
        Sleep {
            searching: CachePadded::new(AtomicUsize::new(0)),
            groups: (0..groups).map(|_| OnceLock::new()).collect(),
            used: AtomicUsize::new(0),
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Group<G>> {
        let used = self.used.load(Ordering::Acquire);
        self.groups[..used].iter().filter_map(|group| group.get().map(|group| &**group))
    }

    /// Every thread that there is or was.
    pub(super) fn states(&self) -> impl Iterator<Item = &WorkerState<G>> {
        self.groups().flat_map(|group| &group.states)
    }

    pub(super) fn state(&self, number: usize) -> &WorkerState<G> {
        let group = self.groups[number / WORD].get().expect("a number is of a group that was made");
        &group.states[number % WORD]
    }

    /// How many are idle, at about this time.
    pub(super) fn idle(&self) -> usize {
        self.groups().map(|group| group.idle.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    /// Gives this thread the lowest number that is free. `None`: there are too many.
    pub(super) fn register(&self) -> Option<usize> {
        for (at, group) in self.groups.iter().enumerate() {
            let group = group.get_or_init(Box::default);
            self.used.fetch_max(at + 1, Ordering::AcqRel);
            let lowest = |taken: u64| (taken != ALL).then(|| taken | (taken + 1));
            let before = group.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, lowest);
            if let Ok(taken) = before {
                let bit = taken.trailing_ones() as usize;
                let state = &group.states[bit].0;
                *lock(&state.thread) = Some(current());
                state.thread_id.store(sleepers::thread_id(), StdOrdering::Relaxed);
                return Some(at * WORD + bit);
            }
        }
        None
    }

    /// A thread gives its number back, as it ends.
    pub(super) fn unregister(&self, number: usize) {
        *lock(&self.state(number).0.thread) = None;
        let group = self.groups[number / WORD].get().expect("it had this number");
        group.taken.fetch_and(!(1 << (number % WORD)), Ordering::AcqRel);
    }

    /// A call was queued. Whether a thread comes for it: one searches, or was woken.
    pub(super) fn notify(&self) -> bool {
        fence(Ordering::SeqCst);
        self.searching.load(Ordering::SeqCst) > 0 || self.wake_one()
    }

    /// Wakes all threads that are idle: something has changed for them.
    pub(super) fn wake_all(&self) {
        fence(Ordering::SeqCst);
        while self.wake_one() {}
    }

    /// Wakes an idle thread, if there is one.
    fn wake_one(&self) -> bool {
        let state = self.take_idle();
        state.inspect(|state| self.wake(state)).is_some()
    }

    /// Clears the bit of an idle thread, if there is one. Who does has to wake it.
    fn take_idle(&self) -> Option<&WorkerState<G>> {
        for group in self.groups() {
            let mut idle = group.idle.load(Ordering::SeqCst);
            while idle != 0 {
                let bit = 1 << idle.trailing_zeros();
                let before = group.idle.fetch_and(!bit, Ordering::SeqCst);
                if before & bit != 0 {
                    return Some(&group.states[bit.trailing_zeros() as usize]);
                }
                idle = before;
            }
        }
        None
    }

    /// Wakes a thread whose bit was cleared for that.
    fn wake(&self, state: &WorkerState<G>) {
        self.searching.fetch_add(1, Ordering::SeqCst);
        state.wake();
    }

    /// Begins to search, unless another does.
    pub(super) fn search(&self) -> bool {
        self.searching.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Has searched, and found a call. More may be queued, for which nobody may come.
    pub(super) fn found(&self) {
        self.searching.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether somebody searches, at about this time.
    pub(super) fn is_searching(&self) -> bool {
        self.searching.load(Ordering::Relaxed) > 0
    }

    /// Parks this thread until it is woken (it searches then), or it was claimed and is given something, or there is
    /// work (it searches in neither case), or it was idle so long that it is to end.
    pub(super) fn sleep(
        &self,
        number: usize,
        is_searching: bool,
        keep_alive: Option<Duration>,
        has_work: impl Fn() -> bool,
    ) -> Woken<G> {
        let group = self.groups[number / WORD].get().expect("it has this number");
        let bit = 1 << (number % WORD);
        let get_up = || group.idle.fetch_and(!bit, Ordering::SeqCst) & bit != 0;
        let state = &group.states[number % WORD];
        group.idle.fetch_or(bit, Ordering::SeqCst);
        if is_searching {
            self.searching.fetch_sub(1, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        if has_work() && get_up() {
            return Woken::Work;
        }
        if !state.wait(keep_alive) {
            if get_up() {
                return Woken::Late;
            }
            state.wait(None);
        }
        let given = lock(&state.0.given).take();
        given.map_or(Woken::Called, Woken::Given)
    }
}

/// Why a thread is idle no more.
pub(super) enum Woken<G> {
    /// It was woken, and counts as searching.
    Called,
    /// It was claimed for this.
    Given(G),
    /// There was work before it parked.
    Work,
    /// Nobody needed it for a while.
    Late,
}

impl<G> Default for Group<G> {
    fn default() -> Group<G> {
        Group {
            idle: CachePadded::new(AtomicU64::new(0)),
            taken: AtomicU64::new(0),
            states: std::array::from_fn(|_| WorkerState(CachePadded::default())),
        }
    }
}

impl<G> WorkerState<G> {
    fn wake(&self) {
        let thread = lock(&self.0.thread).clone();
        self.0.notified.store(true, Ordering::Release);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    /// Parks until it is woken; false: it was not, in `patience`. Bodies may park and unpark
    /// their thread as they like: a token that they leave or take only makes this look once
    /// more, since no body runs here between [`wake`](Self::wake) and the look.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        loop {
            if self.0.notified.load(Ordering::Acquire) {
                // Nobody else writes: it is woken once for each time that its bit was set.
                self.0.notified.store(false, Ordering::Relaxed);
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            left.map_or_else(park, park_timeout);
        }
    }

    /// This thread has taken something out of the queue.
    pub(super) fn pop(&self) {
        let relaxed = StdOrdering::Relaxed;
        self.0.popped.store(self.0.popped.load(relaxed) + 1, relaxed);
    }

    /// So much was taken out of the queue here.
    pub(super) fn popped(&self) -> u64 {
        self.0.popped.load(StdOrdering::Relaxed)
    }

    /// So many bodies have ended here.
    pub(super) fn ended(&self) -> u64 {
        self.0.ended.load(StdOrdering::Relaxed)
    }

    /// Whose body runs here.
    pub(super) fn running(&self) -> Option<&'static About> {
        self.0.running.load()
    }

    /// The same, and how long after the start of the pool it began.
    pub(super) fn body(&self) -> Option<(&'static About, Duration)> {
        // In this order: what is read is the time of this body, or of a later one.
        let about = self.running()?;
        Some((about, Duration::from_nanos(self.0.began.load(StdOrdering::Relaxed))))
    }

    /// Its number, as the system knows it.
    pub(super) fn thread_id(&self) -> usize {
        self.0.thread_id.load(StdOrdering::Relaxed)
    }

    /// Its body is blocked: this stands in for it.
    pub(super) fn set_stand_in(&self, stand_in: StandIn) {
        *self.0.stand_in.lock().unpoisoned() = Some(stand_in);
        self.0.is_stood_in_for.store(true, StdOrdering::Release);
    }

    pub(super) fn is_stood_in_for(&self) -> bool {
        self.0.is_stood_in_for.load(StdOrdering::Acquire)
    }

    /// Its body has ended: nothing stands in for it any more.
    pub(super) fn dismiss_stand_in(&self) {
        if self.is_stood_in_for() {
            self.0.is_stood_in_for.store(false, StdOrdering::Release);
            let stand_in = self.0.stand_in.lock().unpoisoned().take();
            drop(stand_in);
        }
    }

    /// A body of this function is about to run here, so long after the start of the pool.
    pub(super) fn run(&'static self, about: &'static About, at: Duration, stops: Stops) -> Busy {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.0.began.store(nanos, StdOrdering::Relaxed);
        Busy::new(&self.0.running, &self.0.ended, about, stops)
    }
}

/// Every order of the steps of a few threads. A wake-up that is lost is a deadlock here.
#[cfg(all(test, offload_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::model::check;
    use crate::sync::queue::Queue;

    struct Pool {
        queue: Queue<()>,
        sleep: Sleep<()>,
        closed: AtomicBool,
        ran: Mutex<usize>,
        one_more: loom::sync::Condvar,
    }

    impl Pool {
        fn new() -> Arc<Pool> {
            let sleep = Sleep::new(1);
            // Loom does not see into std's lock in which groups are made: here it is done before
            // there are other threads.
            sleep.unregister(sleep.register().unwrap());
            Arc::new(Pool {
                queue: Queue::new(),
                sleep,
                closed: AtomicBool::new(false),
                ran: Mutex::new(0),
                one_more: loom::sync::Condvar::new(),
            })
        }

        fn submit(&self) {
            self.queue.push(());
            self.sleep.notify();
        }

        fn wait_for(&self, calls: usize) {
            let mut ran = lock(&self.ran);
            while *ran < calls {
                ran = self.one_more.wait(ran).unwrap();
            }
        }

        fn close(&self) {
            self.closed.store(true, Ordering::SeqCst);
            self.sleep.wake_all();
        }

        /// What a thread does, as in `worker`, but that it looks on only once.
        fn work(&self) {
            let number = self.sleep.register().unwrap();
            let mut is_searching = false;
            loop {
                if self.queue.pop().is_some() {
                    if std::mem::take(&mut is_searching) {
                        self.sleep.found();
                        if !self.queue.is_empty() {
                            self.sleep.notify();
                        }
                    }
                    self.run();
                    continue;
                }
                if self.closed.load(Ordering::SeqCst) && self.queue.is_empty() {
                    if is_searching {
                        self.sleep.found();
                    }
                    self.sleep.unregister(number);
                    return;
                }
                is_searching = is_searching || self.sleep.search();
                if is_searching && !self.queue.is_empty() {
                    continue;
                }
                let has_work = || !self.queue.is_empty() || self.closed.load(Ordering::SeqCst);
                let was_searching = std::mem::take(&mut is_searching);
                match self.sleep.sleep(number, was_searching, None, has_work) {
                    Woken::Called => is_searching = true,
                    Woken::Given(()) => self.run(),
                    Woken::Work | Woken::Late => {}
                }
            }
        }

        fn run(&self) {
            *lock(&self.ran) += 1;
            self.one_more.notify_one();
        }

        /// As who has a call begin elsewhere, and gives its end to an idle thread. If there is none, or `is_vain`, it is
        /// queued.
        fn claim(&self, is_vain: bool) {
            match self.sleep.claim() {
                Some(claimed) if !is_vain => claimed.give(()),
                claimed => {
                    drop(claimed);
                    self.submit();
                }
            }
        }
    }

    #[test]
    fn calls_that_come_while_the_thread_goes_idle_are_run() {
        check(3, || {
            let pool = Pool::new();
            let theirs = Arc::clone(&pool);
            let worker = thread::spawn(move || theirs.work());
            pool.submit();
            pool.submit();
            pool.wait_for(2);
            pool.close();
            worker.join().unwrap();
            assert_eq!(pool.sleep.searching.load(Ordering::SeqCst), 0);
        });
    }

    #[test]
    fn calls_of_two_callers_are_run_by_two_threads_or_one() {
        check(1, || {
            let pool = Pool::new();
            let workers = [(); 2].map(|()| {
                let theirs = Arc::clone(&pool);
                thread::spawn(move || theirs.work())
            });
            let theirs = Arc::clone(&pool);
            let caller = thread::spawn(move || theirs.submit());
            pool.submit();
            caller.join().unwrap();
            pool.wait_for(2);
            pool.close();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            assert_eq!(pool.sleep.searching.load(Ordering::SeqCst), 0);
        });
    }

    /// While one is at work for long, the other is not forgotten.
    #[test]
    fn a_call_behind_one_that_waits_for_it_is_run_by_the_other_thread() {
        check(2, || {
            let pool = Pool::new();
            let workers = [(); 2].map(|()| {
                let theirs = Arc::clone(&pool);
                thread::spawn(move || theirs.work())
            });
            pool.submit();
            pool.wait_for(1);
            pool.submit();
            pool.wait_for(2);
            pool.close();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
    }

    /// One call is queued by another thread, and one has begun elsewhere, or nearly so; while the only thread goes idle.
    #[test]
    fn a_call_that_comes_while_a_thread_is_claimed_is_run_and_so_is_what_it_was_claimed_for() {
        for is_vain in [false, true] {
            check(2, move || {
                let pool = Pool::new();
                let theirs = Arc::clone(&pool);
                let worker = thread::spawn(move || theirs.work());
                let theirs = Arc::clone(&pool);
                let caller = thread::spawn(move || theirs.submit());
                pool.claim(is_vain);
                caller.join().unwrap();
                pool.wait_for(2);
                pool.close();
                worker.join().unwrap();
                assert_eq!(pool.sleep.searching.load(Ordering::SeqCst), 0);
            });
        }
    }

    /// Both want the only thread for themselves: one has it, and it runs the call of the other, too.
    #[test]
    fn a_thread_is_claimed_by_one_of_two() {
        check(2, || {
            let pool = Pool::new();
            let theirs = Arc::clone(&pool);
            let worker = thread::spawn(move || theirs.work());
            let theirs = Arc::clone(&pool);
            let caller = thread::spawn(move || theirs.claim(false));
            pool.claim(false);
            caller.join().unwrap();
            pool.wait_for(2);
            pool.close();
            worker.join().unwrap();
            assert_eq!(pool.sleep.searching.load(Ordering::SeqCst), 0);
        });
    }

    /// A thread that ends since nobody needed it clears its bit as one that wakes it does, or claims it: one of
    /// them has it.
    #[test]
    fn a_thread_that_ends_was_not_woken() {
        for claims in [false, true] {
            loom::model(move || {
                let sleep = Arc::new(Sleep::<()>::new(1));
                let number = sleep.register().unwrap();
                let bit = 1 << number;
                let group = sleep.groups[0].get().unwrap();
                group.idle.fetch_or(bit, Ordering::SeqCst);
                let theirs = Arc::clone(&sleep);
                let caller = thread::spawn(move || match claims {
                    true => theirs.claim().map(|claimed| claimed.give(())).is_some(),
                    false => theirs.notify(),
                });
                let ends = group.idle.fetch_and(!bit, Ordering::SeqCst) & bit != 0;
                assert_ne!(ends, caller.join().unwrap());
            });
        }
    }
}
