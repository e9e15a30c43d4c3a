//! How `self` and the arguments move into the job, and how the body sees them there.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Pat, ReceiverKind, Token};

use super::projection::projection;
use super::resources;
use crate::function::{Argument, Function};
use crate::tokens::{ends, mentions, opaque};

/// `#[to_owned] &self`: the job's own copy. Any other receiver is captured, and
/// only asked whether it moves.
pub(super) fn hold_receiver(function: &Function) -> Option<TokenStream> {
    let receiver = function.receiver.as_ref()?;
    let place = ends(&receiver.syntax);
    let itself = &receiver.syntax.self_token;
    if receiver.to_owned.is_some() {
        let this = &receiver.this;
        let borrowed = receiver.borrowed();
        let held = projection(&borrowed, place, "Lent", "Held");
        let copy = projection(&borrowed, place, "Lent", "copy");
        return Some(quote!(#[allow(clippy::use_self)] let #this: #held = #copy(#itself);));
    }
    let moves = match &receiver.syntax.kind {
        ReceiverKind::Typed(_, ty) => projection(ty, ends(ty), "Argument", "moves"),
        ReceiverKind::Reference(and, lifetime, mutability) => {
            let itself = quote_spanned!(place.1=> Self);
            projection(&quote!(#and #lifetime #mutability #itself), place, "Argument", "moves")
        }
        _ => projection(&quote_spanned!(place.0=> Self), place, "Argument", "moves"),
    };
    Some(quote!(#moves();))
}

/// `let id: <Path<u64> as Argument>::Held = id;`
pub(super) fn hold_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, name, ty, .. } = argument;
    let held = &argument.held;
    let place = ends(ty);
    if argument.is_lent_without_name() {
        let copied = projection(&Token![_](place.0), place, "Lent", "copied");
        quote!(#(#cfg)* let #held = #copied(#name);)
    } else if let Some(borrowed) = argument.borrowed() {
        let held_type = projection(borrowed, place, "Lent", "Held");
        let copy = projection(borrowed, place, "Lent", "copy");
        quote!(#(#cfg)* let #held: #held_type = #copy(#name);)
    } else if opaque::has_impl_trait(ty) {
        let infer = Token![_](place.0);
        let check = projection(&infer, place, "Argument", "held");
        quote!(#(#cfg)* let #held = #check(#name);)
    } else {
        let held_type = projection(ty, place, "Argument", "Held");
        quote!(#(#cfg)* let #held: #held_type = #name;)
    }
}

/// `let id = id; let Path(id) = id;`: the first moves the argument in as a
/// whole, the second takes it apart.
pub(super) fn bind_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, attributes, pattern, ty, .. } = argument;
    let held = &argument.held;
    if argument.resource.is_some() {
        let lent = resources::lend(argument);
        return quote!(#(#attributes)* let #pattern: #ty = #lent;);
    }
    if let Some(borrowed) = argument.borrowed() {
        let lend = lend(argument);
        let borrowed = opaque::infer_impl_trait(borrowed);
        quote! {
            #(#cfg)*
            let #held = #held;
            #(#cfg)* #(#attributes)*
            let #pattern: &#borrowed = #lend;
        }
    } else if argument.is_plain() {
        let silence = argument
            .is_underscored()
            .then(|| quote!(#[allow(clippy::no_effect_underscore_binding)]));
        quote!(#(#cfg)* #(#attributes)* #silence let #pattern = #held;)
    } else if let Pat::Wild(_) = pattern {
        quote!(#(#cfg)* let #held = #held;)
    } else {
        // `ref mut` asks for a place that may be changed.
        let mutability = mentions(pattern.to_token_stream(), "ref").then(|| quote!(mut));
        let silence = mutability.is_some().then(|| quote!(#[allow(unused_mut)]));
        quote! {
            #(#cfg)* #silence
            let #mutability #held = #held;
            #(#cfg)* #(#attributes)*
            let #pattern = #held;
        }
    }
}

/// The borrow of the job's own copy.
pub(super) fn lend(argument: &Argument) -> TokenStream {
    let held = &argument.held;
    if argument.is_lent_without_name() {
        quote!(__offload::Copied::lend(&#held))
    } else {
        quote!(__offload::Borrow::borrow(&#held))
    }
}
