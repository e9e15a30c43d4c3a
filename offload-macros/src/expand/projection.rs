//! `<T as __offload::Bound>::Output`: what is asked of the compiler about a type, in such a way that its answer
//! underlines the type.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Token, Type};

use crate::tokens::ends;

/// `<T as __offload::Bound>::Output`, which an error underlines as `T`: the
/// compiler joins the spans of the first and of the last token.
pub(crate) fn projection(
    ty: &impl ToTokens,
    (first, last): (Span, Span),
    bound: &str,
    output: &str,
) -> TokenStream {
    let bound = Ident::new(bound, last);
    projection_of(ty, (first, last), &bound, output)
}

/// The same for a bound that is more than a name.
pub(crate) fn projection_of(
    ty: &impl ToTokens,
    (first, last): (Span, Span),
    bound: &impl ToTokens,
    output: &str,
) -> TokenStream {
    let output = Ident::new(output, last);
    let open = Token![<](first);
    let rest = quote_spanned!(last=> as __offload::#bound>::#output);
    quote!(#open #ty #rest)
}

/// The same for a bound whose only parameter is left to be inferred.
pub(super) fn projection_by(
    ty: &impl ToTokens,
    place: (Span, Span),
    bound: &str,
    output: &str,
) -> TokenStream {
    let bound = Ident::new(bound, place.1);
    let by = quote_spanned!(place.1=> <_>);
    projection_of(ty, place, &quote!(#bound #by), output)
}

/// [`projection`], where the runtime has no name of its own yet.
pub(super) fn in_signature(
    ty: &Type,
    runtime: &TokenStream,
    bound: &str,
    output: &str,
) -> TokenStream {
    let (first, last) = ends(ty);
    let runtime = runtime.clone().into_iter().map(|mut token| {
        token.set_span(last);
        token
    });
    let (bound, output) = (Ident::new(bound, last), Ident::new(output, last));
    let open = Token![<](first);
    let rest = quote_spanned!(last=> as #(#runtime)*::#bound>::#output);
    quote!(#open #ty #rest)
}

/// `<T as Bound>::method(…)`: what is said of the call is said of the type.
pub(super) fn called(method: &TokenStream, arguments: TokenStream, place: Span) -> TokenStream {
    let arguments = arguments_of(arguments, place);
    quote!(#method #arguments)
}

pub(super) fn arguments_of(arguments: TokenStream, place: Span) -> Group {
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(place);
    arguments
}
