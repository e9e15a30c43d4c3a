//! A thread of a pool for a call that begins elsewhere: where its caller is.
//!
//! That is so only where the pool is at rest: an idle thread is there, and no call before this one. The thread is the
//! call's from then on, as that of a call which was taken out of the queue. So the call is in no queue, it waits for no
//! thread when it has begun, and no other thread waits for what it has.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::pool::{Continuation, Pool, Started};
use super::sleep::claimed::Claimed;
use crate::task::about::About;
use crate::task::current::{Busy, Stops};

/// See the [module](self). Dropped, it lets the thread look for another call.
pub(crate) struct Claim {
    thread: Claimed<'static, Box<dyn Continuation>>,
    started: &'static Started,
    stops: Stops,
}

impl Pool {
    /// Whether there would be a thread for a call that came now, as it seems.
    pub(crate) fn may_begin(&'static self) -> bool {
        let Some(Ok(started)) = self.started.get() else { return false };
        !started.intake.is_closed() && started.queue.is_empty() && started.sleep.idle() > 0
    }

    /// A thread for a call that comes now, if one is idle and the call is the first.
    pub(crate) fn claim(&'static self) -> Option<Claim> {
        let started = self.started();
        // Before the look at whether calls are taken: one that begins is told to stop when they are not any more.
        let stops = Stops::new(&started.stops, started.stops.load(Ordering::SeqCst));
        if !self.may_begin() {
            return None;
        }
        let thread = started.sleep.claim()?;
        Some(Claim { thread, started, stops })
    }
}

impl Claim {
    /// The thread is busy with a call of this function from `now` on.
    pub(crate) fn busy(&self, about: &'static About, now: Instant) -> Busy {
        let at = now.saturating_duration_since(self.started.at);
        self.thread.state.run(about, at, self.stops)
    }

    /// Gives the thread the rest of the call.
    pub(crate) fn give(self, continuation: Box<dyn Continuation>) {
        self.thread.give(continuation);
    }
}
