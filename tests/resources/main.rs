//! `#[resource(…)]`: what bodies borrow, one file a subject.

mod exclusive;
mod foreign_code;
mod numbers;
mod per_thread;
mod process;
mod shared;
mod sqlite;
#[path = "../operation/support.rs"]
mod support;
mod waiting;

offload_runtime::test_worker!();

/// The numbers of one resource.
fn resource(name: &str) -> offload_runtime::ResourceStats {
    let all = offload_runtime::stats().resources;
    all.into_iter().find(|resource| resource.name == name).expect("it was borrowed")
}
