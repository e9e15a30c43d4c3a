//! What bodies say through `tracing`, from the worker to the parent's
//! subscriber.
//!
//! | module | where | what it knows |
//! | --- | --- | --- |
//! | `tell` | worker | the subscriber that makes records of what is said |
//! | `replay` | parent | says it again, below the span of the call |
//! | `places` | parent | descriptions of places in the source, which `tracing` wants to keep for ever |
//!
//! A place in the source (a `Metadata`) is described once in the life of a
//! worker and has a number from then on. Spans are known by the numbers that
//! they have in the worker. Which span is the parent of another, or of an event,
//! is always said, so that threads of the body do not get into each other's
//! spans.

mod places;
mod replay;
mod tell;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

pub(crate) use self::places::Places;
pub(crate) use self::replay::Replay;
pub(crate) use self::tell::{begin, end, install};

/// Something that a body said.
#[derive(Debug, Serialize, Deserialize)]
enum Record {
    /// The numbers of places begin again.
    Anew,
    /// The next records name this place by its number: the first one is 0.
    Place(Place),
    /// A span begins, below another if `parent` is not 0.
    Open {
        span: u64,
        place: u32,
        parent: u64,
        values: Values,
    },
    Enter {
        span: u64,
    },
    Exit {
        span: u64,
    },
    /// A span gets further values.
    Add {
        span: u64,
        values: Values,
    },
    Follows {
        span: u64,
        after: u64,
    },
    Close {
        span: u64,
    },
    /// An event, in a span if `parent` is not 0.
    Event {
        place: u32,
        parent: u64,
        values: Values,
    },
}

/// A place in the source where a span or an event is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Place {
    is_span: bool,
    name: String,
    target: String,
    level: u8,
    module: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    fields: Vec<String>,
}

/// The number of a field, and its value.
type Values = Vec<(u32, Value)>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    SignedLong(i128),
    UnsignedLong(u128),
    Float(f64),
    Text(String),
    /// What `Debug` printed.
    Printed(String),
    /// An error, and what it says of its causes, one below the other.
    Error(Vec<String>),
}

/// Levels as numbers: 0 is none, 1 is errors only, 5 is all.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

fn number(level: LevelFilter) -> u8 {
    (0..).zip(LEVELS).find(|(_, other)| *other == level).map_or(0, |(number, _)| number)
}

fn filter(number: u8) -> LevelFilter {
    LEVELS.get(usize::from(number)).copied().unwrap_or(LevelFilter::OFF)
}

/// The most verbose level that anybody listens to on this thread.
pub(crate) fn level() -> u8 {
    let nobody = tracing::dispatcher::get_default(|dispatch| {
        dispatch.is::<tracing::subscriber::NoSubscriber>()
    });
    if nobody { 0 } else { number(LevelFilter::current()) }
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
