//! What a call takes along of its caller's context, and how much that may be.

use std::panic::catch_unwind;

use super::failures;
use crate::error::Error;
use crate::task::context;

/// The most that all of it may take, in bytes: it goes in the head of a message, of which a server takes 64 KiB.
const MOST: usize = 32 << 10;

/// Texts, by the names of their keys.
#[derive(Debug)]
pub(super) struct Carried(Vec<(&'static str, String)>);

impl Carried {
    /// What there is on this thread, for a call of this function. It runs foreign code.
    pub(super) fn here(function: &str) -> Result<Carried, Error> {
        let carried = catch_unwind(context::carried)
            .map_err(|payload| Error::panicked_before(function, payload))?;
        let carried = Carried(carried);
        match carried.bytes() {
            bytes if bytes > MOST => Err(failures::carries_too_much(function, bytes, MOST)),
            _ => Ok(carried),
        }
    }

    /// All of it, as it is sent.
    pub(super) fn bytes(&self) -> usize {
        // Between a name and its text stands a colon, and after each a line end.
        self.0.iter().map(|(name, text)| name.len() + text.len() + ":\r\n".len()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// The values as a worker reads them.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }
}
