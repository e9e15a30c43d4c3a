//! Every rule that the tokens alone decide, one small function each. What only
//! the compiler knows (is it `Send`? can it carry an `Error`?) is asked by the
//! expansion, through the bounds of `offload_runtime::__private`.
//!
//! Each rule reports at the smallest guilty token and names the fix; a mistake
//! breaks one rule only.

use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, GenericParam, Lit, LitStr, ReturnType, Safety, Type};

use crate::borrows::{self, Borrow};
use crate::check_process;
use crate::duration;
use crate::errors::Errors;
use crate::function::{Argument, Body, Function, Receiver};
use crate::options::{Given, Options, ungrouped};
use crate::receiver;

/// Applies all rules.
pub(crate) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    qualifiers(function, errors);
    body(function, errors);
    lifetimes(function, errors);
    if let Some(receiver) = &function.receiver
        && !options.is_process()
    {
        check_receiver(receiver, options, function, errors);
    }
    for argument in &function.arguments {
        check_argument(argument, errors);
        cfg_with_sync(argument, options, errors);
    }
    result_borrows(function, errors);
    result_is_there(options, function, errors);
    limit(options, errors);
    name(options, errors);
    sync(options, function, errors);
    for given in [&options.timeout, &options.queue_timeout].into_iter().flatten() {
        timeout(given, errors);
    }
    if options.is_process() {
        check_process::check(options, function, errors);
    }
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
    if let Some(word) = &signature.asyncness {
        errors.at(
            word,
            "an offloaded function is synchronous: remove `async`, the attribute adds it to what callers see",
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

fn body(function: &Function, errors: &mut Errors) {
    if let Body::Missing(semicolon) = &function.body {
        let name = &function.signature.ident;
        errors.at(
            semicolon,
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
            "`&mut self` would be lent to another thread: take `self` and return it",
        ),
        (Some((_, false)), None) => errors.at(
            &receiver.syntax,
            format_args!(
                "`{}` would be lent to another thread, which may outlive its owner: take `self` or \
                 `self: Arc<Self>`, or write `#[to_owned] &self` to give the job a clone",
                text(&receiver.syntax)
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
            if let syn::ReceiverKind::Typed(_, ty) = &receiver.syntax.kind
                && let Some(borrow) = borrows::find(ty)
            {
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

fn check_argument(argument: &Argument, errors: &mut Errors) {
    if let Some(attribute) = &argument.to_owned {
        return to_owned(argument, attribute, errors);
    }
    let Some(borrow) = borrows::find(&argument.ty) else { return };
    let whole = text(&argument.ty);
    let message = match &borrow {
        Borrow::Reference(reference) if text(reference) == whole => {
            let owned = owned_name(&reference.elem);
            if reference.mutability.is_some() {
                format!("`{whole}` would be lent to another thread: take `{owned}` and return it")
            } else {
                let pattern = text(&argument.pattern);
                let shared = match &*reference.elem {
                    Type::Path(_) if owned == text(&reference.elem) => {
                        format!(" or `Arc<{owned}>`")
                    }
                    _ => String::new(),
                };
                format!(
                    "`{whole}` would be lent to another thread, which may outlive its owner: take `{owned}`{shared}, \
                     or write `#[to_owned] {pattern}: {whole}` to give the job a copy"
                )
            }
        }
        Borrow::Reference(reference) => format!(
            "`{}` would be lent to another thread, which may outlive its owner: take `{}` here",
            text(reference),
            owned_name(&reference.elem),
        ),
        Borrow::Lifetime(lifetime) => format!(
            "`{whole}` borrows, and the job may outlive its owner: take a type that owns its data, or \
             `'static` in place of `{lifetime}`"
        ),
    };
    errors.at(borrow, message);
}

fn to_owned(argument: &Argument, attribute: &Attribute, errors: &mut Errors) {
    to_owned_is_bare(attribute, errors);
    match &argument.ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            errors.at(
                &argument.ty,
                format_args!(
                    "`#[to_owned]` gives the job a copy, and changes to a copy are lost: take `{}` and return it",
                    owned_name(&reference.elem)
                ),
            );
        }
        Type::Reference(reference) => {
            if let Some(borrow) = borrows::find(&reference.elem) {
                let message = format_args!("a copy of `{}` still borrows this: take an owned type", text(&argument.ty));
                errors.at(borrow, message);
            }
        }
        ty => errors.at(
            ty,
            format_args!("`#[to_owned]` copies what is behind a plain reference, such as `&str`: `{}` is none", text(ty)),
        ),
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
    let fix = match &borrow {
        Borrow::Reference(reference) => format!("return `{}`", owned_name(&reference.elem)),
        Borrow::Lifetime(_) => "return a type that owns its data".to_owned(),
    };
    errors.at(
        &borrow,
        format_args!(
            "the result comes back from another thread and cannot borrow: {fix}, or use `'static`"
        ),
    );
}

/// A call that can fail, without a result that could carry the `Error`.
fn result_is_there(options: &Options, function: &Function, errors: &mut Errors) {
    let why = match options.fallible().next() {
        _ if options.is_process() => "a process can die".to_owned(),
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
    if let Some(Given { value, .. }) = &options.limit
        && let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = ungrouped(value)
        && number.base10_digits() == "0"
    {
        errors.at(number, "with a limit of zero no call would ever run: `limit` is at least 1");
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
    if let Some(name) = &options.name
        && LitStr::value(&name.value).is_empty()
    {
        errors.at(&name.value, "the name is shown in spans, metrics and stats: it cannot be empty");
    }
}

fn sync(options: &Options, function: &Function, errors: &mut Errors) {
    if let Some(sync) = &options.sync
        && sync.value.ident == function.signature.ident
    {
        let ident = &sync.value.ident;
        errors.at(
            ident,
            format_args!("the async function is called `{ident}` already: name the other one, `sync = {ident}_sync`"),
        );
    }
}

/// What owns a `T` that was borrowed, in the words of the standard library.
fn owned_name(borrowed: &Type) -> String {
    let last = |path: &syn::Path| path.segments.last().map(|segment| segment.ident.to_string());
    match borrowed {
        Type::Slice(slice) => format!("Vec<{}>", text(&slice.elem)),
        Type::Path(path) => match last(&path.path).as_deref() {
            Some("str") => "String".to_owned(),
            Some("Path") => "PathBuf".to_owned(),
            Some("OsStr") => "OsString".to_owned(),
            Some("CStr") => "CString".to_owned(),
            _ => text(borrowed),
        },
        Type::TraitObject(object) => format!("Box<{}>", text(object)),
        Type::Paren(paren) => owned_name(&paren.elem),
        _ => text(borrowed),
    }
}

/// Tokens as a user would write them: printed tokens stand apart.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (printed, written) in [
        (" ::", "::"),
        (":: ", "::"),
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
