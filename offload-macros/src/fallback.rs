//! What is emitted when the attribute is used wrongly: the errors, and the
//! function all the same, so that its callers add no error of their own.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Token};

use crate::expand;
use crate::function::{Body, Function, is_closure, mentions};
use crate::options::Options;

/// What is not a function stays as it was.
pub(crate) fn unchanged(error: &Error, item: TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    let is_closure = |input: ParseStream| {
        let is_closure = is_closure(input);
        input.parse::<TokenStream>().map(|_| is_closure)
    };
    if is_closure.parse2(item.clone()).unwrap_or(false) {
        quote!({ #errors #item })
    } else {
        quote!(#errors #item)
    }
}

/// The attribute itself went wrong: that is said, and the function stays as it was.
pub(crate) fn panicked(item: TokenStream) -> TokenStream {
    let message = "`#[offload]` cannot make anything of this function, and should have said why: \
                   please report it, with the function";
    unchanged(&Error::new(proc_macro2::Span::call_site(), message), item)
}

/// The errors, and a stub with the promised signature.
///
/// The stub keeps the body: it makes the results that `impl Trait` promises,
/// and what only the body uses is not reported as unused. A body that calls
/// its own function would find an async one in its place, and is left out.
pub(crate) fn stub(error: &Error, options: &Options, function: &Function) -> TokenStream {
    let errors = error.to_compile_error();
    let Function { visibility, .. } = function;
    let attributes = function.attributes.iter();
    let mut signature = function.signature.clone();
    signature.constness = None;
    signature.abi = None;
    signature.variadic = None;
    signature.asyncness.get_or_insert_with(|| Token![async](signature.fn_token.span));
    let sync = options.sync.as_ref().filter(|sync| sync.value.ident != signature.ident);
    let sync = sync.map(|sync| expand::sync_function(function, &sync.value));
    let body = match &function.body {
        Body::Missing(_) => quote!(;),
        Body::Block(block) if mentions(block.stream(), &signature.ident.to_string()) => {
            quote!({ loop {} })
        }
        Body::Block(block) => block.to_token_stream(),
    };
    quote! {
        #errors
        #sync
        #(#attributes)*
        #[allow(async_fn_in_trait, unused, clippy::all)]
        #visibility #signature #body
    }
}
