//! The `#[offload]` attribute of `offload-runtime`. Depend on that crate: it
//! re-exports the attribute, and the expansion names its items.
//!
//! The way of an attribute through this crate, which is the beginning of the
//! way of a call. Imports go up this list, never down:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `tokens` | types and bodies by themselves: what borrows, what has no name, what is called |
//! | `errors` | collects independent errors, so that one compilation shows them all |
//! | `options` | attribute tokens → `Options`, each key with its span |
//! | `function` | item tokens → `Function`: arguments, receiver, result, body |
//! | `check` | every rule, one small function each; and what to write instead |
//! | `expand` | checked function → what stands in its place, by kind |
//! | `fallback` | on error: the errors, and a stub with the promised signature |
//! | `entry` | `#[offload_runtime::main]` |

#![forbid(unsafe_code)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod check;
mod entry;
mod errors;
mod expand;
mod fallback;
mod function;
mod options;
#[cfg(test)]
mod snapshots;
mod tokens;

use std::panic::AssertUnwindSafe;

use function::column::Column;
use proc_macro2::TokenStream;

#[doc = include_str!("../docs/offload.md")]
#[proc_macro_attribute]
pub fn offload(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let column = Column::of(proc_macro2::Span::call_site());
    let expand = || expand_attribute(options.clone().into(), item.clone().into(), column);
    caught(expand, item.clone().into()).into()
}

/// What is made of a function; or that nothing could be made of it, and the function.
fn caught(expand: impl FnOnce() -> TokenStream, item: TokenStream) -> TokenStream {
    // A mistake of ours is an error like any other, and costs the function nothing.
    std::panic::catch_unwind(AssertUnwindSafe(expand)).unwrap_or_else(|_| fallback::panicked(item))
}

/// An attribute for `main`: `#[tokio::main]` for a program with `#[offload(process)]`, which starts itself
/// again to get workers.
///
/// In such a process the body of `main` never runs: the worker takes its place
/// before a runtime is made. In any other process, this is `#[tokio::main]`, whose
/// options it takes. It needs what that needs: `tokio` among the dependencies, with
/// the features `macros` and `rt` or `rt-multi-thread`.
///
/// ```no_run
/// # #[cfg(any())] // Tokio is not a dependency here.
/// #[offload_runtime::main(flavor = "current_thread")]
/// async fn main() {
///     println!("only in the parent");
/// }
/// # fn main() {}
/// ```
///
/// A `main` that is written by hand calls `offload_runtime::init()` first.
#[proc_macro_attribute]
pub fn main(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    entry::expand(&options.into(), item.into()).into()
}

/// The pipeline, on tokens that also a unit test can make.
fn expand_attribute(options: TokenStream, item: TokenStream, column: Column) -> TokenStream {
    let function = match function::parse::parse(item.clone(), column) {
        Ok(function) => function,
        Err(error) => return fallback::unchanged(&error, item),
    };
    let (options, mut errors) = options::parse(options);
    check::check(&options, &function, &mut errors);
    match errors.into_result() {
        Ok(()) => expand::expand(&options, function),
        Err(error) => fallback::stub(&error, &options, function),
    }
}
