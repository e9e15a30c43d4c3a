//! What goes to other processes: values ↔ bytes, frames, and which functions there are.

pub(crate) mod arguments;
pub(crate) mod blobs;
pub(crate) mod codec;
pub(crate) mod frames;
mod plain;
pub(crate) mod registry;
