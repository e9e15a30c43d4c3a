//! Checked function → what stands in its place.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `awaited` | a function of the kinds `thread` and `cpu` |
//! | `process` | the same for the kinds `process` and `remote` |
//! | `stream` | the same for functions with `stream` |
//! | `process_stream` | the same with `stream` for the kind `process` |
//! | `spawn` | what starts a call, beside what awaits one |
//! | `copied` | a function with `#[to_owned]`, whose copies are made when it is called |
//! | `wrapper` | what callers get, and where the body is kept |
//! | `attributes` | which attribute belongs to which of them |
//! | `outlives` | which types have to be `'static` → what callers are asked for |
//! | `job` | what runs elsewhere: a closure around the body |
//! | `arguments` | how an argument moves into the job, and is seen by the body |
//! | `resources` | arguments with `#[resource(…)]`, which callers do not give |
//! | `result` | what the compiler is asked of the result |
//! | `describe` | options → the `static` that describes the function |
//! | `projection` | `<T as Bound>::NAME`, of which an error underlines `T` |

mod arguments;
mod attributes;
mod awaited;
mod copied;
mod describe;
mod job;
mod outlives;
mod process;
mod process_stream;
mod projection;
pub(crate) mod resources;
mod result;
pub(crate) mod spawn;
pub(crate) mod stream;
pub(crate) mod wrapper;

use proc_macro2::TokenStream;

use crate::function::Function;
use crate::options::Options;

/// What takes the place of the function.
pub(crate) fn expand(options: &Options, mut function: Function) -> TokenStream {
    // An argument may be named as a function that the expansion calls without `Self::`, which it would shadow.
    if job::qualifier(options, &function).is_none() {
        if let Some(sync) = &options.sync {
            function.hide_argument(&sync.value.ident);
        }
        if options.spawn.is_some() {
            function.hide_argument(&function.signature.ident.clone());
        }
    }
    let function = &function;
    match (options.is_process(), options.stream.is_some()) {
        (true, true) => process_stream::expand(options, function),
        (true, false) => process::expand(options, function),
        (false, true) => stream::expand(options, function),
        (false, false) => awaited::expand(options, function),
    }
}
