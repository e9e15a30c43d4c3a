//! What a body says, on its way from one process to the other.

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// Something that a body said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Record {
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
pub(super) struct Place {
    pub(super) is_span: bool,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) level: u8,
    pub(super) module: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) fields: Vec<String>,
}

/// The number of a field, and its value.
pub(super) type Values = Vec<(u32, Value)>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Value {
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

pub(super) fn number(level: LevelFilter) -> u8 {
    (0..).zip(LEVELS).find(|(_, other)| *other == level).map_or(0, |(number, _)| number)
}

pub(super) fn filter(number: u8) -> LevelFilter {
    LEVELS.get(usize::from(number)).copied().unwrap_or(LevelFilter::OFF)
}

/// The most verbose level that anybody listens to on this thread.
pub(crate) fn level() -> u8 {
    let nobody = tracing::dispatcher::get_default(|dispatch| {
        dispatch.is::<tracing::subscriber::NoSubscriber>()
    });
    if nobody { 0 } else { number(LevelFilter::current()) }
}
