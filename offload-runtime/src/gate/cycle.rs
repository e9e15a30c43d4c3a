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

use std::collections::HashSet;
use std::ptr;
use std::sync::{Arc, Mutex, Weak};

use super::Gate;
use crate::sync::foreign::drop_quietly;
use crate::system::abort::Unpoisoned;
use crate::task::meta::Caller;
use crate::task::{Awaited, Work};

/// Those that wait, and some that do so no more.
static BLOCKED: Mutex<Vec<Blocked>> = Mutex::new(Vec::new());

/// A call that blocks a body.
struct Blocked {
    call: Weak<dyn Work>,
    /// The bodies that wait for it.
    callers: Arc<Caller>,
    /// What it needs; it has the permits of those before the one that it waits at.
    gates: &'static [&'static Gate],
    at: usize,
}

/// A call is about to wait at one of its gates. True: it would wait for ever.
pub(super) fn closes(
    call: &Awaited,
    callers: &Arc<Caller>,
    gates: &'static [&'static Gate],
    at: usize,
) -> bool {
    let mut looked_at: Vec<Option<Awaited>> = Vec::new();
    let mut blocked = BLOCKED.lock().unpoisoned();
    blocked.retain(|one| {
        let other = one.call.upgrade();
        let waits = other
            .as_ref()
            .is_some_and(|other| !Arc::ptr_eq(other, call) && other.meta().state.is_unstarted());
        looked_at.push(other);
        waits
    });
    blocked.push(Blocked { call: Arc::downgrade(call), callers: Arc::clone(callers), gates, at });
    let is_closed = is_stuck(&blocked);
    if is_closed {
        blocked.pop();
    }
    drop(blocked);
    // One of them may be here for the last time, and what it holds is foreign.
    drop_quietly(looked_at);
    is_closed
}

/// The call waits no more.
pub(super) fn leave(call: &Awaited) {
    let is_it = |one: &Blocked| ptr::addr_eq(one.call.as_ptr(), Arc::as_ptr(call));
    BLOCKED.lock().unpoisoned().retain(|one| !is_it(one));
}

/// Whether the last of these waits for others of them alone.
fn is_stuck(blocked: &[Blocked]) -> bool {
    let Some(last) = blocked.last() else { return false };
    let mut stuck: Vec<&Blocked> = blocked.iter().collect();
    loop {
        let count = stuck.len();
        let waits_for_them = |one: &&Blocked| has_all(&stuck, one.gates[one.at]);
        if !waits_for_them(&last) {
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
            holders.insert(one.call.as_ptr().cast::<()>().addr());
        }
    }
    holders.len() >= gate.limit()
}
