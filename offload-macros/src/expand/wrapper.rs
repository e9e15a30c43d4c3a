//! What callers get in the place of a function, and where its body is kept.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, PatType, Signature, Token, parse_quote};

use super::attributes::{
    SILENCED, belongs_to_body, is_lint_level, silence_refinement, silence_resources,
    wrapper_attributes,
};
use super::{arguments, job, outlives, resources};
use crate::function::Function;
use crate::options::{Given, Options, Sync};

/// The function as it was, where it is kept, and what callers get: `answer` is made of the job.
pub(crate) fn wrapper(
    options: &Options,
    function: &Function,
    signature: Signature,
    answer: impl FnOnce(TokenStream) -> TokenStream,
) -> TokenStream {
    let mut attributes = wrapper_attributes(function, options.sync.is_some());
    if signature.asyncness.is_none() {
        silence_refinement(function, &mut attributes);
    }
    let sync = options.sync.as_ref().map(|sync| &sync.value);
    let sync_function = sync.map(|sync| sync_function(function, sync, &function.block()));
    let hidden = (sync.is_none() && function.stands_alone).then(|| body_name(function));
    let body_function = hidden.as_ref().map(|name| body_function(function, name));
    let runtime = runtime(options);
    let receiver = arguments::hold_receiver(function);
    let holds = function.given().map(arguments::hold_argument);
    let (place, run) = match (sync, &hidden) {
        (Some(sync), _) => (Span::call_site(), job::call_sync(options, function, sync)),
        (None, Some(name)) => (Span::call_site(), job::call_body(function, &quote!(#name))),
        // What is said of this closure is said of the function.
        (None, None) => (function.signature.ident.span(), job::run_body(function)),
    };
    let borrowed = resources::take(function);
    let answer = answer(job::job(function, place, quote!(#borrowed #run)));
    let block = block(
        function,
        quote! {
            use #runtime as __offload;
            #body_function
            #(#holds)*
            #receiver
            #answer
        },
    );
    let visibility = &function.visibility;
    quote! {
        #sync_function
        #(#attributes)*
        #visibility #signature #block
    }
}

pub(crate) fn wrapper_signature(function: &Function, has_sync: bool) -> Signature {
    let mut signature = function.signature.clone();
    signature.asyncness = Some(Token![async](signature.fn_token.span));
    let mut arguments = function.given();
    signature.inputs = resources::without(function, signature.inputs);
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if has_sync => receiver.mutability = None,
            FnArg::Receiver(_) => {}
            FnArg::Typed(PatType { attrs, pat, ty, .. }) => {
                attrs.retain(|attribute| !is_lint_level(attribute));
                if let Some(argument) = arguments.next() {
                    let name = &argument.name;
                    outlives::ask_of_impl_trait(argument, ty);
                    // That is said of the name in the body.
                    if name.to_string().contains(char::is_uppercase) {
                        attrs.push(parse_quote!(#[allow(non_snake_case)]));
                    }
                    **pat = parse_quote!(#name);
                }
            }
        }
    }
    outlives::ask(function, &mut signature);
    signature
}

/// The wrapper's own block. Its braces are those of the body: lints take the wrapper for what
/// the user wrote, as which it is called, and not for what a macro made.
pub(crate) fn block(function: &Function, statements: TokenStream) -> Group {
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(function.block().span());
    block
}

/// What a body is called that is a function of its own. Nobody else sees it, and nothing is said
/// of it: its name begins as one that is not to be used.
pub(crate) fn body_name(function: &Function) -> Ident {
    free_name(function, "__body")
}

/// A name that only the expansion sees, and that no argument has.
pub(crate) fn free_name(function: &Function, name: &str) -> Ident {
    let mut name = Ident::new(name, Span::mixed_site());
    while function.arguments.iter().any(|argument| argument.held == name) {
        name = format_ident!("{name}_");
    }
    name
}

/// The body as a function, under a name that nobody else uses.
pub(crate) fn body_function(function: &Function, name: &Ident) -> TokenStream {
    let ident = Ident::new(&name.to_string(), function.signature.ident.span());
    let signature = Signature { ident, ..function.signature.clone() };
    let block = function.block();
    let silenced = SILENCED.map(|lint| Ident::new(lint, Span::mixed_site()));
    let silence = silence_resources(function);
    quote! {
        #[allow(#(clippy::#silenced),*)]
        #silence
        #signature #block
    }
}

/// The function as it was, under the name that `sync` gives it.
pub(crate) fn sync_function(function: &Function, sync: &Sync, body: &Group) -> TokenStream {
    let attributes = function.attributes.iter().filter(|attribute| belongs_to_body(attribute));
    let visibility = &function.visibility;
    let signature = Signature { ident: sync.ident.clone(), ..function.signature.clone() };
    // A function that `#[offload]` accepts is not `const`, whatever clippy thinks of its body.
    let silence = silence_resources(function);
    quote! {
        #(#attributes)*
        #[allow(clippy::missing_const_for_fn)]
        #silence
        #visibility #signature #body
    }
}

pub(crate) fn runtime(options: &Options) -> TokenStream {
    match &options.runtime {
        Some(Given { value: path, .. }) => quote!(#path::__private),
        None => quote!(::offload_runtime::__private),
    }
}
