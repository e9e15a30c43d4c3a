//! Where an attribute begins, which tells a function of a module from what may be in an `impl` block.

use proc_macro2::Span;

/// The column of an attribute. What stands in a block is indented, and so a function in the first column has
/// nothing around it but a module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    First,
    Other,
    /// Compilers before 1.88 do not tell.
    Unknown,
}

impl Column {
    pub(crate) fn of(span: Span) -> Column {
        let place = span.start();
        // The first line is 1: a 0 says that the compiler does not tell.
        match (place.line, place.column) {
            (0, _) => Column::Unknown,
            (_, 0) => Column::First,
            _ => Column::Other,
        }
    }
}
