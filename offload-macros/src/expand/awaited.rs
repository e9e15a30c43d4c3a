//! Checked `thread` or `cpu` function → async wrapper.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::quote;

use super::copied::{copies_at_call, future, return_future};
use super::wrapper::{wrapper, wrapper_signature};
use super::{describe, result, spawn};
use crate::function::Function;
use crate::options::Options;

/// Input:
///
/// ```text
/// #[offload(cpu)]
/// pub fn thumb(Path(id): Path<u64>, mut store: Store) -> Png { … }
/// ```
///
/// Output:
///
/// ```text
/// pub async fn thumb(id: Path<u64>, store: Store) -> Png {
///     use ::offload_runtime::__private as __offload;
///     // The body stays a function: what the compiler has to say of it, it says as ever.
///     fn __body(Path(id): Path<u64>, mut store: Store) -> Png { … }
///     // An argument that cannot move to another thread has no `Held`: that is
///     // the error, and what follows from it is not reported.
///     let id: <Path<u64> as __offload::Argument<_>>::Held = id;
///     let store: <Store as __offload::Argument<_>>::Held = store;
///     // The same for the result.
///     <Png as __offload::Returned<_>>::call(
///         {
///             // In a block of its own: the body must not see it.
///             static __FUNCTION: __offload::Function = __offload::Function::cpu(
///                 __offload::concat!(__offload::module_path!(), "::thumb"),
///                 &__offload::CPU,
///             );
///             &__FUNCTION
///         },
///         // How an `Error` becomes a `Png`, if it can.
///         <Png as __offload::Asked>::CARRIER.offload_fail(),
///         move || -> Png { __body(id, store) },
///     )
///     .await
/// }
/// ```
///
/// With `sync = thumb_sync` the body stays where it was, under that name, and
/// the closure calls it. A body that says `self` or `Self`, or may say what only the `impl` block
/// around it knows, cannot be a function in a function: it is the closure's own.
pub(super) fn expand(options: &Options, function: &Function) -> TokenStream {
    let how = if options.spawn.is_some() { "call_or_start" } else { "call" };
    let of = options.spawn.as_ref().map(|_| {
        let of = spawn::of(options, function, &quote!(__offload));
        quote!(#of,)
    });
    let call = result::call(function, how);
    let this = describe::function(options, function, None);
    let fail = result::fail(options, function);
    let mut signature = wrapper_signature(function, options.sync.is_some());
    let is_copied = copies_at_call(function);
    if is_copied {
        return_future(function, &mut signature);
    }
    let called = wrapper(options, function, signature, |job| {
        let mut arguments = Group::new(Delimiter::Parenthesis, quote!({ #this }, #of #fail #job));
        // A `self` that borrows is reported here.
        if let Some(receiver) = &function.receiver {
            arguments.set_span(receiver.syntax.self_token.span);
        }
        let answer = quote!(#call #arguments.await);
        if is_copied { future(function, answer) } else { answer }
    });
    let started = spawn::expand(options, function);
    quote!(#called #started)
}
