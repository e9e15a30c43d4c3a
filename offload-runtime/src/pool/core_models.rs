//! Loom's models of the [protocol](super): every order of a few threads' steps.
//! A call that is forgotten, or a wake-up that is lost, is a deadlock here.

use std::time::{Duration, Instant};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use super::super::calls::Ticket;
use super::super::seat::Seat;
use super::{Core, From, Next, Queued, Rules, Task};

/// A call that counts how often it ran.
struct Call {
    ticket: Arc<AtomicU64>,
    ran: Arc<AtomicUsize>,
    since: Instant,
}

impl Queued for Call {
    fn admit(self) -> Option<Call> {
        Some(self)
    }

    fn place(&self, ticket: Ticket) {
        self.ticket.store(ticket.to_bits(), Ordering::Release);
    }

    fn since(&self) -> Instant {
        self.since
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
    threads: Arc<loom::sync::Mutex<Vec<thread::JoinHandle<()>>>>,
    ran: Arc<AtomicUsize>,
    began: Instant,
}

impl Pool {
    fn new(max: usize) -> Pool {
        Pool {
            core: Arc::new(Core::new(Rules { max, base: max, keep_alive: None })),
            threads: Arc::default(),
            ran: Arc::default(),
            began: Instant::now(),
        }
    }

    /// The ticket of the call, or none if the pool was closed.
    fn submit(&self) -> Option<Ticket> {
        let ticket = Arc::new(AtomicU64::new(0));
        let call =
            Call { ticket: Arc::clone(&ticket), ran: Arc::clone(&self.ran), since: self.began };
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
            Next::Watch => unreachable!("the base is the most"),
        }
    }

    fn work(&self) {
        let seat = Arc::new(Seat::new());
        let number = self.core.sit(Arc::clone(&seat));
        let mut from = From::Start;
        loop {
            match self.core.next(number, from, self.began) {
                Task::Run(ticket, call, next) => {
                    self.perform(next);
                    call.ran.fetch_add(1, Ordering::Relaxed);
                    from = From::Body(ticket);
                }
                Task::Idle => {
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
    model(3, || {
        let pool = Pool::new(1);
        let other = pool.clone();
        let caller = thread::spawn(move || other.submit().unwrap());
        pool.submit().unwrap();
        caller.join().unwrap();
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
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
        let call = Call { ticket: Arc::default(), ran: Arc::clone(&pool.ran), since: pool.began };
        match pool.core.submit(call, usize::MAX).ok().unwrap() {
            Next::Start => match pool.core.start_failed() {
                // No thread has taken its seat, or all are at work: the watch
                // looks again, and this time the system agrees.
                Next::Watch => pool.perform(pool.core.look(pool.began)),
                next => pool.perform(next),
            },
            next => pool.perform(next),
        }
        pool.close();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
    });
}
