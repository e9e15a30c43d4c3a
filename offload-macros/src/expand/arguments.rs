//! How `self` and the arguments move into the job, and how the body sees them there.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Pat, ReceiverKind, Token};

use super::projection::{called, projection_by};
use super::resources;
use crate::function::{Argument, Function};
use crate::tokens::known::bare;
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
        let place = ends(&borrowed);
        let held = copy_of(&borrowed, place);
        let copy = projection_by(&borrowed, place, "Lent", "copy");
        let copy = called(&copy, itself.to_token_stream(), place.1);
        return Some(quote!(#[allow(clippy::use_self)] let #this: #held = #copy;));
    }
    let moves = match &receiver.syntax.kind {
        ReceiverKind::Typed(_, ty) => projection_by(ty, ends(ty), "Argument", "moves"),
        ReceiverKind::Reference(and, lifetime, mutability) => {
            let itself = quote_spanned!(place.1=> Self);
            projection_by(&quote!(#and #lifetime #mutability #itself), place, "Argument", "moves")
        }
        _ => projection_by(&quote_spanned!(place.0=> Self), place, "Argument", "moves"),
    };
    Some(quote!(#moves();))
}

/// `<<str as Lent<_>>::Held as Argument<_>>::Held`: what can be copied, and of which the copy moves.
/// What is said of it, and of the call that makes the copy, is said of one place, and so it is said once.
fn copy_of(lent: &impl ToTokens, place: (Span, Span)) -> TokenStream {
    let held = projection_by(lent, place, "Lent", "Held");
    projection_by(&held, place, "Argument", "Held")
}

/// `let id: <Path<u64> as Argument<_>>::Held = id;`
pub(super) fn hold_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, name, ty, .. } = argument;
    let held = &argument.held;
    let place = ends(ty);
    if argument.is_lent_without_name() {
        let infer = Token![_](place.0);
        let copied = projection_by(&infer, place, "Lent", "copied");
        let check = projection_by(&infer, place, "Argument", "held");
        quote!(#(#cfg)* let #held = #check(#copied(#name));)
    } else if let Some(borrowed) = argument.borrowed() {
        // In its errors the compiler underlines a type without the parentheses around it; so do ours.
        let place = ends(bare(borrowed));
        let held_type = copy_of(borrowed, place);
        let copy = projection_by(borrowed, place, "Lent", "copy");
        let copy = called(&copy, name.to_token_stream(), place.1);
        quote!(#(#cfg)* let #held: #held_type = #copy;)
    } else if opaque::has_impl_trait(ty) {
        let infer = Token![_](place.0);
        let check = projection_by(&infer, place, "Argument", "held");
        quote!(#(#cfg)* let #held = #check(#name);)
    } else {
        let held_type = projection_by(ty, place, "Argument", "Held");
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
