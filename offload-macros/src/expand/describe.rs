//! Options → the `static` that tells the runtime what it knows of a function
//! before any call, as the builder of `Function` takes it.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, LitInt, Token};

use super::resources;
use crate::function::Function;
use crate::options::{Given, Kind, Options, duration, ungrouped};
use crate::tokens::ends;

/// Input: `cpu, limit = 4, timeout = "2s"`
///
/// Output:
///
/// ```text
/// static __LIMITER: __offload::OwnLimiter = __offload::OwnLimiter::new();
/// static __FUNCTION: __offload::Function = __offload::Function::cpu(
///     __offload::concat!(__offload::module_path!(), "::thumb"),
///     &__offload::CPU,
/// )
/// .limit(|| -> &'static __offload::Limiter { __offload::Limit::limiter(&4usize, &__LIMITER) })
/// .timeout(|| -> __offload::Duration { __offload::Duration::new(2u64, 0u32) });
/// &__FUNCTION
/// ```
///
/// `entry` is how a worker runs it, if it is for workers.
pub(crate) fn function(
    options: &Options,
    function: &Function,
    entry: Option<TokenStream>,
) -> TokenStream {
    let own_limiter = options.limit.as_ref().map(|_| {
        quote!(
            static __LIMITER: __offload::OwnLimiter = __offload::OwnLimiter::new();
        )
    });
    let (kind, pool) = kind_and_pool(options);
    let name = name(options, &function.signature.ident, &quote!(__offload));
    let limit = options.limit.as_ref().map(|given| limit(&given.value));
    let queue = options.queue.as_ref().map(|given| {
        let calls = &given.value;
        quote!(.queue(#calls))
    });
    let timeout = options.timeout.as_ref().map(|given| {
        let duration = duration(&given.value);
        quote!(.timeout(|| -> __offload::Duration { #duration }))
    });
    let queue_timeout = options.queue_timeout.as_ref().map(|given| {
        let duration = duration(&given.value);
        quote!(.queue_timeout(|| -> __offload::Duration { #duration }))
    });
    let remote = entry.as_ref().map(|entry| {
        let place = quote!(__offload::Place {
            file: __offload::file!(),
            line: __offload::line!(),
            column: __offload::column!(),
        });
        quote!(, #place, #entry)
    });
    let submit = entry
        .is_some()
        .then(|| quote!(__offload::inventory::submit! { __offload::Listed::new(&__FUNCTION) }));
    let resources = resources::describe(function);
    let panic = options.panic.as_ref().map(|_| quote!(.catch_panics()));
    let detach = options.detach.as_ref().map(|_| quote!(.detach()));
    let attempts = options.attempts.as_ref().map(|given| {
        let attempts = &given.value;
        quote!(.attempts(#attempts))
    });
    quote! {
        #own_limiter
        static __FUNCTION: __offload::Function =
            __offload::Function::#kind(#name, #pool #remote) #limit #resources #queue #timeout #queue_timeout #panic #detach #attempts;
        #submit
        &__FUNCTION
    }
}

/// The constructor of the kind, and a pool that only it takes.
fn kind_and_pool(options: &Options) -> (Ident, TokenStream) {
    let (kind, default) = match options.kind.as_ref().map(|kind| kind.value) {
        Some(Kind::Cpu) => ("cpu", "CPU"),
        Some(Kind::Process) => ("process", "PROCESS"),
        Some(Kind::Remote) => ("remote", "REMOTE"),
        Some(Kind::Thread) | None => ("thread", "THREAD"),
    };
    let default = format_ident!("{default}");
    let pool = options.pool.as_ref().map_or_else(
        || quote!(&__offload::#default),
        |Given { value: path, .. }| {
            let and = Token![&](ends(path).0);
            quote!(#and #path)
        },
    );
    (format_ident!("{kind}"), pool)
}

/// The label of the function, where the runtime has this path.
pub(crate) fn name(options: &Options, ident: &Ident, runtime: &TokenStream) -> TokenStream {
    options.name.as_ref().map_or_else(
        || {
            let name = format!("::{}", ident.unraw());
            quote!(#runtime::concat!(#runtime::module_path!(), #name))
        },
        |given| given.value.to_token_stream(),
    )
}

fn limit(value: &Expr) -> TokenStream {
    let value = ungrouped(value);
    let and = Token![&](ends(value).0);
    let value = match value {
        // Behind a trait a number has no type, and would become an `i32`.
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            let number = LitInt::new(&format!("{number}usize"), number.span());
            number.to_token_stream()
        }
        Expr::Lit(_) | Expr::Path(_) => value.to_token_stream(),
        value => quote!((#value)),
    };
    quote! {
        .limit(|| -> &'static __offload::Limiter { __offload::Limit::limiter(#and #value, &__LIMITER) })
    }
}

/// A string was checked and is written out, an expression stays.
pub(crate) fn duration(value: &Expr) -> TokenStream {
    let written = match ungrouped(value) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => duration::parse(&text.value()),
        _ => None,
    };
    match written {
        Some(duration) => {
            let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
            quote!(__offload::Duration::new(#seconds, #nanos))
        }
        None => value.to_token_stream(),
    }
}
