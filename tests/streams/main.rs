//! Streams: `#[offload(…, stream)]`, in both forms, one file a subject.

mod holds;
mod items;
