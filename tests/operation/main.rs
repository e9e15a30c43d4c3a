//! Offloaded functions under load and in operation, a file for each subject.

mod cancellation;
mod context;
mod deadlines;
mod failures;
mod http;
mod limits;
mod nesting;
mod numbers;
mod pools;
mod queues;
mod support;
