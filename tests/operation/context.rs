//! What a body gets from its caller: the span, and carried task-locals.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use offload_runtime::{ThreadPool, offload, propagate};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Writes down events with the spans around them, and what spans recorded.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// The message, and the names of the spans around it, the outermost first.
    events: Vec<(String, Vec<String>)>,
    /// The fields of each span that was named `offload`.
    offloads: Vec<(Id, HashMap<String, String>)>,
    closed: Vec<String>,
}

struct Fields<'a>(&'a mut HashMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "offload" {
            let mut fields = HashMap::new();
            attributes.record(&mut Fields(&mut fields));
            self.0.lock().unwrap().offloads.push((id.clone(), fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut seen = self.0.lock().unwrap();
        if let Some((_, fields)) = seen.offloads.iter_mut().rev().find(|(span, _)| span == id) {
            values.record(&mut Fields(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = HashMap::new();
        event.record(&mut Fields(&mut fields));
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.map(|span| span.name().to_owned()).collect();
        let message = fields.remove("message").unwrap_or_default();
        self.0.lock().unwrap().events.push((message, spans));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let name = context.span(&id).unwrap().name().to_owned();
        self.0.lock().unwrap().closed.push(name);
    }
}

impl Notes {
    /// The spans around the event with this message.
    fn around(&self, message: &str) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        let event = seen.events.iter().find(|(text, _)| text == message);
        event.unwrap_or_else(|| panic!("no event {message}: {:?}", seen.events)).1.clone()
    }
}

static POOL: ThreadPool = ThreadPool::new("traced").threads(1);

#[offload(thread, pool = POOL, name = "note")]
fn note(message: &'static str) {
    tracing::info!("{message}");
}

/// A subscriber of one thread only is that of the body too.
#[test]
fn a_body_is_in_its_callers_span_and_in_one_of_its_own() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));
    tracing::info_span!("request").in_scope(|| block_on(note("in a request")));
    assert_eq!(notes.around("in a request"), ["request", "offload"]);
    let seen = notes.0.lock().unwrap();
    let (_, fields) = &seen.offloads[0];
    assert_eq!((fields["kind"].as_str(), fields["name"].as_str()), ("\"thread\"", "\"note\""));
    for time in ["queue_us", "run_us"] {
        fields[time].parse::<u64>().unwrap();
    }
}

/// Who waits for it may be somebody else.
#[test]
fn a_started_call_is_in_the_span_that_was_there_when_it_started() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));
    let gate = crate::support::Gate::default();
    let held = POOL.spawn({
        let gate = gate.clone();
        move || gate.pass()
    });
    let start = || POOL.spawn(|| tracing::info!("in a started one"));
    let started = tracing::info_span!("start").in_scope(start);
    gate.open();
    tracing::info_span!("wait").in_scope(|| block_on(started)).unwrap();
    held.wait().unwrap();
    assert_eq!(notes.around("in a started one"), ["start", "offload"]);
}

#[test]
fn the_span_of_a_closure_has_its_label_or_that_of_its_pool() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));
    block_on(POOL.run(|| ()).named("shrink"));
    block_on(POOL.run(|| ()));
    POOL.spawn(|| ()).wait().unwrap();
    let seen = notes.0.lock().unwrap();
    let names: Vec<_> = seen.offloads.iter().map(|(_, fields)| fields["name"].as_str()).collect();
    assert_eq!(names, ["\"shrink\"", "\"traced\"", "\"traced\""]);
    assert!(seen.offloads.iter().all(|(_, fields)| fields["kind"] == "\"thread\""));
}

/// Nothing stays on the thread of the pool: not the span, not the subscriber.
#[test]
fn the_next_body_on_the_thread_is_in_no_span_of_the_one_before() {
    let (first, second) = (Notes::default(), Notes::default());
    {
        let _default = tracing::subscriber::set_default(Registry::default().with(first.clone()));
        let _span = tracing::info_span!("before").entered();
        block_on(note("the first"));
    }
    {
        let _default = tracing::subscriber::set_default(Registry::default().with(second.clone()));
        block_on(note("the second"));
    }
    block_on(note("nobody hears this"));
    assert_eq!(second.around("the second"), ["offload"]);
    assert_eq!(first.0.lock().unwrap().events.len(), 1);
    assert_eq!(second.0.lock().unwrap().events.len(), 1);
}

/// The caller may close its span while the body runs: it stays open until the
/// body has ended.
#[test]
fn a_span_that_its_caller_closes_early_does_no_harm() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));

    #[offload(thread)]
    fn late(gate: crate::support::Gate) {
        gate.pass();
        tracing::info!("late");
    }

    let gate = crate::support::Gate::default();
    let span = tracing::info_span!("short");
    let call = span.in_scope(|| crate::support::begin(late(gate.clone())));
    gate.wait_for(1);
    drop((span, call));
    assert!(notes.0.lock().unwrap().closed.is_empty());
    gate.open();
    crate::support::settle("the spans are closed", || {
        notes.0.lock().unwrap().closed == ["offload", "short"]
    });
    assert_eq!(notes.around("late"), ["short", "offload"]);
}

/// It runs in many parts, and with the thread of its pool free in between.
#[test]
fn all_items_of_a_stream_are_made_in_the_one_span_of_its_call() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));

    #[offload(thread, stream = 2, pool = POOL, name = "parts")]
    fn parts() -> impl Iterator<Item = u32> {
        (0..20).inspect(|n| tracing::info!("item {n}"))
    }

    let stream = tracing::info_span!("request").in_scope(parts);
    assert_eq!(block_on(futures::StreamExt::count(stream)), 20);
    for n in 0..20 {
        assert_eq!(notes.around(&format!("item {n}")), ["request", "offload"]);
    }
    // One that is dropped half way.
    let mut stream = Box::pin(parts());
    assert_eq!(block_on(futures::StreamExt::next(&mut stream)), Some(0));
    drop(stream);
    crate::support::settle("the spans are closed", || {
        notes.0.lock().unwrap().closed == ["offload", "request", "offload"]
    });
    let seen = notes.0.lock().unwrap();
    assert_eq!(seen.offloads.len(), 2);
    for (_, fields) in &seen.offloads {
        fields["run_us"].parse::<u64>().unwrap();
    }
}

#[test]
fn the_time_of_a_body_that_panics_is_recorded() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));

    #[offload(cpu)]
    fn fail() {
        panic!("on purpose");
    }

    let call = std::panic::AssertUnwindSafe(fail());
    assert!(block_on(futures::FutureExt::catch_unwind(call)).is_err());
    assert!(notes.0.lock().unwrap().offloads[0].1.contains_key("run_us"));
}

/// `#[instrument]` above sees the body, below it sees the call: in both orders
/// its span is around the body's events.
#[test]
fn instrument_works_above_and_below() {
    let notes = Notes::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(notes.clone()));

    #[tracing::instrument]
    #[offload(thread)]
    fn above() {
        tracing::info!("above");
    }

    #[offload(thread)]
    #[tracing::instrument]
    fn below() {
        tracing::info!("below");
    }

    block_on(above());
    block_on(below());
    assert!(notes.around("above").contains(&"above".to_owned()), "{:?}", notes.around("above"));
    assert_eq!(notes.around("below"), ["below", "offload"]);
}

tokio::task_local! {
    static TENANT: String;
    static ATTEMPT: RefCell<u32>;
    static PRIVATE: u32;
}

static LOCAL: ThreadPool = ThreadPool::new("local").threads(1);

#[offload(thread, pool = LOCAL)]
fn look() -> (Option<String>, Option<u32>, Option<u32>) {
    let attempt = ATTEMPT.try_with(|attempt| {
        *attempt.borrow_mut() += 1;
        *attempt.borrow()
    });
    let private = PRIVATE.try_with(|private| *private);
    (TENANT.try_with(Clone::clone).ok(), attempt.ok(), private.ok())
}

#[test]
fn carried_task_locals_go_in_and_never_back() {
    propagate(&TENANT);
    propagate(&ATTEMPT);
    // Once more changes nothing.
    propagate(&TENANT);
    block_on(TENANT.scope("acme".to_owned(), async {
        let inner = ATTEMPT.scope(RefCell::new(1), async {
            for _ in 0..2 {
                // The body's own copy goes up, from 1 each time.
                let (tenant, attempt, private) = PRIVATE.scope(3, look()).await;
                assert_eq!((tenant.as_deref(), attempt, private), (Some("acme"), Some(2), None));
            }
            ATTEMPT.with(|attempt| assert_eq!(*attempt.borrow(), 1));
        });
        inner.await;
        let (tenant, attempt, _) = look().await;
        assert_eq!((tenant.as_deref(), attempt), (Some("acme"), None));
    }));
    // The thread that had them all has none now.
    assert_eq!(block_on(look()), (None, None, None));
}
