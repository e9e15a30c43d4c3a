//! Why a value cannot be written, or read.

use std::fmt::{self, Display};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Problem(String);

impl Problem {
    pub(super) fn of(text: impl Into<String>) -> Problem {
        Problem(text.into())
    }

    /// A level more than there may be.
    pub(super) fn too_deep() -> Problem {
        Problem::of("it is nested too deeply")
    }

    pub(super) fn cut_off() -> Problem {
        Problem::of("it is cut off")
    }

    /// A list, or a map, that has not as many elements as it said.
    pub(super) fn unless_as_long(has: usize, announced: usize) -> Result<(), Problem> {
        if has == announced {
            return Ok(());
        }
        Err(Problem(format!("it was to have {announced} elements, and has {has}")))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl serde::ser::Error for Problem {
    fn custom<T: Display>(text: T) -> Problem {
        Problem(text.to_string())
    }
}

impl serde::de::Error for Problem {
    fn custom<T: Display>(text: T) -> Problem {
        Problem(text.to_string())
    }
}
