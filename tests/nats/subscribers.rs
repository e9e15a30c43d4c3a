//! What the subscriber of a worker, or of a program that calls, gets to see, and what it may do.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use offload_runtime::{ErrorKind, Ran, propagate_with, remote, spawn_thread};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::functions::{self as f, Deed};
use crate::server::{Setup, Worker, have_ended, server_url, until, with_server};

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
        self.0.lock().unwrap().extend(warning(event));
    }
}

/// If it is one of the runtime's.
fn warning(event: &Event<'_>) -> Option<Fields> {
    let about = event.metadata();
    let is_warning = about.target() == "offload" && *about.level() == Level::WARN;
    is_warning.then(|| {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields
    })
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

/// Where code that is not the runtime's is called around an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Around {
    Enter,
    Leave,
    NewSpan,
    EnterSpan,
    RecordInSpan,
    ExitSpan,
}

/// What is to be done there. Once.
static PLAN: Mutex<Option<(Around, Deed)>> = Mutex::new(None);

impl Around {
    /// Other threads may run bodies.
    fn is_here(self) {
        if thread::current().name() != Some("offload-remote") {
            return;
        }
        let Some((_, deed)) = PLAN.lock().unwrap().take_if(|(place, _)| *place == self) else {
            return;
        };
        deed.carry_out();
    }
}

/// Entered around an answer.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        Around::Leave.is_here();
    }
}

/// What a subscriber does around an answer.
struct AroundAnswers;

impl AroundAnswers {
    fn is_in<S>(place: Around, id: &Id, context: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if context.metadata(id).is_some_and(|about| about.target() == "offload") {
            place.is_here();
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for AroundAnswers {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        AroundAnswers::is_in(Around::NewSpan, id, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        AroundAnswers::is_in(Around::EnterSpan, id, context);
    }

    fn on_record(&self, id: &Id, _: &Record<'_>, context: Context<'_, S>) {
        AroundAnswers::is_in(Around::RecordInSpan, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        AroundAnswers::is_in(Around::ExitSpan, id, context);
    }
}

#[test]
fn foreign_code_around_an_answer_costs_no_more_than_its_own_call() {
    use Around::*;

    let name = "subscribers::foreign_code_around_an_answer_costs_no_more_than_its_own_call";
    with_server(name, async |_| {
        let worker = Worker::start("jobs");
        let enter = |()| {
            Enter.is_here();
            Entered
        };
        propagate_with(|| Some(()), enter);
        let (mut calls, mut others) = (0, 0);
        for place in [Enter, Leave, NewSpan, EnterSpan, RecordInSpan, ExitSpan] {
            if place == NewSpan {
                let subscriber = Registry::default().with(AroundAnswers);
                tracing::subscriber::set_global_default(subscriber).unwrap();
            }
            for deed in [Deed::Panic, Deed::Block, Deed::CallBack] {
                *PLAN.lock().unwrap() = Some((place, deed));
                match f::process_id_or_panic().await {
                    Ok(process) => {
                        assert_ne!(deed, Deed::Panic, "{place:?}");
                        assert_eq!(process, worker.id());
                    }
                    Err(error) => {
                        assert_eq!(deed, Deed::Panic, "{place:?}: {error}");
                        // From when the answer was read it is known.
                        let is_before = matches!(place, Enter | NewSpan | EnterSpan);
                        let ran = if is_before { Ran::Maybe } else { Ran::Yes };
                        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, ran));
                    }
                }
                assert_eq!(*PLAN.lock().unwrap(), None, "nothing came there");
                assert_eq!(f::process_id().await.unwrap(), worker.id(), "the worker serves on");
                calls += 1;
                others += if deed == Deed::CallBack { 2 } else { 1 };
                have_ended("process id or panic", calls).await;
                have_ended("process id", others).await;
            }
        }
    });
}

/// At the first warning with a message it does one thing, at the second another, and so on.
#[derive(Clone, Default)]
struct AtWarnings(Arc<Mutex<BTreeMap<String, usize>>>);

impl AtWarnings {
    const DEEDS: [Deed; 3] = [Deed::Panic, Deed::Block, Deed::CallBack];
}

impl<S: Subscriber> Layer<S> for AtWarnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(Fields(mut fields)) = warning(event) else { return };
        let message = fields.remove("message").unwrap();
        let earlier = {
            let mut said = self.0.lock().unwrap();
            let times = said.entry(message).or_default();
            *times += 1;
            *times - 1
        };
        if let Some(deed) = AtWarnings::DEEDS.get(earlier) {
            deed.carry_out();
        }
    }
}

#[test]
fn a_subscriber_that_is_told_what_the_connection_says_costs_that_nothing() {
    let name = "subscribers::a_subscriber_that_is_told_what_the_connection_says_costs_that_nothing";
    let denied = "permissions: { publish: { deny: [ \"$JS.API.CONSUMER.>\" ] } }";
    let web = format!("{{ user: web, password: secret, {denied} }}");
    let users = format!("authorization {{ users = [ {web}, {{ user: all, password: secret }} ] }}");
    Setup::new(name).config(&users).user("web:secret@").run(async |_| {
        let warnings = AtWarnings::default();
        tracing::subscriber::set_global_default(Registry::default().with(warnings.clone()))
            .unwrap();
        // Each of them is denied its calls at the same time.
        tokio::spawn(remote::serve([&f::JOBS, &f::FULL, &f::PARTED]));
        for said in ["the connection for remote calls", "no calls can be got"] {
            let times = || warnings.0.lock().unwrap().get(said).copied().unwrap_or_default();
            until(said, || times() >= AtWarnings::DEEDS.len()).await;
        }
        // Calls get out, those that were started there as well, and their answers get here.
        let worker = Worker::start_at(&server_url().replace("web:", "all:"), "jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
        have_ended("process id", 3).await;
        assert_eq!(spawn_thread(|| 7).await.unwrap(), 7);
    });
}
