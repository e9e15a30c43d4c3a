//! How workers are started: by a thread for each, as many at a time as there are cores, which comes
//! back with a worker or with the reason why there is none.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;
use std::{io, thread};

use super::messages::Hello;
use super::state::State;
use super::worker::{NotReady, Worker};
use super::workers::Workers;
use super::{events, lifecycle, way};
use crate::sync::foreign::drop_quietly;
use crate::sync::timer;
use crate::system::abort::abort_on_panic;
use crate::system::{cores, spawner};
use crate::wire::registry::{self, Host as _};

impl Workers {
    /// Starts the workers that are wanted.
    pub(super) fn tend(&'static self, state: &mut State) {
        let (most, at_once) = (self.plan().max_restarts, cores::count());
        while let Some(why) = state.wants_another(most, at_once, Instant::now()) {
            state.starts.under_way += 1;
            let opened = state.starts.opened;
            // From a thread that is as normal as the main one: a worker is what its starter is.
            let start = move || {
                let run = move || {
                    abort_on_panic("the thread that starts a worker", || self.start(why, opened))
                };
                let thread = thread::Builder::new().name("offload-start".into()).spawn(run);
                if let Err(denial) = thread {
                    let mut state = self.lock();
                    self.start_denied(&mut state, opened, &denial);
                    self.tend(&mut state);
                    let wakers = state.take_wakers();
                    drop(state);
                    lifecycle::wake(wakers);
                }
            };
            if let Err(denial) = spawner::request(Box::new(start)) {
                self.start_denied(state, opened, &denial);
                return;
            }
        }
        if let Some(at) = state.look_again(most) {
            let looker = Waker::from(Arc::new(Looker(self)));
            state.starts.is_scheduled = timer::wake_at(at, looker).is_ok();
        }
    }

    fn start_denied(&self, state: &mut State, opened: u64, denial: &io::Error) {
        state.starts.under_way -= 1;
        let reason = format!("the system denies a thread to start it: {denial}");
        state.start_failed(opened, reason, false, self.plan().max_restarts, Instant::now());
        // Whoever waits tries again, or ends its call.
        self.changed.notify_all();
    }

    fn start(&'static self, why: &'static str, opened: u64) {
        // What its start-up function says goes to a foreign subscriber.
        let worker =
            catch_unwind(AssertUnwindSafe(|| self.start_worker())).unwrap_or_else(|payload| {
                drop_quietly(payload);
                Err(NotReady::of("a `tracing` subscriber panicked while it started".into()))
            });
        // Before others can have it, so that its start is told before its end.
        match &worker {
            Ok(worker) => lifecycle::started(self.name(), worker.pid(), why),
            Err(NotReady { pid, .. }) if self.lock().is_unwanted(opened) => {
                // Its channel was closed, or it is about to be dropped.
                if let Some(pid) = pid {
                    lifecycle::killed(self.name(), *pid, "its pool is closed");
                }
            }
            Err(not_ready) => {
                lifecycle::not_started(self.name(), not_ready.pid, &not_ready.reason);
            }
        }
        let mut state = self.lock();
        state.starts.under_way -= 1;
        match worker {
            Ok(worker) => {
                state.alive += 1;
                // Those that have worked already are warm.
                state.free.insert(0, worker);
            }
            Err(NotReady { reason, was_killed, .. }) => {
                let most = self.plan().max_restarts;
                state.start_failed(opened, reason, was_killed, most, Instant::now());
            }
        }
        self.tend(&mut state);
        self.changed.notify_all();
        let (ending, why) = self.excess(&mut state);
        let wakers = state.take_wakers();
        drop(state);
        lifecycle::retire(self.name(), ending, why);
        lifecycle::wake(wakers);
    }

    fn start_worker(&'static self) -> Result<Worker, NotReady> {
        let way = way::way()
            .ok_or_else(|| NotReady::of("this process is not set up to start workers".into()))?;
        let plan = self.plan();
        let build = registry::build().map_err(|error| NotReady::of(no_program(&error)))?;
        let function = registry::any_of(self)
            .ok_or_else(|| NotReady::of("this program has no function of the pool".into()))?;
        let hello = Hello {
            build,
            parent: std::process::id(),
            function,
            max_message: plan.max_message,
            max_memory: plan.max_memory,
            priority: plan.priority,
            level: events::level(),
        };
        let on_end = Box::new(move || self.look());
        let mut channel = None;
        let is_wanted = |data: &Arc<UnixStream>| {
            let mut state = self.lock();
            state.starts.channels.push(Arc::clone(channel.insert(Arc::clone(data))));
            !state.is_closed
        };
        let worker = Worker::start(&hello, plan, &way, on_end, is_wanted);
        if let Some(channel) = channel {
            self.lock().starts.channels.retain(|other| !Arc::ptr_eq(other, &channel));
        }
        worker
    }
}

/// Why the program cannot be started once more.
fn no_program(error: &io::Error) -> String {
    if cfg!(target_os = "linux") && !Path::new("/proc/self").exists() {
        return format!("`/proc` is not mounted, by which a program starts itself: {error}");
    }
    format!("the program's file is gone: {error}")
}

/// Looks after those that are kept ready, when the timer says so.
struct Looker(&'static Workers);

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        let mut state = self.0.lock();
        state.starts.is_scheduled = false;
        self.0.tend(&mut state);
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::executor::threads::{Kind, Pool};
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn a_thread_that_starts_a_worker_ends_the_process_if_it_panics() {
        let said =
            aborts("executor::process::starting::tests::child_whose_start_of_a_worker_panics");
        let words = "the thread that starts a worker panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_start_of_a_worker_panics() {
        static WORKERS: Workers = Workers::new(Pool::new("panics", Kind::Process), None);
        // It does not get further before this lock is free, and poisoned.
        let poisons = || {
            let mut state = WORKERS.lock();
            (state.limit, state.waiting) = (1, 1);
            WORKERS.tend(&mut state);
            assert_eq!(state.starts.under_way, 1);
            panic!("on purpose");
        };
        assert!(thread::spawn(poisons).join().is_err());
        wait_for_the_end();
    }
}
