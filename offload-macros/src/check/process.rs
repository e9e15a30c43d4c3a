//! The rules that hold for the kinds `process` and `remote`: what has no meaning in another
//! process, or could not be sent there and back.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{FnArg, GenericArgument, GenericParam, PathArguments, ReturnType, Type};

use super::advice::{self, Position};
use crate::errors::Errors;
use crate::function::column::Column;
use crate::function::{Argument, Function};
use crate::options::Options;
use crate::tokens::arguments::{arguments, last_name};
use crate::tokens::items::{made, sent};
use crate::tokens::parameters::{outer_parameter, outer_parameter_of_body};
use crate::tokens::{borrows, opaque, receiver, text};

/// Adds an error for each rule that the function breaks.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    generics(function, errors);
    own_type(options, function, errors);
    for argument in function.given() {
        cfg(options, argument, errors);
        if opaque::has_impl_trait(&argument.ty) {
            errors.at(
                &argument.ty,
                format_args!(
                    "a worker has to know the type of what it reads: take a concrete type in the place of `{}`",
                    text(&argument.ty)
                ),
            );
        } else {
            lost(&argument.ty, errors);
            if let Some(ty) = read(argument) {
                static_in_message(ty, function, errors);
            }
        }
    }
    match (&options.stream, &function.signature.output) {
        (Some(_), ReturnType::Type(_, ty)) => items(function, ty, errors),
        _ => result(function, errors),
    }
}

fn generics(function: &Function, errors: &mut Errors) {
    for parameter in &function.signature.generics.params {
        let name = match parameter {
            GenericParam::Type(parameter) => &parameter.ident,
            GenericParam::Const(parameter) => &parameter.ident,
            // That one is refused for every kind.
            GenericParam::Lifetime(_) => continue,
        };
        errors.at(
            parameter,
            format_args!(
                "a worker has each function once, not for every `{name}`: write a function for each type, or \
                 take an enum"
            ),
        );
        return;
    }
    if function.column == Column::Other {
        let signature = function.signature.to_token_stream();
        let body = || outer_parameter_of_body(function.block().stream());
        if let Some(name) = outer_parameter(signature).or_else(body) {
            errors.at(
                &name,
                format_args!(
                    "a worker has each function once, not for every `{name}`: put it outside of the `impl` block, \
                     and write it for one type"
                ),
            );
        }
    }
}

/// `self` and `Self`: a worker calls the function out of a table, in which
/// there is no type around it.
fn own_type(options: &Options, function: &Function, errors: &mut Errors) {
    if let Some(receiver) = &function.receiver {
        errors.at(
            &receiver.syntax,
            "a worker has no `self`: make it a function that takes what it needs as arguments",
        );
        return;
    }
    if let Some((word, _)) = options.sync.as_ref().and_then(|sync| sync.value.qualifier.as_ref()) {
        errors.at(
            word,
            "a worker cannot name `Self`: make both free functions, and write `sync = name`",
        );
        return;
    }
    let output = function.signature.output.to_token_stream();
    let inputs = function.signature.inputs.iter().map(|input| match input {
        FnArg::Typed(typed) => typed.to_token_stream(),
        FnArg::Receiver(_) => TokenStream::new(),
    });
    let body = function.block().stream();
    let own = inputs.chain([output, body]).find_map(receiver::own_type);
    if let Some(word) = own {
        errors.at(word, "a worker cannot name `Self`: write the type's own name here");
    }
}

fn cfg(options: &Options, argument: &Argument, errors: &mut Errors) {
    if let [cfg, ..] = &*argument.cfg {
        let [kind, caller] = match options.remote() {
            Some(_) => ["remote", "caller"],
            None => ["process", "parent"],
        };
        errors.at(
            cfg,
            format_args!(
                "with `{kind}`, an argument is there or not for {caller} and worker: put `#[cfg]` on the whole \
                 function"
            ),
        );
    }
}

fn result(function: &Function, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &function.signature.output else { return };
    if opaque::has_impl_trait(ty) {
        errors.at(
            ty,
            format_args!(
                "a result that comes back from another process has a type with a name: return \
                 `Result<_, offload_runtime::Error>` in the place of `{}`",
                text(ty)
            ),
        );
        return;
    }
    lost(ty, errors);
    static_in_message(ty, function, errors);
}

/// What comes back of a stream are the items: an iterator stays where it is.
fn items(function: &Function, ty: &Type, errors: &mut Errors) {
    let made = || made(ty);
    if let Some(item) = function.sink().and_then(|sink| sent(&sink.ty)).cloned().or_else(made) {
        lost(&item, errors);
        static_in_message(&item, function, errors);
    }
}

/// What a worker reads of an argument: with `#[to_owned]`, a copy of what is lent. Where that attribute has no meaning it is said
/// already, with a type that a worker can read.
fn read(argument: &Argument) -> Option<&Type> {
    match (&argument.to_owned, &argument.ty) {
        (None, ty) => Some(ty),
        (Some(_), Type::Reference(lent))
            if lent.mutability.is_none() && !borrows::is_for_ever(lent) =>
        {
            Some(&lent.elem)
        }
        (Some(_), _) => None,
    }
}

/// `&'static str` and the like: where `serde` reads one, it borrows from the message.
fn static_in_message(ty: &Type, function: &Function, errors: &mut Errors) {
    // Of one that borrows otherwise, too, that is said.
    let Some(read) = borrows::static_in_message(ty).filter(|_| borrows::find(ty).is_none()) else {
        return;
    };
    let read = Type::Reference(read);
    let lent = borrows::without_static(&read);
    // What it is of own has no bounds, and is the same wherever it stands.
    let generics = &function.signature.generics;
    let fix = match advice::owned(&lent, Position::Result, generics) {
        Ok(advice) => format!("write `{}` in its place", text(&advice.owned)),
        Err(why) => why.to_owned(),
    };
    errors.at(
        &read,
        format_args!(
            "`{}` would be a part of the message that another process sends, which is not there for ever: {fix}",
            text(&read)
        ),
    );
}

/// `Option<Option<T>>` and `Option<()>`: what is inside is written as nothing,
/// and so is `None`.
fn lost(ty: &Type, errors: &mut Errors) {
    if let Some(inner) = option(ty).filter(|inner| option(inner).is_some() || is_unit(inner)) {
        errors.at(
            ty,
            format_args!(
                "in `{}`, `Some({})` and `None` come out of another process as the same: take an enum of your own",
                text(ty),
                if is_unit(inner) { "()" } else { "None" },
            ),
        );
        return;
    }
    match ty {
        Type::Array(array) => lost(&array.elem, errors),
        Type::Slice(slice) => lost(&slice.elem, errors),
        Type::Reference(reference) => lost(&reference.elem, errors),
        Type::Paren(paren) => lost(&paren.elem, errors),
        Type::Group(group) => lost(&group.elem, errors),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| lost(ty, errors)),
        Type::Path(path) => {
            for segment in &path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &segment.arguments {
                    for argument in &arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            lost(ty, errors);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

/// The `T` of an `Option<T>`.
fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    arguments(path).next().filter(|_| last_name(path) == "Option")
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}
