//! `#[offload(process)]`: bodies in another process, one file a subject.

mod crashes;
mod data;
mod ending;
mod ends;
mod left_behind;
mod numbers;
mod orphans;
mod own_context;
mod pools;
mod prints;
mod shapes;
mod started;
mod starts;
mod support;

offload_runtime::test_worker!();
