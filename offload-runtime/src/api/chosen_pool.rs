//! What the option `pool` takes: a `static` pool, or one that is made when the program runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use super::pools::{CpuPool, ThreadPool};
#[cfg(feature = "process")]
use super::process_pool::ProcessPool;
#[cfg(feature = "remote")]
use super::remote_pool::RemotePool;
use crate::function::{Chosen, Function, Pool};
use crate::sync::foreign::drop_payload;

/// A pool for functions of the kind `thread`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool for `thread`",
    label = "expected a `static` of type `ThreadPool` or `LazyLock<ThreadPool>`"
)]
pub trait OfThread: Pool {}

/// A pool for functions of the kind `cpu`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool for `cpu`",
    label = "expected a `static` of type `CpuPool` or `LazyLock<CpuPool>`"
)]
pub trait OfCpu: Pool {}

/// A pool for functions of the kind `process`.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool for `process`",
    label = "expected a `static` of type `ProcessPool` or `LazyLock<ProcessPool>`"
)]
pub trait OfProcess: Pool {}

/// A pool for functions of the kind `remote`.
#[cfg(feature = "remote")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool for `remote`",
    label = "expected a `static` of type `RemotePool`"
)]
pub trait OfRemote: Pool {}

impl Function {
    /// A function of the kind `thread`.
    pub const fn thread<P: OfThread>(name: &'static str, pool: &'static P) -> Function {
        Function::on_pool(name, "thread", pool)
    }

    /// A function of the kind `cpu`.
    pub const fn cpu<P: OfCpu>(name: &'static str, pool: &'static P) -> Function {
        Function::on_pool(name, "cpu", pool)
    }
}

impl OfThread for ThreadPool {}
impl OfThread for LazyLock<ThreadPool> {}
impl OfThread for LazyLock<&'static ThreadPool> {}
impl OfCpu for CpuPool {}
impl OfCpu for LazyLock<CpuPool> {}
impl OfCpu for LazyLock<&'static CpuPool> {}

impl Pool for ThreadPool {
    fn chosen(&'static self) -> Chosen {
        Chosen::here(self.pool())
    }
}

impl Pool for CpuPool {
    fn chosen(&'static self) -> Chosen {
        Chosen::here(self.pool())
    }
}

/// If it panics, each call fails, with [`Config`](crate::ErrorKind::Config).
impl Pool for LazyLock<ThreadPool> {
    fn chosen(&'static self) -> Chosen {
        static UNMADE: ThreadPool = ThreadPool::unmade();
        made(self).unwrap_or(&UNMADE).chosen()
    }
}

/// If it panics, each call fails, with [`Config`](crate::ErrorKind::Config).
impl Pool for LazyLock<CpuPool> {
    fn chosen(&'static self) -> Chosen {
        static UNMADE: CpuPool = CpuPool::unmade();
        made(self).unwrap_or(&UNMADE).chosen()
    }
}

/// The same of one that is [leaked](ThreadPool::leak).
impl Pool for LazyLock<&'static ThreadPool> {
    fn chosen(&'static self) -> Chosen {
        static UNMADE: ThreadPool = ThreadPool::unmade();
        made(self).copied().unwrap_or(&UNMADE).chosen()
    }
}

/// The same of one that is [leaked](CpuPool::leak).
impl Pool for LazyLock<&'static CpuPool> {
    fn chosen(&'static self) -> Chosen {
        static UNMADE: CpuPool = CpuPool::unmade();
        made(self).copied().unwrap_or(&UNMADE).chosen()
    }
}

/// What it makes, or has made. `None`: it panicked.
fn made<T>(pool: &LazyLock<T>) -> Option<&T> {
    catch_unwind(AssertUnwindSafe(|| LazyLock::force(pool))).map_err(drop_payload).ok()
}

#[cfg(feature = "process")]
impl OfProcess for ProcessPool {}

#[cfg(feature = "process")]
impl OfProcess for LazyLock<ProcessPool> {}

#[cfg(feature = "process")]
impl Pool for ProcessPool {
    fn chosen(&'static self) -> Chosen {
        let processes = self.processes();
        Chosen { executor: processes, host: Some(processes.host()) }
    }
}

/// If it panics, each call fails, with [`Config`](crate::ErrorKind::Config). It is made in workers, too.
#[cfg(feature = "process")]
impl Pool for LazyLock<ProcessPool> {
    fn chosen(&'static self) -> Chosen {
        static UNMADE: ProcessPool = ProcessPool::unmade();
        made(self).unwrap_or(&UNMADE).chosen()
    }
}

#[cfg(feature = "remote")]
impl OfRemote for RemotePool {}

#[cfg(feature = "remote")]
impl Pool for RemotePool {
    fn chosen(&'static self) -> Chosen {
        let remotes = self.remotes();
        Chosen { executor: remotes, host: Some(remotes) }
    }
}
