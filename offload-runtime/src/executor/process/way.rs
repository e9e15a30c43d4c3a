//! How this program is started as a worker of itself.

use std::env;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Ran};

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

/// `main` calls [`init`](crate::init).
pub(crate) fn set_initialised() {
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
    if way().is_some() { Ok(()) } else { Err(not_initialized()) }
}

/// Whether this process was started as a worker.
pub(crate) fn is_marked() -> bool {
    env::args_os().next().is_some_and(|name| name == MARK)
}

/// A test that is a worker where it is started as one, by its path.
#[derive(Debug)]
pub struct TestWorker(pub &'static str);

inventory::collect!(TestWorker);

fn not_initialized() -> Error {
    let what = "cannot be started in another process: write `#[offload_runtime::main]` in \
                place of `#[tokio::main]`, or `offload_runtime::init();` as the first line of \
                `main`; in a test crate, write `offload_runtime::test_worker!();` once";
    Error::new(ErrorKind::NotInitialized, Ran::No, "", what)
}
