//! The end of one call that others may bring about: its future is dropped, its
//! deadline passes, the process shuts down.
//!
//! # The protocol
//!
//! A call has a handle from the moment at which a thread of the pool has a worker for it. Under
//! the handle's lock it is in one of three states: no worker has it, a worker is *held* by it,
//! or the worker was let go. Whoever ends the call does so under that lock, so it
//! ends the process that runs this very call or none: the thread that has the
//! worker has it let go before it returns it, and before it reaps
//! it, after which the number of the process may be another's.
//!
//! It may be the event loop's thread that ends a call. So it only closes
//! the worker's channel: that wakes the thread that has the worker, which kills it, with all that it
//! started.
//!
//! While the thread that has the worker writes the arguments or reads the result, it is in code of the
//! user's types, and does not look. That may take for ever. So whoever ends the call then is told, and
//! sees to it that the pool goes on without this thread and its worker.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::executor::StandIn;
use crate::sync::timer::Alarm;
use crate::system::abort::Unpoisoned;
use crate::system::pipe::{PipeReader, PipeWriter, pipe};

/// See the [module](self).
pub(crate) struct KillHandle {
    /// What tells the call from others.
    task: usize,
    /// How long a body that was told to stop may go on.
    grace: Duration,
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
    /// The process shuts down.
    Shutdown,
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
    pub(crate) fn new(task: usize, grace: Duration) -> KillHandle {
        let (held, stand_in) = (None, None);
        let state = State { end: None, held, killed: false, is_away: false, stand_in, alarm: None };
        KillHandle { task, grace, state: Mutex::new(state) }
    }

    /// What tells the call from others.
    pub(crate) fn task(&self) -> usize {
        self.task
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Whether the call has to end.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().end.is_some()
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

    /// Runs foreign code on the thread that has the worker.
    pub(crate) fn away<R>(&self, foreign: impl FnOnce() -> R) -> R {
        /// Also if that panics.
        struct Back<'a>(&'a KillHandle);

        impl Drop for Back<'_> {
            fn drop(&mut self) {
                let mut state = self.0.lock();
                state.is_away = false;
                let stand_in = state.stand_in.take();
                drop(state);
                drop(stand_in);
            }
        }

        self.lock().is_away = true;
        let _back = Back(self);
        foreign()
    }

    /// The thread that has the worker is away, and this is in its place until it is back.
    pub(crate) fn stand_in(&self, make: impl FnOnce() -> StandIn) {
        let mut state = self.lock();
        if state.is_away {
            state.stand_in = Some(make());
        }
    }

    /// Ends the call: it does not begin, or its worker is told or killed. True: its thread is away, and
    /// may not come back.
    pub(crate) fn end(self: &Arc<KillHandle>, why: End) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.end = Some(why);
        if state.is_away {
            state.kill();
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

/// What a worker is told during a call, and knows its parent's life by: it ends when this is
/// closed.
#[derive(Debug)]
pub(crate) struct Control {
    writer: PipeWriter,
    /// Kept open, so that no write to a worker that has died raises a signal.
    _reader: PipeReader,
}

impl Control {
    /// The other end is for the worker.
    pub(crate) fn new() -> io::Result<(PipeReader, Control)> {
        let (reader, writer) = pipe()?;
        // Non-blocking: a worker that does not read misses what it is told, and blocks no thread here.
        rustix::io::ioctl_fionbio(&writer, true)?;
        let control = Control { writer, _reader: reader.try_clone()? };
        Ok((reader, control))
    }

    /// Nobody waits for this call any more. False: that could not be told.
    fn cancel(&self, number: u64) -> bool {
        // So few bytes are written as a whole, or not.
        (&self.writer).write(&number.to_le_bytes()).is_ok()
    }
}

/// The alarm at the end of the grace.
struct Killer(Arc<KillHandle>);

impl Wake for Killer {
    fn wake(self: Arc<Self>) {
        self.0.lock().kill();
    }
}
