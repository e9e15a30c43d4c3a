//! Arguments with `#[resource(DB)]`: callers do not give them, the body borrows them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{FnArg, Token, Type, TypeReference};

use super::projection::projection_of;
use crate::function::{Argument, Function, resource_path};
use crate::tokens::ends;

/// The inputs of a signature without these arguments.
pub(crate) fn without(
    function: &Function,
    inputs: Punctuated<FnArg, Token![,]>,
) -> Punctuated<FnArg, Token![,]> {
    if function.given().count() == function.arguments.len() {
        return inputs;
    }
    let mut arguments = function.arguments.iter();
    let is_given = |input: &FnArg| match input {
        FnArg::Receiver(_) => true,
        FnArg::Typed(_) => arguments.next().is_some_and(Argument::is_given),
    };
    inputs.into_iter().filter(is_given).collect()
}

/// `#[resource(DB)] conn: &mut Connection`: `<Connection as __offload::LentMut<_>>::lends(&DB)`, by which the
/// compiler is asked whether it does, and says so at the type.
pub(crate) fn describe(function: &Function) -> Option<TokenStream> {
    let lends: Vec<_> = function
        .resources()
        .filter_map(|(argument, attribute)| {
            let path = resource_path(attribute)?;
            let Type::Reference(reference) = &argument.ty else { return None };
            let (place, lent) =
                (ends(&argument.ty), Ident::new(bound(reference), Span::mixed_site()));
            let lends = projection_of(&reference.elem, place, &quote!(#lent<_>), "lends");
            let and = Token![&](ends(&path).0);
            Some(quote!(#lends(#and #path)))
        })
        .collect();
    (!lends.is_empty()).then(|| {
        quote!(.resources(|| -> __offload::Vec<__offload::Lends> {
            __offload::Vec::from([#(#lends),*])
        }))
    })
}

fn bound(reference: &TypeReference) -> &'static str {
    if reference.mutability.is_some() { "LentMut" } else { "LentShared" }
}

/// `let mut conn = __offload::Borrowed::<Connection>::take(0);`, given back at the end of the block.
pub(crate) fn take(function: &Function) -> TokenStream {
    let takes = function.resources().enumerate().map(|(number, (argument, _))| {
        let held = &argument.held;
        let Type::Reference(reference) = &argument.ty else { return TokenStream::new() };
        let (mutability, ty) = (&reference.mutability, &reference.elem);
        quote!(let #mutability #held = __offload::Borrowed::<#ty>::take(#number);)
    });
    quote!(#(#takes)*)
}

/// `&mut *conn`
pub(crate) fn lend(argument: &Argument) -> TokenStream {
    let held = &argument.held;
    let mutability = match &argument.ty {
        Type::Reference(reference) => reference.mutability,
        _ => None,
    };
    quote!(&#mutability *#held)
}
