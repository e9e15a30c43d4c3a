//! How an instance is made, by the thread whose body needs it: foreign code, which may fail or panic.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::Counts;
use crate::error::{Error, Source};
use crate::sync::foreign::{Quiet, drop_payload, text_of};

/// What makes an instance.
pub(super) type Make<T> = fn() -> Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Making it panicked.
#[derive(Debug)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// Makes one for a body of this function.
pub(super) fn make<T>(
    make: Make<T>,
    name: &str,
    function: &str,
    counts: &Counts,
) -> Result<T, Error> {
    let source = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(Ok(instance)) => {
            counts.made.fetch_add(1, Ordering::Relaxed);
            return Ok(instance);
        }
        Ok(Err(error)) => Source::new(Quiet::new(error)),
        Err(payload) => {
            let text = text_of(&payload).to_owned();
            drop_payload(payload);
            Source::new(Quiet::new(Box::new(Panicked(text))))
        }
    };
    counts.failed.fetch_add(1, Ordering::Relaxed);
    // What it says of itself is foreign code, too.
    let text = catch_unwind(AssertUnwindSafe(|| source.to_string())).unwrap_or_else(|payload| {
        drop_payload(payload);
        "its error panicked when it was to be shown".to_owned()
    });
    Err(Error::unmade(function, name, source, &text))
}
