//! `#[offload_runtime::main]`: a `main` in which the program may turn out to be
//! a worker, before a runtime is made.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::{Attribute, ItemFn};

use crate::fallback;

/// Input:
///
/// ```text
/// #[offload_runtime::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Error> { … }
/// ```
///
/// Output:
///
/// ```text
/// fn main() -> Result<(), Error> {
///     ::offload_runtime::init();
///     #[::tokio::main(flavor = "current_thread")]
///     async fn main() -> Result<(), Error> { … }
///     main()
/// }
/// ```
///
/// What the options are, and that the function is async, is for tokio to say.
pub(crate) fn expand(options: &TokenStream, item: TokenStream) -> TokenStream {
    let Ok(mut function) = syn::parse2::<ItemFn>(item.clone()) else {
        let error = syn::Error::new_spanned(
            first(&item),
            "`#[offload_runtime::main]` belongs on `async fn main() { … }`",
        );
        return fallback::unchanged(&error, item);
    };
    let attributes: Vec<Attribute> = std::mem::take(&mut function.attrs);
    let visibility = &function.vis;
    let mut signature = function.sig.clone();
    signature.asyncness = None;
    // Tokio refuses arguments; one error is enough.
    signature.inputs.clear();
    let name = &signature.ident;
    let inner = without_visibility(&function);
    quote! {
        #(#attributes)*
        #visibility #signature {
            ::offload_runtime::init();
            #[::tokio::main(#options)]
            #inner
            #name()
        }
    }
}

fn without_visibility(function: &ItemFn) -> TokenStream {
    let ItemFn { sig, block, .. } = function;
    quote!(#sig #block)
}

/// What an error about the whole underlines.
fn first(item: &TokenStream) -> TokenStream {
    let first = |input: syn::parse::ParseStream<'_>| {
        let first: Option<proc_macro2::TokenTree> = input.parse().ok();
        input.parse::<TokenStream>()?;
        Ok(first.into_token_stream())
    };
    first.parse2(item.clone()).unwrap_or_default()
}
