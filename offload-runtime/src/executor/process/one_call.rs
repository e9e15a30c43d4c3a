//! Inside a worker: one call, from its arguments to the answer.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::messages::{CallHead, Failure, Kind, MAX_NOTE, cut};
use super::outlet::ToParent;
use super::to_parent::{send_blob, whole, with};
use super::{events, panics};
use crate::sync::foreign::drop_payload;
use crate::sync::outer::Outer;
use crate::system::abort::Unpoisoned;
use crate::task::context::Captured;
use crate::task::current::{self, Frame};
use crate::wire::arguments::Arguments;
use crate::wire::codec;
use crate::wire::frames::Outgoing;
use crate::wire::registry;

/// The call that runs.
static CALL: Mutex<Current> = Mutex::new(Current { number: 0, cancelled: 0, flag: None });

struct Current {
    number: u64,
    /// The last call that nobody waits for any more.
    cancelled: u64,
    /// Tells the body that runs.
    flag: Option<Arc<AtomicBool>>,
}

/// Runs one call; the answer, as it is sent.
pub(super) fn answer(
    head: &CallHead,
    mut decoder: codec::Decoder<'_>,
    max_message: usize,
) -> Vec<u8> {
    let begun = |kind: Kind| with(Outgoing::new(kind as u8, MAX_NOTE), &head.number);
    let failed = |failure: &Failure| whole(with(begun(Kind::Failed), failure));
    let entry =
        registry::function(head.function).and_then(|function| Some((function, function.entry()?)));
    let Some((function, entry)) = entry else {
        return failed(&Failure::Arguments("there is no such function".to_owned()));
    };
    let captured = match surroundings(head, &mut decoder) {
        Ok(captured) => captured,
        Err(reason) => return failed(&Failure::Arguments(cut(reason))),
    };
    let cancelled = begin(head.number);
    let mut answer = begun(Kind::Done);
    answer.end_head(max_message);
    if !head.is_relayed {
        answer = answer.with_blobs(send_blob);
    }
    let mut arguments = Arguments::new(decoder, answer);
    let outlet = (head.window > 0).then(|| {
        let name = function.about().name;
        Arc::new(ToParent::new(name, head.window, max_message, Arc::clone(&cancelled)))
    });
    if let Some(outlet) = &outlet {
        arguments = arguments.with_outlet(Arc::<ToParent>::clone(outlet));
    }
    let frame = Frame::of_worker(function.about(), cancelled);
    events::begin(head.level);
    // A body may enter a span, and not leave it.
    let outer = Outer::here();
    let ended = frame.enter(|| {
        match function.lend() {
            Ok(loans) => current::set_loans(loans),
            Err(error) => return Err(error),
        }
        // Unwind safety: what the body shared is its own affair, as it is for
        // the bodies of threads.
        let run = || {
            let mut ended = Ok(());
            let mut body = || ended = entry(&mut arguments);
            captured.enter(function.about(), Duration::ZERO, &mut body);
            ended
        };
        let ended = panics::during(|| catch_unwind(AssertUnwindSafe(run)));
        Ok((ended, current::ran()))
    });
    drop(outer);
    events::end();
    end();
    // Text without a line end is still in the buffer, and would be taken for output of a later call.
    let _ = io::stdout().flush();
    let (ended, ran) = match ended {
        Ok(ended) => ended,
        Err(error) => return failed(&Failure::Unstarted(error)),
    };
    // Whatever the body made of it.
    if let Some(failure) = outlet.and_then(|outlet| outlet.take_failure()) {
        return failed(&failure);
    }
    match ended {
        Ok(Ok(())) => match arguments.into_answer() {
            Ok(Ok(message)) => message,
            Ok(Err(large)) => failed(&Failure::TooLarge(large.bytes)),
            Err(reason) => failed(&Failure::Result(cut(reason))),
        },
        Ok(Err(malformed)) => failed(&Failure::Arguments(cut(malformed.into_reason()))),
        Err(payload) => {
            let panic = panics::take(&*payload, ran);
            drop_payload(payload);
            whole(with(begun(Kind::Panicked), &panic))
        }
    }
}

/// In what surroundings the body of a call runs, if it comes from another machine.
fn surroundings(head: &CallHead, decoder: &mut codec::Decoder<'_>) -> Result<Captured, String> {
    #[cfg(feature = "remote")]
    if head.is_relayed {
        let carried: Vec<(String, String)> = decoder.next()?;
        return Ok(Captured::from_elsewhere(carried.into_iter()));
    }
    let _ = (head, decoder);
    Ok(Captured::NOTHING)
}

/// Nobody awaits this call any more: if its body runs, it is told.
pub(super) fn cancel(number: u64) {
    let mut call = CALL.lock().unpoisoned();
    call.cancelled = number;
    if let (true, Some(flag)) = (call.cancelled == call.number, &call.flag) {
        flag.store(true, Ordering::Release);
    }
}

/// From now on this call runs here. What is returned says whether its caller awaits it no more.
fn begin(number: u64) -> Arc<AtomicBool> {
    let mut call = CALL.lock().unpoisoned();
    let flag = Arc::new(AtomicBool::new(call.cancelled == number));
    (call.number, call.flag) = (number, Some(Arc::clone(&flag)));
    flag
}

/// No call runs here.
fn end() {
    let mut call = CALL.lock().unpoisoned();
    (call.number, call.flag) = (0, None);
}

#[cfg(all(test, not(offload_loom)))]
mod tests;
