//! The runtimes from which calls are made, as `#[tokio::main]` builds them.

use tokio::runtime::Builder;

use crate::stay_on_cores;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// All tasks on the thread that built it.
    CurrentThread,
    /// A worker for each core.
    MultiThread,
    /// A `current_thread` runtime and the pool, all on one core.
    OneCore,
}

impl Runtime {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::CurrentThread => "current_thread",
            Runtime::MultiThread => "multi_thread",
            Runtime::OneCore => "one core",
        }
    }

    /// The one that tables call so.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn from_name(name: &str) -> Runtime {
        let all = [Runtime::CurrentThread, Runtime::MultiThread, Runtime::OneCore];
        let found = all.into_iter().find(|runtime| runtime.name() == name);
        found.unwrap_or_else(|| panic!("{name} is none of the runtimes"))
    }

    /// Builds it, for this thread.
    pub fn build(self) -> tokio::runtime::Runtime {
        if self == Runtime::OneCore {
            stay_on_cores(1);
        }
        let mut builder = match self {
            Runtime::CurrentThread | Runtime::OneCore => Builder::new_current_thread(),
            Runtime::MultiThread => Builder::new_multi_thread(),
        };
        builder.enable_all().build().expect("a runtime")
    }
}
