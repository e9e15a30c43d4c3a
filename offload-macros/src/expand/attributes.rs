//! Which attribute belongs to which function: to what callers get, to the synchronous one, to both.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token, Visibility, parse_quote};

use super::outlives;
use crate::function::Function;
use crate::function::column::Column;
use crate::tokens::{ends, mentions};

/// What clippy would have a function do that `#[offload]` then refuses, or says of the wrapper as well.
pub(crate) const SILENCED: [&str; 4] =
    ["missing_const_for_fn", "needless_pass_by_value", "too_many_arguments", "unnecessary_wraps"];

/// Attributes below `#[offload]` stay on the wrapper. With `sync` some speak
/// about a body that is elsewhere: an expectation would not be fulfilled here.
pub(crate) fn wrapper_attributes(function: &Function, has_sync: bool) -> Vec<Attribute> {
    let mut attributes = function.attributes.clone();
    // It may be a default method of a public trait, and the attribute is what its author chose.
    let may_be_in_a_trait = function.is_associated() || function.column != Column::First;
    if matches!(function.visibility, Visibility::Inherited) && may_be_in_a_trait {
        attributes.push(parse_quote!(#[allow(async_fn_in_trait)]));
    }
    if outlives::may_be_known(function) {
        attributes.push(parse_quote!(#[allow(trivial_bounds)]));
    }
    // Of an async function the compiler only says that it has no effect.
    attributes.retain(|attribute| !attribute.path().is_ident("track_caller"));
    for attribute in &mut attributes {
        let Meta::List(list) = &mut attribute.meta else { continue };
        if list.path.is_ident("expect")
            && (has_sync || SILENCED.iter().any(|lint| mentions(list.tokens.clone(), lint)))
        {
            list.path = Ident::new("allow", ends(&list.path).0).into();
        }
    }
    attributes
}

/// What is said of a function that returns `impl … + Send + 'static` and is no `async fn`: it promises more
/// than the trait whose method it may be, which the compiler reports as a refinement.
pub(crate) fn silence_refinement(function: &Function, attributes: &mut Vec<Attribute>) {
    if function.receiver.is_some() || function.is_associated() {
        attributes.push(parse_quote!(#[allow(refining_impl_trait)]));
    }
    if attributes.iter().any(|attribute| attribute.path().is_ident("must_use")) {
        attributes.push(parse_quote!(#[allow(clippy::double_must_use)]));
    }
}

/// The `static` decides which type it is that is lent, and not what the body does with it.
pub(crate) fn silence_resources(function: &Function) -> Option<TokenStream> {
    function.has_resources().then(|| {
        quote!(#[allow(clippy::needless_pass_by_ref_mut, clippy::ptr_arg, clippy::trivially_copy_pass_by_ref)])
    })
}

/// Whether the synchronous function gets the attribute too. Attribute macros
/// do not belong to it: those below `#[offload]` see the async function.
pub(crate) fn belongs_to_body(attribute: &Attribute) -> bool {
    let several = Punctuated::<Meta, Token![,]>::parse_terminated;
    match attribute.parse_args_with(several) {
        Ok(list) if attribute.path().is_ident("cfg_attr") => {
            list.iter().skip(1).all(|meta| speaks_of_body(meta.path()))
        }
        _ => speaks_of_body(attribute.path()),
    }
}

fn speaks_of_body(attribute: &Path) -> bool {
    const WORDS: [&str; 12] = [
        "doc",
        "cfg",
        "allow",
        "warn",
        "deny",
        "forbid",
        "expect",
        "must_use",
        "deprecated",
        "inline",
        "cold",
        "track_caller",
    ];
    WORDS.iter().any(|word| attribute.is_ident(word))
}

/// Lint levels of an argument are about its use, and the body uses it.
pub(crate) fn is_lint_level(attribute: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|word| attribute.path().is_ident(word))
}

/// Whether it has to be allowed that its other half calls it.
pub(crate) fn is_deprecated(function: &Function) -> bool {
    let mut attributes = function.attributes.iter();
    attributes.any(|attribute| mentions(attribute.meta.to_token_stream(), "deprecated"))
}
