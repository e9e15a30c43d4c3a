//! The rules of `spawn`.

use syn::{ReturnType, Type};

use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Given, Options};

/// Applies them.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    let Some(Given { key, value: spawn }) = &options.spawn else { return };
    let ident = &spawn.ident;
    if options.stream.is_some() {
        errors.at(key, "a stream starts when it is polled: remove `spawn`");
        return;
    }
    if *ident == function.signature.ident {
        errors.at(
            ident,
            format_args!(
                "the async function is called `{ident}` already: name the one that starts it, `spawn = {ident}_soon`"
            ),
        );
    } else if options.sync.as_ref().is_some_and(|sync| sync.value.ident == *ident) {
        errors.at(
            ident,
            format_args!(
                "the synchronous function is called `{ident}` already: give the one that starts a call another name"
            ),
        );
    }
    match &function.signature.output {
        // What can fail returns a `Result`, which is said of its `!`.
        _ if options.is_process() || options.fallible().next().is_some() => {}
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => errors.at(
            ty,
            "with `spawn` there is a `Started<…>` of the result, and there can be none of `!`: return \
             `std::convert::Infallible`",
        ),
        _ => {}
    }
    // That is said already.
    if options.is_process() {
        return;
    }
    for argument in &function.arguments {
        if let [cfg, ..] = &*argument.cfg {
            errors.at(
                cfg,
                "with `spawn`, an argument is there or not for both functions: put `#[cfg]` on the whole function",
            );
        }
    }
}
