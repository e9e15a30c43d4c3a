//! How the body of a stream makes its items.

use super::Function;
use crate::tokens::arguments::first_argument;
use crate::tokens::items::{is_result, made};

/// How a body makes its items, by its result.
pub(crate) enum Form {
    /// `impl Iterator<Item = T>`
    Items,
    /// `Result<impl Iterator<Item = Result<T, _>>, E>`: an item carries the opening's error.
    OpenedItems,
    /// `Result<impl Iterator<Item = T>, E>`: the items of the stream are results.
    Opened,
    /// `out: &mut Sink<T>`
    Pushed,
}

pub(crate) fn form(function: &Function) -> Form {
    if function.sink().is_some() {
        return Form::Pushed;
    }
    let output = function.output();
    if !is_result(&output) {
        return Form::Items;
    }
    match first_argument(&output).and_then(made) {
        Some(made) if is_result(&made) => Form::OpenedItems,
        _ => Form::Opened,
    }
}
