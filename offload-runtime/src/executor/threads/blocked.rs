//! Whether threads of a `cpu` pool are blocked in bodies, while calls wait: for a call that
//! does not come from where the runtime sees it, by way of a task, another thread or parallel
//! parts. Their own pool may be what they wait for, so other threads stand in for them.
//!
//! The first look only sees how far the pool is, which is cheap: in a pool that moves there is no
//! other. A thread is blocked if the system says in the next two that it sleeps, and it was on no
//! processor in between. Where the system does not tell (not Linux), a body that runs while
//! nothing moves is taken for blocked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sleep::{Sleep, WorkerState};
use crate::sync::foreign::quietly;
use crate::system::sleepers;
use crate::task::about::About;

/// What the last look saw, while calls waited.
#[derive(Default)]
pub(super) struct Blocked {
    /// How far the threads were.
    progress: Option<u64>,
    /// Of those that slept, how often they had been on a processor.
    asleep: HashMap<usize, u64>,
}

impl Blocked {
    /// Looks at the threads of a pool whose calls wait. `progress` changes as they get on; so many
    /// have others in their place already, and so many may; `stand_in` has one stand in for a thread.
    /// Returns those that are blocked, if there may be no more.
    pub(super) fn look<G>(
        &mut self,
        sleep: &'static Sleep<G>,
        progress: u64,
        [extra, most]: [usize; 2],
        stand_in: &dyn Fn(&'static WorkerState<G>),
    ) -> Vec<&'static About> {
        let has_moved = self.progress.replace(progress) != Some(progress);
        let before = std::mem::take(&mut self.asleep);
        if has_moved {
            return Vec::new();
        }
        let mut blocked = Vec::new();
        for (number, state) in sleep.states().enumerate() {
            if state.running().is_none() {
                continue;
            }
            if let Some(turns) = sleepers::turns_of_sleeper(state.thread_id()) {
                self.asleep.insert(number, turns);
                if before.get(&number) == Some(&turns) {
                    blocked.push(state);
                }
            }
        }
        // Some may have threads in their place.
        let mut missing = blocked.len().saturating_sub(extra);
        let mut room =
            most.saturating_sub(sleep.states().filter(|state| state.is_stood_in_for()).count());
        for state in &blocked {
            if missing == 0 || state.is_stood_in_for() {
                continue;
            }
            if room == 0 {
                return blocked.iter().filter_map(|state| state.running()).collect();
            }
            stand_in(state);
            (missing, room) = (missing - 1, room - 1);
        }
        Vec::new()
    }
}

/// Of the pool with this label, as many threads stand in for those that these bodies block as may. A
/// subscriber is foreign: nothing is locked.
pub(super) fn tell(pool: &str, blocked: &[&'static About]) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if blocked.is_empty() || TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut names: Vec<_> = blocked.iter().map(|about| about.name).collect();
    names.sort_unstable();
    names.dedup();
    quietly(|| report(pool, &names.join("`, `")));
}

#[cfg(feature = "tracing")]
fn report(pool: &str, names: &str) {
    tracing::error!(
        target: "offload",
        pool,
        "all threads of the pool `{pool}`, and those that stand in for them, are blocked in bodies \
         of `{names}` while calls wait: what these bodies wait for may be behind them. Call what \
         they wait for from the body itself, or give it another pool"
    );
}

#[cfg(not(feature = "tracing"))]
fn report(_: &str, _: &str) {}
