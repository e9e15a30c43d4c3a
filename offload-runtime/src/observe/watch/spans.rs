//! In which spans a thread is, as seen from another.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use tracing::span::Id;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::system::abort::Unpoisoned;

/// A `tracing_subscriber` layer that lets [`watch`](fn@crate::watch) say in which span a stuck event loop is.
///
/// With `#[tracing::instrument]` on handlers that names the function to look
/// into, with its place in the source:
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// use tracing_subscriber::util::SubscriberInitExt;
///
/// tracing_subscriber::registry().with(offload_runtime::WatchLayer::new()).init();
/// ```
///
/// It keeps the names of the spans that each thread is in, no field of them. To
/// enter and to leave a span costs some ten nanoseconds more.
#[derive(Default)]
pub struct WatchLayer {
    _private: (),
}

impl WatchLayer {
    /// A layer for the whole program.
    pub fn new() -> WatchLayer {
        WatchLayer::default()
    }
}

impl fmt::Debug for WatchLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchLayer").finish()
    }
}

/// The spans that a thread is in, in the order in which it entered them.
type Spans = Arc<Mutex<Vec<(Id, &'static Metadata<'static>)>>>;

/// Those of all threads that ever entered one.
static THREADS: Mutex<Option<HashMap<ThreadId, Spans>>> = Mutex::new(None);

/// Those of this thread, which leaves [`THREADS`] when it ends.
struct Own(Spans);

thread_local! {
    static OWN: OnceCell<Own> = const { OnceCell::new() };
}

impl Own {
    fn new() -> Own {
        let (spans, here) = (Spans::default(), thread::current().id());
        let mut threads = THREADS.lock().unpoisoned();
        threads.get_or_insert_default().insert(here, Arc::clone(&spans));
        Own(spans)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let here = thread::current().id();
        if let Some(threads) = THREADS.lock().unpoisoned().as_mut() {
            threads.remove(&here);
        }
    }
}

/// Changes those of this thread, unless it is about to end.
fn change(change: impl FnOnce(&mut Vec<(Id, &'static Metadata<'static>)>)) {
    let _ = OWN.try_with(|own| {
        let spans = &own.get_or_init(Own::new).0;
        change(&mut spans.lock().unpoisoned());
    });
}

impl<S> Layer<S> for WatchLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(metadata) = context.metadata(id) {
            change(|spans| spans.push((id.clone(), metadata)));
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        change(|spans| {
            if let Some(place) = spans.iter().rposition(|(entered, _)| entered == id) {
                spans.remove(place);
            }
        });
    }
}

/// The spans that a thread is in, the outermost first, each with its place in
/// the source.
pub(super) fn of(thread: ThreadId) -> Vec<(String, Option<String>)> {
    let threads = THREADS.lock().unpoisoned();
    let Some(spans) = threads.as_ref().and_then(|threads| threads.get(&thread)).cloned() else {
        return Vec::new();
    };
    drop(threads);
    let spans = spans.lock().unpoisoned();
    let name = |metadata: &Metadata<'_>| format!("{}::{}", metadata.target(), metadata.name());
    let source =
        |metadata: &Metadata<'_>| Some(format!("{}:{}", metadata.file()?, metadata.line()?));
    spans.iter().map(|(_, metadata)| (name(metadata), source(metadata))).collect()
}
