//! The rules about what borrows: a body on another thread may outlive whoever lent it something.

use proc_macro2::Span;
use syn::{Attribute, GenericParam, Generics, Lifetime, Pat, ReturnType, Type, parse_quote};

use super::advice::{self, Advice, Position};
use super::alternatives;
use super::sizes::CONCRETE;
use super::stream::no_iterator;
use crate::errors::Errors;
use crate::function::{Argument, Body, Function, Receiver};
use crate::options::Options;
use crate::tokens::borrows::{self, Borrow};
use crate::tokens::items::sent;
use crate::tokens::{known, receiver, sizes, text};

/// Applies them.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    lifetimes(function, errors);
    if let (Some(receiver), false) = (&function.receiver, options.is_process()) {
        check_receiver(receiver, options, function, errors);
    }
    for argument in function.given() {
        // Of a `Sink` it is said already.
        if options.stream.is_some() && argument.mistaken_sink().is_some() {
            continue;
        }
        check_argument(options, argument, function, errors);
    }
    check_result(options, function, errors);
    check_sent(options, function, errors);
}

/// What the body runs on that its caller does not.
fn place(options: &Options) -> &'static str {
    if options.is_process() { "process" } else { "thread" }
}

/// Lifetime parameters; where one is used in an argument or in the result, that
/// place is reported instead.
fn lifetimes(function: &Function, errors: &mut Errors) {
    for parameter in &function.signature.generics.params {
        let GenericParam::Lifetime(parameter) = parameter else { continue };
        let lifetime = &parameter.lifetime;
        let used = |ty: &Type| borrows::mentions_lifetime(ty, lifetime);
        let reported = function
            .arguments
            .iter()
            .any(|argument| argument.to_owned.is_none() && used(&argument.ty))
            || matches!(&function.signature.output, ReturnType::Type(_, ty) if used(ty))
            || function
                .receiver
                .as_ref()
                .is_some_and(|receiver| receiver.to_owned.is_none() && receiver.names(lifetime));
        if !reported {
            errors.at(
                lifetime,
                format_args!(
                    "an offloaded function has no lifetime parameters, its job may outlive every caller: \
                     remove `{lifetime}`"
                ),
            );
        }
    }
}

fn check_receiver(
    receiver: &Receiver,
    options: &Options,
    function: &Function,
    errors: &mut Errors,
) {
    let without = without_lifetimes(|lifetime| receiver.names(lifetime), function);
    match (receiver.reference(), &receiver.to_owned) {
        (Some((_, true)), _) => errors.at(
            &receiver.syntax,
            format_args!(
                "`&mut self` would be lent to another thread: take `mut self`{without}, and return it"
            ),
        ),
        (Some((_, false)), None) => {
            let lent = text(&receiver.without_lifetime());
            errors.at(
                &receiver.syntax,
                format_args!(
                    "`{lent}` would be lent to another thread, which may outlive its owner: take `self`{without}, or \
                     `self: Arc<Self>` if it is `Sync`, or write `#[to_owned] {lent}` to give the job a clone",
                ),
            );
        }
        (Some((_, false)), Some(attribute)) => {
            to_owned_is_bare(attribute, errors);
            if receiver.names(&Lifetime::new("'static", Span::call_site())) {
                errors.at(
                    attribute,
                    format_args!(
                        "`#[to_owned]` copies what a caller lends, and `{}` is lent for ever: remove it",
                        text(&receiver.syntax)
                    ),
                );
            }
            // With `sync` the body is not rewritten, so its strings may name `self`.
            if let (Body::Block(block), None) = (&function.body, &options.sync) {
                // To rewrite a string that may be no format string would change what it says.
                for string in receiver::strings_with_self(block.stream()) {
                    errors.at(
                        string,
                        "`self` inside a string is out of the job's reach: write `{}` there, and `self` after the string",
                    );
                }
            }
        }
        (None, Some(attribute)) => {
            errors.at(
                attribute,
                "`#[to_owned]` copies what is borrowed, and this receiver is not: remove it",
            );
        }
        (None, None) => {
            let borrow = match &receiver.syntax.kind {
                syn::ReceiverKind::Typed(_, ty) => borrows::find(ty),
                _ => None,
            };
            if let Some(borrow) = borrow {
                errors.at(
                    &borrow,
                    format_args!(
                        "`{}` would be lent to another thread: take `self` or `self: Arc<Self>`{without}",
                        text(&borrow)
                    ),
                );
            }
        }
    }
}

fn check_argument(
    options: &Options,
    argument: &Argument,
    function: &Function,
    errors: &mut Errors,
) {
    let generics = &function.signature.generics;
    if let Some(attribute) = &argument.to_owned {
        return to_owned(options, argument, attribute, generics, errors);
    }
    let Some(borrow) = borrows::find(&argument.ty) else { return };
    let whole = text(&argument.ty);
    let what = match &borrow {
        Borrow::Reference(reference) => {
            let may_outlive =
                if reference.mutability.is_some() { "" } else { ", which may outlive its owner" };
            format!(
                "`{}` would be lent to another {}{may_outlive}",
                text(reference),
                place(options)
            )
        }
        Borrow::Lifetime(_) => format!("`{whole}` borrows, and the job may outlive its owner"),
    };
    let fix = match advice::handed_over(options, &argument.ty, Position::Argument, generics) {
        Err(why) => why.to_owned(),
        Ok(advice) => {
            let owned = text(&advice.owned);
            let bounds = advice.bounds + &without_lifetimes(of(&argument.ty), function);
            let pattern = text(&argument.pattern);
            match &argument.ty {
                Type::Reference(reference) if reference.mutability.is_some() => {
                    // It is changed in place, which then is its own.
                    let argument = match &argument.pattern {
                        Pat::Ident(name) if name.mutability.is_none() => format!("mut {pattern}: "),
                        _ => String::new(),
                    };
                    format!("take `{argument}{owned}`{bounds} and return it")
                }
                Type::Reference(reference) => {
                    let others =
                        alternatives::alternatives(options, &reference.elem, &pattern, generics);
                    format!("take `{owned}`{bounds}{others}")
                }
                _ if matches!(borrow, Borrow::Lifetime(_)) => {
                    format!("take a type that owns its data, or `{owned}`{bounds}")
                }
                _ => format!("take `{owned}`{bounds}"),
            }
        }
    };
    errors.at(borrow, format_args!("{what}: {fix}"));
}

/// A lifetime parameter of the function that such a type names: it goes with what it borrows.
fn without_lifetimes(is_named: impl Fn(&Lifetime) -> bool, function: &Function) -> String {
    let lifetimes =
        function.signature.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => Some(&parameter.lifetime),
            _ => None,
        });
    let named: Vec<String> = lifetimes
        .filter(|lifetime| is_named(lifetime))
        .map(|lifetime| format!("`{lifetime}`"))
        .collect();
    if named.is_empty() { String::new() } else { format!(", without {}", named.join(" and ")) }
}

/// Whether a type names a lifetime.
fn of(ty: &Type) -> impl Fn(&Lifetime) -> bool {
    |lifetime| borrows::mentions_lifetime(ty, lifetime)
}

fn to_owned(
    options: &Options,
    argument: &Argument,
    attribute: &Attribute,
    generics: &Generics,
    errors: &mut Errors,
) {
    to_owned_is_bare(attribute, errors);
    let take =
        |ty: &Type, how: &str| match advice::handed_over(options, ty, Position::Argument, generics)
        {
            Ok(Advice { owned, bounds }) => format!("take `{}`{bounds}{how}", text(&owned)),
            Err(why) => why.to_owned(),
        };
    match &argument.ty {
        ty @ Type::Reference(reference) if reference.mutability.is_some() => errors.at(
            ty,
            format_args!(
                "`#[to_owned]` gives the job a copy, and changes to a copy are lost: {}",
                take(ty, " and return it")
            ),
        ),
        ty @ Type::Reference(reference) if borrows::is_for_ever(reference) => {
            // Nothing is lent to another process, not even for ever.
            let fix = if options.is_process() || borrows::find(ty).is_some() {
                take(ty, " instead")
            } else {
                "remove it".to_owned()
            };
            errors.at(
                attribute,
                format_args!(
                    "`#[to_owned]` copies what a caller lends, and `{}` is lent for ever: {fix}",
                    text(ty)
                ),
            );
        }
        ty @ Type::Reference(reference) => {
            let Some(borrow) = borrows::find(&reference.elem) else { return };
            errors.at(
                borrow,
                format_args!(
                    "a copy of `{}` still borrows this: {}",
                    text(ty),
                    take(ty, ", without `#[to_owned]`")
                ),
            );
        }
        ty => {
            let bare = known::bare(ty);
            let has_static = options.is_process() && borrows::static_in_message(ty).is_some();
            let fix = if let Type::TraitObject(_) = bare {
                // A `dyn Trait` has no `ToOwned`.
                if options.is_process() {
                    CONCRETE.to_owned()
                } else {
                    take(&parse_quote!(&(#bare)), ", without it")
                }
            } else if sizes::find(ty).is_some_and(|part| known::is_whole(&part, ty)) {
                format!("write `&{}`", text(bare))
            } else if borrows::find(ty).is_some() || has_static {
                take(ty, ", without it")
            } else {
                "remove it".to_owned()
            };
            errors.at(
                ty,
                format_args!(
                    "`#[to_owned]` copies what is behind a plain reference, such as `&str`, and `{}` is none: {fix}",
                    text(ty)
                ),
            );
        }
    }
}

fn to_owned_is_bare(attribute: &Attribute, errors: &mut Errors) {
    if attribute.meta.require_path_only().is_err() {
        errors.at(attribute, "`#[to_owned]` takes no arguments");
    }
}

fn check_result(options: &Options, function: &Function, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &function.signature.output else { return };
    // Of a stream whose result is no iterator that is said already.
    if options.stream.is_some() && function.sink().is_none() && no_iterator(ty).is_some() {
        return;
    }
    comes_back("the result", "return", ty, options, function, errors);
}

/// What a body sends into its `Sink`.
fn check_sent(options: &Options, function: &Function, errors: &mut Errors) {
    // Without `stream` there is none, which is said already.
    let sink = function.sink().filter(|_| options.stream.is_some());
    if let Some(sent) = sink.and_then(|sink| sent(&sink.ty)) {
        comes_back("what is sent", "send", sent, options, function, errors);
    }
}

fn comes_back(
    what: &str,
    verb: &str,
    ty: &Type,
    options: &Options,
    function: &Function,
    errors: &mut Errors,
) {
    let Some(borrow) = borrows::find(ty) else { return };
    let generics = &function.signature.generics;
    let fix = match (&borrow, advice::handed_over(options, ty, Position::Result, generics)) {
        (_, Err(why)) => why.to_owned(),
        (Borrow::Reference(_), Ok(advice)) => {
            let bounds = advice.bounds + &without_lifetimes(of(ty), function);
            format!(
                "{verb} `{}`{bounds}{}",
                text(&advice.owned),
                alternatives::for_ever(options, ty, generics)
            )
        }
        (Borrow::Lifetime(_), Ok(advice)) => {
            let bounds = advice.bounds + &without_lifetimes(of(ty), function);
            format!("{verb} a type that owns its data, or `{}`{bounds}", text(&advice.owned))
        }
    };
    errors.at(
        &borrow,
        format_args!("{what} comes back from another {} and cannot borrow: {fix}", place(options)),
    );
}
