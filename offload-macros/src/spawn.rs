//! Functions with `spawn`: their rules, and what stands beside the async function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, FnArg, Pat, PatType, ReturnType, Signature, Visibility, parse_quote,
    parse_quote_spanned,
};

use crate::borrows;
use crate::describe;
use crate::errors::Errors;
use crate::expand::{
    belongs_to_body, call, copies_at_call, ends, fail, is_lint_level, is_opaque, item, output,
    qualifier, return_future, runtime, silence_refinement, turbofish, wrapper_attributes,
    wrapper_signature,
};
use crate::function::Function;
use crate::options::{Given, Options, Sync};

/// Input:
///
/// ```text
/// #[offload(thread, spawn = remove_soon)]
/// pub fn remove(path: PathBuf) -> io::Result<()> { … }
/// ```
///
/// Output:
///
/// ```text
/// // The body and the arguments, which both functions give to the runtime in their own way.
/// fn __remove_job(path: PathBuf)
///     -> __offload::Job<impl FnOnce() -> io::Result<()> + Send + 'static, io::Result<()>>
/// {
///     // As of a function that is awaited, and then:
///     <io::Result<()> as __offload::Returned>::job({ static …; &__FUNCTION }, …, move || … )
/// }
/// pub fn remove_soon(path: PathBuf) -> __offload::Started<io::Result<()>> {
///     __offload::Job::start("…::remove", move || __remove_job(path))
/// }
/// pub async fn remove(path: PathBuf) -> io::Result<()> {
///     __offload::Job::call(__remove_job(path)).await
/// }
/// ```
pub(crate) fn expand(options: &Options, function: &Function, spawn: &Sync) -> TokenStream {
    let runtime = runtime(options);
    let job_name =
        Ident::new(&format!("__{}_job", function.signature.ident.unraw()), spawn.ident.span());
    let job = job(options, function, &job_name, &runtime);
    let give = give(options, function, &job_name);
    let label = describe::name(options, &function.signature.ident, &runtime);
    let visibility = &function.visibility;

    let mut attributes = wrapper_attributes(function, true);
    let mut signature = wrapper_signature(function, true);
    let is_copied = copies_at_call(function);
    let answer = if is_copied {
        return_future(function, &mut signature);
        silence_refinement(function, &mut attributes);
        quote! {
            let job = #give;
            async move { #runtime::Job::call(job).await }
        }
    } else {
        quote!(#runtime::Job::call(#give).await)
    };
    let awaited = quote! {
        #(#attributes)*
        #[allow(dead_code)]
        #visibility #signature { #answer }
    };

    let attributes = wrapper_attributes(function, true).into_iter().filter(|attribute| {
        let path = attribute.path();
        belongs_to_body(attribute) && !path.is_ident("must_use") && !path.is_ident("inline")
    });
    let result = output(function);
    let mut signature = plain(wrapper_signature(function, true), &spawn.ident);
    signature.output = parse_quote!(-> #runtime::Started<#result>);
    quote! {
        #job
        #(#attributes)*
        #[allow(dead_code)]
        #visibility #signature {
            #runtime::Job::start(#label, move || #give)
        }
        #awaited
    }
}

/// The function that makes the job.
fn job(options: &Options, function: &Function, name: &Ident, runtime: &TokenStream) -> TokenStream {
    let has_sync = options.sync.is_some();
    let mut attributes: Vec<Attribute> = wrapper_attributes(function, has_sync);
    // Docs and `deprecated` belong on the two public functions.
    attributes.retain(|attribute| attribute.path().is_ident("cfg") || is_lint_level(attribute));
    attributes.push(parse_quote!(#[doc(hidden)]));
    let (result, place) = (output(function), place(function));
    let mut signature = plain(wrapper_signature(function, has_sync), name);
    signature.output = parse_quote_spanned! {place.resolved_at(Span::mixed_site())=>
        -> #runtime::Job<impl ::core::ops::FnOnce() -> #result + ::core::marker::Send + 'static, #result>
    };
    let this = describe::function(options, function, None);
    let fail = fail(options, function);
    let make = call(function, "job");
    item(
        options,
        function,
        &attributes,
        &Visibility::Inherited,
        signature,
        |job| quote!(#make({ #this }, #fail #job)),
    )
}

/// A function that is not async, of another name.
fn plain(mut signature: Signature, name: &Ident) -> Signature {
    signature.asyncness = None;
    signature.ident = name.clone();
    signature
}

/// `Self::__remove_job::<T>(self, path)`
fn give(options: &Options, function: &Function, job: &Ident) -> TokenStream {
    let (qualifier, generics) = (qualifier(options, function), turbofish(function));
    let signature = wrapper_signature(function, true);
    let values = signature.inputs.iter().map(|input| match input {
        FnArg::Receiver(receiver) => receiver.self_token.to_token_stream(),
        FnArg::Typed(PatType { pat, .. }) => match &**pat {
            Pat::Ident(pattern) => pattern.ident.to_token_stream(),
            pattern => pattern.to_token_stream(),
        },
    });
    quote!(#qualifier #job #generics (#(#values),*))
}

fn place(function: &Function) -> Span {
    match &function.signature.output {
        ReturnType::Type(_, ty) => ends(ty).1,
        ReturnType::Default => function.signature.ident.span(),
    }
}

/// What starts nothing, for a function that is used wrongly: its callers find it all the same.
pub(crate) fn stub(options: &Options, function: &Function) -> Option<TokenStream> {
    let spawn = &options.spawn.as_ref()?.value;
    let result = output(function);
    let others =
        [Some(&function.signature.ident), options.sync.as_ref().map(|sync| &sync.value.ident)];
    if others.contains(&Some(&spawn.ident))
        || is_opaque(&result)
        || borrows::find(&result).is_some()
    {
        return None;
    }
    let (runtime, visibility) = (runtime(options), &function.visibility);
    let mut signature = plain(wrapper_signature(function, true), &spawn.ident);
    signature.output = parse_quote!(-> #runtime::Started<#result>);
    Some(quote!(#[allow(unused)] #visibility #signature { loop {} }))
}

/// The rules.
pub(crate) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    let Some(Given { key, value: spawn }) = &options.spawn else { return };
    let ident = &spawn.ident;
    if options.is_process() {
        errors.at(
            key,
            "a call of another process starts when it is polled: remove `spawn`, and give the call to `tokio::spawn`",
        );
        return;
    }
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
        ReturnType::Type(_, ty) if is_opaque(ty) => errors.at(
            ty,
            "with `spawn` there is a `Started<…>` of the result, which needs a type with a name: return a \
             `Box<dyn … + Send>`, or remove `spawn`",
        ),
        _ => {}
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
