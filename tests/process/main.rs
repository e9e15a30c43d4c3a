//! `#[offload(process)]`: bodies in another process, one file a subject.

mod crashes;
mod data;
mod ends;
mod numbers;
mod pools;
mod prints;
mod shapes;
mod support;

offload_runtime::test_worker!();
