//! Tokens, and the types among them, by themselves: what is here knows neither options nor functions.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `borrows` | which part of a type borrows |
//! | `opaque` | which part of a type is an `impl Trait` |
//! | `arguments` | `T` of `Vec<T>`, and the bounds of a `T` |
//! | `items` | types that make items: iterators, a `Sink`, results of them |
//! | `known` | types that everybody knows, by their names |
//! | `parameters` | words that may be parameters of an `impl` block |
//! | `receiver` | `self` and `Self` in a body |
//! | `sizes` | which part of a type has no size that is known |
//! | `calls` | what a body calls and awaits that it should not |

pub(crate) mod arguments;
pub(crate) mod borrows;
pub(crate) mod calls;
pub(crate) mod items;
pub(crate) mod known;
pub(crate) mod opaque;
pub(crate) mod parameters;
pub(crate) mod receiver;
pub(crate) mod sizes;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;

/// Whether `word` occurs in `tokens`, at any depth.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        _ => false,
    })
}

/// Where tokens begin and where they end.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let first = tokens.next();
    let last = tokens.last().or_else(|| first.clone());
    let open = first.map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_open(),
        token => token.span(),
    });
    let close = last.map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    });
    (open, close)
}

/// Tokens as a user would write them: printed tokens stand apart.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (printed, written) in [
        (" ::", "::"),
        (":: ", "::"),
        (" : ", ": "),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        ("? ", "?"),
        (" ,", ","),
        (" ;", ";"),
        (" (", "("),
        ("->(", "-> ("),
        ("dyn(", "dyn ("),
    ] {
        text = text.replace(printed, written);
    }
    text
}
