//! Where scripts of users run: in a worker process, which can be killed.

use std::{fmt::Display, time::Duration};

use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload};
use rhai::{Array, Dynamic, Engine, Scope};
use serde::{Deserialize, Serialize};

use crate::Problem;

/// How long a script may take, the time until it starts included.
pub const SCRIPT_TIME: Duration = Duration::from_secs(2);
/// The memory that a script may have, in bytes, what its worker is made of included.
pub const SCRIPT_MEMORY: u64 = 64 << 20;
/// The most tags that a script may give a photo.
pub const MAX_TAGS: usize = 20;
/// The longest tag, in characters.
pub const MAX_TAG: usize = 40;

/// The longest that is told of a faulty script, in characters.
const MAX_REASON: usize = 500;

/// Nobody else's calls wait behind scripts, or die with them. A script that kills its process does
/// so at once: to look for the place in the program would take longer than a script may.
static SCRIPTS: ProcessPool = ProcessPool::new("scripts")
    .workers(4)
    .max_memory(SCRIPT_MEMORY)
    .env(&[("RUST_BACKTRACE", "0")]);

/// Why a script gave no tags. It comes out of another process, so it is a serde type.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ScriptError {
    /// What the interpreter says about the script.
    Faulty(String),
    /// What became of the call.
    Call(Error),
}

/// Runs a script, which sees what is known of a photo, and returns what it makes of it.
#[offload(process, pool = SCRIPTS, timeout = SCRIPT_TIME, queue = 20)]
pub(crate) fn tags(
    script: String,
    name: String,
    description: String,
) -> Result<Vec<String>, ScriptError> {
    let mut scope = Scope::new();
    scope.push_constant("name", name).push_constant("description", description);
    let result: Dynamic = engine().eval_with_scope(&mut scope, &script).map_err(faulty)?;
    let tags = result.try_cast_result::<Array>().map_err(|other| {
        faulty(format!("It has to end with an array of texts, not with {}.", other.type_name()))
    })?;
    if tags.len() > MAX_TAGS {
        return Err(faulty(format!("It gives {} tags. {MAX_TAGS} are allowed.", tags.len())));
    }
    tags.into_iter().map(tag).collect()
}

fn tag(tag: Dynamic) -> Result<String, ScriptError> {
    let tag = tag
        .into_string()
        .map_err(|other| faulty(format!("Each tag has to be a text, and one is {other}.")))?;
    match (1..=MAX_TAG).contains(&tag.chars().count()) {
        true => Ok(tag),
        false => Err(faulty(format!("Each tag has to have 1 to {MAX_TAG} characters."))),
    }
}

/// Whether a script can be read. A script can crash even the parser, so this too is done here.
#[offload(process, pool = SCRIPTS, timeout = SCRIPT_TIME, queue = 20)]
pub(crate) fn check(script: String) -> Result<(), ScriptError> {
    engine().compile(script).map(drop).map_err(faulty)
}

/// The interpreter's own limits are off: it is the process that is limited, and it holds also
/// where an interpreter forgets to look.
fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_max_call_levels(usize::MAX).set_max_expr_depths(0, 0);
    engine.on_print(|_| {}).on_debug(|_, _, _| {});
    engine
}

/// A script can throw whatever it likes, so what is told of it is short.
fn faulty(reason: impl Display) -> ScriptError {
    ScriptError::Faulty(reason.to_string().chars().take(MAX_REASON).collect())
}

impl From<Error> for ScriptError {
    fn from(error: Error) -> ScriptError {
        ScriptError::Call(error)
    }
}

impl From<ScriptError> for Problem {
    fn from(error: ScriptError) -> Problem {
        match error {
            ScriptError::Faulty(reason) => Problem::FaultyScript(reason),
            ScriptError::Call(error) => match (error.kind(), error.ran()) {
                (ErrorKind::TimedOut, Ran::Yes | Ran::Maybe) => Problem::EndlessScript,
                // Whoever wrote the script can mend it; trying again does not.
                (ErrorKind::WorkerDied | ErrorKind::Panicked, _) => Problem::DeadlyScript(error),
                _ => Problem::NotOffloaded(error),
            },
        }
    }
}
