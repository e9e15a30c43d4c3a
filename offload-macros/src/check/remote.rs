//! The rules of the kind `remote`, and of the option `attempts`, which only it has.

use syn::{Expr, ExprLit, Lit};

use crate::errors::Errors;
use crate::options::{Given, Options, ungrouped};

/// Applies them.
pub(super) fn check(options: &Options, errors: &mut Errors) {
    let Some(kind) = options.remote() else {
        attempts_elsewhere(options, errors);
        return;
    };
    if options.timeout.is_none() {
        errors.at(
            kind,
            "a call to another machine needs an end, since the network can lose that machine without a word: write \
             `timeout = \"30s\"`",
        );
    }
    if let Some(detach) = &options.detach {
        errors.at(
            &detach.key,
            "a `remote` call that nobody awaits is taken out of the queue, so that no worker runs it for nobody: leave \
             out `detach`, and await the call in a task of its own",
        );
    }
    if let Some(Given { value, .. }) = &options.attempts {
        match ungrouped(value) {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.base10_digits() == "0" => {
                errors
                    .at(number, "with no attempt no call would ever run: `attempts` is at least 1");
            }
            _ => {}
        }
    }
}

fn attempts_elsewhere(options: &Options, errors: &mut Errors) {
    if let (Some(kind), Some(attempts)) = (&options.kind, &options.attempts) {
        errors.at(
            &attempts.key,
            format_args!(
                "`attempts` is for `remote`, where a worker can be lost: leave it out, or write `remote` in the place \
                 of `{}`",
                kind.key
            ),
        );
    }
}
