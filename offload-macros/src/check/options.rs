//! The rules about the values of options, and about what an option demands of the function.

use syn::{Expr, ExprLit, Lit, LitStr, ReturnType, Type};

use crate::errors::Errors;
use crate::function::{Argument, Function};
use crate::options::{Given, Options, duration, ungrouped};

/// Applies them.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    for argument in function.given() {
        cfg_with_sync(argument, options, errors);
    }
    result_is_there(options, function, errors);
    limit(options, errors);
    name(options, errors);
    sync(options, function, errors);
    panic(options, errors);
    for given in
        [&options.timeout, &options.queue_timeout, &options.stall_timeout].into_iter().flatten()
    {
        timeout(given, errors);
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

fn cfg_with_sync(argument: &Argument, options: &Options, errors: &mut Errors) {
    if let (Some(_), [cfg, ..]) = (&options.sync, &*argument.cfg) {
        errors.at(
            cfg,
            "with `sync`, an argument is there or not for both functions: put `#[cfg]` on the whole function",
        );
    }
}

fn panic(options: &Options, errors: &mut Errors) {
    let Some(Given { key, value }) = &options.panic else { return };
    if value.value() != "error" {
        errors.at(
            value,
            match options.is_process() {
                // It does not go on in a caller from there.
                true => "here a panic of the body is an `Error` of the result anyway; `panic = \"error\"` makes one of a panic on the caller's side, too",
                false => "a panic resumes in the task that awaits, or is an `Error` of its result: `panic = \"error\"`",
            },
        );
    } else if options.stream.is_some() {
        errors.at(
            key,
            "a panic is the last item already, where items can carry an `Error`: remove `panic`",
        );
    }
}

/// A call that can fail, without a result that could carry the `Error`.
fn result_is_there(options: &Options, function: &Function, errors: &mut Errors) {
    let is_stream = options.stream.is_some();
    let is_unit = match &function.signature.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
    };
    // Without a stream, `stall_timeout` is refused for what it is.
    let why = match options.fallible().find(|key| is_stream || *key != "stall_timeout") {
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
