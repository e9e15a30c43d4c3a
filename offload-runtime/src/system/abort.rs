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

#[cfg(all(test, not(offload_loom)))]
pub(crate) mod tests {
    use std::process::Command;
    use std::time::Duration;
    use std::{env, thread};

    use super::*;

    /// Runs another test of this crate in a process of its own, which is to abort. What it says.
    pub(crate) fn aborts(test: &str) -> String {
        let mut child = Command::new(env::current_exe().unwrap());
        let child = child.args(["--exact", test, "--ignored", "--nocapture"]);
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            // SIGABRT
            assert_eq!(output.status.signal(), Some(6), "{}: {said}", output.status);
        }
        assert!(!output.status.success(), "{said}");
        said
    }

    /// What such a test does at last: nobody else ends its process, or in good order, which is not as it is to end.
    pub(crate) fn wait_for_the_end() {
        thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn a_panic_of_ours_ends_the_process_with_its_own_message_and_another() {
        let said = aborts("system::abort::tests::child_panics");
        assert!(said.contains("on purpose"), "{said}");
        let words = "offload-runtime: a loop panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_panics() {
        abort_on_panic("a loop", || panic!("on purpose"));
    }

    #[test]
    fn what_does_not_panic_ends_nothing() {
        assert_eq!(abort_on_panic("a loop", || 7), 7);
    }
}
