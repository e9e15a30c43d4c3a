//! What a worker's subscriber may do.

use std::sync::atomic::{AtomicUsize, Ordering};

use offload_runtime::remote;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::functions as f;
use crate::server::with_server;

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
