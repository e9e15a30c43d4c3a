//! A call where there is no server: its body runs on this machine, with all that would be sent
//! encoded and decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::calls::Calls;
use super::in_flight::{InFlight, Stage};
use super::served::{self, Serving, Site};
use crate::error::Error;
use crate::task::about::About;
use crate::task::context::Captured;
use crate::task::counts::Ending;

/// A call that is made here.
#[derive(Clone)]
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
        let here = self.clone();
        self.submit(move || match pack(&here.call, here.site.max_message) {
            Ok(arguments) => {
                if here.call.begin() {
                    here.call.set_started();
                    here.attempt(1, arguments);
                }
            }
            Err(error) => {
                if here.call.refuse(error) {
                    drop(here.calls.remove(&here.call));
                }
            }
        })
    }

    fn submit(&self, work: impl FnOnce() + Send + 'static) -> Serving {
        let timeout = self.answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        // What it comes to is counted where it was called.
        let about = served::unseen(self.about);
        served::submit(self.site, about, timeout, Captured::none(), work)
    }

    /// On a thread that serves: the `number`th.
    fn attempt(self, number: u32, arguments: Bytes) {
        let function = self.call.parcel.function();
        let answer = served::call(self.site, function, &arguments);
        let has_died = matches!(answer, Err((_, Ending::Died)));
        if has_died && number < function.attempts() && self.call.stage() == Stage::Begun {
            let again = self.clone();
            let (calls, call) = (self.calls, Arc::clone(&self.call));
            calls.set_here(&call, self.submit(move || again.attempt(number + 1, arguments)));
        } else if self.call.end(answer) {
            drop(self.calls.remove(&self.call));
        }
    }
}

/// The arguments of a call, as they are sent.
fn pack(call: &InFlight, max_message: usize) -> Result<Bytes, Error> {
    let pack = || call.parcel.pack(max_message);
    catch_unwind(AssertUnwindSafe(pack))
        .unwrap_or_else(|payload| Err(Error::panicked_before(call.name(), payload)))
}
