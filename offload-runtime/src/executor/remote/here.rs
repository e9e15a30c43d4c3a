//! A call where there is no server: its body runs on this machine, with all that would be sent
//! encoded and decoded.

use std::sync::Arc;
use std::time::Instant;

use super::calls::Calls;
use super::in_flight::InFlight;
use super::served::{self, Serving, Site};
use crate::task::about::About;
use crate::task::context::Captured;

/// A call that is made here.
pub(super) struct Here {
    pub(super) calls: &'static Calls,
    pub(super) site: Site,
    /// Of its function.
    pub(super) about: &'static About,
    pub(super) call: Arc<InFlight>,
    /// Its answer is wanted until then.
    pub(super) answer_by: Option<Instant>,
}

impl Here {
    pub(super) fn start(self) -> Serving {
        let here = self;
        let timeout = here.answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        // What it comes to is counted where it was called.
        let about = served::unseen(here.about);
        let captured = Captured::from_elsewhere(here.call.carried());
        served::submit(here.site, about, timeout, captured, move || {
            let call = &here.call;
            match call.pack(here.site.max_message) {
                Ok(arguments) => {
                    if call.begin() {
                        call.set_started();
                        let function = call.parcel.function();
                        if call.end(served::call(here.site, function, &arguments)) {
                            drop(here.calls.remove(call));
                        }
                    }
                }
                Err(error) => {
                    if call.refuse(error) {
                        drop(here.calls.remove(call));
                    }
                }
            }
        })
    }
}
