//! `#[offload(remote)]` with a server and workers of the test's own, one file a subject.

mod calls;
mod data;
mod ends;
mod functions;
mod restarts;
mod server;
mod stress;

offload_runtime::test_worker!();
