//! `#[offload(process)]`: bodies in another process, one file a subject.

mod away;
mod begun;
mod byte_streams;
mod crashes;
mod data;
mod default_pool;
mod ending;
mod ends;
mod environment;
mod left_behind;
mod lifecycle;
mod mad;
mod memory;
mod numbers;
mod orphans;
mod own_context;
mod pools;
mod prints;
mod ran;
mod shapes;
mod started;
mod starts;
mod streams;
mod streams_that_end;
mod support;
mod surroundings;
mod warm;

offload_runtime::test_worker!();
