//! A pool whose threads are rayon's, so that what a body does in parallel stays
//! on them.
//!
//! Calls still wait in the pool's own queue, and what the [protocol](super::core)
//! calls the start of a thread is a *turn* here: a job of rayon's that takes
//! calls from the queue until there is none, and ends. There are never more
//! turns than threads.
//!
//! A thread that waits for parallel parts, in a body or in a part of one, looks
//! for other work meanwhile, and may find a turn. It must not take it: the body
//! may hold a lock that the next one wants, and would not go on before that one
//! ends. Such a turn is offered to all threads, and the first that is free takes
//! it. If none does, it is given up: a body is at work then, and its turn takes
//! the next call when it has ended.
//!
//! Rayon does not say whether a thread is free or waits. The depth of its stack
//! does: to wait is to be at least one job of rayon's deeper than a free thread,
//! which is always at the same depth. The first turn of all finds that depth,
//! since there are no parts before it.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::Pool;
use crate::current;
use crate::schedule::Priority;

thread_local! {
    /// Where the stack of this thread begins, about.
    static BASE: Cell<usize> = const { Cell::new(0) };
}

/// How deep the stack of a free thread is when it comes to a turn.
static FREE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Whether this thread waits for parallel parts.
#[inline(never)]
fn is_waiting() -> bool {
    let depth = BASE.get().abs_diff(here());
    let free = FREE.fetch_min(depth, Ordering::Relaxed).min(depth);
    current::is_in_body() || depth > 2 * free
}

/// Where the stack ends.
#[inline(never)]
fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(black_box(&mark)).addr()
}

/// Starts the threads.
pub(super) fn start(
    name: impl FnMut(usize) -> String + 'static,
    threads: usize,
    priority: Priority,
) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .thread_name(name)
        .num_threads(threads)
        .start_handler(move |_| {
            BASE.set(here());
            priority.apply();
        })
        .build()
}

/// Lets a thread take a turn.
pub(super) fn spawn_turn(threads: &ThreadPool, pool: &'static Pool) {
    threads.spawn_fifo(move || {
        if is_waiting() {
            offer_turn(pool);
        } else {
            pool.work();
        }
    });
}

/// Called on a thread of the pool.
fn offer_turn(pool: &'static Pool) {
    let turn = Arc::new(Turn { pool, taken: AtomicBool::new(false) });
    rayon_core::spawn_broadcast(move |_| {
        if !is_waiting() && !turn.taken.swap(true, Ordering::AcqRel) {
            pool.work();
        }
    });
}

/// A turn that all threads were offered.
struct Turn {
    pool: &'static Pool,
    taken: AtomicBool,
}

impl Drop for Turn {
    /// The last thread has looked.
    fn drop(&mut self) {
        if !*self.taken.get_mut() {
            self.pool.give_up_turn();
        }
    }
}
