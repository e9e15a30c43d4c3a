//! A call on its way out: its arguments are written on a thread of a pool, since that is foreign code, and
//! handed to the task that puts them into the stream.

use std::time::Instant;

use super::call_guard::CallGuard;
use super::caller::{Caller, Request, ToSend};
use super::served::{self, Counted, Serving, Site};
use crate::task::about::About;
use crate::task::context::Captured;

/// See the [module](self).
pub(super) struct Outgoing {
    pub(super) site: Site,
    /// Of its function.
    pub(super) about: &'static About,
    pub(super) call: CallGuard,
    /// Its answer is wanted until then.
    pub(super) answer_by: Option<Instant>,
    pub(super) caller: &'static Caller,
}

impl Outgoing {
    pub(super) fn start(self) -> Serving {
        let Outgoing { site, about, call, answer_by, caller } = self;
        let timeout = answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        let served = served::as_served(site, about, Counted::Elsewhere);
        served::submit(served, timeout, Captured::NOTHING, move |may_start| {
            match may_start.and_then(|()| call.pack(site.max_message)) {
                Ok(arguments) => caller.ask(Request::Send(ToSend { call, arguments, answer_by })),
                Err(error) => drop(call.reject(error)),
            }
        })
    }
}
