//! The end of one call that others may bring about: its future is dropped, its
//! deadline passes, the process shuts down.
//!
//! # The protocol
//!
//! A call has a handle from the moment at which a thread of the pool, or of the caller
//! ([begun](super::begun)), has a worker for it. Under the handle's lock it is in one of three
//! states: no worker has it, a worker is *held* by it, or the worker was let go. Whoever ends the
//! call does so under that lock, so it ends the process that runs this very call or none: the
//! thread that has the worker has it let go before it returns it, and before it reaps it, after
//! which the number of the process may be another's.
//!
//! It may be the event loop's thread that ends a call. So it only closes
//! the worker's channel: that wakes the thread that has the worker, which kills it, with all that it
//! started.
//!
//! While the thread that has the worker writes the arguments or reads the result, it is in code of the
//! user's types, and does not look: it is *away*, perhaps for ever. If the call ends meanwhile, the thread and its worker
//! are given up, and the pool goes on without them: another thread may be in the place of this one until it is back. If the call
//! has ended before, the thread does not leave at all, unless its result is awaited all the same, as in the grace after a
//! shutdown or of a started call; then both are given up as it leaves.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::control::Control;
use crate::executor::threads::Pool;
use crate::sync::timer::Alarm;
use crate::system::abort::Unpoisoned;
use crate::task::meta::StandIn;

/// See the [module](self).
pub(crate) struct KillHandle {
    /// What tells the call from others.
    task: usize,
    /// How long a body that was told to stop may go on.
    grace: Duration,
    /// The pool whose thread waits for the worker.
    threads: &'static Pool,
    state: Mutex<State>,
}

struct State {
    /// Why it has to end, if it has to.
    end: Option<End>,
    held: Option<Held>,
    /// Its worker was killed for it.
    killed: bool,
    /// Its thread is in foreign code.
    is_away: bool,
    /// What is in the place of its thread, which was given up.
    stand_in: Option<StandIn>,
    /// Kills the worker at the end of the grace.
    alarm: Option<Alarm>,
}

/// Why a call is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nobody waits for it any more, or its deadline has passed.
    Cancelled,
    /// The body is to stop, and what it comes to is awaited all the same.
    Told,
    /// The process shuts down.
    Shutdown,
}

/// Whether a thread may run foreign code for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The thread is given up by whoever ends the call.
    Watched,
    /// The call has ended, and nobody does that any more: thread and worker are given up now.
    GivenUp,
    /// It has no need to: nobody takes what that would make.
    InVain,
}

/// A worker at work.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Closed, it wakes the thread that waits for the answer.
    pub(crate) data: Arc<UnixStream>,
    /// The worker reads there what it is told during a call.
    pub(crate) control: Arc<Control>,
    /// The call's number.
    pub(crate) number: u64,
}

impl KillHandle {
    pub(crate) fn new(task: usize, grace: Duration, threads: &'static Pool) -> KillHandle {
        let (held, stand_in) = (None, None);
        let state = State { end: None, held, killed: false, is_away: false, stand_in, alarm: None };
        KillHandle { task, grace, threads, state: Mutex::new(state) }
    }

    /// What tells the call from others.
    pub(crate) fn task(&self) -> usize {
        self.task
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Why the call has to end, if it has to.
    pub(crate) fn end_reason(&self) -> Option<End> {
        self.lock().end
    }

    /// The worker is about to get the call. False: it must not.
    #[must_use]
    pub(crate) fn hold(&self, worker: Held) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.held = Some(worker);
        true
    }

    /// The worker is done with the call, or dead. Why it was killed, if it was.
    pub(crate) fn let_go(&self) -> Option<End> {
        let mut state = self.lock();
        state.held = None;
        let killed = state.end.filter(|_| state.killed);
        let alarm = state.alarm.take();
        drop(state);
        // Its drop takes the timer's lock.
        drop(alarm);
        killed
    }

    /// The thread that has the worker is about to run foreign code, and says when it is [back](Self::come_back).
    pub(super) fn leave(&self) -> Leave {
        let mut state = self.lock();
        let leave = match state.end {
            None => Leave::Watched,
            Some(End::Told | End::Shutdown) if state.held.is_some() => {
                state.stand_in = Some(self.threads.allow_one_more());
                Leave::GivenUp
            }
            Some(_) => return Leave::InVain,
        };
        state.is_away = true;
        leave
    }

    /// The thread that was away is back, and needs nothing in its place any more.
    pub(super) fn come_back(&self) {
        let mut state = self.lock();
        state.is_away = false;
        let stand_in = state.stand_in.take();
        drop(state);
        drop(stand_in);
    }

    /// Ends the call: it does not begin, or its worker is told or killed. True: its thread is away, and
    /// may not come back. Another may be in its place from now on; its worker is to be given up, too.
    pub(crate) fn end(self: &Arc<KillHandle>, why: End) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.end = Some(why);
        if state.is_away {
            state.kill();
            state.stand_in = Some(self.threads.allow_one_more());
            return true;
        }
        let Some(held) = state.held.clone() else { return false };
        let told = !self.grace.is_zero() && held.control.cancel(held.number);
        if let Some(at) = told.then(|| Instant::now().checked_add(self.grace)).flatten() {
            let killer = Waker::from(Arc::new(Killer(Arc::clone(self))));
            if let Ok(alarm) = Alarm::new(at, &killer) {
                state.alarm = Some(alarm);
                return false;
            }
        }
        state.kill();
        false
    }
}

impl State {
    fn kill(&mut self) {
        if let Some(held) = &self.held {
            self.killed = true;
            let _ = held.data.shutdown(Shutdown::Both);
        }
    }
}

/// The alarm at the end of the grace.
struct Killer(Arc<KillHandle>);

impl Wake for Killer {
    fn wake(self: Arc<Self>) {
        self.0.lock().kill();
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::executor::threads::Kind;

    static THREADS: Pool = Pool::new("of processes", Kind::Process);

    fn handle() -> Arc<KillHandle> {
        Arc::new(KillHandle::new(0, Duration::ZERO, &THREADS))
    }

    #[test]
    fn a_thread_does_not_leave_for_a_call_that_has_ended_before_its_worker_got_it() {
        for why in [End::Cancelled, End::Told, End::Shutdown] {
            let handle = handle();
            assert!(!handle.end(why), "it is here");
            assert_eq!(handle.leave(), Leave::InVain);
            assert_eq!(handle.end_reason(), Some(why));
        }
    }

    #[test]
    fn what_is_in_the_place_of_a_thread_is_there_until_it_is_back() {
        THREADS.start(&THREADS, None).unwrap();
        let handle = handle();
        assert_eq!(handle.leave(), Leave::Watched);
        assert!(handle.end(End::Cancelled), "it is away");
        assert!(!handle.end(End::Shutdown), "it has ended already");
        assert!(handle.lock().stand_in.is_some());
        handle.come_back();
        assert!(handle.lock().stand_in.is_none());
        assert!(!handle.lock().is_away);
    }
}
