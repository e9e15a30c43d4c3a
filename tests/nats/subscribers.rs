//! What the subscriber of a worker, or of a program that calls, gets to see, and what it may do.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use offload_runtime::{ErrorKind, Ran, propagate_with, remote};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::functions as f;
use crate::server::{Setup, Worker, until, with_server};

/// Panics as the first spans of calls that it serves are left, and then as others are made.
struct Panics;

static LEFT: AtomicUsize = AtomicUsize::new(0);
static MADE: AtomicUsize = AtomicUsize::new(0);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Panics {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if span.metadata().name() == "remote" {
            let made = MADE.fetch_add(1, Ordering::Relaxed);
            assert_ne!(made, 1, "a span of a call is made");
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if span.name() == "remote" {
            let left = LEFT.fetch_add(1, Ordering::Relaxed);
            assert_ne!(left, 0, "a span of a call is left");
        }
    }
}

#[test]
fn a_subscriber_that_panics_on_a_worker_costs_no_call_its_answer() {
    let name = "subscribers::a_subscriber_that_panics_on_a_worker_costs_no_call_its_answer";
    with_server(name, async |_| {
        tracing::subscriber::set_global_default(Registry::default().with(Panics)).unwrap();
        tokio::spawn(remote::serve([&f::JOBS]));
        for _ in 0..3 {
            f::process_id().await.unwrap();
        }
        assert!(MADE.load(Ordering::Relaxed) >= 3 && LEFT.load(Ordering::Relaxed) >= 1);
    });
}

/// What is said, with the fields of the span in which it is.
#[derive(Clone, Default)]
struct Says(Arc<Mutex<Vec<Fields>>>);

#[derive(Clone, Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Says {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        span.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event).filter(|span| span.name() == "remote") else {
            return;
        };
        let mut fields = span.extensions().get::<Fields>().unwrap().clone();
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields);
    }
}

#[test]
fn what_a_body_says_is_in_a_span_that_names_the_host_and_the_process_of_its_caller() {
    let name = "subscribers::what_a_body_says_is_in_a_span_that_names_the_host_and_the_process_of_its_caller";
    with_server(name, async |_| {
        let says = Says::default();
        tracing::subscriber::set_global_default(Registry::default().with(says.clone())).unwrap();
        tokio::spawn(remote::serve([&f::JOBS]));
        f::say("something".to_owned()).await.unwrap();
        let said = says.0.lock().unwrap().clone();
        let [Fields(said)] = &said[..] else { panic!("{} things are said", said.len()) };
        assert_eq!((&*said["word"], &*said["attempt"]), ("something", "1"));
        assert!(said["number"].parse::<u64>().is_ok(), "{said:?}");
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let is_sign = |sign: char| sign.is_ascii_alphanumeric();
        let host = host.trim().replace(|sign| !is_sign(sign), "_");
        let process = format!("{host}_{}_", std::process::id());
        assert!(said["caller"].starts_with(&process), "{said:?} is not of {process}");
    });
}

/// The warnings of the runtime.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<Fields>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() == "offload" && *about.level() == Level::WARN {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields);
        }
    }
}

#[test]
fn a_certificate_that_nobody_trusts_is_said_to_be_why_there_is_no_connection() {
    let name =
        "subscribers::a_certificate_that_nobody_trusts_is_said_to_be_why_there_is_no_connection";
    Setup::new(name).tls().run(async |_| {
        let warnings = Warnings::default();
        tracing::subscriber::set_global_default(Registry::default().with(warnings.clone()))
            .unwrap();
        let call = tokio::spawn(f::process_id());
        let is_said = || {
            let warnings = warnings.0.lock().unwrap();
            let reason = |Fields(fields): &Fields| fields.get("reason").cloned();
            warnings.iter().filter_map(reason).any(|reason| reason.contains("certificate"))
        };
        until("it is said", is_said).await;
        call.abort();
    });
}

/// Whether calls carry what cannot be entered.
static IS_CARRIED: AtomicBool = AtomicBool::new(false);

/// Panics as it makes the span of a call.
struct PanicsAtAnswer;

impl<S: Subscriber> Layer<S> for PanicsAtAnswer {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        assert_ne!(span.metadata().target(), "offload", "the span of a call is made");
    }
}

#[test]
fn what_panics_around_an_answer_costs_the_call_whose_body_may_have_run() {
    let name = "subscribers::what_panics_around_an_answer_costs_the_call_whose_body_may_have_run";
    with_server(name, async |_| {
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id_or_panic().await.unwrap(), worker.id());
        propagate_with(|| IS_CARRIED.load(Ordering::Relaxed).then_some(()), |()| panic!("entered"));
        IS_CARRIED.store(true, Ordering::Relaxed);
        let error = f::process_id_or_panic().await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Maybe), "{error}");
        IS_CARRIED.store(false, Ordering::Relaxed);
        tracing::subscriber::set_global_default(Registry::default().with(PanicsAtAnswer)).unwrap();
        let error = f::process_id_or_panic().await.unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Maybe), "{error}");
    });
}

/// Panics at each warning, when it has noted what that is.
#[derive(Clone, Default)]
struct PanicsAtWarnings(Warnings);

impl<S: Subscriber> Layer<S> for PanicsAtWarnings {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let noted = || self.0.0.lock().unwrap().len();
        let before = noted();
        self.0.on_event(event, context);
        let after = noted();
        assert_eq!(after, before, "on purpose");
    }
}

#[test]
fn a_subscriber_that_panics_at_what_the_connection_says_costs_that_nothing() {
    let name =
        "subscribers::a_subscriber_that_panics_at_what_the_connection_says_costs_that_nothing";
    let denied = "permissions: { publish: { deny: [ \"$JS.API.CONSUMER.>\" ] } }";
    let users =
        format!("authorization {{ users = [ {{ user: web, password: secret, {denied} }} ] }}");
    Setup::new(name).config(&users).user("web:secret@").run(async |server| {
        let panics = PanicsAtWarnings::default();
        tracing::subscriber::set_global_default(Registry::default().with(panics.clone())).unwrap();
        tokio::spawn(remote::serve([&f::JOBS]));
        for said in ["the connection for remote calls", "no calls can be got"] {
            let is_it = |Fields(fields): &Fields| fields["message"] == said;
            until(said, || panics.0.0.lock().unwrap().iter().any(is_it)).await;
        }
        let call = tokio::spawn(f::process_id());
        server.has_messages("jobs", 1).await;
        call.abort();
        server.has_messages("jobs", 0).await;
    });
}
