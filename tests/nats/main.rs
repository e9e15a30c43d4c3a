//! `#[offload(remote)]` with a server and workers of the test's own, one file a subject.

mod calls;
mod connecting;
mod data;
mod ends;
mod foreign_code;
mod functions;
mod isolated;
mod network;
mod partitions;
mod proxy;
mod restarts;
mod seen;
mod server;
mod started;
mod stress;
mod subscribers;

offload_runtime::test_worker!();
