//! What is said again in the parent, whatever a worker sends.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::Visit;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::Field;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::record::{Place, Record, Value};
use super::{Places, Replay};
use crate::wire::codec;

/// Notes what is said, and wants no spans named `boring`.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0 += &format!(" {field}={value} since {}", value.source().unwrap());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.name() != "boring"
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut line = Line(String::new());
        attributes.record(&mut line);
        let scope = context.span(id).unwrap().scope().from_root();
        let names: Vec<_> = scope.map(|span| span.name()).collect();
        self.note(format!("open {}{}", names.join("/"), line.0));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let names: Vec<_> = scope.map(|span| span.name()).collect();
        self.note(format!("event {}{}", names.join("/"), line.0));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.note(format!("enter {}", context.span(id).unwrap().name()));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.note(format!("exit {}", context.span(id).unwrap().name()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.note(format!("close {}", context.span(&id).unwrap().name()));
    }
}

fn place(is_span: bool, name: &str, fields: &[&str]) -> Record {
    Record::Place(Place {
        is_span,
        name: name.into(),
        target: "t".into(),
        level: 3,
        module: None,
        file: Some("f.rs".into()),
        line: Some(1),
        fields: fields.iter().map(|name| (*name).to_owned()).collect(),
    })
}

/// What a subscriber hears of a call that says this.
fn heard(records: &[Record]) -> Vec<String> {
    let notes = Notes::default();
    tracing::subscriber::with_default(Registry::default().with(notes.clone()), || {
        let call = tracing::info_span!("call").entered();
        let mut bytes = Vec::new();
        records.iter().for_each(|record| codec::encode(record, &mut bytes).unwrap());
        let mut replay = Replay::new(Places::default());
        replay.replay(&bytes);
        drop(replay);
        drop(call);
    });
    let mut heard = std::mem::take(&mut *notes.0.lock().unwrap());
    // What is said of the span around it.
    assert_eq!(heard.drain(..2).collect::<Vec<_>>(), ["open call", "enter call"]);
    heard.truncate(heard.len() - 2);
    heard
}

#[test]
fn spans_and_events_are_below_the_call() {
    let printed = vec![(0, Value::Printed("as it is".into())), (1, Value::Unsigned(7))];
    let error = Value::Error(vec!["no file".into(), "no disk".into()]);
    let heard = heard(&[
        Record::Anew,
        place(true, "outer", &["n"]),
        place(false, "e", &["message", "m"]),
        Record::Open { span: 5, place: 0, parent: 0, values: vec![(0, Value::Signed(-1))] },
        Record::Enter { span: 5 },
        Record::Event { place: 1, parent: 5, values: printed },
        Record::Exit { span: 5 },
        Record::Close { span: 5 },
        Record::Event { place: 1, parent: 5, values: vec![(1, error)] },
    ]);
    assert_eq!(
        heard,
        [
            "open call/outer n=-1",
            "enter outer",
            "event call/outer message=as it is m=7",
            "exit outer",
            "close outer",
            "event call m=no file since no disk",
        ]
    );
}

#[test]
fn what_a_body_leaves_open_is_closed_with_its_call() {
    let heard = heard(&[
        place(true, "left", &[]),
        Record::Open { span: 1, place: 0, parent: 0, values: vec![] },
        Record::Enter { span: 1 },
        Record::Enter { span: 1 },
    ]);
    assert_eq!(heard[1..], ["enter left", "enter left", "exit left", "exit left", "close left"]);
}

#[test]
fn what_is_below_a_span_that_nobody_wants_is_below_the_next() {
    let heard = heard(&[
        place(true, "boring", &[]),
        place(true, "inner", &[]),
        place(false, "e", &["m"]),
        Record::Open { span: 1, place: 0, parent: 0, values: vec![] },
        Record::Enter { span: 1 },
        Record::Open { span: 2, place: 1, parent: 1, values: vec![] },
        Record::Event { place: 2, parent: 1, values: vec![(0, Value::Bool(true))] },
        Record::Event { place: 2, parent: 2, values: vec![(0, Value::Text("x".into()))] },
        Record::Close { span: 1 },
        Record::Close { span: 2 },
    ]);
    assert_eq!(
        heard,
        ["open call/inner", "event call m=true", "event call/inner m=\"x\"", "close inner"]
    );
}

#[test]
fn what_makes_no_sense_is_left_out() {
    let heard = heard(&[
        place(false, "event", &["m"]),
        place(true, "span", &[]),
        // An event where a span belongs, and the other way round.
        Record::Open { span: 1, place: 0, parent: 0, values: vec![] },
        Record::Event { place: 1, parent: 0, values: vec![] },
        // Numbers of which nothing was said.
        Record::Event { place: 7, parent: 0, values: vec![] },
        Record::Enter { span: 9 },
        Record::Exit { span: 9 },
        Record::Close { span: 9 },
        // Left before it was entered, and opened twice.
        Record::Open { span: 2, place: 1, parent: 0, values: vec![] },
        Record::Exit { span: 2 },
        Record::Open { span: 2, place: 1, parent: 0, values: vec![] },
        // A field that is not there, and far too many of one that is.
        Record::Event { place: 0, parent: 99, values: vec![(1, Value::Bool(true))] },
        Record::Event { place: 0, parent: 0, values: vec![(9, Value::Float(0.5)); 1000] },
        Record::Anew,
        Record::Event { place: 0, parent: 0, values: vec![] },
    ]);
    assert_eq!(heard, ["open call/span", "event call", "event call", "close span"]);
}

#[test]
fn places_are_kept_once_for_all_workers() {
    let keep = || {
        let mut places = Places::default();
        let Record::Place(place) = place(true, "the same", &["a"]) else { unreachable!() };
        places.add(place);
        places.get(0).unwrap()
    };
    assert!(std::ptr::eq(keep(), keep()));
}
