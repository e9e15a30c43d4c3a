//! How this program becomes a worker of itself: what `main` calls first, and
//! what a test crate writes in its place.

use std::env;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use super::serve;
use crate::error::Error;

/// The name under which a worker is started, in the place of the program's.
pub(crate) const MARK: &str = "offload-worker";

/// `main` has called [`init`].
static INITIALISED: AtomicBool = AtomicBool::new(false);

/// How to start this program as a worker.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Its `main` calls [`init`].
    Main,
    /// It is a test binary without a `main` of its own: this test is the worker.
    Test(String),
}

impl Way {
    /// What the worker's command line says.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        match self {
            Way::Main => Vec::new(),
            Way::Test(name) => ["--exact", name, "--nocapture", "--test-threads=1"]
                .into_iter()
                .map(OsString::from)
                .collect(),
        }
    }
}

/// Makes this program able to be its own worker: it is the first line of a
/// `fn main` that is written by hand. `#[offload_runtime::main]` contains it.
///
/// A pool of processes starts the same program again. In such a process this
/// function does not return: it runs the bodies that it is given, and ends the
/// process when its parent has no more for it, or is gone. In any other process
/// it returns at once.
///
/// What `main` does before this line, it does in every worker too. The
/// arguments of the command line are not passed on to workers, and their
/// standard input is empty; the environment and the working directory are the
/// parent's.
///
/// A test that calls functions of the kind `process` needs
/// [`test_worker!`](crate::test_worker) in place of this, unless its crate has
/// a `main` (`harness = false`).
///
/// ```no_run
/// # #![allow(clippy::needless_doctest_main)]
/// fn main() {
///     offload_runtime::init();
///     // Arguments, logs, a runtime: only in the parent.
/// }
/// ```
#[allow(clippy::needless_doctest_main, reason = "`main` is what this is about")]
pub fn init() {
    if is_marked() {
        serve::serve();
    }
    INITIALISED.store(true, Ordering::Release);
}

/// How workers are started; `None`: they cannot be.
pub(crate) fn way() -> Option<Way> {
    if INITIALISED.load(Ordering::Acquire) {
        return Some(Way::Main);
    }
    inventory::iter::<TestWorker>().next().map(|test| {
        // Libtest leaves out the name of the crate.
        let (_, name) = test.0.split_once("::").unwrap_or_default();
        Way::Test(name.to_owned())
    })
}

/// The error, if no worker can be started.
pub(crate) fn check() -> Result<(), Error> {
    if way().is_some() { Ok(()) } else { Err(Error::not_initialized()) }
}

/// Whether this process was started as a worker.
fn is_marked() -> bool {
    env::args_os().next().is_some_and(|name| name == MARK)
}

/// A test that is a worker where it is started as one, by its path.
#[derive(Debug)]
pub struct TestWorker(pub &'static str);

inventory::collect!(TestWorker);

/// What that test does.
pub fn be_test_worker() {
    if is_marked() {
        serve::serve();
    }
}

/// Lets the tests of a crate call functions of the kind `process`.
///
/// A test binary has no `main` that could call [`init`](crate::init). This line
/// adds a test to it, `offload_test_worker`, which is the worker in the
/// processes that a pool starts, and passes everywhere else. It stands once in
/// each test crate, in any module: at the top of a file in `tests/`, or for unit
/// tests of a library or program in its `mod tests`. It works under `cargo test`
/// and under nextest.
///
/// ```no_run
/// # use offload_runtime::{Error, offload};
/// offload_runtime::test_worker!();
///
/// #[offload(process)]
/// fn shout(text: String) -> Result<String, Error> {
///     Ok(text.to_uppercase())
/// }
///
/// #[tokio::test]
/// async fn shouts() {
///     assert_eq!(shout("hey".to_owned()).await.unwrap(), "HEY");
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! test_worker {
    () => {
        #[cfg(test)]
        #[test]
        fn offload_test_worker() {
            $crate::__private::be_test_worker();
        }

        #[cfg(test)]
        const _: () = {
            $crate::__private::inventory::submit! {
                $crate::__private::TestWorker($crate::__private::concat!(
                    $crate::__private::module_path!(),
                    "::offload_test_worker"
                ))
            }
        };
    };
}
