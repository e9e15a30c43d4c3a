//! What is known of the workers of a pool, under its lock, and what is decided from that: whether
//! another is started, how many may stay.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::kill_handle::KillHandle;
use super::worker::Worker;

/// None is started ahead of need so long after one that was of no use; and none at all, if it was the
/// last of too many in a row.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A worker that was there for so long without a call was of use.
const USEFUL: Duration = Duration::from_secs(10);

/// See the [module](self).
pub(super) struct State {
    /// The most recent last.
    pub(super) free: Vec<Worker>,
    /// All that can work, the free ones included.
    pub(super) alive: usize,
    /// Threads that wait for one.
    pub(super) waiting: usize,
    /// Of the calls that have one.
    pub(super) handles: Vec<Arc<KillHandle>>,
    /// There may be so many, and so many threads there are that may use one.
    pub(super) limit: usize,
    pub(super) threads: usize,
    /// The least number of workers that are kept ready, whether there are calls or not.
    pub(super) kept: usize,
    /// Those who wait until these are there, each with its number.
    pub(super) until_ready: Vec<(u64, Waker)>,
    pub(super) starts: Starts,
    /// No more are started: the process shuts down, or the pool is closed.
    pub(super) is_closed: bool,
    /// And the grace is over: no call gets one.
    pub(super) is_drained: bool,
    /// How often that was so. A call that waits since before gets none, though the pool is open again.
    pub(super) drains: u64,
}

/// Those that start, and how it went with those before.
pub(super) struct Starts {
    pub(super) under_way: usize,
    /// The channels of those that start.
    pub(super) channels: Vec<Arc<UnixStream>>,
    /// How often the pool was opened again.
    pub(super) opened: u64,
    /// Why the last start failed, for one of those that wait.
    pub(super) failure: Option<String>,
    /// When a worker was of no use last: it did not start up, or ended soon after.
    useless: Option<Instant>,
    /// So many in a row were, and why the last one was.
    in_a_row: u32,
    last_reason: String,
    /// The timer will look whether those that are kept ready are there.
    pub(super) is_scheduled: bool,
}

impl State {
    pub(super) const fn new() -> State {
        State {
            free: Vec::new(),
            alive: 0,
            waiting: 0,
            handles: Vec::new(),
            limit: 0,
            threads: 0,
            kept: 0,
            until_ready: Vec::new(),
            starts: Starts {
                under_way: 0,
                opened: 0,
                channels: Vec::new(),
                failure: None,
                useless: None,
                in_a_row: 0,
                last_reason: String::new(),
                is_scheduled: false,
            },
            is_closed: false,
            is_drained: false,
            drains: 0,
        }
    }

    /// A start has failed that began when the pool had been `opened` so often. Killed by somebody else, the next
    /// may be luckier, and is tried at once.
    pub(super) fn start_failed(
        &mut self,
        opened: u64,
        reason: String,
        was_killed: bool,
        most: u32,
        now: Instant,
    ) {
        let starts = &mut self.starts;
        if opened != starts.opened {
            // It was ended when the pool was closed, which says nothing of those that start now.
            return;
        }
        starts.in_a_row = starts.in_a_row.saturating_add(1);
        if !was_killed || starts.is_given_up(most) {
            starts.useless = Some(now);
            starts.failure = (self.waiting > 0).then(|| reason.clone());
        }
        starts.last_reason = reason;
    }

    /// Whether the pool was closed since a start, before which it had been `opened` so often.
    pub(super) fn is_unwanted(&self, opened: u64) -> bool {
        self.is_closed || opened != self.starts.opened
    }

    /// How many there are to be before those who wait for that are told.
    pub(super) fn enough(&self) -> usize {
        self.kept.max(usize::from(!self.until_ready.is_empty()))
    }

    /// Why another worker is to be started now, if one is. At most `most` may be of no use in a row,
    /// and at most `at_once` start at a time.
    pub(super) fn wants_another(
        &self,
        most: u32,
        at_once: usize,
        now: Instant,
    ) -> Option<&'static str> {
        let Starts { under_way, failure, .. } = &self.starts;
        let there = self.alive + under_way;
        if self.is_closed || there >= self.limit || *under_way >= at_once || failure.is_some() {
            return None;
        }
        let is_too_soon = self.starts.is_too_soon(now);
        if self.starts.is_given_up(most) && (is_too_soon || *under_way > 0) {
            return None;
        }
        let is_ahead = *under_way == 0 && self.free.is_empty() && !self.handles.is_empty();
        if self.waiting > under_way + self.free.len() {
            Some("a call waits for it")
        } else if is_too_soon || self.starts.is_given_up(most) && self.until_ready.is_empty() {
            None
        } else if there < self.enough() {
            Some("it is kept ready")
        } else if is_ahead {
            Some("ahead of need")
        } else {
            None
        }
    }

    /// When those that are kept ready are to be looked after, if nobody does before.
    pub(super) fn look_again(&self, most: u32) -> Option<Instant> {
        let is_short = !self.is_closed && self.alive + self.starts.under_way < self.kept;
        let is_wanted = is_short && !self.starts.is_scheduled && !self.starts.is_given_up(most);
        // None: it is no failure that keeps them from being started.
        self.starts.useless.filter(|_| is_wanted).map(|useless| useless + PAUSE)
    }

    /// Why no worker is started, if too many were of no use.
    pub(super) fn given_up(&self, most: u32, now: Instant) -> Option<String> {
        let is_given_up = self.starts.is_given_up(most) && self.starts.is_too_soon(now);
        let Starts { in_a_row, last_reason, .. } = &self.starts;
        is_given_up.then(|| {
            format!(
                "{in_a_row} in a row did not start up or ended before they had run a call, and \
                 another is tried a second after the last; that one: {last_reason}"
            )
        })
    }

    /// Takes out those that are free and have to go.
    pub(super) fn take_excess(&mut self) -> Vec<Worker> {
        // One more than can be busy: it was started ahead of need.
        let users = self.threads.max(self.handles.len() + self.waiting);
        let keep = if users == 0 { 0 } else { users + 1 };
        let keep = if self.is_closed { 0 } else { keep.max(self.enough()) };
        let excess = self.alive.saturating_sub(keep).min(self.free.len());
        self.alive -= excess;
        self.free.drain(..excess).collect()
    }

    /// A call has no worker any more. False: it was given up before, with its worker.
    #[must_use]
    pub(super) fn forget(&mut self, handle: &Arc<KillHandle>) -> bool {
        let at = self.handles.iter().position(|other| Arc::ptr_eq(other, handle));
        at.map(|at| self.handles.swap_remove(at)).is_some()
    }

    /// A worker has died that no call is lost with.
    pub(super) fn lose(&mut self, worker: &Worker, now: Instant) {
        self.alive -= 1;
        self.starts.ended(worker.since(), worker.calls() > 0, now);
    }

    /// Who has this number does not wait for enough workers any more.
    pub(super) fn leave(&mut self, number: u64) -> Option<(u64, Waker)> {
        let at = self.until_ready.iter().position(|(other, _)| *other == number);
        at.map(|at| self.until_ready.swap_remove(at))
    }

    /// Those who wait until enough workers are there, to be woken when nothing is locked. Who has to
    /// wait on comes back.
    pub(super) fn take_wakers(&mut self) -> Vec<(u64, Waker)> {
        std::mem::take(&mut self.until_ready)
    }
}

impl Starts {
    /// A worker has ended that was there since then, and has run a call or not.
    pub(super) fn ended(&mut self, since: Instant, has_run: bool, now: Instant) {
        if has_run || now.saturating_duration_since(since) >= USEFUL {
            return self.succeed();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.useless = Some(now);
    }

    /// Why the last one that was of no use was that, once it is reaped.
    pub(super) fn explain(&mut self, reason: String) {
        self.last_reason = reason;
    }

    /// A worker was of use.
    pub(super) fn succeed(&mut self) {
        self.in_a_row = 0;
    }

    /// What was of no use before does not count any more.
    pub(super) fn begin_anew(&mut self) {
        self.opened += 1;
        (self.in_a_row, self.useless, self.failure) = (0, None, None);
    }

    /// Why the last one that was of no use was that.
    pub(super) fn last_reason(&self) -> &str {
        &self.last_reason
    }

    fn is_given_up(&self, most: u32) -> bool {
        self.in_a_row >= most
    }

    fn is_too_soon(&self, now: Instant) -> bool {
        self.useless.is_some_and(|useless| now.saturating_duration_since(useless) < PAUSE)
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
