//! How late the event loop is, and what blocks its workers: seen from a thread of its own,
//! which a loop that stands still cannot silence.
//!
//! The thread does two things at each look, for each runtime. It wakes a task
//! of its own there ([`probe`]) and notes how late that is polled: the lag. And it
//! reads what each worker of the runtime says of its turns ([`workers`]); one
//! that is awake and has not ended a turn for longer than the threshold is
//! stuck. What its thread is doing then, the system tells ([`thread`]), and, if
//! the program has a [`WatchLayer`](spans::WatchLayer), in which span.

mod discovery;
mod probe;
mod record;
#[cfg(feature = "watch-spans")]
pub(crate) mod spans;
mod system_calls;
mod thread;
mod workers;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread as os;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use self::probe::Probe;
pub(crate) use self::record::Record;
use self::record::Subscriber;
use self::workers::Workers;
use crate::api::loops;
use crate::error::{Error, ErrorKind, Ran};
use crate::executor::settings;
use crate::sync::foreign::drop_quietly;
use crate::system::abort::{Unpoisoned, abort_on_panic};

/// Watches the event loop of the tokio runtime that this is called in, until
/// the runtime ends.
///
/// ```
/// #[tokio::main]
/// async fn main() -> Result<(), offload_runtime::Error> {
///     offload_runtime::watch()?;
///     // … serve …
/// #   assert_eq!(offload_runtime::stats().loops.len(), 1);
///     Ok(())
/// }
/// ```
///
/// From then on [`stats`](crate::stats) and the dashboard show how late the loop
/// is: the time from the moment at which a task is woken to the moment at which
/// it is polled. And when a worker of the runtime is stuck in a poll for longer
/// than a threshold, it is reported, by a `tracing` warning of the target
/// `offload` and in [`stats`](crate::stats): which thread, for how long so far,
/// whether it computes or waits, and what to do about it. The threshold is
/// 100 ms, or [`stall_threshold`](crate::Builder::stall_threshold).
///
/// Each place is reported once. A place is the span that the stuck task is in,
/// if the program has a `WatchLayer` (feature `watch-spans`). Without one, all that
/// is known of a place is what the thread does there, so the same is reported
/// again, at most once a minute. [`stats`](crate::stats) counts all of them.
///
/// A worker that was ready to run and had no processor is not stuck: it is reported as
/// [`Starved`](crate::Doing::Starved), and belongs to no span: the machine has more to do than it can.
/// If it turns out to use more processor time than the threshold in the same turn, it is reported as
/// [`Computing`](crate::Doing::Computing) as well.
///
/// To call it again in the same runtime changes nothing.
///
/// # What each system gives
///
/// | | Linux | others |
/// | --- | --- | --- |
/// | lag, which worker is stuck, for how long | yes | yes |
/// | the span it is in | with `WatchLayer` | with `WatchLayer` |
/// | the thread's name | yes | yes |
/// | its id, for a debugger or profiler | yes | no |
/// | computes, waits, or is ready to run and does not get a processor | yes | no |
/// | the system call that it waits in | yes, unless a sandbox forbids it | no |
///
/// There is no stack: no well-kept crate can take that of another thread of the
/// same process without stopping it in a signal handler, where little is safe. With
/// the id of the thread, `gdb -p` or `eu-stack -p` show it from outside.
///
/// # What it does not see
///
/// - What is between two looks: a stall is noticed when it has lasted for the
///   threshold and up to a quarter more, and said to be that much shorter.
/// - One long poll, as against many that are each too long: a worker of tokio's
///   says that a turn has ended after 61 polls, or when it runs out of work.
/// - The future that `block_on` (and so `#[tokio::main]`) runs beside a multi-thread
///   runtime: what blocks it stops nothing else.
/// - A current-thread runtime that nobody drives looks like one that is stuck.
///
/// # What it costs
///
/// It is off by default, since it is not free: a thread that wakes 40 times a
/// second (four times in a threshold), a task that is polled as often, and two
/// numbers read for each worker. `cargo bench -p offload-benches --bench dashboard`
/// measures it, with a dashboard that is looked at. And this call holds each worker of a multi-thread runtime for a
/// moment, to learn which thread is which: for less than a millisecond, or, on a
/// machine that is busy, 50 at most. Where that was not enough it is tried again
/// once a second, for at most five.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), if there is no tokio runtime here, or a
/// setting makes no sense; [`Unavailable`](crate::ErrorKind::Unavailable), if the
/// system denies the thread.
pub fn watch() -> Result<(), Error> {
    let handle = Handle::try_current().map_err(|_| {
        Error::config("`watch` was called outside of a tokio runtime: there is no loop to watch")
    })?;
    let mut state = lock();
    let entry = state.entry(&handle)?;
    entry.for_good = true;
    let probe = Arc::clone(&entry.probe);
    drop(state);
    probe.begin(&handle);
    if !probe.knows_all() {
        discovery::hold(&handle, &probe, discovery::AT_FIRST);
    }
    Ok(())
}

/// All that is watched.
static WATCHED: Watched = Watched {
    state: Mutex::new(State { entries: Vec::new(), resting: VecDeque::new(), running: false }),
    changed: Condvar::new(),
};

struct Watched {
    state: Mutex<State>,
    /// The thread may have nothing left to watch.
    changed: Condvar,
}

struct State {
    entries: Vec<Entry>,
    /// What is known of loops that are not watched any more, the one that was watched last at the end.
    resting: VecDeque<(Id, Arc<Record>)>,
    /// The thread is there.
    running: bool,
}

/// A runtime that is watched.
struct Entry {
    handle: Handle,
    probe: Arc<Probe>,
    record: Arc<Record>,
    /// Until the runtime ends.
    for_good: bool,
    /// Those who watch it for a while.
    watchers: usize,
    /// When the last of them left: a page may just be asking again.
    left: Option<Instant>,
}

/// How long a loop is still watched when the last who watched it has left.
const KEEP: Duration = Duration::from_secs(5);

/// Of so many loops that are not watched any more it is kept what is known of them.
const RESTING: usize = 16;

fn lock() -> MutexGuard<'static, State> {
    WATCHED.state.lock().unpoisoned()
}

impl State {
    /// The entry of this runtime, and a thread that looks at it.
    fn entry(&mut self, handle: &Handle) -> Result<&mut Entry, Error> {
        let threshold = settings::stall_threshold()?;
        if !self.running {
            let started = os::Builder::new().name("offload-lag".into());
            let run = move || abort_on_panic("the thread that watches", || look_on(threshold));
            started.spawn(run).map_err(|denial| {
                let what = format!("the system denied `watch` its thread: {denial}");
                Error::new(ErrorKind::Unavailable, Ran::No, "", what)
            })?;
            self.running = true;
        }
        loops::set_watched(|| records().iter().map(|record| record.stats()).collect());
        let id = handle.id();
        let place = self.entries.iter().position(|entry| entry.is(id)).unwrap_or_else(|| {
            let record = self.rested(handle).unwrap_or_else(|| Arc::new(Record::new(handle)));
            self.entries.push(Entry::new(handle, record));
            self.entries.len() - 1
        });
        Ok(&mut self.entries[place])
    }

    /// Keeps what is known of a loop that is not watched any more.
    fn rest(&mut self, entry: &Entry) -> Subscriber {
        if self.resting.len() >= RESTING {
            self.resting.pop_front();
        }
        self.resting.push_back((entry.handle.id(), Arc::clone(&entry.record)));
        entry.record.rest()
    }

    /// What is known of a loop that was watched before: it goes on from there.
    fn rested(&mut self, handle: &Handle) -> Option<Arc<Record>> {
        let is_its = |one: &(Id, Arc<Record>)| one.0 == handle.id() && one.1.fits(handle);
        let place = self.resting.iter().rposition(is_its)?;
        let (_, record) = self.resting.remove(place)?;
        record.go_on();
        Some(record)
    }
}

impl Entry {
    fn new(handle: &Handle, record: Arc<Record>) -> Entry {
        let probe = Arc::new(Probe::new(handle.metrics(), Arc::clone(&record)));
        Entry { handle: handle.clone(), probe, record, for_good: false, watchers: 0, left: None }
    }

    fn is(&self, id: Id) -> bool {
        self.handle.id() == id && !self.probe.is_gone()
    }

    fn is_watched(&self) -> bool {
        self.for_good || self.watchers > 0 || self.left.is_some_and(|left| left.elapsed() < KEEP)
    }
}

/// Watches a runtime until it is dropped.
#[cfg(feature = "axum")]
pub(crate) struct Watching(Id);

#[cfg(feature = "axum")]
impl Watching {
    /// On the runtime of this thread, if there is one.
    pub(crate) fn here() -> Option<Watching> {
        let handle = Handle::try_current().ok()?;
        lock().entry(&handle).ok()?.watchers += 1;
        Some(Watching(handle.id()))
    }
}

#[cfg(feature = "axum")]
impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.is(self.0)) {
            entry.watchers -= 1;
            entry.left = Some(Instant::now());
            WATCHED.changed.notify_all();
        }
    }
}

/// What is known of the loops that are watched.
pub(crate) fn records() -> Vec<Arc<Record>> {
    lock().entries.iter().map(|entry| Arc::clone(&entry.record)).collect()
}

/// The same, and what is known of loops that were watched.
#[cfg(feature = "metrics")]
pub(crate) fn all_records() -> Vec<Arc<Record>> {
    let state = lock();
    let resting = state.resting.iter().map(|(_, record)| record);
    state.entries.iter().map(|entry| &entry.record).chain(resting).cloned().collect()
}

/// What the thread does.
fn look_on(threshold: Duration) {
    let period = (threshold / 4).max(Duration::from_millis(1));
    let mut eyes: Vec<Eye> = Vec::new();
    let mut last = Instant::now();
    loop {
        let mut state = lock();
        let (kept, ended): (Vec<_>, Vec<_>) =
            state.entries.drain(..).partition(|entry| entry.is_watched() && !entry.probe.is_gone());
        state.entries = kept;
        let subscribers: Vec<_> = ended.iter().map(|entry| state.rest(entry)).collect();
        for entry in &state.entries {
            if !eyes.iter().any(|eye| Arc::ptr_eq(&eye.probe, &entry.probe)) {
                eyes.push(Eye::new(entry));
            }
        }
        if state.entries.is_empty() {
            state.running = false;
        }
        let running = state.running;
        drop(state);
        for entry in &ended {
            entry.probe.end();
        }
        eyes.retain(|eye| !ended.iter().any(|entry| Arc::ptr_eq(&entry.probe, &eye.probe)));
        // They have the last handles by now, and with those what the program gave the runtimes.
        ended.into_iter().for_each(drop_quietly);
        subscribers.into_iter().for_each(drop_quietly);
        if !running {
            return;
        }

        let now = Instant::now();
        // After a pause of the whole process, nobody is said to have been stuck.
        let passed = now.saturating_duration_since(last).min(period * 2);
        last = now;
        for eye in &mut eyes {
            eye.look(now, passed, threshold);
        }
        let state = lock();
        let woken = WATCHED.changed.wait_timeout(state, period);
        drop(woken);
    }
}

/// What the thread has of one runtime.
struct Eye {
    handle: Handle,
    probe: Arc<Probe>,
    record: Arc<Record>,
    workers: Workers,
    /// When the threads of the workers are asked for again, if one is not known.
    next_call: Option<Instant>,
}

impl Eye {
    fn new(entry: &Entry) -> Eye {
        Eye {
            handle: entry.handle.clone(),
            probe: Arc::clone(&entry.probe),
            record: Arc::clone(&entry.record),
            workers: Workers::new(entry.handle.metrics().num_workers()),
            // Whoever watches for good does it once by itself.
            next_call: entry.for_good.then(|| Instant::now() + discovery::PAUSE),
        }
    }

    fn look(&mut self, now: Instant, passed: Duration, threshold: Duration) {
        self.probe.begin(&self.handle);
        if self.next_call.is_none_or(|next| next <= now)
            && !self.probe.knows_all()
            && !self.workers.is_one_still()
        {
            discovery::hold(&self.handle, &self.probe, discovery::LATER);
            self.next_call = Some(now + discovery::PAUSE);
        }
        let outstanding = self.probe.probe(now);
        self.record.late(now, outstanding);
        self.workers.look(&self.handle.metrics(), &self.probe, &self.record, passed, threshold);
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// A visit: what is known of the loop while it is watched.
    fn visit(state: &mut State, runtime: &Runtime) -> Arc<Record> {
        let handle = runtime.handle();
        let record = state.rested(handle).unwrap_or_else(|| Arc::new(Record::new(handle)));
        state.rest(&Entry::new(handle, Arc::clone(&record)));
        record
    }

    #[test]
    fn a_loop_that_is_watched_now_and_then_is_the_same_each_time() {
        let mut state = State { entries: Vec::new(), resting: VecDeque::new(), running: false };
        let (one, other) = (runtime(), runtime());
        let [first, second] = [&one, &other].map(|runtime| visit(&mut state, runtime));
        assert!(!Arc::ptr_eq(&first, &second));
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&visit(&mut state, &other), &second));
            assert!(Arc::ptr_eq(&visit(&mut state, &one), &first));
        }
        // Of many that come and go it is not kept what is known of all.
        for _ in 0..RESTING {
            visit(&mut state, &runtime());
        }
        assert_eq!(state.resting.len(), RESTING);
        assert!(!Arc::ptr_eq(&visit(&mut state, &one), &first));
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn each_sort_of_stall_is_counted_in_a_series_of_its_own() {
        use metrics_exporter_prometheus::PrometheusBuilder;

        use super::record::Stall;
        use crate::api::loops::Doing;

        let runtime = runtime();
        let record = Arc::new(Record::new(runtime.handle()));
        let sorts =
            [Doing::Computing, Doing::Waiting(Some("read")), Doing::Starved, Doing::Unknown];
        for (times, doing) in (1..).zip(sorts) {
            let stall = Stall { threads: Vec::new(), doing, spans: Vec::new(), lasts: KEEP };
            (0..times).for_each(|_| drop(record.stuck(&stall)));
        }
        // As of a loop that is not watched any more.
        lock().resting.push_back((runtime.handle().id(), Arc::clone(&record)));
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, crate::publish_metrics);
        lock().resting.retain(|(_, one)| !Arc::ptr_eq(one, &record));
        let scrape = handle.render();
        let of_loop = format!("loop=\"{}\"", record.number());
        for (times, doing) in (1..).zip(["computing", "waiting", "starved", "unknown"]) {
            let is_it = |line: &&str| {
                line.starts_with("offload_loop_stalls_total{")
                    && line.contains(&of_loop)
                    && line.contains(&format!("doing=\"{doing}\""))
            };
            let series = scrape.lines().find(is_it).unwrap_or_else(|| panic!("{doing}: {scrape}"));
            assert!(series.ends_with(&format!(" {times}")), "{series}");
        }
    }
}
