//! `#[offload(remote)]`: bodies on other machines, one file a subject.

mod carried;
mod here;
mod isolated;
mod shapes;
mod started;

offload_runtime::test_worker!();
