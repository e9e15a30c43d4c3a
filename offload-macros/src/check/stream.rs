//! The rules of `stream`: what makes items, and what they are.

use syn::{ReturnType, Type, TypePath, parse_quote};

use super::advice::{self, Position};
use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Given, Options};
use crate::tokens::arguments::{arguments, first_argument, last_name};
use crate::tokens::items::{is_result, made};
use crate::tokens::known::{COLLECTIONS, MAPS, VALUES};
use crate::tokens::{borrows, opaque, text};

const MAKES_NOTHING: &str = "with `stream` a function returns `impl Iterator<Item = …>`, or has an argument \
     `out: &mut offload_runtime::Sink<…>` and returns `Result<(), …>`";

/// Adds an error for each rule that the function breaks.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    let mut sinks = function.arguments.iter().filter(|argument| argument.is_sink());
    let sink = sinks.next();
    let Some(Given { key, .. }) = &options.stream else {
        if let Some(sink) = sink {
            let message = "a `Sink` makes a stream, and callers do not give it: write `#[offload(…, stream)]`";
            errors.at(&sink.ty, message);
        } else if let Some(Given { key, .. }) = &options.stall_timeout {
            errors.at(key, "`stall_timeout` is about streams that push into a `Sink`: write `stream`, too, or remove it");
        }
        return;
    };
    if options.remote().is_some() {
        errors.at(key, "items are not sent one by one from another machine: return a `Vec` of them, or use `process`, `thread` or `cpu`");
        return;
    }
    if let Some(Given { key, .. }) = &options.detach {
        errors.at(key, "what a stream makes that nobody takes has no place to go: remove `detach`");
    }
    if let Some(second) = sinks.next() {
        errors.at(
            &second.ty,
            "a stream has one `Sink`: send all items, of an `enum` perhaps, into one",
        );
    }
    for argument in &function.arguments {
        if let Some(ty) = argument.mistaken_sink() {
            let ty = text(ty);
            errors
                .at(&argument.ty, format_args!("the `Sink` is lent to the body: take `&mut {ty}`"));
            return;
        }
    }
    match (sink, &function.signature.output) {
        (None, ReturnType::Default) => errors.at(&function.signature.ident, MAKES_NOTHING),
        (Some(_), ReturnType::Default) => errors.at(
            &function.signature.ident,
            "with a `Sink` a function returns `Result<(), offload_runtime::Error>`, or another `Result<(), …>`, whose error is the last item",
        ),
        (None, ReturnType::Type(_, output)) => {
            let ty = &**output;
            if let (Some(Given { key, .. }), false) = (&options.stall_timeout, options.is_process()) {
                errors.at(key, "an iterator uses no thread while the consumer is slow, and cannot stall: remove `stall_timeout`");
            } else if let Some(resource) =
                function.arguments.iter().find_map(|argument| argument.resource.as_ref())
            {
                errors.at(
                    resource,
                    "an iterator owns what it reads, and a resource is lent to a body until it returns: take \
                     `out: &mut offload_runtime::Sink<…>`, send the items into it, and return `Result<(), …>`",
                );
            } else if let Some((ty, item)) = no_iterator(ty) {
                // Items own what they have.
                let generics = &function.signature.generics;
                match advice::handed_over(options, &item, Position::Result, generics) {
                    Ok(advice) => {
                        makes_no_items(options, ty, &advice.owned, is_result(output), errors)
                    }
                    Err(why) => errors.at(ty, format_args!("`{}` is no iterator: {why}", text(ty))),
                }
            } else if let Some((path, items)) = no_result(ty) {
                let name = last_name(path);
                errors.at(
                    ty,
                    format_args!(
                        "`{name}` is not known as a `Result`: write `Result<{}, …>`, or, if it is an iterator itself, `impl Iterator<Item = …>`",
                        text(items)
                    ),
                );
            } else if let Some(ty) = says_no_item(ty) {
                errors.at(
                    ty,
                    "with `stream` a function says what its iterator makes: `impl Iterator<Item = …>`, or a `Result` of that",
                );
            }
        }
        (Some(_), ReturnType::Type(..)) => {}
    }
}

/// A result that the language or its library has, and that is no iterator.
fn makes_no_items(
    options: &Options,
    ty: &Type,
    item: &Type,
    is_in_result: bool,
    errors: &mut Errors,
) {
    if matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        return errors.at(ty, MAKES_NOTHING);
    }
    // To remove `stream` mends nothing where the result borrows: that is refused without it, too.
    let or_remove = if borrows::find(ty).is_none() { ", or remove `stream`" } else { "" };
    let (no_iterator, item) = (text(ty), text(item));
    let fix = if is_in_result {
        format!("return `impl Iterator<Item = {item}>` here{or_remove}")
    } else if options.is_process() || options.fallible().next().is_some() {
        // What can fail says so, with `stream` and without.
        format!("return `Result<impl Iterator<Item = {item}>, offload_runtime::Error>`")
    } else {
        format!("return `impl Iterator<Item = {item}>`{or_remove}")
    };
    errors.at(ty, format_args!("`{no_iterator}` is no iterator: {fix}"));
}

/// An iterator without a name of which nothing says what it makes: `impl Iterator`, or
/// one in what is no iterator without a name: `(impl Iterator<Item = u8>,)`.
fn says_no_item(output: &Type) -> Option<&Type> {
    let ty = if is_result(output) { first_argument(output)? } else { output };
    let says = match ty {
        Type::ImplTrait(_) => made(ty).is_some(),
        _ => !opaque::has_impl_trait(ty),
    };
    (!says).then_some(ty)
}

/// `Opened<impl Iterator<Item = u32>>`: says what is made, and not by its name that it is a result. And the iterator in it.
fn no_result(output: &Type) -> Option<(&TypePath, &Type)> {
    let Type::Path(path) = output else { return None };
    let items = first_argument(output).filter(|_| !is_result(output))?;
    (matches!(items, Type::ImplTrait(_)) && made(items).is_some()).then_some((path, items))
}

/// A result that is no iterator, or the one in a `Result`; and what an iterator in its place would make.
pub(crate) fn no_iterator(output: &Type) -> Option<(&Type, Type)> {
    let ty = if is_result(output) { first_argument(output)? } else { output };
    let item = match ty {
        Type::Array(array) => (*array.elem).clone(),
        Type::Tuple(_) => ty.clone(),
        Type::Path(path) if path.qself.is_none() => {
            let last = last_name(path);
            let is_one_of = |names: &[&str]| names.contains(&last.as_str());
            match (&*arguments(path).collect::<Vec<_>>(), is_one_of(&VALUES)) {
                ([], true) => ty.clone(),
                ([item, ..], _) if is_one_of(&COLLECTIONS) => (*item).clone(),
                ([key, value, ..], _) if is_one_of(&MAPS) => parse_quote!((#key, #value)),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((ty, item))
}
