//! Every rule that the tokens alone decide, one small function each. What only
//! the compiler knows (is it `Send`? can it carry an `Error`?) is asked by the
//! expansion, through the bounds of `offload_runtime::__private`.
//!
//! Each rule reports at the smallest guilty token and names the fix. Rules do not overlap, so that
//! one mistake is one error.
//!
//! | module | its rules are about |
//! | --- | --- |
//! | `item` | what stands before the name, and whether there is a body that may run elsewhere |
//! | `borrowed` | what borrows: arguments, `self`, the result |
//! | `sizes` | what has no size that is known |
//! | `options` | values of options, and a result that carries what they demand |
//! | `process`, `remote` | the kinds that leave this process |
//! | `stream`, `spawn`, `resources` | functions with these |
//! | `advice`, `alternatives` | none: what to write in the place of a type that borrows |

mod advice;
mod alternatives;
mod borrowed;
pub(crate) mod item;
mod options;
mod process;
mod remote;
mod resources;
mod sizes;
mod spawn;
pub(crate) mod stream;

use crate::errors::Errors;
use crate::function::Function;
use crate::options::Options;

/// Applies all rules.
pub(crate) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    item::check(options, function, errors);
    resources::check(function, errors);
    stream::check(options, function, errors);
    borrowed::check(options, function, errors);
    sizes::check(options, function, errors);
    options::check(options, function, errors);
    spawn::check(options, function, errors);
    // Of a stream that is refused that is enough.
    if options.is_process() && (options.stream.is_none() || options.remote().is_none()) {
        process::check(options, function, errors);
    }
    remote::check(options, errors);
}
