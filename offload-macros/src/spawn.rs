//! Functions with `spawn`: their rules, and the function that starts a call and does not wait for it.

use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, Pat, PatType, ReturnType, Signature, Token, Type, parse_quote};

use crate::borrows;
use crate::describe;
use crate::errors::Errors;
use crate::expand::{
    belongs_to_body, is_deprecated, is_opaque, output, qualifier, runtime, turbofish,
    wrapper_attributes, wrapper_signature,
};
use crate::function::Function;
use crate::options::{Given, Options};

/// Input:
///
/// ```text
/// #[offload(thread, spawn = remove_soon)]
/// pub fn remove(path: PathBuf) -> io::Result<()> { … }
/// ```
///
/// Output, beside the async function:
///
/// ```text
/// pub fn remove_soon(path: PathBuf) -> __offload::Started<io::Result<()>> {
///     // The future is polled once, by which the call starts.
///     __offload::start(concat!(module_path!(), "::remove"), move || remove(path))
/// }
/// ```
///
/// The async function is as ever, but that `call_or_start` stands in the place of `call`.
pub(crate) fn expand(options: &Options, function: &Function) -> Option<TokenStream> {
    let ident = &options.spawn.as_ref()?.value.ident;
    let runtime = runtime(options);
    let attributes = attributes(function);
    let silence = is_deprecated(function).then(|| quote!(#[allow(deprecated)]));
    let (visibility, signature) = (&function.visibility, signature(options, function, ident));
    let label = describe::name(options, &function.signature.ident, &runtime);
    let call = call(options, function);
    let mut block = Group::new(Delimiter::Brace, quote!(#runtime::start(#label, move || #call)));
    // In the `impl` of a trait, which has no such method, that is said of the option.
    block.set_span(ident.span());
    Some(quote! {
        #(#attributes)*
        #[allow(dead_code)]
        #silence
        #visibility #signature #block
    })
}

/// What is said of both functions.
fn attributes(function: &Function) -> impl Iterator<Item = Attribute> {
    wrapper_attributes(function, true).into_iter().filter(|attribute| {
        let path = attribute.path();
        belongs_to_body(attribute) && !path.is_ident("must_use") && !path.is_ident("inline")
    })
}

/// `fn remove_soon(path: PathBuf) -> Started<io::Result<()>>`
fn signature(options: &Options, function: &Function, ident: &Ident) -> Signature {
    let mut signature = wrapper_signature(function, true);
    signature.asyncness = None;
    signature.ident = ident.clone();
    signature.fn_token = Token![fn](ident.span());
    let (runtime, mut result) = (runtime(options), output(function));
    // Without it, an `impl Trait` would capture the lifetime of what is copied.
    borrows::outlive(&mut result);
    signature.output = parse_quote!(-> #runtime::Started<#result>);
    signature
}

/// `Self::remove::<T>(self, path)`
fn call(options: &Options, function: &Function) -> TokenStream {
    let (qualifier, generics) = (qualifier(options, function), turbofish(function));
    let (ident, signature) = (&function.signature.ident, wrapper_signature(function, true));
    let values = signature.inputs.iter().map(|input| match input {
        FnArg::Receiver(receiver) => receiver.self_token.to_token_stream(),
        FnArg::Typed(PatType { pat, .. }) => match &**pat {
            Pat::Ident(pattern) => pattern.ident.to_token_stream(),
            pattern => pattern.to_token_stream(),
        },
    });
    quote!(#qualifier #ident #generics (#(#values),*))
}

/// What starts nothing, for a function that is used wrongly: its callers find it all the same.
pub(crate) fn stub(options: &Options, function: &Function) -> Option<TokenStream> {
    let ident = &options.spawn.as_ref()?.value.ident;
    let result = output(function);
    let others =
        [Some(&function.signature.ident), options.sync.as_ref().map(|sync| &sync.value.ident)];
    if others.contains(&Some(ident)) || is_opaque(&result) || borrows::find(&result).is_some() {
        return None;
    }
    let (visibility, signature) = (&function.visibility, signature(options, function, ident));
    Some(quote!(#[allow(unused)] #visibility #signature { loop {} }))
}

/// The rules.
pub(crate) fn check(options: &Options, function: &Function, errors: &mut Errors) {
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

/// The rules of `panic`.
pub(crate) fn check_panic(options: &Options, errors: &mut Errors) {
    let Some(Given { key, value }) = &options.panic else { return };
    if value.value() != "error" {
        errors.at(
            value,
            "a panic resumes in the task that awaits, or is an `Error` of its result: `panic = \"error\"`",
        );
    } else if options.is_process() {
        errors.at(key, "a panic in another process is an `Error` already: remove `panic`");
    } else if options.stream.is_some() {
        errors.at(
            key,
            "a panic is the last item already, where items can carry an `Error`: remove `panic`",
        );
    }
}
