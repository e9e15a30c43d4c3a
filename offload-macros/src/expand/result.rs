//! What the compiler is asked of the result: that it may come back, and how it carries an `Error`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ReturnType, Token};

use super::projection::{projection, projection_by, projection_of};
use crate::function::Function;
use crate::options::Options;
use crate::tokens::{ends, opaque};

/// `<Png as __offload::Returned<_>>::call`, the one place where the result is asked
/// to be `Send`, and everything to be `'static`.
pub(super) fn call(function: &Function, how: &str) -> TokenStream {
    let (ty, place) = result(function);
    projection_by(&ty, place, "Returned", how)
}

/// How an `Error` of the offload becomes a result, for the call.
pub(super) fn fail(options: &Options, function: &Function) -> TokenStream {
    // Demanded; and of a result that is not `Send`, that is said and nothing else.
    if options.fallible().next().is_some() {
        let (ty, place) = result(function);
        let held = match &function.signature.output {
            ReturnType::Type(_, written) if opaque::has_no_name(written) => ty,
            _ => projection_by(&ty, place, "Returned", "Held"),
        };
        let fail = projection_of(&held, place, &quote!(Fallible<_>), "fail");
        return quote!(#fail(),);
    }
    match &function.signature.output {
        ReturnType::Type(_, ty) if opaque::has_known_error(ty) => {
            let place = ends(ty);
            let ty = opaque::infer_impl_trait(ty);
            let carrier = projection(&ty, place, "Asked", "CARRIER");
            quote!(#carrier.offload_fail(),)
        }
        _ => quote!(__offload::None,),
    }
}

/// The result as a type that can stand in an expression, and where it is written.
fn result(function: &Function) -> (TokenStream, (Span, Span)) {
    match &function.signature.output {
        ReturnType::Default => {
            let place = function.signature.ident.span();
            (quote_spanned!(place=> ()), (place, place))
        }
        // A type that has no name is inferred.
        ReturnType::Type(_, ty) if opaque::has_no_name(ty) => {
            (Token![_](ends(ty).0).to_token_stream(), ends(ty))
        }
        ReturnType::Type(_, ty) => (ty.to_token_stream(), ends(ty)),
    }
}
