//! Inside a worker: what is known of a panic, for the parent.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{self, PanicHookInfo};

use super::messages::{Panic, cut};
use crate::error::Ran;
use crate::task::current;

thread_local! {
    /// A body runs on this thread.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    /// The last panic on it.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// From now on a panic in a body is reported when it begins: it may be the last
/// that the process does. What the program's own hook does, it still does.
pub(crate) fn report(tell: fn(&Panic)) {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        note(info, tell);
        hook(info);
    }));
}

fn note(info: &PanicHookInfo<'_>, tell: fn(&Panic)) {
    let panic = Panic {
        message: message(info.payload()),
        place: info.location().map(ToString::to_string),
        backtrace: backtrace(),
        ran: current::ran(),
    };
    if RUNNING.get() {
        tell(&panic);
    }
    LAST.set(Some(panic));
}

/// Where it began, if backtraces are asked for: the first search for symbols takes a new process
/// some ten milliseconds.
fn backtrace() -> Option<String> {
    let backtrace = Backtrace::capture();
    (backtrace.status() == BacktraceStatus::Captured).then(|| cut(backtrace.to_string()))
}

/// Runs a body here.
pub(crate) fn during<T>(body: impl FnOnce() -> T) -> T {
    LAST.set(None);
    RUNNING.set(true);
    let result = body();
    RUNNING.set(false);
    result
}

/// What is known of a panic that was caught, by when the body had begun or not.
pub(crate) fn take(payload: &(dyn Any + Send), ran: Ran) -> Panic {
    let message = message(payload);
    // Another may have been caught by the body, and this one resumed.
    let known = LAST.take().filter(|last| last.message == message);
    let known = known.unwrap_or(Panic { message, place: None, backtrace: None, ran });
    Panic { ran, ..known }
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.map_or_else(|| "a value that is no text".to_owned(), cut)
}
