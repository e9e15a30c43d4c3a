//! Functions with `spawn`: what starts a call and does not wait for it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, Pat, PatType, Signature, Token, parse_quote};

use super::attributes::{belongs_to_body, is_deprecated, wrapper_attributes};
use super::describe;
use super::job::{qualifier, turbofish};
use super::wrapper::{runtime, wrapper_signature};
use crate::function::Function;
use crate::options::Options;
use crate::tokens::borrows;

/// Input:
///
/// ```text
/// #[offload(thread, spawn = remove_soon)]
/// pub fn remove(path: PathBuf) -> io::Result<()> { … }
/// ```
///
/// The expansion has this beside the async function:
///
/// ```text
/// pub fn remove_soon(path: PathBuf) -> __offload::Started<io::Result<()>> {
///     // The future is polled once, by which the call starts.
///     __offload::start(concat!(module_path!(), "::remove"), "", move |first_poll| first_poll.of(remove(path)))
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
    let (call, of) = (call(options, function), of(options, function, &runtime));
    let first_poll = Ident::new("first_poll", Span::mixed_site());
    let make = quote!(move |#first_poll| #first_poll.of(#call));
    let mut block = Group::new(Delimiter::Brace, quote!(#runtime::start(#label, #of, #make)));
    // In the `impl` of a trait, which has no such method, that is said of the option.
    block.set_span(ident.span());
    Some(quote! {
        #(#attributes)*
        #[allow(dead_code)]
        #silence
        #visibility #signature #block
    })
}

/// `__offload::type_name::<Self>()`: whose method is wanted, which the label does not tell of the default method of a
/// trait. Of a function that is no method, or that another process runs, which has it once for all types, nothing.
pub(super) fn of(options: &Options, function: &Function, runtime: &TokenStream) -> TokenStream {
    match qualifier(options, function).filter(|_| !options.is_process()) {
        Some(_) => quote!(#runtime::type_name::<Self>()),
        None => quote!(""),
    }
}

/// What is said of both functions.
fn attributes(function: &Function) -> impl Iterator<Item = Attribute> {
    wrapper_attributes(function, true).into_iter().filter(|attribute| {
        let path = attribute.path();
        belongs_to_body(attribute) && !path.is_ident("must_use") && !path.is_ident("inline")
    })
}

/// `fn remove_soon(path: PathBuf) -> Started<io::Result<()>>`
pub(crate) fn signature(options: &Options, function: &Function, ident: &Ident) -> Signature {
    let mut signature = wrapper_signature(function, true);
    signature.asyncness = None;
    signature.ident = ident.clone();
    signature.fn_token = Token![fn](ident.span());
    let (runtime, mut result) = (runtime(options), function.output());
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
