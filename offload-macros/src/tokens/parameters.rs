//! Words that may be parameters of an `impl` block: nothing that the attribute sees tells them from types.

use proc_macro2::{Ident, TokenStream, TokenTree};

/// Names that nobody gives to a parameter: those that are known everywhere.
const PRELUDE: [&str; 27] = [
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Display",
    "Drop",
    "Err",
    "Eq",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Into",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Result",
    "Send",
    "Some",
    "String",
    "Sync",
    "ToString",
    "Vec",
];

/// Whether a word occurs that may be a parameter of an `impl` block: one that begins with a capital,
/// not at the end of a path, and that is not known everywhere.
pub(crate) fn may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, false)
}

/// The same of tokens in which `<` always begins arguments, which a parameter does not have.
pub(crate) fn types_may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, true)
}

fn may_name(tokens: TokenStream, are_types: bool) -> bool {
    // `Variant::A` and `value.A` are none, `x: A` is one.
    let mut before = [' '; 2];
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let is_capital = word.starts_with(|letter: char| letter.is_uppercase());
                let after_path = before == [':', ':'] || before[1] == '.';
                let has_arguments = are_types
                    && matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
                if is_capital && !after_path && !has_arguments && !PRELUDE.contains(&word.as_str())
                {
                    return true;
                }
            }
            TokenTree::Group(group) if may_name(group.stream(), are_types) => return true,
            _ => {}
        }
        let last = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        before = [before[1], last];
    }
    false
}

/// The first word that is a parameter of an `impl` block by the custom of all: `T`, `K2`.
pub(crate) fn outer_parameter(tokens: TokenStream) -> Option<Ident> {
    // `Variant::A` is none, `x: A` is one.
    let mut before = [' '; 2];
    tokens.into_iter().find_map(|token| {
        let found = match &token {
            TokenTree::Ident(word) => {
                let text = word.to_string();
                let mut letters = text.chars();
                let is_parameter = letters.next().is_some_and(|first| first.is_ascii_uppercase())
                    && letters.all(|letter| letter.is_ascii_digit());
                (is_parameter && before != [':', ':'] && before[1] != '.').then(|| word.clone())
            }
            TokenTree::Group(group) => outer_parameter(group.stream()),
            _ => None,
        };
        let last = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        before = [before[1], last];
        found
    })
}
