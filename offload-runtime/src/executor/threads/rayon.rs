//! Threads that are rayon's, so that what a body does in parallel stays on them. None, without
//! the feature `rayon`.
//!
//! Calls still wait in the pool's own queue, and what is the start of a thread elsewhere is a
//! *turn* here: a job of rayon's that takes calls from the queue until there is none, and
//! ends. There are never more turns than threads.
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

#[cfg(feature = "rayon")]
pub(super) use with_rayon::Threads;

/// Without the feature there are none.
#[cfg(not(feature = "rayon"))]
pub(super) struct Threads;

#[cfg(not(feature = "rayon"))]
impl Threads {
    pub(super) fn new(_: bool) -> Threads {
        Threads
    }

    pub(super) fn count(&self) -> Option<usize> {
        None
    }

    pub(super) fn take_turn(&self, _: &'static super::pool::Pool) -> bool {
        false
    }

    pub(super) fn start(&self, _: &'static super::pool::Pool) -> bool {
        false
    }

    pub(super) fn end(&self) {}
}

#[cfg(feature = "rayon")]
mod with_rayon {
    use std::cell::Cell;
    use std::hint::black_box;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, RwLock};

    use rayon_core::{ThreadPool, ThreadPoolBuilder};

    use crate::executor::threads::pool::{Pool, Rules};
    use crate::system::abort::{Unpoisoned, abort_on_panic};
    use crate::task::current;

    thread_local! {
        /// Where the stack of this thread begins, about.
        static BASE: Cell<usize> = const { Cell::new(0) };
    }

    /// How deep the stack of a free thread is when it comes to a turn.
    static FREE: AtomicUsize = AtomicUsize::new(usize::MAX);

    /// The threads of a pool that wants rayon's.
    pub(in crate::executor::threads) struct Threads {
        is_wanted: bool,
        /// Changed when they start and when they end.
        pool: RwLock<Started>,
    }

    enum Started {
        NotYet,
        Yes(ThreadPool),
        /// The system denies them, and the pool has its own, as any other.
        Denied,
    }

    impl Threads {
        pub(in crate::executor::threads) fn new(is_wanted: bool) -> Threads {
            Threads { is_wanted, pool: RwLock::new(Started::NotYet) }
        }

        /// What `ask` makes of them, if there are any.
        fn get<T>(&self, ask: impl FnOnce(&ThreadPool) -> T) -> Option<T> {
            match &*self.pool.read().unpoisoned() {
                Started::Yes(threads) => Some(ask(threads)),
                Started::NotYet | Started::Denied => None,
            }
        }

        /// How many there are.
        pub(in crate::executor::threads) fn count(&self) -> Option<usize> {
            self.get(ThreadPool::current_num_threads)
        }

        /// Lets a thread take a turn. False: there are none, or not yet.
        pub(in crate::executor::threads) fn take_turn(&self, pool: &'static Pool) -> bool {
            self.get(|threads| threads.spawn_fifo(move || take_turn(pool))).is_some()
        }

        /// Starts them, on the spawner's thread, unless that was done, and lets one take a
        /// turn. False: the pool has threads of its own.
        pub(in crate::executor::threads) fn start(&self, pool: &'static Pool) -> bool {
            if self.is_wanted {
                let mut threads = self.pool.write().unpoisoned();
                if let Started::NotYet = *threads {
                    let started = start(pool, pool.started().rules);
                    *threads = started.map_or(Started::Denied, Started::Yes);
                }
            }
            self.take_turn(pool)
        }

        /// They end when they have nothing to do any more. Others are started when they are needed.
        pub(in crate::executor::threads) fn end(&self) {
            let mut threads = self.pool.write().unpoisoned();
            let ended = std::mem::replace(&mut *threads, Started::NotYet);
            drop(threads);
            // Its drop waits for nothing.
            drop(ended);
        }
    }

    fn start(pool: &'static Pool, rules: Rules) -> Option<ThreadPool> {
        let threads = ThreadPoolBuilder::new()
            .thread_name(|_| pool.thread_name())
            .num_threads(rules.max)
            .start_handler(move |_| {
                BASE.set(here());
                rules.prepare_thread();
            });
        let threads = match rules.stack_size {
            Some(bytes) => threads.stack_size(bytes),
            None => threads,
        };
        threads.build().ok()
    }

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

    fn take_turn(pool: &'static Pool) {
        if is_waiting() {
            offer_turn(pool);
        } else {
            work(pool);
        }
    }

    fn work(pool: &'static Pool) {
        abort_on_panic("a thread of a pool", || pool.work());
    }

    /// Called on a thread of the pool.
    fn offer_turn(pool: &'static Pool) {
        let turn = Arc::new(Turn { pool, taken: AtomicBool::new(false) });
        rayon_core::spawn_broadcast(move |_| {
            if !is_waiting() && !turn.taken.swap(true, Ordering::AcqRel) {
                work(turn.pool);
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
                self.pool.thread_does_not_come();
            }
        }
    }
}
