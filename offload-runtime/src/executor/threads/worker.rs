//! What a thread of a pool does: it takes a call, runs it, and takes the next, until there is
//! none for it.

use std::hint::spin_loop;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use super::pool::{Continuation, Item, Pool, Started};
use super::sleep::{Woken, WorkerState};
use crate::sync::foreign::quietly;
use crate::sync::outer::Outer;
use crate::system::masks::Masks;
use crate::task::current::Stops;
use crate::task::{Admitted, Permits, completion, meta};

/// So long a thread that has run out of calls looks on, on its own core, before it parks: one
/// that makes one call after the other sends the next in a few microseconds, and to wake a
/// thread takes as long.
const SEARCH: Duration = Duration::from_micros(10);

/// A thread of a pool.
struct Worker {
    pool: &'static Pool,
    started: &'static Started,
    number: usize,
    state: &'static WorkerState<Box<dyn Continuation>>,
    /// In which runtime the thread is between bodies: what its start has entered for good.
    home: Option<Id>,
    /// It counts as one that searches.
    is_searching: bool,
    /// What is done next takes its time from here.
    now: Instant,
    /// They are set back before the thread is idle, if a body has run since it was.
    masks: Masks,
    has_run: bool,
    /// It has taken no item yet.
    is_new: bool,
}

/// What a thread does next.
enum Work {
    /// It was in the queue.
    Item(Item),
    /// What the thread was claimed for, which is in no queue.
    Rest(Box<dyn Continuation>),
}

impl Work {
    /// The runtime of its caller.
    fn runtime(&self) -> Option<&Handle> {
        match self {
            Work::Item(item) => item.runtime(),
            Work::Rest(rest) => rest.runtime(),
        }
    }
}

/// Whether the thread may take another call.
#[derive(PartialEq)]
enum Left {
    /// Nothing that matters.
    Nothing,
    /// A body has left something behind that cannot be undone: the thread has to end.
    Traces,
}

impl Pool {
    /// From a thread's start to its end.
    pub(super) fn work(&'static self) {
        let started = self.started();
        let Some(number) = started.sleep.register() else {
            // A million threads there are already.
            started.threads.fetch_sub(1, Ordering::AcqRel);
            return;
        };
        self.thread_arrived();
        let state = started.sleep.state(number);
        let now = Instant::now();
        let (is_searching, masks, has_run) = (false, Masks::here(), false);
        let mut worker = Worker {
            pool: self,
            started,
            number,
            state,
            home: meta::runtime_here(),
            is_searching,
            now,
            masks,
            has_run,
            is_new: true,
        };
        worker.run();
        started.sleep.unregister(number);
        if let Some(serve) = started.serve {
            serve.thread_ended();
        }
    }
}

impl Worker {
    fn run(&mut self) {
        let mut given = None;
        loop {
            let mut work = given.take().map(Work::Rest).or_else(|| self.next().map(Work::Item));
            while let Some(next) = work {
                let (left, after) = self.run_in_its_runtime(next);
                if left == Left::Traces {
                    return self.end_spoilt(after);
                }
                work = after.map(Work::Item);
            }
            if self.is_surplus() {
                return;
            }
            match self.rest() {
                ControlFlow::Continue(rest) => given = rest,
                ControlFlow::Break(()) => return,
            }
        }
    }

    /// Takes the next item. One that has searched wakes another if there are more.
    fn next(&mut self) -> Option<Item> {
        let queue = &self.started.queue;
        let item = queue.pop().or_else(|| self.search().then(|| queue.pop()).flatten())?;
        self.state.pop();
        if std::mem::take(&mut self.is_searching) {
            self.started.sleep.found();
            if !queue.is_empty() {
                self.pool.tend();
            }
        }
        // It was asked for when there was one call, and more may have come while another thread searched.
        if std::mem::take(&mut self.is_new) && !queue.is_empty() {
            self.pool.watch_growth();
        }
        Some(item)
    }

    /// Looks on for a moment. Whether something came.
    fn search(&mut self) -> bool {
        let started = self.started;
        if !started.rules.searches || started.intake.is_closed() {
            return false;
        }
        self.is_searching = self.is_searching || started.sleep.search();
        if !self.is_searching {
            return false;
        }
        let start = Instant::now();
        loop {
            for _ in 0..16 {
                spin_loop();
                if !started.queue.is_empty() {
                    self.now = Instant::now();
                    return true;
                }
            }
            if start.elapsed() >= SEARCH {
                return false;
            }
        }
    }

    /// Nothing is there to do. Break: the thread is to end; else there is something again, perhaps what it was claimed for.
    fn rest(&mut self) -> ControlFlow<(), Option<Box<dyn Continuation>>> {
        let started = self.started;
        if std::mem::take(&mut self.has_run) && started.rules.runs_bodies {
            self.masks.set_back();
        }
        let is_over = || started.intake.is_closed() && started.queue.is_empty();
        let keep_alive = started.rules.keep_alive;
        let woken = if is_over() || keep_alive == Some(Duration::ZERO) {
            Woken::Late
        } else {
            let has_work = || {
                let is_called = !started.queue.is_empty() || started.intake.is_closed();
                is_called || self.pool.has_surplus()
            };
            let was_searching = std::mem::take(&mut self.is_searching);
            let woken = started.sleep.sleep(self.number, was_searching, keep_alive, has_work);
            self.is_searching = matches!(woken, Woken::Called);
            woken
        };
        self.now = Instant::now();
        match woken {
            // Whatever the pool does: the call has begun.
            Woken::Given(rest) => return ControlFlow::Continue(Some(rest)),
            Woken::Called | Woken::Work if !is_over() => return ControlFlow::Continue(None),
            Woken::Called | Woken::Work | Woken::Late => {}
        }
        self.started.threads.fetch_sub(1, Ordering::SeqCst);
        self.leave();
        ControlFlow::Break(())
    }

    /// The thread takes no more calls, and is not counted any more.
    fn leave(&mut self) {
        if std::mem::take(&mut self.is_searching) {
            self.started.sleep.found();
        }
        self.pool.tend_after_end();
    }

    /// Whether there is a thread too many, since a body that waited has ended. If so, this one
    /// takes no more calls.
    fn is_surplus(&mut self) -> bool {
        let is_surplus = self.pool.has_surplus() && self.pool.give_up_surplus();
        if is_surplus {
            self.leave();
            self.pool.wake_surplus();
        }
        is_surplus
    }

    /// Runs calls, in the context of the runtime that they come from, until there is none or the
    /// next one comes from elsewhere: to enter a runtime changes a count that all cores
    /// share.
    fn run_in_its_runtime(&mut self, mut work: Work) -> (Left, Option<Item>) {
        let runtime = work.runtime().cloned();
        let id = runtime.as_ref().map(Handle::id);
        let guard = runtime.as_ref().map(Handle::enter);
        let next = loop {
            self.run_one(work);
            self.state.dismiss_stand_in();
            // Before the next body: it would be in the runtime that this one has left entered.
            if meta::runtime_here() != id.or(self.home) {
                // To leave ours would panic. What is entered goes with the thread.
                std::mem::forget(guard);
                return (Left::Traces, None);
            }
            if self.pool.has_surplus() {
                break None;
            }
            match self.next() {
                Some(item) if item.runtime().map(Handle::id) == id => work = Work::Item(item),
                next => break next,
            }
        };
        // A body that has entered this runtime once more, and not left it, makes this panic.
        let left = if quietly(|| drop(guard)) { Left::Nothing } else { Left::Traces };
        quietly(|| drop(runtime));
        (left, next)
    }

    fn run_one(&mut self, work: Work) {
        self.has_run = true;
        // What is left of a call, what it borrows, its waker: all of it may enter a span.
        let _outer = Outer::here();
        let task = match work {
            Work::Item(Item::Call(task)) => task,
            Work::Item(Item::Leftover(task)) => {
                self.pool.drop_leftover(&task);
                self.now = Instant::now();
                return;
            }
            Work::Rest(rest) => {
                self.now = rest.run();
                return;
            }
        };
        let meta = task.meta();
        let (about, owner) = (meta.about(), meta.owner);
        if !meta.state.is_queued() {
            task.discard();
            return self.pool.met_shell();
        }
        // Before the look at whether calls are still started: one that is, is told to stop when they
        // are not any more.
        let stops = self.started.stops.load(Ordering::SeqCst);
        if self.started.intake.is_drained() {
            return self.pool.reject(task);
        }
        if meta.start_by().is_some_and(|start_by| start_by <= self.now) {
            let error = completion::expired_in_queue(&*task, self.now);
            if !completion::reject(task, error) {
                self.pool.met_shell();
            }
            return;
        }
        let admitted = match task.kept() {
            Some(kept) if meta.state.has_begun() => {
                let permits = kept.take().unwrap_or(Permits::NONE);
                Admitted::Start(task, permits)
            }
            _ if meta.is_gated => owner.admit(task),
            _ => Admitted::Start(task, Permits::NONE),
        };
        match admitted {
            Admitted::Start(task, permits) => {
                let at = self.now.saturating_duration_since(self.started.at);
                let busy = self.state.run(about, at, Stops::new(&self.started.stops, stops));
                let ended = match self.started.serve {
                    Some(serve) => serve.serve(task, permits, busy),
                    None => completion::run(task, permits, Some(busy), self.now),
                };
                match ended {
                    Some(now) => self.now = now,
                    None => self.pool.met_shell(),
                }
            }
            Admitted::Waits => {
                // It may have come to wait after all that waited were ended.
                if self.started.intake.is_drained() {
                    owner.reject_lines();
                }
            }
            Admitted::Cancelled => self.pool.met_shell(),
            Admitted::Rejected(task, error) => {
                if !completion::reject(task, error) {
                    self.pool.met_shell();
                }
            }
        }
    }

    /// The thread ends with what a body left on it, and another takes its place. `item` was
    /// taken out of the queue already.
    fn end_spoilt(&mut self, item: Option<Item>) {
        if let Some(item) = item {
            self.started.queue.push_front(item);
        }
        self.started.threads.fetch_sub(1, Ordering::SeqCst);
        self.leave();
    }
}
