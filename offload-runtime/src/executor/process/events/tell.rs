//! In the worker: the subscriber, which makes a record of all that a body says.
//!
//! Records are collected, and sent with each event and at the end of the call;
//! what a body said before it dies has been sent.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::Interest;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::record::{Place, Record, Value, Values, filter, number};
use crate::system::abort::Unpoisoned;
use crate::wire::codec;

/// Records are sent together until there are so many bytes of them.
const ROOM: usize = 16 << 10;

/// The most verbose level that the parent listens to; between calls, none.
static LEVEL: AtomicU8 = AtomicU8::new(0);

static TELLER: OnceLock<Mutex<Teller>> = OnceLock::new();

/// Sends records; false: they are lost.
type Send = fn(&[u8]) -> bool;

struct Teller {
    send: Send,
    /// The places that the parent knows.
    places: HashMap<Identifier, u32>,
    /// Records that were not sent yet.
    pending: Vec<u8>,
}

/// From now on what is said here is sent, unless the program has a subscriber
/// of its own.
pub(crate) fn install(send: Send) {
    let teller = Teller { send, places: HashMap::new(), pending: Vec::new() };
    if TELLER.set(Mutex::new(teller)).is_ok() {
        let _ = tracing::subscriber::set_global_default(Registry::default().with(Tell));
    }
}

/// A call begins, whose caller listens to this level.
pub(crate) fn begin(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// It is over: what is said from now on is nobody's.
pub(crate) fn end() {
    if LEVEL.swap(0, Ordering::Relaxed) > 0 {
        with_teller(Teller::flush);
    }
}

fn with_teller<T>(f: impl FnOnce(&mut Teller) -> T) -> Option<T> {
    let teller = TELLER.get()?;
    Some(f(&mut teller.lock().unpoisoned()))
}

impl Teller {
    fn place(&mut self, metadata: &'static Metadata<'static>) -> u32 {
        if let Some(number) = self.places.get(&metadata.callsite()) {
            return *number;
        }
        if self.places.is_empty() {
            self.tell(&Record::Anew);
        }
        let next = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.tell(&Record::Place(Place {
            is_span: metadata.is_span(),
            name: metadata.name().to_owned(),
            target: metadata.target().to_owned(),
            level: number((*metadata.level()).into()),
            module: metadata.module_path().map(ToOwned::to_owned),
            file: metadata.file().map(ToOwned::to_owned),
            line: metadata.line(),
            fields: metadata.fields().iter().map(|field| field.name().to_owned()).collect(),
        }));
        self.places.insert(metadata.callsite(), next);
        next
    }

    fn tell(&mut self, record: &Record) {
        let before = self.pending.len();
        if codec::encode(record, &mut self.pending).is_err() {
            self.pending.truncate(before);
        }
        if self.pending.len() >= ROOM {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if !(self.send)(&self.pending) {
            // The parent may not know them.
            self.places.clear();
        }
        self.pending.clear();
    }
}

struct Tell;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tell {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The level changes with each call.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= filter(LEVEL.load(Ordering::Relaxed))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.id()));
        let mut values = Collector::default();
        attributes.record(&mut values);
        with_teller(|teller| {
            let place = teller.place(attributes.metadata());
            let parent = parent.map_or(0, |parent| parent.into_u64());
            teller.tell(&Record::Open { span: id.into_u64(), place, parent, values: values.0 });
        });
    }

    fn on_record(&self, id: &Id, record: &tracing::span::Record<'_>, _: Context<'_, S>) {
        let mut values = Collector::default();
        record.record(&mut values);
        tell(&Record::Add { span: id.into_u64(), values: values.0 });
    }

    fn on_follows_from(&self, id: &Id, after: &Id, _: Context<'_, S>) {
        tell(&Record::Follows { span: id.into_u64(), after: after.into_u64() });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event).map_or(0, |span| span.id().into_u64());
        let mut values = Collector::default();
        event.record(&mut values);
        with_teller(|teller| {
            let place = teller.place(event.metadata());
            teller.tell(&Record::Event { place, parent, values: values.0 });
            teller.flush();
        });
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        tell(&Record::Enter { span: id.into_u64() });
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        tell(&Record::Exit { span: id.into_u64() });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        tell(&Record::Close { span: id.into_u64() });
    }
}

fn tell(record: &Record) {
    with_teller(|teller| teller.tell(record));
}

/// Takes the values of a span or an event.
#[derive(Default)]
struct Collector(Values);

impl Collector {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.push((u32::try_from(field.index()).unwrap_or(u32::MAX), value));
    }
}

impl Visit for Collector {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Unsigned(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add(field, Value::SignedLong(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, Value::UnsignedLong(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut causes = vec![value.to_string()];
        let mut error = value;
        while let Some(cause) = error.source() {
            causes.push(cause.to_string());
            error = cause;
        }
        self.add(field, Value::Error(causes));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::Printed(format!("{value:?}")));
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}
