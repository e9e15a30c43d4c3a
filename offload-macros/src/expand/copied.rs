//! Functions with `#[to_owned]`: the copies are made when they are called, and what they return borrows nothing.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ReturnType, Signature, parse_quote_spanned};

use crate::function::Function;
use crate::tokens::{borrows, ends, mentions};

/// Whether the copies of what is borrowed are made when the function is called, so that its future
/// borrows nothing. `!` is no type that a future could be said to have.
pub(super) fn copies_at_call(function: &Function) -> bool {
    let is_copied = function.receiver.as_ref().is_some_and(|receiver| receiver.to_owned.is_some())
        || function.arguments.iter().any(|argument| argument.to_owned.is_some());
    let is_never = function.returns_never();
    // A bound on `Self` is what a default method of a trait has. It stays an `async fn`, so that an `impl` may
    // override it by one that borrows.
    let is_default = mentions(function.signature.generics.where_clause.to_token_stream(), "Self");
    is_copied && !is_never && !is_default
}

/// `async fn f(x: &str) -> T` → `fn f(x: &str) -> impl Future<Output = T> + Send + 'static`
pub(super) fn return_future(function: &Function, signature: &mut Signature) {
    signature.asyncness = None;
    let result = match &function.signature.output {
        ReturnType::Type(_, ty) => {
            let mut result = (**ty).clone();
            // Without it, an `impl Trait` result would capture the lifetime of what was copied.
            borrows::outlive(&mut result);
            result.to_token_stream()
        }
        ReturnType::Default => quote!(()),
    };
    signature.output = parse_quote_spanned! {place(function).resolved_at(Span::mixed_site())=>
        -> impl ::core::future::Future<Output = #result> + ::core::marker::Send + 'static
    };
}

/// The future that it returns. That a copied `self` still borrows is reported at the function's result.
pub(super) fn future(function: &Function, answer: TokenStream) -> TokenStream {
    quote_spanned!(place(function)=> async move { #answer })
}

/// Where the result stands, or the name of a function without one.
fn place(function: &Function) -> Span {
    match &function.signature.output {
        ReturnType::Type(_, ty) => ends(ty).1,
        ReturnType::Default => function.signature.ident.span(),
    }
}
