//! The rules about the item as such: its qualifiers, its body, and what that does.

use quote::ToTokens;
use syn::{Attribute, Safety, Visibility};

use crate::errors::Errors;
use crate::function::column::Column;
use crate::function::{Body, Function};
use crate::options::Options;
use crate::tokens::{calls, mentions, text};

/// Applies them.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    twice(function, errors);
    qualifiers(function, errors);
    body(function, errors);
    recursion(options, function, errors);
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
    let Some(call) = calls::used_as_value(block.stream(), name, function.returns_impl_trait())
    else {
        return;
    };
    // In an `impl` block a bare name is a function beside it; and what is private may be in the `impl` of a trait,
    // where `self.name()` is a method that the type itself has. What these are, only the compiler knows.
    let is_certain = if call.is_associated {
        !matches!(function.visibility, Visibility::Inherited)
    } else {
        function.receiver.is_none() && function.column == Column::First
    };
    if !is_certain {
        return;
    }
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
