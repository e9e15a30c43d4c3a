//! What happens when a loop of ours panics: the process ends, with a message.

use std::process;
use std::sync::LockResult;

/// Runs a loop of ours that no panic may end in silence: who waits for it would wait for
/// ever. A panic in it is a bug of this crate, and ends the process with its message.
pub(crate) fn abort_on_panic<T>(what: &str, run: impl FnOnce() -> T) -> T {
    struct Abort<'a>(&'a str);

    impl Drop for Abort<'_> {
        fn drop(&mut self) {
            eprintln!("offload-runtime: {} panicked, which is a bug of it; aborting", self.0);
            process::abort();
        }
    }

    let abort = Abort(what);
    let result = run();
    std::mem::forget(abort);
    result
}

/// How a lock is entered. Nothing that may panic runs while one of ours is held: that somebody did is a
/// bug, after which what it guards may be half done, and so nobody goes on with it.
pub(crate) trait Unpoisoned {
    /// What guards it.
    type Guard;

    fn unpoisoned(self) -> Self::Guard;
}

impl<G> Unpoisoned for LockResult<G> {
    type Guard = G;

    fn unpoisoned(self) -> G {
        self.unwrap_or_else(|_| {
            panic!("offload-runtime: it panicked before while it had locked this: a bug of it")
        })
    }
}
