//! Which thread is which worker: tokio does not say. A task tells its thread,
//! and the worker that runs it is awake; so workers are called one after the
//! other, and those that have come are held while the next is called.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::probe::Probe;
use crate::system::abort::Unpoisoned;

/// No worker is held for longer, when a program begins to watch …
pub(super) const AT_FIRST: Duration = Duration::from_millis(50);

/// … and when it serves.
pub(super) const LATER: Duration = Duration::from_millis(5);

/// Who did not come is called again after this.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// So long one waits until the others that were woken with it sleep again.
const SETTLING: Duration = Duration::from_micros(500);

/// Holds each worker of a multi-thread runtime for a moment. On a busy runtime
/// not all may come in time: what is missing then is learnt as they poll the probe.
pub(super) fn hold(runtime: &Handle, probe: &Arc<Probe>, longest: Duration) {
    if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
        return;
    }
    let call = Arc::new(Call {
        come: Mutex::new(0),
        changed: Condvar::new(),
        all: runtime.metrics().num_workers(),
        until: Instant::now() + longest,
    });
    for before in 0..call.all {
        drop(runtime.spawn(Come { call: Arc::clone(&call), probe: Arc::clone(probe) }));
        if !call.wait_for(before + 1) {
            break;
        }
    }
}

struct Call {
    /// How many workers have come.
    come: Mutex<usize>,
    changed: Condvar,
    all: usize,
    until: Instant,
}

impl Call {
    /// Waits until so many have come. False: it is too late.
    fn wait_for(&self, workers: usize) -> bool {
        let come = self.come.lock().unpoisoned();
        let left = self.until.saturating_duration_since(Instant::now());
        let woken = self.changed.wait_timeout_while(come, left, |come| *come < workers);
        *woken.unpoisoned().0 >= workers
    }
}

/// A task that a worker comes with.
struct Come {
    call: Arc<Call>,
    probe: Arc<Probe>,
}

impl Future for Come {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let settled = (Instant::now() + SETTLING).min(self.call.until);
        while !self.probe.note() && Instant::now() < settled {
            std::thread::yield_now();
        }
        *self.call.come.lock().unpoisoned() += 1;
        self.call.changed.notify_all();
        self.call.wait_for(self.call.all);
        Poll::Ready(())
    }
}
