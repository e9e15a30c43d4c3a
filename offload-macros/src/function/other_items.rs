//! What is not a function, and what it is instead.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Ident, Token};

/// Not a function? Then what is it, at the word that says so.
pub(super) fn something_else(input: ParseStream) -> Option<Error> {
    let ahead = input.fork();
    if is_closure(&ahead) {
        let message =
            "`#[offload]` belongs on a function: give the closure to `to_thread(…)` or `to_cpu(…)`";
        return Some(Error::new(input.span(), message));
    }
    let words: Vec<Ident> =
        std::iter::from_fn(|| ahead.call(Ident::parse_any).ok()).take(3).collect();
    let first = words.first()?;
    let second = words.get(1).map(Ident::to_string);
    let (what, hint) = match (first.to_string().as_str(), second.as_deref()) {
        // The string of `extern "C" fn` ends the run of words.
        ("fn", _) | ("extern", None) => return None,
        ("const" | "async" | "unsafe" | "extern", Some("fn" | "async" | "unsafe" | "extern")) => {
            return None;
        }
        ("impl", _) | ("unsafe", Some("impl")) => {
            ("an `impl` block", ": put it on the methods inside")
        }
        ("trait", _) | ("unsafe" | "auto", Some("trait")) => (
            "a trait",
            ": put it on the methods of its `impl` blocks, and declare them `async fn` here",
        ),
        ("mod", _) => ("a module", ": put it on the functions inside"),
        ("struct", _) => ("a struct", ""),
        ("enum", _) => ("an enum", ""),
        ("union", _) => ("a union", ""),
        ("type", _) => ("a type alias", ""),
        ("use", _) => ("a `use`", ""),
        ("const", _) => ("a constant", ""),
        ("static", _) => ("a static", ""),
        ("macro_rules", _) => ("a macro", ""),
        ("let", _) => ("a statement", ": for a closure there are `to_thread(…)` and `to_cpu(…)`"),
        _ => ("something else", ""),
    };
    let message = format!("`#[offload]` belongs on a function, this is {what}{hint}");
    Some(Error::new(first.span(), message))
}

/// Whether an expression begins here that can only be a closure.
pub(crate) fn is_closure(input: ParseStream) -> bool {
    input.peek(Token![|]) || input.peek(Token![||]) || input.peek(Token![move])
}
