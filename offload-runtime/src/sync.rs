//! The primitives that the hand-off is built from: std's, or loom's where its
//! models run (`--cfg offload_loom`). Only code that the models check uses them.

#[cfg(not(offload_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread::{Thread, current, park, park_timeout};
}

#[cfg(offload_loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread::{Thread, current, park};

    pub(crate) fn park_timeout(_: std::time::Duration) {
        unreachable!("loom knows no time: its models retire no thread")
    }
}

pub(crate) use imp::*;

/// In cache lines of its own: what one thread writes often and others read,
/// beside what only they use.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Locks, and takes no notice of poison: nothing that is guarded here can be
/// left half done, as no foreign code runs while it is held.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
