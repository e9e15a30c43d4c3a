//! Every rule that the tokens alone decide, one small function each. What only
//! the compiler knows (is it `Send`? can it carry an `Error`?) is asked by the
//! expansion, through the bounds of `offload_runtime::__private`.
//!
//! Each rule reports at the smallest guilty token and names the fix; a mistake
//! breaks one rule only.

use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprLit, GenericParam, Generics, Lit, LitStr, Pat, ReturnType, Safety, Type,
};

use crate::advice::{self, Position};
use crate::borrows::{self, Borrow};
use crate::calls;
use crate::check_process;
use crate::check_remote;
use crate::check_stream;
use crate::duration;
use crate::errors::Errors;
use crate::function::{Argument, Body, Function, Receiver, mentions};
use crate::options::{Given, Options, ungrouped};
use crate::receiver;
use crate::resources;
use crate::spawn;

/// Applies all rules.
pub(crate) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    twice(function, errors);
    qualifiers(function, errors);
    body(function, errors);
    recursion(options, function, errors);
    lifetimes(function, errors);
    if let (Some(receiver), false) = (&function.receiver, options.is_process()) {
        check_receiver(receiver, options, function, errors);
    }
    resources::check(function, errors);
    check_stream::check(options, function, errors);
    for argument in function.given() {
        check_argument(argument, function, errors);
        cfg_with_sync(argument, options, errors);
    }
    result_borrows(function, errors);
    result_is_there(options, function, errors);
    limit(options, errors);
    name(options, errors);
    sync(options, function, errors);
    spawn::check(options, function, errors);
    spawn::check_panic(options, errors);
    for given in
        [&options.timeout, &options.queue_timeout, &options.stall_timeout].into_iter().flatten()
    {
        timeout(given, errors);
    }
    // Of a stream that is refused that is enough.
    if options.is_process() && (options.stream.is_none() || options.remote().is_none()) {
        check_process::check(options, function, errors);
    }
    check_remote::check(options, errors);
}

fn qualifiers(function: &Function, errors: &mut Errors) {
    let signature = &function.signature;
    // Only an `unsafe extern` function can be variadic: one mistake, not three.
    if let Some(variadic) = &signature.variadic {
        let dots = variadic.dots;
        errors.at(
            dots,
            "an offloaded function has a fixed number of arguments: take a `Vec` instead of `...`",
        );
        return;
    }
    let first_await = match &function.body {
        Body::Block(block) => calls::first_await(block.stream()),
        Body::Missing(_) => None,
    };
    if let Some(word) = &signature.asyncness {
        let message = "an offloaded function is synchronous: remove `async`, the attribute adds it to what callers see";
        let awaits = "; what the body awaits it can wait for by `tokio::runtime::Handle::current().block_on(async { … })`, \
                      and a function that does nothing else needs no `#[offload]`";
        errors
            .at(word, format_args!("{message}{}", if first_await.is_some() { awaits } else { "" }));
    } else if let Some(word) = first_await {
        errors.at(
            word,
            "the body of an offloaded function is synchronous: wait by \
             `tokio::runtime::Handle::current().block_on(async { … })`; a function that only awaits is an `async fn` \
             without `#[offload]`",
        );
    }
    if let Some(word) = &signature.constness {
        errors.at(
            word,
            "an offloaded function runs on another thread, not in a constant: remove `const`",
        );
    }
    if let Safety::Unsafe(word) = &signature.safety {
        errors.at(
            word,
            "an offloaded function is safe to call: remove `unsafe`, and use an `unsafe` block in the body",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            format_args!("an offloaded function is called from Rust: remove `{}`", text(abi)),
        );
    }
}

/// The attribute once more, below itself.
fn twice(function: &Function, errors: &mut Errors) {
    for attribute in function.attributes.iter().filter(|attribute| is_offload(attribute)) {
        errors.at(attribute, "`#[offload]` is given twice: keep one of them");
    }
}

/// Whether an attribute is this one, as it is called where it is not renamed.
pub(crate) fn is_offload(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "offload")
}

/// A body that calls its own function, and takes what comes back for the result: it is a future.
fn recursion(options: &Options, function: &Function, errors: &mut Errors) {
    let Body::Block(block) = &function.body else { return };
    let name = &function.signature.ident;
    // An argument of that name is what the body means.
    if function
        .arguments
        .iter()
        .any(|argument| mentions(argument.pattern.to_token_stream(), &name.to_string()))
    {
        return;
    }
    let Some(call) =
        calls::used_as_value(block.stream(), name, borrows::is_opaque(&function.signature.output))
    else {
        return;
    };
    let (ident, of_type) = (&call.name, if call.is_associated { "Self::" } else { "" });
    let message = match &options.sync {
        Some(sync) => {
            format!("`{ident}` is the async function: call `{of_type}{}` here", sync.value.ident)
        }
        None => format!(
            "`{ident}` is the async function, and this is a future: keep the synchronous function too, by \
             `sync = {}{ident}_sync`, and call `{of_type}{ident}_sync` here",
            // Nothing else may show that it is an associated one.
            if function.receiver.is_some() { "" } else { of_type },
        ),
    };
    errors.at(ident, message);
}

fn body(function: &Function, errors: &mut Errors) {
    if let Body::Missing(semicolon) = &function.body {
        let name = &function.signature.ident;
        let place = semicolon
            .map_or_else(|| name.to_token_stream(), |semicolon| semicolon.to_token_stream());
        errors.at(
            place,
            format_args!(
                "there is no body to offload: declare `async fn {name}` in the trait, and put `#[offload]` on \
                 `fn {name}` in its `impl` blocks"
            ),
        );
    }
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
            || matches!(&function.signature.output, ReturnType::Type(_, ty) if used(ty));
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
    match (receiver.reference(), &receiver.to_owned) {
        (Some((_, true)), _) => errors.at(
            &receiver.syntax,
            "`&mut self` would be lent to another thread: take `mut self` and return it",
        ),
        (Some((_, false)), None) => errors.at(
            &receiver.syntax,
            format_args!(
                "`{}` would be lent to another thread, which may outlive its owner: take `self`, or \
                 `self: Arc<Self>` if it is `Sync`, or write `#[to_owned] {}` to give the job a clone",
                text(&receiver.syntax),
                text(&receiver.syntax),
            ),
        ),
        (Some((_, false)), Some(attribute)) => {
            to_owned_is_bare(attribute, errors);
            // With `sync` the body stays as it is.
            if let (Body::Block(block), None) = (&function.body, &options.sync) {
                receiver::refuse_self_in_strings(block.stream(), errors);
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
                        "`{}` would be lent to another thread: take `self` or `self: Arc<Self>`",
                        text(&borrow)
                    ),
                );
            }
        }
    }
}

fn check_argument(argument: &Argument, function: &Function, errors: &mut Errors) {
    let generics = &function.signature.generics;
    if let Some(attribute) = &argument.to_owned {
        return to_owned(argument, attribute, generics, errors);
    }
    let Some(borrow) = borrows::find(&argument.ty) else { return };
    let whole = text(&argument.ty);
    let what = match &borrow {
        Borrow::Reference(reference) => {
            let may_outlive =
                if reference.mutability.is_some() { "" } else { ", which may outlive its owner" };
            format!("`{}` would be lent to another thread{may_outlive}", text(reference))
        }
        Borrow::Lifetime(_) => format!("`{whole}` borrows, and the job may outlive its owner"),
    };
    let fix = match advice::owned(&argument.ty, Position::Argument, generics) {
        Err(why) => why.to_owned(),
        Ok(advice) => {
            let owned = text(&advice.owned);
            let bounds = advice.bounds + &without_lifetimes(&argument.ty, function);
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
                    let others = advice::alternatives(&reference.elem, &pattern, generics);
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
fn without_lifetimes(ty: &Type, function: &Function) -> String {
    let lifetimes =
        function.signature.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => Some(&parameter.lifetime),
            _ => None,
        });
    let named: Vec<String> = lifetimes
        .filter(|lifetime| borrows::mentions_lifetime(ty, lifetime))
        .map(|lifetime| format!("`{lifetime}`"))
        .collect();
    if named.is_empty() { String::new() } else { format!(", without {}", named.join(" and ")) }
}

fn to_owned(argument: &Argument, attribute: &Attribute, generics: &Generics, errors: &mut Errors) {
    to_owned_is_bare(attribute, errors);
    let owned = || match advice::owned(&argument.ty, Position::Argument, generics) {
        Ok(advice) => Ok((text(&advice.owned), advice.bounds)),
        Err(why) => Err(why),
    };
    match &argument.ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let fix = match owned() {
                Ok((owned, bounds)) => format!("take `{owned}`{bounds} and return it"),
                Err(why) => why.to_owned(),
            };
            errors.at(
                &argument.ty,
                format_args!(
                    "`#[to_owned]` gives the job a copy, and changes to a copy are lost: {fix}"
                ),
            );
        }
        Type::Reference(reference) => {
            let Some(borrow) = borrows::find(&reference.elem) else { return };
            let fix = match owned() {
                Ok((owned, bounds)) => format!("take `{owned}`{bounds}, without `#[to_owned]`"),
                Err(why) => why.to_owned(),
            };
            errors.at(
                borrow,
                format_args!("a copy of `{}` still borrows this: {fix}", text(&argument.ty)),
            );
        }
        ty => {
            let fix = if borrows::find(ty).is_none() {
                "remove it".to_owned()
            } else {
                match owned() {
                    Ok((owned, bounds)) => format!("take `{owned}`{bounds}, without it"),
                    Err(why) => why.to_owned(),
                }
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

fn cfg_with_sync(argument: &Argument, options: &Options, errors: &mut Errors) {
    if let (Some(_), [cfg, ..]) = (&options.sync, &*argument.cfg) {
        errors.at(
            cfg,
            "with `sync`, an argument is there or not for both functions: put `#[cfg]` on the whole function",
        );
    }
}

fn result_borrows(function: &Function, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &function.signature.output else { return };
    let Some(borrow) = borrows::find(ty) else { return };
    let generics = &function.signature.generics;
    let fix = match (&borrow, advice::owned(ty, Position::Result, generics)) {
        (_, Err(why)) => why.to_owned(),
        (Borrow::Reference(_), Ok(advice)) => {
            let bounds = advice.bounds + &without_lifetimes(ty, function);
            format!("return `{}`{bounds}{}", text(&advice.owned), advice::for_ever(ty, generics))
        }
        (Borrow::Lifetime(_), Ok(advice)) => {
            let bounds = advice.bounds + &without_lifetimes(ty, function);
            format!("return a type that owns its data, or `{}`{bounds}", text(&advice.owned))
        }
    };
    errors.at(
        &borrow,
        format_args!("the result comes back from another thread and cannot borrow: {fix}"),
    );
}

/// A call that can fail, without a result that could carry the `Error`.
fn result_is_there(options: &Options, function: &Function, errors: &mut Errors) {
    let is_stream = options.stream.is_some();
    let is_unit = match &function.signature.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
    };
    let why = match options.fallible().next() {
        // Of which it is said already.
        _ if is_stream && is_unit => return,
        _ if options.remote().is_some() => "another machine can be lost".to_owned(),
        _ if options.is_process() => "a process can die".to_owned(),
        // What its items can carry is asked by the expansion.
        _ if is_stream => return,
        Some(key) => format!("with `{key}` a call can fail"),
        None => return,
    };
    let message = |what: &str| {
        format!(
            "{why}, and this function returns {what}: return `Result<(), offload_runtime::Error>`, \
             or a `Result` whose error type implements `From<offload_runtime::Error>`"
        )
    };
    match &function.signature.output {
        ReturnType::Default => errors.at(&function.signature.ident, message("nothing")),
        ReturnType::Type(_, ty) => match &**ty {
            Type::Never(_) => errors.at(ty, message("never, `!`")),
            Type::Tuple(tuple) if tuple.elems.is_empty() => errors.at(ty, message("`()`")),
            _ => {}
        },
    }
}

fn limit(options: &Options, errors: &mut Errors) {
    let Some(Given { value, .. }) = &options.limit else { return };
    match ungrouped(value) {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.base10_digits() == "0" => {
            errors.at(number, "with a limit of zero no call would ever run: `limit` is at least 1");
        }
        _ => {}
    }
}

fn timeout(given: &Given<Expr>, errors: &mut Errors) {
    let Expr::Lit(ExprLit { lit, .. }) = ungrouped(&given.value) else { return };
    let key = &given.key;
    let message = match lit {
        Lit::Str(text) => match duration::parse(&text.value()) {
            Some(duration) if duration.is_zero() => {
                format!(
                    "with `{key} = \"{}\"` no call would ever succeed: give it time, such as `\"2s\"`",
                    text.value()
                )
            }
            Some(_) => return,
            None => format!(
                "`{key}` is written like `\"2s\"`, `\"100ms\"`, `\"1.5s\"`, `\"1m30s\"`, or is a `Duration`"
            ),
        },
        Lit::Int(number) => format!("`{key}` needs a unit: `\"{number}s\"` or `\"{number}ms\"`"),
        _ => format!(
            "`{key}` is written like `\"2s\"`, `\"100ms\"`, `\"1.5s\"`, `\"1m30s\"`, or is a `Duration`"
        ),
    };
    errors.at(lit, message);
}

fn name(options: &Options, errors: &mut Errors) {
    let Some(name) = &options.name else { return };
    if LitStr::value(&name.value).is_empty() {
        errors.at(&name.value, "the name is shown in spans, metrics and stats: it cannot be empty");
    }
}

fn sync(options: &Options, function: &Function, errors: &mut Errors) {
    let Some(sync) = &options.sync else { return };
    if sync.value.ident == function.signature.ident {
        let ident = &sync.value.ident;
        errors.at(
            ident,
            format_args!("the async function is called `{ident}` already: name the other one, `sync = {ident}_sync`"),
        );
    }
}

/// Tokens as a user would write them: printed tokens stand apart.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (printed, written) in [
        (" ::", "::"),
        (":: ", "::"),
        (" : ", ": "),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" ;", ";"),
        (" (", "("),
        ("->(", "-> ("),
        ("dyn(", "dyn ("),
    ] {
        text = text.replace(printed, written);
    }
    text
}
