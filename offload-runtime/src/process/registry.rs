//! Which `process` functions this binary has, and whether two processes are of
//! one build.
//!
//! Parent and worker are the same binary, so both find the same functions in
//! the same order: a number is all that a call sends. Names cannot tell them
//! apart (`module_path!()` is the same for `A::render` and `B::render`), and
//! addresses differ.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{fs, io, ptr};

use super::transfer::Listed;
use crate::function::Function;
use crate::pool::Pool;

struct Registry {
    functions: Vec<&'static Function>,
    numbers: HashMap<usize, u32>,
    /// The same in every process of this build.
    build: u64,
}

/// The function with this number.
pub(crate) fn function(number: u32) -> Option<&'static Function> {
    registry().functions.get(usize::try_from(number).ok()?).copied()
}

/// The number of a function of this binary.
pub(crate) fn number(function: &'static Function) -> Option<u32> {
    registry().numbers.get(&ptr::from_ref(function).addr()).copied()
}

/// The number of a function that uses `pool`.
pub(crate) fn any_of(pool: &'static Pool) -> Option<u32> {
    let function = registry().functions.iter().find(|function| ptr::eq(function.pool(), pool));
    function.and_then(|function| number(function))
}

/// What only a process of the same build has.
pub(crate) fn build() -> io::Result<u64> {
    // A file that was replaced since this process started is another one.
    let file = fs::metadata(program()?)?;
    let mut hasher = DefaultHasher::new();
    (registry().build, file.dev(), file.ino(), file.len()).hash(&mut hasher);
    Ok(hasher.finish())
}

/// What to start to get another process of this binary.
pub(crate) fn program() -> io::Result<PathBuf> {
    // There it is the file that runs, even if its name is another's by now.
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let functions: Vec<_> = inventory::iter::<Listed>().map(|listed| listed.0).collect();
        let numbers = (0..).zip(&functions);
        let numbers = numbers.map(|(number, function)| (ptr::from_ref(*function).addr(), number));
        let mut hasher = DefaultHasher::new();
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        for function in &functions {
            (function.name(), function.place()).hash(&mut hasher);
        }
        Registry { numbers: numbers.collect(), build: hasher.finish(), functions }
    })
}
