//! The rules about arguments with `#[resource(DB)]`.

use quote::ToTokens;
use syn::{Meta, Type};

use crate::errors::Errors;
use crate::function::{Argument, Function, resource_path};
use crate::tokens::{borrows, mentions, opaque, text};

/// Applies them.
pub(super) fn check(function: &Function, errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for (argument, attribute) in function.resources() {
        let Some(path) = resource_path(attribute) else {
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
    if opaque::has_impl_trait(&reference.elem) {
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
