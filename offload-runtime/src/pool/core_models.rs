//! Loom's models of the [protocol](super): every order of a few threads' steps.
//! A call that is forgotten, or a wake-up that is lost, is a deadlock here.

use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::super::calls::{Queued, Ticket};
use super::super::seat::Seat;
use super::super::state::{LOST, Next, Rules, STUCK, Watch};
use super::{Core, From, Task};

/// How many bodies have come to where they wait for each other.
type Meeting = (Mutex<usize>, Condvar);

/// A call that counts how often it ran.
struct Call {
    ticket: Arc<AtomicU64>,
    ran: Arc<AtomicUsize>,
    since: Instant,
    /// It ends when as many bodies have met here as wait for each other.
    meeting: Option<Arc<Meeting>>,
    quick: bool,
    /// It is not admitted, but put here, the first time.
    aside: Option<Arc<Mutex<Option<Call>>>>,
}

impl Queued for Call {
    fn is_rationed(&self) -> bool {
        self.aside.is_some()
    }

    fn admit(mut self) -> Option<Call> {
        match self.aside.take() {
            Some(aside) => {
                *aside.lock().unwrap() = Some(self);
                None
            }
            None => Some(self),
        }
    }

    fn place(&self, ticket: Ticket) {
        self.ticket.store(ticket.to_bits(), Ordering::Release);
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn is_quick(&self) -> bool {
        self.quick
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn is_inner(&self) -> bool {
        false
    }
}

/// A pool whose threads are loom's. `refuse` of its first thread starts fail.
#[derive(Clone)]
struct Pool {
    core: Arc<Core<Call>>,
    threads: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
    ran: Arc<AtomicUsize>,
    began: Instant,
    /// Its idle threads wait; else they give up at once.
    patient: bool,
    /// It has a timer.
    timed: bool,
}

impl Pool {
    /// Its threads park as soon as they have run out of calls.
    fn new(max: usize) -> Pool {
        Pool::with(max, false)
    }

    /// Its threads search before they park.
    fn searching(max: usize) -> Pool {
        Pool::with(max, true)
    }

    fn with(max: usize, searches: bool) -> Pool {
        let rules = Rules { max, base: max, keep_alive: None, searches, parallel: true };
        let began = Instant::now();
        Pool {
            core: Arc::new(Core::new(rules, began)),
            threads: Arc::default(),
            ran: Arc::default(),
            began,
            patient: true,
            timed: false,
        }
    }

    fn call(&self) -> Call {
        Call {
            ticket: Arc::default(),
            ran: Arc::clone(&self.ran),
            since: self.began,
            meeting: None,
            quick: false,
            aside: None,
        }
    }

    /// Two calls whose bodies wait for each other, and may be taken for quick ones.
    fn meet(&self, quick: bool) {
        let meeting = Arc::new((Mutex::new(0), Condvar::new()));
        for _ in 0..2 {
            let call = Call { meeting: Some(Arc::clone(&meeting)), quick, ..self.call() };
            let next = self.core.submit(call, usize::MAX).ok().unwrap();
            self.perform(next);
        }
    }

    /// The ticket of the call, or none if the pool was closed.
    fn submit(&self) -> Option<Ticket> {
        let ticket = Arc::new(AtomicU64::new(0));
        let call = Call { ticket: Arc::clone(&ticket), ..self.call() };
        let next = self.core.submit(call, usize::MAX).ok()?;
        self.perform(next);
        Ticket::from_bits(ticket.load(Ordering::Acquire))
    }

    fn perform(&self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Call(seat) => seat.call(),
            Next::Start => {
                let pool = self.clone();
                let thread = thread::spawn(move || pool.work());
                self.threads.lock().unwrap().push(thread);
            }
            Next::Watch(watch, _) => {
                assert!(self.timed, "the base is the most");
                let pool = self.clone();
                let timer =
                    thread::spawn(move || pool.perform(pool.core.look(watch, pool.began + STUCK)));
                self.threads.lock().unwrap().push(timer);
            }
        }
    }

    fn work(&self) {
        let seat = Arc::new(Seat::new());
        let number = self.core.sit(Arc::clone(&seat));
        let mut from = From::Start;
        loop {
            match self.core.next(number, from, self.began) {
                Task::Run(call, next) => {
                    self.perform(next);
                    call.ran.fetch_add(1, Ordering::AcqRel);
                    if let Some(meeting) = call.meeting {
                        let (met, all) = &*meeting;
                        let mut met = met.lock().unwrap();
                        *met += 1;
                        all.notify_all();
                        while *met < 2 {
                            met = all.wait(met).unwrap();
                        }
                    }
                    from = From::Body(Duration::ZERO);
                }
                Task::Search(_) => {
                    // To search is to let others run: loom does that anyway.
                    from = From::Search;
                }
                Task::Idle => {
                    if !self.patient && self.core.retire(number) {
                        return;
                    }
                    assert!(seat.wait(None));
                    from = From::Wait;
                }
                Task::Exit => return,
            }
        }
    }

    /// Closes the pool and waits until its threads have ended.
    fn close(&self) {
        for seat in self.core.close() {
            seat.call();
        }
        loop {
            let thread = self.threads.lock().unwrap().pop();
            let Some(thread) = thread else { return };
            thread.join().unwrap();
        }
    }
}

fn model(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_duration = Some(Duration::from_secs(120));
    builder.check(model);
}

/// One thread, two callers: each call runs once, whether the thread was at
/// work, going idle, or parked.
#[test]
fn every_call_of_two_callers_runs_once() {
    for searches in [false, true] {
        model(3, move || {
            let pool = Pool::with(1, searches);
            let other = pool.clone();
            let caller = thread::spawn(move || other.submit().unwrap());
            pool.submit().unwrap();
            caller.join().unwrap();
            pool.close();
            assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
        });
    }
}

/// A thread that searches while a call comes in takes it, or has gone idle and
/// is called; nobody else is called meanwhile.
#[test]
fn a_call_that_comes_while_a_thread_searches_runs() {
    model(3, || {
        let pool = Pool::searching(1);
        for calls in 1..=2 {
            pool.submit().unwrap();
            // Only the protocol can end this wait.
            while pool.ran.load(Ordering::Acquire) < calls {
                thread::yield_now();
            }
        }
        pool.close();
        assert_eq!(pool.core.snapshot().threads, 0);
    });
}

/// A call waits for a thread whose body was taken for a quick one, but waits for
/// that call: the watch finds it a thread.
#[test]
fn a_body_that_only_seemed_quick_holds_up_no_call() {
    model(2, || {
        let pool = Pool { timed: true, ..Pool::new(2) };
        pool.meet(true);
        while pool.ran.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        pool.close();
    });
}

/// The same, and another caller finds that the thread has not come for what waits.
#[test]
fn a_thread_that_seems_to_have_lost_its_core_holds_up_no_call() {
    model(2, || {
        let pool = Pool { timed: true, ..Pool::new(2) };
        pool.meet(true);
        let late = Call { quick: true, since: pool.began + LOST, ..pool.call() };
        let next = pool.core.submit(late, usize::MAX).ok().unwrap();
        pool.perform(next);
        while pool.ran.load(Ordering::Acquire) < 3 {
            thread::yield_now();
        }
        pool.close();
    });
}

/// Two threads, a burst of calls: the sender wakes one thread at the most, the
/// threads call each other, and nothing is left in the queue.
#[test]
fn a_burst_is_shared_out() {
    model(2, || {
        let pool = Pool::new(2);
        for _ in 0..3 {
            pool.submit().unwrap();
        }
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 3);
    });
}

/// A thread that goes idle while a call comes in: it is woken, or it sees the
/// call before it parks.
#[test]
fn no_wake_up_is_lost_between_the_last_look_and_the_park() {
    model(3, || {
        let pool = Pool::new(1);
        pool.submit().unwrap();
        pool.submit().unwrap();
        // No close here: without it, only the protocol can end the wait.
        while pool.ran.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        pool.close();
    });
}

/// A call is cancelled while a thread reaches for it: it runs, or its caller
/// gets it back, never both and never neither.
#[test]
fn a_cancelled_call_runs_or_comes_back() {
    model(3, || {
        let pool = Pool::new(1);
        let ticket = pool.submit().unwrap();
        let came_back = usize::from(pool.core.cancel(ticket).is_some());
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed) + came_back, 1);
    });
}

/// A call is submitted while the pool is closed: it is refused, or it runs.
#[test]
fn a_call_that_races_with_the_close_runs_or_is_refused() {
    model(3, || {
        let pool = Pool::new(1);
        let other = pool.clone();
        let caller = thread::spawn(move || other.submit().is_some());
        pool.close();
        let taken = caller.join().unwrap();
        // The call may have started its thread after the close had looked.
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), usize::from(taken));
    });
}

/// The system refuses the second thread: the first one does the work of both.
#[test]
fn a_refused_thread_costs_no_call() {
    model(2, || {
        let pool = Pool::new(2);
        pool.submit().unwrap();
        let call = pool.call();
        match pool.core.submit(call, usize::MAX).ok().unwrap() {
            Next::Start => match pool.core.start_failed() {
                // No thread has taken its seat, or all are at work: the watch
                // looks again, and this time the system agrees.
                Next::Watch(watch, _) => pool.perform(pool.core.look(watch, pool.began)),
                next => pool.perform(next),
            },
            next => pool.perform(next),
        }
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
    });
}

/// Bodies that wait for each other get a thread each, whether the threads are
/// started for them, at work, searching, going idle or parked: who takes a call sees to it
/// that the next is taken, too.
#[test]
fn calls_that_wait_for_each_other_get_a_thread_each() {
    for searches in [false, true] {
        model(2, move || {
            let pool = Pool::with(2, searches);
            pool.meet(false);
            pool.meet(false);
            pool.close();
            assert_eq!(pool.ran.load(Ordering::Relaxed), 4);
            assert_eq!(pool.core.snapshot().threads, 0);
        });
    }
}

/// An idle thread gives up at any moment: it is called and comes, or it has
/// left and another one is started.
#[test]
fn a_call_that_races_with_the_end_of_an_idle_thread_runs() {
    model(3, || {
        let pool = Pool { patient: false, ..Pool::new(1) };
        pool.submit().unwrap();
        pool.submit().unwrap();
        while pool.ran.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        pool.submit().unwrap();
        while pool.ran.load(Ordering::Acquire) < 3 {
            thread::yield_now();
        }
        pool.close();
        let left = pool.core.snapshot();
        assert_eq!((left.threads, left.idle, left.queued), (0, 0, 0));
    });
}

/// A call that is not admitted waits elsewhere, its thread goes on to the next,
/// and whoever brings it back sees to it that a thread comes.
#[test]
fn a_call_that_was_put_aside_and_brought_back_runs() {
    model(2, || {
        let pool = Pool::new(1);
        let aside = Arc::new(Mutex::new(None));
        let call = pool.call();
        let _ = pool
            .core
            .submit(Call { aside: Some(Arc::clone(&aside)), ..call }, usize::MAX)
            .map(|next| pool.perform(next));
        pool.submit().unwrap();
        let call = loop {
            if let Some(call) = aside.lock().unwrap().take() {
                break call;
            }
            thread::yield_now();
        };
        // The call behind it does not depend on that.
        while pool.ran.load(Ordering::Acquire) < 1 {
            thread::yield_now();
        }
        let next = pool.core.resume(call, pool.began).ok().unwrap();
        pool.perform(next);
        while pool.ran.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
    });
}

/// A thread is refused while the only other one goes idle, and a call has come
/// in between: that thread is called, or took the call, or the watch is set.
#[test]
fn a_call_that_came_while_a_thread_was_refused_is_taken_by_the_other() {
    model(2, || {
        let pool = Pool::new(2);
        pool.submit().unwrap();
        let Ok(next) = pool.core.submit(pool.call(), usize::MAX) else { unreachable!() };
        match next {
            Next::Start => {
                // The first thread may take both calls and go idle here.
                pool.submit().unwrap();
                match pool.core.start_failed() {
                    Next::Watch(watch, _) => pool.perform(pool.core.look(watch, pool.began)),
                    next => pool.perform(next),
                }
            }
            next => {
                pool.perform(next);
                pool.submit().unwrap();
            }
        }
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 3);
        assert_eq!(pool.core.snapshot().threads, 0);
    });
}

/// Without threads there is the watch, as often as the system refuses.
#[test]
fn the_watch_is_set_as_long_as_threads_are_refused() {
    model(2, || {
        let pool = Pool::new(1);
        let mut next = pool.core.submit(pool.call(), usize::MAX).ok().unwrap();
        for _ in 0..3 {
            assert!(matches!(next, Next::Start));
            assert!(matches!(pool.core.start_failed(), Next::Watch(..)));
            // One watch is enough.
            assert!(matches!(pool.core.submit(pool.call(), usize::MAX), Ok(Next::Start)));
            assert!(matches!(pool.core.start_failed(), Next::Nothing));
            next = pool.core.look(Watch::Growth, pool.began);
        }
        // Neither is there a watch now, so the next call asks for it.
        assert!(matches!(next, Next::Start));
        assert!(matches!(pool.core.start_failed(), Next::Watch(..)));
        pool.core.watch_failed();
        assert!(matches!(pool.core.submit(pool.call(), usize::MAX), Ok(Next::Start)));
        assert!(matches!(pool.core.start_failed(), Next::Watch(..)));
        assert_eq!(pool.core.snapshot().threads, 0);
        pool.perform(pool.core.look(Watch::Growth, pool.began));
        while pool.ran.load(Ordering::Acquire) < 5 {
            thread::yield_now();
        }
        pool.close();
    });
}

/// Step by step, with two threads: a burst costs its sender one wake-up, nobody
/// calls while a thread is coming, the one that arrives calls the next, and the
/// last to go idle is the first to be called.
#[test]
fn one_thread_at_a_time_is_called_the_most_recent_first() {
    model(1, || {
        let pool = Pool::new(2);
        let (core, now) = (&pool.core, pool.began);
        let submit = || core.submit(pool.call(), usize::MAX).ok().unwrap();
        let run = |number, from| match core.next(number, from, now) {
            Task::Run(_, next) => next,
            _ => panic!("there is a call"),
        };
        let idle = |number, from| assert!(matches!(core.next(number, from, now), Task::Idle));

        let ticket = Arc::new(AtomicU64::new(0));
        let call = Call { ticket: Arc::clone(&ticket), ..pool.call() };
        assert!(matches!(core.submit(call, usize::MAX), Ok(Next::Start)));
        let first = Ticket::from_bits(ticket.load(Ordering::Acquire)).unwrap();
        assert!(matches!(submit(), Next::Nothing));
        let seats = [Arc::new(Seat::new()), Arc::new(Seat::new())];
        assert_eq!(core.sit(Arc::clone(&seats[0])), 0);
        let next = run(0, From::Start);
        assert!(matches!(next, Next::Start));
        assert_eq!(core.sit(Arc::clone(&seats[1])), 1);
        let next = run(1, From::Start);
        assert!(matches!(next, Next::Nothing));
        // The caller of the first goes away, and the seat is told; the next
        // body in it is not.
        assert!(core.cancel(first).is_none());
        assert!(seats[0].is_cancelled() && !seats[1].is_cancelled());
        idle(0, From::Body(Duration::ZERO));
        idle(1, From::Body(Duration::ZERO));

        assert!(matches!(submit(), Next::Call(seat) if Arc::ptr_eq(&seat, &seats[1])));
        assert!(matches!(submit(), Next::Nothing));
        let next = run(1, From::Wait);
        assert!(matches!(next, Next::Call(seat) if Arc::ptr_eq(&seat, &seats[0])));
        // A thread that ends its body before the called one has come takes the call.
        let next = run(1, From::Body(Duration::ZERO));
        assert!(matches!(next, Next::Nothing));
        idle(0, From::Wait);
        assert!(matches!(submit(), Next::Call(seat) if Arc::ptr_eq(&seat, &seats[0])));
        let next = run(0, From::Wait);
        assert!(matches!(next, Next::Nothing) && !seats[0].is_cancelled());
        idle(0, From::Body(Duration::ZERO));
        idle(1, From::Body(Duration::ZERO));
        // Closed, each is called to end, and counts as coming until it does.
        assert_eq!(core.close().len(), 2);
        assert!(matches!(core.next(0, From::Wait, now), Task::Exit));
        assert!(matches!(core.next(1, From::Wait, now), Task::Exit));
        assert_eq!(core.snapshot().threads, 0);
    });
}

/// A call came while one thread was being started and the other went idle: if
/// the start fails, the idle one is called, and nobody waits for the watch.
#[test]
fn a_refused_thread_is_replaced_by_one_that_went_idle() {
    model(1, || {
        let pool = Pool::new(2);
        let (core, now) = (&pool.core, pool.began);
        let submit = || core.submit(pool.call(), usize::MAX).ok().unwrap();
        assert!(matches!(submit(), Next::Start));
        let seat = Arc::new(Seat::new());
        let number = core.sit(Arc::clone(&seat));
        let Task::Run(..) = core.next(number, From::Start, now) else { panic!("a call") };
        assert!(matches!(submit(), Next::Start));
        let Task::Run(..) = core.next(number, From::Body(Duration::ZERO), now) else {
            panic!("a call")
        };
        assert!(matches!(core.next(number, From::Body(Duration::ZERO), now), Task::Idle));
        assert!(matches!(submit(), Next::Nothing));
        assert!(matches!(core.start_failed(), Next::Call(called) if Arc::ptr_eq(&called, &seat)));
        let Task::Run(..) = core.next(number, From::Wait, now) else { panic!("a call") };
        assert_eq!((core.snapshot().threads, core.snapshot().queued), (1, 0));
    });
}
