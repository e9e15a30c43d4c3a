//! Calls that block bodies and wait for permits, at whatever gates: whether some of them wait for each
//! other.
//!
//! A body that waits for a call keeps what it has. If all permits of a gate belong to bodies that wait
//! so, and the same is true of the gates that their calls wait at, none of them ever gets one: the last
//! to come is told. That is seen of calls that were polled on the threads of the bodies that wait for
//! them; who holds a permit otherwise is taken for somebody who will give it back.
//!
//! *None is missed.* A call is noted here before it joins a line, and then looks, both under one lock: so
//! of several that come at once the last sees all. *None is told without a reason.* What is counted are
//! permits that bodies and calls of this list have, which cannot give them back; a permit that is free,
//! or reserved, is nobody's, and then there are fewer than the limit.

use std::collections::{HashSet, VecDeque};
use std::ptr;
use std::sync::{Arc, Mutex, Weak};

use super::Gate;
use crate::sync::foreign::drop_quietly;
use crate::system::abort::Unpoisoned;
use crate::task::meta::Caller;
use crate::task::{Awaited, Work};

/// Those that wait, and some that do so no more.
static BLOCKED: Mutex<Vec<Blocked>> = Mutex::new(Vec::new());

/// So many that wait no more may be there, beside as many as wait.
const SHELLS: usize = 64;

/// Calls that block a body, and wait at the same gate: as many as it likes, and so they are looked at one by one
/// only now and then.
struct Blocked {
    /// The bodies that wait for them.
    callers: Arc<Caller>,
    /// What they need; they have the permits of those before the one that they wait at.
    gates: &'static [&'static Gate],
    at: usize,
    /// The first of them waits, or all are looked at.
    calls: VecDeque<Weak<dyn Work>>,
    /// All are looked at when there are so many.
    look_at: usize,
}

impl Blocked {
    fn is_of(&self, callers: &Arc<Caller>, gates: &'static [&'static Gate], at: usize) -> bool {
        Arc::ptr_eq(&self.callers, callers) && ptr::eq(self.gates, gates) && self.at == at
    }

    /// Whether some of them wait still.
    fn waits(&mut self, looked_at: &mut Vec<Awaited>) -> bool {
        let mut waits = |call: &Weak<dyn Work>| {
            let Some(call) = call.upgrade() else { return false };
            let waits = call.meta().state.is_unstarted();
            looked_at.push(call);
            waits
        };
        // What they have counts, so none is one too many.
        if self.at > 0 || self.calls.len() >= self.look_at {
            self.calls.retain(waits);
            self.look_at = 2 * self.calls.len() + SHELLS;
        } else {
            while self.calls.front().is_some_and(|call| !waits(call)) {
                self.calls.pop_front();
            }
        }
        !self.calls.is_empty()
    }
}

/// A call is about to wait at one of its gates. True: it would wait for ever.
pub(super) fn closes(
    call: &Awaited,
    callers: &Arc<Caller>,
    gates: &'static [&'static Gate],
    at: usize,
) -> bool {
    let mut looked_at = Vec::new();
    let mut blocked = BLOCKED.lock().unpoisoned();
    blocked.retain_mut(|one| one.waits(&mut looked_at));
    let known = blocked.iter().position(|one| one.is_of(callers, gates, at));
    let own = known.unwrap_or_else(|| {
        let (callers, calls) = (Arc::clone(callers), VecDeque::new());
        blocked.push(Blocked { callers, gates, at, calls, look_at: SHELLS });
        blocked.len() - 1
    });
    blocked[own].calls.push_back(Arc::downgrade(call));
    let is_closed = is_stuck(&blocked, own);
    if is_closed {
        blocked[own].calls.pop_back();
    }
    drop(blocked);
    // One of them may be here for the last time, and what it holds is foreign.
    drop_quietly(looked_at);
    is_closed
}

/// The call waits no more at this gate.
pub(super) fn leave(
    call: &Awaited,
    callers: &Arc<Caller>,
    gates: &'static [&'static Gate],
    at: usize,
) {
    let mut blocked = BLOCKED.lock().unpoisoned();
    let Some(own) = blocked.iter().position(|one| one.is_of(callers, gates, at)) else { return };
    let calls = &mut blocked[own].calls;
    let is_it = |one: &Weak<dyn Work>| ptr::addr_eq(one.as_ptr(), Arc::as_ptr(call));
    // Most often the first.
    if let Some(place) = calls.iter().position(is_it) {
        calls.remove(place);
    }
    if calls.is_empty() {
        blocked.swap_remove(own);
    }
}

/// Whether those with this number wait for others of these alone.
fn is_stuck(blocked: &[Blocked], own: usize) -> bool {
    let own = &blocked[own];
    let mut stuck: Vec<&Blocked> = blocked.iter().collect();
    loop {
        let count = stuck.len();
        let waits_for_them = |one: &&Blocked| has_all(&stuck, one.gates[one.at]);
        if !waits_for_them(&own) {
            return false;
        }
        stuck = stuck.iter().copied().filter(waits_for_them).collect();
        if stuck.len() == count {
            return true;
        }
    }
}

/// Whether these calls, and the bodies that wait for them, have all permits of a gate.
fn has_all(blocked: &[&Blocked], gate: &Gate) -> bool {
    let mut holders = HashSet::new();
    for one in blocked {
        let bodies = one.callers.chain().filter(|body| body.holds(gate.place()));
        holders.extend(bodies.map(|body| ptr::from_ref(body).addr()));
        if one.gates[..one.at].iter().any(|held| held.place() == gate.place()) {
            holders.extend(one.calls.iter().map(|call| call.as_ptr().cast::<()>().addr()));
        }
    }
    holders.len() >= gate.limit()
}
