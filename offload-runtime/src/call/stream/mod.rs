//! Calls whose results are streams: items leave as they are made.

mod items;
mod pushed;
pub(crate) mod sink;

use std::panic::resume_unwind;

pub(crate) use self::items::Items;
pub(crate) use self::pushed::Pushed;
pub(crate) use self::sink::wake_blocked;
use super::sent::answer_error;
use crate::error::Error;
use crate::function::Function;
use crate::task::Failure;

/// The last item of a stream, where it is one of a failure: a panic, too, where items can carry it.
fn last<T>(function: &Function, fail: Option<fn(Error) -> T>, failure: Failure) -> T {
    match (failure, fail) {
        (Failure::Error(error), fail) => answer_error(fail, error),
        (Failure::Panic(payload), Some(fail)) => fail(Error::panicked(function.name(), payload)),
        (Failure::Panic(payload), None) => resume_unwind(payload),
    }
}
