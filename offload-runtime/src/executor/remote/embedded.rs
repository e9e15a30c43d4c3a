//! A call where there is no server: its body runs on this machine, or in a process there, with all that
//! would be sent encoded and decoded.

use std::time::Instant;

use super::call_guard::CallGuard;
use super::served::{self, Counted, Serving, Site};
use crate::task::about::About;
use crate::task::context::Captured;

/// A call that runs in this process, since there is no server.
pub(super) struct Embedded {
    pub(super) site: Site,
    /// The function that is called.
    pub(super) about: &'static About,
    pub(super) call: CallGuard,
    /// Its answer is wanted until then.
    pub(super) answer_by: Option<Instant>,
}

impl Embedded {
    pub(super) fn start(self) -> Serving {
        let Embedded { site, about, call, answer_by } = self;
        let timeout = answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        let served = served::as_served(site, about, Counted::Elsewhere);
        let carried = call.carried().texts();
        let captured = Captured::from_elsewhere(carried.clone().into_iter());
        served::submit(served, timeout, captured, move |may_start| {
            match may_start.and_then(|()| call.pack(site.max_message)) {
                Ok(arguments) => {
                    if call.begin() {
                        call.set_started();
                        let function = call.function();
                        let answer = served::call(site, function, &carried, &arguments);
                        call.end(answer);
                    }
                }
                Err(error) => drop(call.reject(error)),
            }
        })
    }
}
