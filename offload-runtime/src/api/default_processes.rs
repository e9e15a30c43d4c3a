//! The settings of the pool of processes that all functions have which name none.

use super::process_pool::ProcessPool;
use crate::executor::settings::Builder;

impl Builder {
    /// Sets up the pool of `process` functions without the option `pool`, by the methods of [`ProcessPool`].
    ///
    /// The name and [`on_start`](ProcessPool::on_start) are not among them. A worker is the same
    /// program, and ends where [`main`](crate::main) or [`init`](crate::init) stand, before it comes to
    /// the line that would set a function; so [`install`](Self::install) fails with
    /// [`Config`](crate::ErrorKind::Config) if there is one. What is to be loaded once in each worker
    /// has a pool with a name.
    ///
    /// What is set here and by [`workers`](Self::workers) or [`process_queue`](Self::process_queue) is
    /// as it was set last.
    ///
    /// ```no_run
    /// use offload_runtime::{Builder, Error};
    ///
    /// #[offload_runtime::main]
    /// async fn main() -> Result<(), Error> {
    ///     Builder::new()
    ///         .process(|pool| pool.min_workers(2).max_memory(512 << 20).env_remove("API_KEY"))
    ///         .install()
    /// }
    /// ```
    pub fn process(self, set: impl FnOnce(ProcessPool) -> ProcessPool) -> Builder {
        let mut pool = set(ProcessPool::new("process"));
        let processes = pool.here();
        let settings = *processes.settings();
        self.set_process(settings, *processes.plan())
    }
}
