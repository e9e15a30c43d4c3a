//! A call on its way out: its arguments are written on a thread of a pool, since that is foreign code, and
//! handed to the task that puts them into the stream.

use std::sync::Arc;
use std::time::Instant;

use super::caller::{Caller, Request, ToSend};
use super::calls::Calls;
use super::in_flight::InFlight;
use super::served::{self, Serving, Site};
use crate::task::about::About;
use crate::task::context::Captured;

/// See the [module](self).
pub(super) struct Outgoing {
    pub(super) calls: &'static Calls,
    pub(super) site: Site,
    /// Of its function.
    pub(super) about: &'static About,
    pub(super) call: Arc<InFlight>,
    /// Its answer is wanted until then.
    pub(super) answer_by: Option<Instant>,
    pub(super) caller: &'static Caller,
}

impl Outgoing {
    pub(super) fn start(self) -> Serving {
        let Outgoing { calls, site, about, call, answer_by, caller } = self;
        let timeout = answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        // What it comes to is counted where it was called.
        let about = served::unseen(about);
        served::submit(site, about, timeout, Captured::NOTHING, move || {
            match call.pack(site.max_message) {
                Ok(arguments) => caller.ask(Request::Send(ToSend { call, arguments, answer_by })),
                Err(error) => {
                    if call.refuse(error) {
                        drop(calls.remove(&call));
                    }
                }
            }
        })
    }
}
