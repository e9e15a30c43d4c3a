//! The numbers as the page and `stats.json` have them: those of [`stats`](crate::stats), with units in
//! their names, what happened lately, and what stands out.

use std::time::{Duration, Instant, SystemTime};

use ::axum::body::Bytes;
use serde::Serialize;

use super::notes::{self, Note};
use super::process::Process;
use super::recent::{Recents, Summary};
#[cfg(feature = "watch")]
use crate::api::loops::{Doing, StallStats};
#[cfg(feature = "remote")]
use crate::api::stats::RemoteStats;
#[cfg(feature = "process")]
use crate::api::stats::WorkerStats;
use crate::api::stats::{
    FunctionStats, LimitStats, Oldest, Percentiles, PoolStats, QueueStats, ResourceStats,
};
use crate::executor::{self, Executor};
use crate::function::Function;
use crate::resource;
use crate::task::incidents::{self, Incident, What};

#[derive(Serialize)]
struct View {
    taken_at_unix_seconds: f64,
    process: Process,
    pools: Vec<PoolView>,
    functions: Vec<FunctionView>,
    /// What bodies borrow.
    resources: Vec<ResourceStats>,
    /// The event loops that are watched.
    loops: Vec<LoopView>,
    /// What went wrong last, the last first.
    incidents: Vec<IncidentView>,
}

#[derive(Serialize)]
struct PoolView {
    name: &'static str,
    kind: &'static str,
    threads: usize,
    idle: usize,
    running: usize,
    queued: usize,
    limit: usize,
    queue_limit: Option<usize>,
    #[cfg(feature = "process")]
    workers: Option<WorkerStats>,
    #[cfg(feature = "remote")]
    remote: Option<RemoteView>,
    notes: Vec<Note>,
}

/// What is seen of a remote pool at the server.
#[cfg(feature = "remote")]
#[derive(Serialize)]
struct RemoteView {
    workers: u64,
    waiting: u64,
    oldest_seconds: f64,
    redelivered: u64,
    unawaited: u64,
    serving: u64,
    slots: u64,
}

#[derive(Serialize)]
struct FunctionView {
    name: &'static str,
    kind: &'static str,
    pool: &'static str,
    started: u64,
    finished: u64,
    panicked: u64,
    died: u64,
    killed: u64,
    failed: u64,
    cancelled: u64,
    abandoned: u64,
    refused: u64,
    timed_out: u64,
    running: usize,
    waiting: usize,
    spawned: usize,
    longest_running_seconds: Option<f64>,
    wait_seconds: Seconds,
    run_seconds: Seconds,
    computing_share: Option<f64>,
    better_kind: Option<&'static str>,
    processor_wait_share: Option<f64>,
    limit: Option<LimitStats>,
    queue: Option<QueueStats>,
    /// `None`: nobody looked before.
    last_minute: Option<Summary>,
    notes: Vec<Note>,
}

/// How long something took.
#[derive(Serialize)]
struct Seconds {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[derive(Serialize)]
struct LoopView {
    flavor: &'static str,
    workers: usize,
    stuck_workers: usize,
    lag_seconds: Seconds,
    /// Of each of the last seconds, the oldest first.
    longest_lag_seconds: Vec<f64>,
    stalls: Vec<StallView>,
}

#[derive(Serialize)]
struct StallView {
    thread: String,
    doing: &'static str,
    system_call: Option<&'static str>,
    spans: Vec<String>,
    count: u64,
    longest_seconds: f64,
}

#[derive(Serialize)]
struct IncidentView {
    what: &'static str,
    /// Of a function; `None`: of an event loop.
    function: Option<String>,
    /// Where an event loop was stuck.
    span: Option<String>,
    first_unix_seconds: f64,
    last_unix_seconds: f64,
    times: u64,
    /// Only for those who may see messages.
    message: Option<String>,
}

/// All of it, as JSON in one line.
#[derive(Clone)]
pub(super) struct Json {
    /// Without messages.
    pub(super) plain: Bytes,
    /// For those who may see them.
    pub(super) with_messages: Bytes,
}

/// Takes the numbers. `is_closed`: the page is about to go.
pub(super) fn json(recents: &mut Recents, is_closed: bool) -> Json {
    let now = Instant::now();
    let oldest = Oldest::look();
    let mut view = View {
        taken_at_unix_seconds: unix(SystemTime::now()),
        process: Process::look(is_closed),
        pools: executor::all().into_iter().map(pool).collect(),
        functions: Function::known()
            .into_iter()
            .map(|one| function(one, recents, &oldest, now))
            .collect(),
        resources: resource::all().into_iter().map(ResourceStats::of).collect(),
        loops: loops(),
        incidents: incidents::all().into_iter().map(incident).collect(),
    };
    // Numbers and names only: nothing in it can fail.
    let bytes = |view: &View| Bytes::from(serde_json::to_vec(view).unwrap_or_default());
    let with_messages = bytes(&view);
    view.incidents.iter_mut().for_each(|one| one.message = None);
    Json { plain: bytes(&view), with_messages }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn pool(pool: &'static dyn Executor) -> PoolView {
    let stats = PoolStats::of(pool);
    let notes = notes::of_pool(&stats);
    PoolView {
        name: stats.name,
        kind: stats.kind,
        threads: stats.threads,
        idle: stats.idle,
        running: stats.running,
        queued: stats.queued,
        limit: stats.limit,
        queue_limit: stats.queue_limit,
        #[cfg(feature = "process")]
        workers: stats.workers,
        #[cfg(feature = "remote")]
        remote: stats.remote.map(remote),
        notes,
    }
}

#[cfg(feature = "remote")]
fn remote(stats: RemoteStats) -> RemoteView {
    RemoteView {
        workers: stats.workers,
        waiting: stats.waiting,
        oldest_seconds: stats.oldest.as_secs_f64(),
        redelivered: stats.redelivered,
        unawaited: stats.unawaited,
        serving: stats.serving,
        slots: stats.slots,
    }
}

fn function(
    function: &'static Function,
    recents: &mut Recents,
    oldest: &Oldest,
    now: Instant,
) -> FunctionView {
    let stats = FunctionStats::of(function, oldest);
    let last_minute = recents.look(function, now);
    let notes = notes::of_function(&stats, last_minute.as_ref());
    #[cfg(feature = "process")]
    let (died, killed, failed) = (stats.died, stats.killed, stats.failed);
    #[cfg(not(feature = "process"))]
    let (died, killed, failed) = (0, 0, 0);
    #[cfg(feature = "watch")]
    let (computing_share, better_kind, processor_wait_share) =
        (stats.computing, stats.better_kind, stats.starved);
    #[cfg(not(feature = "watch"))]
    let (computing_share, better_kind, processor_wait_share) = (None, None, None);
    FunctionView {
        name: stats.name,
        kind: stats.kind,
        pool: stats.pool,
        started: stats.started,
        finished: stats.finished,
        panicked: stats.panicked,
        died,
        killed,
        failed,
        cancelled: stats.cancelled,
        abandoned: stats.abandoned,
        refused: stats.refused,
        timed_out: stats.timed_out,
        running: stats.running,
        waiting: stats.waiting,
        spawned: stats.spawned,
        longest_running_seconds: stats.longest_running.map(|time| time.as_secs_f64()),
        wait_seconds: seconds(stats.wait),
        run_seconds: seconds(stats.run),
        computing_share,
        better_kind,
        processor_wait_share,
        limit: stats.limit,
        queue: stats.queue,
        last_minute,
        notes,
    }
}

fn seconds(times: Percentiles) -> Seconds {
    let [p50, p90, p99, max] =
        [times.p50, times.p90, times.p99, times.max].map(|time: Duration| time.as_secs_f64());
    Seconds { p50, p90, p99, max }
}

fn incident(incident: Incident) -> IncidentView {
    let what = match incident.what {
        What::Panicked => "panicked",
        What::Died => "died",
        What::Rejected => "refused",
        What::TimedOut => "timed_out",
        What::Stalled => "stalled",
        What::Starved => "starved",
    };
    let whose = Some(incident.whose).filter(|whose| !whose.is_empty());
    let (function, span) = match incident.what {
        What::Stalled | What::Starved => (None, whose),
        _ => (whose, None),
    };
    IncidentView {
        what,
        function,
        span,
        first_unix_seconds: unix(incident.first),
        last_unix_seconds: unix(incident.last),
        times: incident.times,
        message: Some(incident.words),
    }
}

#[cfg(feature = "watch")]
fn loops() -> Vec<LoopView> {
    crate::observe::watch::records()
        .iter()
        .map(|record| {
            let stats = record.stats();
            LoopView {
                flavor: stats.flavor,
                workers: stats.workers,
                stuck_workers: stats.stuck_workers,
                lag_seconds: seconds(stats.lag),
                longest_lag_seconds: record
                    .history()
                    .into_iter()
                    // The page shows no more than this, and there are hundreds.
                    .map(|time| (time.as_secs_f64() * 1e6).round() / 1e6)
                    .collect(),
                stalls: stats.stalls.into_iter().map(stall).collect(),
            }
        })
        .collect()
}

#[cfg(feature = "watch")]
fn stall(stats: StallStats) -> StallView {
    let system_call = match stats.doing {
        Doing::Waiting(call) => call,
        _ => None,
    };
    StallView {
        thread: stats.thread,
        doing: stats.doing.name(),
        system_call,
        spans: stats.spans,
        count: stats.count,
        longest_seconds: stats.longest.as_secs_f64(),
    }
}

#[cfg(not(feature = "watch"))]
fn loops() -> Vec<LoopView> {
    Vec::new()
}
