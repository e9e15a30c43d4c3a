//! What a thread of a pool does: it asks for a call, runs it, and asks again.

use std::time::Instant;

use super::Pool;
use super::core::{From, Task};
use super::seat::Seat;
use super::state::Next;
use crate::job::Job;
use crate::sync::Arc;
use crate::{context, courier, current, perform};

impl Pool {
    /// From its start to its end.
    pub(super) fn work(&'static self) {
        self.run_jobs();
        #[cfg(feature = "process")]
        if let Some(processes) = &self.processes {
            processes.workers.shrink(self.threads());
        }
    }

    fn run_jobs(&'static self) {
        let core = self.core();
        // A thread that has one comes for another turn.
        let seat = current::seat().unwrap_or_else(|| {
            self.started().priority.apply();
            let seat = Arc::new(Seat::new());
            current::sit(Arc::clone(&seat));
            seat
        });
        let number = core.sit(Arc::clone(&seat));
        let mut last = Last::did(From::Start);
        let mut task = core.next(number, last.from, last.now);
        loop {
            task = match context::stay(|| self.run_on(number, task, &mut last)) {
                Task::Idle => {
                    forget_runtimes();
                    if !seat.wait(core.rules().keep_alive) {
                        if core.retire(number) {
                            return;
                        }
                        seat.wait(None);
                    }
                    last = Last::did(From::Wait);
                    core.next(number, last.from, last.now)
                }
                Task::Exit => return forget_runtimes(),
                job => job,
            };
        }
    }

    /// Runs jobs, until there is none or the next one wants other surroundings.
    fn run_on(&'static self, number: usize, task: Task<Job>, last: &mut Last) -> Task<Job> {
        let core = self.core();
        let mut task = task;
        loop {
            match task {
                Task::Run(job, next) => {
                    if context::is_elsewhere(job.meta().runtime) {
                        return Task::Run(job, next);
                    }
                    let expected = job.meta().function.expected();
                    let expected = expected.filter(|_| !matches!(next, Next::Start));
                    let acts = !matches!(next, Next::Nothing);
                    let sent = courier::send_before(expected, last.now);
                    self.perform(next);
                    if sent || acts {
                        last.now = Instant::now();
                    }
                    let done = perform::run(self, job, last.now);
                    *last = Last { from: From::Body(done.took), now: done.now };
                }
                Task::Search(turns) => {
                    courier::send();
                    core.search(turns);
                    *last = Last::did(From::Search);
                }
                other => {
                    courier::send();
                    return other;
                }
            }
            task = core.next(number, last.from, last.now);
            if matches!(task, Task::Run(..)) && context::is_to_stay() {
                return task;
            }
        }
    }
}

/// This thread has nothing to do, and keeps nothing of the runtimes that it has served. Also
/// when it ends: a thread of rayon's outlives its turn.
fn forget_runtimes() {
    context::forget();
    courier::forget();
}

/// What a thread did last, and when that ended.
struct Last {
    from: From,
    now: Instant,
}

impl Last {
    /// It did this, until just now.
    fn did(from: From) -> Last {
        Last { from, now: Instant::now() }
    }
}
