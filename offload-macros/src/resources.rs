//! Arguments with `#[resource(DB)]`: callers do not give them, the body borrows them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Meta, Path, Token, Type, TypeReference};

use crate::borrows;
use crate::check::text;
use crate::errors::Errors;
use crate::expand::{ends, projection_of};
use crate::function::{Argument, Function, mentions};

/// Whether there are such arguments.
pub(crate) fn has_any(function: &Function) -> bool {
    of(function).next().is_some()
}

fn of(function: &Function) -> impl Iterator<Item = (&Argument, &Attribute)> {
    function.arguments.iter().filter_map(|argument| Some((argument, argument.resource.as_ref()?)))
}

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
    let lends: Vec<_> = of(function)
        .filter_map(|(argument, attribute)| {
            let path = path(attribute)?;
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
    let takes = of(function).enumerate().map(|(number, (argument, _))| {
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

/// The `static` decides which type it is that is lent, and not what the body does with it.
pub(crate) fn silence(function: &Function) -> Option<TokenStream> {
    has_any(function).then(|| {
        quote!(#[allow(clippy::needless_pass_by_ref_mut, clippy::ptr_arg, clippy::trivially_copy_pass_by_ref)])
    })
}

/// The `static` that an attribute names.
fn path(attribute: &Attribute) -> Option<Path> {
    attribute.parse_args_with(Path::parse_mod_style).ok()
}

/// Their rules.
pub(crate) fn check(function: &Function, errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for (argument, attribute) in of(function) {
        let Some(path) = path(attribute) else {
            let place = match &attribute.meta {
                Meta::List(list) if !list.tokens.is_empty() => list.tokens.clone(),
                _ => attribute.to_token_stream(),
            };
            errors.at(place, "`#[resource]` names a `static`: `#[resource(DB)]`");
            continue;
        };
        let name = text(&path);
        if seen.contains(&name) {
            errors.at(
                &path,
                format_args!(
                    "`{name}` is borrowed twice, and a body that has it would wait for it: borrow it once, and use that"
                ),
            );
        }
        seen.push(name);
        if let Some(to_owned) = &argument.to_owned {
            errors
                .at(to_owned, "a resource is lent as it is, and not copied: remove `#[to_owned]`");
        }
        if let [cfg, ..] = &*argument.cfg {
            errors.at(cfg, "a resource is borrowed or not: put `#[cfg]` on the whole function");
        }
        check_type(argument, function, errors);
    }
}

fn check_type(argument: &Argument, function: &Function, errors: &mut Errors) {
    let Type::Reference(reference) = &argument.ty else {
        let ty = text(&argument.ty);
        return errors.at(
            &argument.ty,
            format_args!(
                "a resource is lent to the body, which gives it back: take `&mut {ty}`, or `&{ty}` of a `SharedResource`"
            ),
        );
    };
    if let Some(lifetime) = &reference.lifetime {
        return errors.at(
            lifetime,
            format_args!("a resource is lent for as long as the body runs: remove `{lifetime}`"),
        );
    }
    if let Some(borrow) = borrows::find(&reference.elem) {
        return errors.at(
            &borrow,
            format_args!(
                "a resource is kept for other bodies, and `{}` borrows: lend a type that owns its data",
                text(&reference.elem)
            ),
        );
    }
    if borrows::infer_impl_trait(&reference.elem).1 {
        let message = "a resource has a type with a name: write the one that the `static` has";
        return errors.at(&reference.elem, message);
    }
    let ty = reference.elem.to_token_stream();
    let parameters = function.signature.generics.type_params();
    let parameter = parameters.map(|parameter| parameter.ident.to_string());
    let unknown = parameter.chain(["Self".to_owned()]).find(|name| mentions(ty.clone(), name));
    if let Some(name) = unknown {
        errors.at(
            &reference.elem,
            format_args!(
                "a resource has one type, and not one for every `{name}`: write that type"
            ),
        );
    }
}
