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
        let mut turn = Turn::from(From::Start);
        let mut task = core.next(number, turn.from, turn.now);
        loop {
            task = match context::stay(|| self.run_on(number, task, &mut turn)) {
                Task::Idle => {
                    context::forget();
                    courier::forget();
                    if !seat.wait(core.rules().keep_alive) {
                        if core.retire(number) {
                            return;
                        }
                        seat.wait(None);
                    }
                    turn = Turn::from(From::Wait);
                    core.next(number, turn.from, turn.now)
                }
                Task::Exit => return,
                job => job,
            };
        }
    }

    /// Runs jobs, until there is none or the next one wants other surroundings.
    fn run_on(&'static self, number: usize, task: Task<Job>, turn: &mut Turn) -> Task<Job> {
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
                    if courier::send_before(expected, turn.now) {
                        turn.now = Instant::now();
                    }
                    self.perform(next);
                    let now = perform::run(self, job, turn.now);
                    let took = now.saturating_duration_since(turn.now);
                    // If there was no body to run, something else was done.
                    let now = if took.is_zero() { Instant::now() } else { now };
                    *turn = Turn { from: From::Body(took), now };
                }
                Task::Search(turns) => {
                    courier::send();
                    core.search(turns);
                    *turn = Turn::from(From::Search);
                }
                other => {
                    courier::send();
                    return other;
                }
            }
            task = core.next(number, turn.from, turn.now);
            if context::is_to_stay() {
                if !matches!(task, Task::Run(..)) {
                    courier::send();
                }
                return task;
            }
        }
    }
}

/// What a thread did last, and when that ended.
struct Turn {
    from: From,
    now: Instant,
}

impl Turn {
    /// It was this, and has ended just now.
    fn from(from: From) -> Turn {
        Turn { from, now: Instant::now() }
    }
}
