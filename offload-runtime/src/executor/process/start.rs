//! How this program becomes a worker of itself: what `main` calls first, and
//! what a test crate writes in its place.

pub use super::way::TestWorker;
use super::{serve, way};
#[cfg(feature = "remote")]
use crate::executor::remote;

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
    if way::is_marked() {
        serve::serve();
    }
    way::set_initialised();
    #[cfg(feature = "remote")]
    remote::serve::serve_if_asked();
}

/// What that test does.
pub fn be_test_worker() {
    if way::is_marked() {
        serve::serve();
    }
}

/// A line that lets the tests of a crate call functions of the kind `process`.
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
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
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
