//! Places in the source of what workers say.
//!
//! `tracing` takes what it is told of a place for ever. Workers are of one
//! build and say the same, so each place is kept once for all of them. What
//! runs in a worker may be out of its mind: their number is bounded.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock};

use tracing_core::callsite::{self, Callsite};
use tracing_core::field::FieldSet;
use tracing_core::metadata::Kind;
use tracing_core::{Interest, Metadata, identify_callsite};

use super::record::{Place, filter};
use crate::system::abort::Unpoisoned;

/// A program has fewer places that say anything.
const MOST: usize = 10_000;

/// The places that one worker has described, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<Option<&'static Metadata<'static>>>);

impl Places {
    /// The next number means this place.
    pub(super) fn add(&mut self, place: Place) {
        // Also one that is not kept has its number.
        if self.0.len() < MOST {
            self.0.push(keep(place));
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&'static Metadata<'static>> {
        *self.0.get(usize::try_from(number).ok()?)?
    }
}

/// A place that is kept for ever; `None` if there are too many.
fn keep(place: Place) -> Option<&'static Metadata<'static>> {
    static KEPT: LazyLock<Mutex<HashMap<Place, &'static Metadata<'static>>>> =
        LazyLock::new(Mutex::default);
    let kept = KEPT.lock().unpoisoned();
    if let Some(metadata) = kept.get(&place) {
        return Some(metadata);
    }
    if kept.len() >= MOST {
        return None;
    }
    drop(kept);
    // Subscribers are told of it, who are foreign: nothing is locked. Of two that are made of the same
    // place at once, one is forgotten.
    let metadata = leak(&place)?;
    Some(KEPT.lock().unpoisoned().entry(place).or_insert(metadata))
}

fn leak(place: &Place) -> Option<&'static Metadata<'static>> {
    let level = filter(place.level).into_level()?;
    let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
    let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let fields: Vec<_> = place.fields.iter().map(|name| text(name)).collect();
    let metadata = Metadata::new(
        text(&place.name),
        text(&place.target),
        level,
        place.file.as_deref().map(text),
        place.line,
        place.module.as_deref().map(text),
        FieldSet::new(fields.leak(), identify_callsite!(site)),
        if place.is_span { Kind::SPAN } else { Kind::EVENT },
    );
    let metadata = Box::leak(Box::new(metadata));
    site.0.set(metadata).expect("it is set here only");
    // Subscribers may want to look at each place first.
    callsite::register(site);
    Some(metadata)
}

/// What stands for the place in this process.
struct Site(OnceLock<&'static Metadata<'static>>);

impl Callsite for Site {
    /// Whoever subscribes is asked each time: what is said is too rare for
    /// another way to pay.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("it is set before it is known to anybody")
    }
}
