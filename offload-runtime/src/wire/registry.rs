//! Which `process` and `remote` functions this binary has, and whether two processes are of
//! one build.
//!
//! Parent and worker are the same binary, so both find the same functions in
//! the same order: a number is all that a call sends. Names cannot tell them
//! apart (`module_path!()` is the same for `A::render` and `B::render`), and
//! addresses differ.

#[cfg(feature = "remote")]
use std::any::Any;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{fmt, fs, io, ptr};

use super::arguments::{Arguments, Malformed};
use crate::error::Error;
use crate::task::about::About;
use crate::task::loan::Loans;

/// In the worker: takes the arguments, runs the body, sends the result.
pub(crate) type Entry = fn(&mut Arguments<'_>) -> Result<(), Malformed>;

/// Where a function stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Of the file.
    pub file: &'static str,
    /// In the file, from 1.
    pub line: u32,
    /// In the line, from 1.
    pub column: u32,
}

/// A function that another process can run.
pub(crate) trait Callable: Sync {
    /// Its label and numbers.
    fn about(&'static self) -> &'static About;

    /// Where it stands.
    fn place(&self) -> Option<Place>;

    /// How a worker runs it.
    fn entry(&self) -> Option<Entry>;

    /// In a worker: what a body of it borrows that is about to start on this thread.
    fn lend(&'static self) -> Result<Loans, Error>;

    /// In a worker, at its end: drops what was lent to bodies of this function and of others.
    fn drop_lent(&self);

    /// So many workers may begin one call, one after the other.
    #[cfg_attr(
        not(feature = "remote"),
        expect(dead_code, reason = "no call is sent to another machine")
    )]
    fn attempts(&self) -> u32;

    /// A body of it is about to run on this machine for a caller elsewhere: it is seen in what this
    /// process counts.
    #[cfg(feature = "remote")]
    fn make_known(&'static self);

    /// Its pool, as workers know it.
    fn host(&self) -> Option<&'static dyn Host>;
}

/// A pool, as its workers know it.
pub(crate) trait Host: Sync + fmt::Debug {
    fn name(&self) -> &'static str;

    /// Called once in each worker.
    fn on_start(&self) -> Option<fn()>;

    /// What tells the pool of its worker processes from others.
    fn place(&self) -> usize;

    /// The pool itself, if its calls may go to other machines.
    #[cfg(feature = "remote")]
    fn as_remote(&'static self) -> Option<&'static dyn Any> {
        None
    }
}

/// What makes a function one that another process can run.
#[derive(Clone, Copy)]
pub(crate) struct Offered {
    pub(crate) place: Place,
    pub(crate) entry: Entry,
    /// So many workers may begin it, one after the other.
    pub(crate) attempts: u32,
}

/// A function of this binary that another process can run.
pub struct Listed(pub(crate) &'static dyn Callable);

inventory::collect!(Listed);

struct Registry {
    functions: Vec<&'static dyn Callable>,
    numbers: HashMap<usize, u32>,
    /// The same in every process of this build.
    build: u64,
}

/// The function with this number.
pub(crate) fn function(number: u32) -> Option<&'static dyn Callable> {
    registry().functions.get(usize::try_from(number).ok()?).copied()
}

/// The number of a function of this binary.
pub(crate) fn number(function: &'static dyn Callable) -> Option<u32> {
    registry().numbers.get(&ptr::from_ref(function).addr()).copied()
}

/// The number of a function that uses this pool.
pub(crate) fn any_of(pool: &'static dyn Host) -> Option<u32> {
    let is_its = |host: &'static dyn Host| host.place() == pool.place();
    let function = registry().functions.iter().find(|function| function.host().is_some_and(is_its));
    function.and_then(|function| number(*function))
}

/// What a name means among the functions of a pool.
#[cfg(feature = "remote")]
#[derive(Clone, Copy)]
pub(crate) enum Named {
    Known(&'static dyn Callable),
    Unknown,
    /// Several have it.
    Ambiguous,
}

/// The function of this pool with this name.
#[cfg(feature = "remote")]
pub(crate) fn named(pool: &'static dyn Host, name: &str) -> Named {
    let mut found = functions_of(pool).filter(|function| function.about().name == name);
    match (found.next(), found.next()) {
        (Some(function), None) => Named::Known(function),
        (None, _) => Named::Unknown,
        (Some(_), Some(_)) => Named::Ambiguous,
    }
}

/// The functions that use this pool.
#[cfg(feature = "remote")]
pub(crate) fn functions_of(pool: &'static dyn Host) -> impl Iterator<Item = &'static dyn Callable> {
    let is_its = move |host: &'static dyn Host| host.place() == pool.place();
    registry().functions.iter().copied().filter(move |one| one.host().is_some_and(is_its))
}

/// The pools that have functions whose calls may go to other machines, each once.
#[cfg(feature = "remote")]
pub(crate) fn remote_pools() -> Vec<&'static dyn Host> {
    let mut pools: Vec<&'static dyn Host> = Vec::new();
    for host in registry().functions.iter().filter_map(|function| function.host()) {
        if host.as_remote().is_some() && !pools.iter().any(|known| known.place() == host.place()) {
            pools.push(host);
        }
    }
    pools
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
            (function.about().name, function.place()).hash(&mut hasher);
        }
        Registry { numbers: numbers.collect(), build: hasher.finish(), functions }
    })
}
