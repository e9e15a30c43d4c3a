//! In the parent: what a body said is said again, by the thread that waits for
//! its answer, in the span of the call.
//!
//! A filter of the subscriber decides as if the body were here. Spans that are
//! open when the call ends, since the worker died or keeps them, are closed.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Debug, Display};

use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Span, dispatcher};
use tracing_core::field::{self, Field, ValueSet};
use tracing_core::{Event, Metadata};

use super::places::Places;
use super::record::{Record, Value, Values};
use crate::wire::codec::Decoder;

/// More fields than anybody gives a span or an event; what is beyond is left out.
const FIELDS: usize = 64;

/// A call has no more spans open at once; what is beyond is left out.
const SPANS: usize = 10_000;

/// An error has no more causes; what is below is left out.
const CAUSES: usize = 100;

/// What one call says.
pub(crate) struct Replay {
    places: Places,
    dispatch: Dispatch,
    /// That of the call, if the subscriber wants it.
    root: Option<Id>,
    spans: HashMap<u64, Open>,
}

/// A span of the body, as it is here.
struct Open {
    /// Its own, or that of the next one around it that the subscriber wants.
    id: Option<Id>,
    metadata: &'static Metadata<'static>,
    /// The subscriber wants it.
    is_wanted: bool,
    /// It was entered so many times more than it was left.
    entered: u32,
}

impl Replay {
    /// For a call whose span is the current one of this thread, in a worker
    /// that has described these places.
    pub(crate) fn new(places: Places) -> Replay {
        Replay {
            places,
            dispatch: dispatcher::get_default(Dispatch::clone),
            root: Span::current().id(),
            spans: HashMap::new(),
        }
    }

    /// Says what `records` say. What makes no sense is left out.
    pub(crate) fn replay(&mut self, records: &[u8]) {
        let mut records = Decoder::new(records);
        while records.end().is_err() {
            let Ok(record) = records.next() else { return };
            self.say(record);
        }
    }

    /// The call is over: the places that its worker has described by now.
    pub(crate) fn into_places(mut self) -> Places {
        std::mem::take(&mut self.places)
    }

    fn say(&mut self, record: Record) {
        match record {
            Record::Anew => self.places = Places::default(),
            Record::Place(place) => self.places.add(place),
            Record::Open { span, place, parent, values } => {
                let Some(metadata) = self.places.get(place) else { return };
                if metadata.is_span() && self.spans.len() < SPANS && !self.spans.contains_key(&span)
                {
                    let open = self.open(metadata, parent, &values);
                    self.spans.insert(span, open);
                }
            }
            Record::Enter { span } => {
                if let Some(open) = self.spans.get_mut(&span) {
                    open.entered += 1;
                    open.if_wanted(|id| self.dispatch.enter(id));
                }
            }
            Record::Exit { span } => {
                if let Some(open) = self.spans.get_mut(&span).filter(|open| open.entered > 0) {
                    open.entered -= 1;
                    open.if_wanted(|id| self.dispatch.exit(id));
                }
            }
            Record::Add { span, values } => {
                if let Some(open) = self.spans.get(&span) {
                    with_values(open.metadata, &values, |values| {
                        let record = tracing::span::Record::new(values);
                        open.if_wanted(|id| self.dispatch.record(id, &record));
                    });
                }
            }
            Record::Follows { span, after } => {
                if let (Some(open), Some(after)) = (self.spans.get(&span), self.around(after)) {
                    open.if_wanted(|id| self.dispatch.record_follows_from(id, &after));
                }
            }
            Record::Close { span } => {
                if let Some(open) = self.spans.remove(&span) {
                    open.close(&self.dispatch);
                }
            }
            Record::Event { place, parent, values } => {
                let Some(metadata) = self.places.get(place) else { return };
                if metadata.is_event() && self.dispatch.enabled(metadata) {
                    let parent = self.around(parent);
                    with_values(metadata, &values, |values| {
                        let event = Event::new_child_of(parent, metadata, values);
                        self.dispatch.event(&event);
                    });
                }
            }
        }
    }

    fn open(&self, metadata: &'static Metadata<'static>, parent: u64, values: &Values) -> Open {
        let parent = self.around(parent);
        if !self.dispatch.enabled(metadata) {
            return Open { id: parent, metadata, is_wanted: false, entered: 0 };
        }
        let id = with_values(metadata, values, |values| {
            let attributes = match parent {
                Some(parent) => Attributes::child_of(parent, metadata, values),
                None => Attributes::new_root(metadata, values),
            };
            self.dispatch.new_span(&attributes)
        });
        Open { id: Some(id), metadata, is_wanted: true, entered: 0 }
    }

    /// What stands here for a span of the body.
    fn around(&self, span: u64) -> Option<Id> {
        match self.spans.get(&span) {
            Some(open) => open.id.clone(),
            None => self.root.clone(),
        }
    }
}

impl Open {
    /// Calls `f` if the subscriber wants the span.
    fn if_wanted(&self, f: impl FnOnce(&Id)) {
        if let Some(id) = self.id.as_ref().filter(|_| self.is_wanted) {
            f(id);
        }
    }

    fn close(self, dispatch: &Dispatch) {
        let Open { id: Some(id), is_wanted: true, entered, .. } = self else { return };
        for _ in 0..entered {
            dispatch.exit(&id);
        }
        dispatch.try_close(id);
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        for (_, open) in self.spans.drain() {
            open.close(&self.dispatch);
        }
    }
}

/// Lends values as `tracing` wants them.
fn with_values<R>(
    metadata: &'static Metadata<'static>,
    values: &Values,
    f: impl FnOnce(&ValueSet<'_>) -> R,
) -> R {
    let fields: Vec<Field> = metadata.fields().iter().collect();
    let Some(first) = fields.first() else { return f(&metadata.fields().value_set(&[])) };
    let texts: Vec<Said<'_>> = values.iter().map(|(_, value)| Said::of(value)).collect();
    // Those that are not given are nothing, in the place of any field.
    let mut all: [(&Field, Option<&dyn field::Value>); FIELDS] = [(first, None); FIELDS];
    for (slot, ((number, _), said)) in all.iter_mut().zip(values.iter().zip(&texts)) {
        if let Some(field) = fields.get(*number as usize) {
            *slot = (field, Some(said.value()));
        }
    }
    f(&metadata.fields().value_set(&all))
}

/// A value in the form that `tracing` takes.
enum Said<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    SignedLong(i128),
    UnsignedLong(u128),
    Float(f64),
    Text(&'a str),
    Printed(field::DebugValue<Raw<'a>>),
    Error(Box<dyn Error + 'static>),
}

impl Said<'_> {
    fn of(value: &Value) -> Said<'_> {
        match value {
            Value::Bool(value) => Said::Bool(*value),
            Value::Signed(value) => Said::Signed(*value),
            Value::Unsigned(value) => Said::Unsigned(*value),
            Value::SignedLong(value) => Said::SignedLong(*value),
            Value::UnsignedLong(value) => Said::UnsignedLong(*value),
            Value::Float(value) => Said::Float(*value),
            Value::Text(text) => Said::Text(text),
            Value::Printed(text) => Said::Printed(field::debug(Raw(text))),
            Value::Error(texts) => Said::Error(Box::new(Foreign::of(texts))),
        }
    }

    fn value(&self) -> &dyn field::Value {
        match self {
            Said::Bool(value) => value,
            Said::Signed(value) => value,
            Said::Unsigned(value) => value,
            Said::SignedLong(value) => value,
            Said::UnsignedLong(value) => value,
            Said::Float(value) => value,
            Said::Text(value) => value,
            Said::Printed(value) => value,
            Said::Error(value) => value,
        }
    }
}

/// Prints as it is.
struct Raw<'a>(&'a str);

impl Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An error of the body: what it and its causes said.
#[derive(Debug)]
struct Foreign {
    text: String,
    cause: Option<Box<Foreign>>,
}

impl Foreign {
    fn of(texts: &[String]) -> Foreign {
        let chain = texts
            .iter()
            .take(CAUSES)
            .rev()
            .fold(None, |cause, text| Some(Box::new(Foreign { text: text.to_owned(), cause })));
        chain.map_or_else(|| Foreign { text: String::new(), cause: None }, |first| *first)
    }
}

impl Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Foreign {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
