//! `#[offload(remote)]`: bodies on other machines, one file a subject.

mod here;
mod shapes;

offload_runtime::test_worker!();
