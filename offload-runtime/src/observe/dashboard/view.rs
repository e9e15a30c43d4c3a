//! The numbers as the page gets them: those of [`stats`](crate::stats), what
//! happened lately, and what stands out.

use std::sync::LazyLock;
use std::time::Instant;

use ::axum::body::Bytes;
use serde::Serialize;

use super::notes::{self, Note};
use super::recent::{Recents, Summary};
use crate::api::stats::{FunctionStats, PoolStats, ResourceStats};
use crate::executor::{self, Executor};
use crate::function::Function;
use crate::resource;

#[derive(Serialize)]
struct View {
    /// Milliseconds since somebody looked first.
    at: u64,
    pools: Vec<PoolView>,
    functions: Vec<FunctionView>,
    /// What bodies borrow.
    resources: Vec<ResourceStats>,
    /// The event loops that are watched.
    loops: Vec<LoopView>,
}

#[derive(Serialize)]
struct PoolView {
    #[serde(flatten)]
    stats: PoolStats,
    notes: Vec<Note>,
}

#[derive(Serialize)]
struct FunctionView {
    #[serde(flatten)]
    stats: FunctionStats,
    /// `None`: nobody looked before.
    recent: Option<Summary>,
    notes: Vec<Note>,
}

#[derive(Serialize)]
struct LoopView {
    #[cfg(feature = "watch")]
    #[serde(flatten)]
    stats: crate::LoopStats,
    /// The longest lag of each of the last seconds, in microseconds, the oldest
    /// first.
    history: Vec<u64>,
}

/// All of it, as JSON in one line.
pub(super) fn json(recents: &mut Recents) -> Bytes {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let first = *FIRST;
    let now = Instant::now();
    let view = View {
        at: u64::try_from(now.saturating_duration_since(first).as_millis()).unwrap_or(u64::MAX),
        pools: executor::all().into_iter().map(pool).collect(),
        functions: Function::known().into_iter().map(|one| function(one, recents, now)).collect(),
        resources: resource::all().into_iter().map(ResourceStats::of).collect(),
        loops: loops(),
    };
    // Numbers and names only: nothing in it can fail.
    serde_json::to_vec(&view).unwrap_or_default().into()
}

fn pool(pool: &'static dyn Executor) -> PoolView {
    let stats = PoolStats::of(pool);
    let notes = notes::of_pool(&stats);
    PoolView { stats, notes }
}

fn function(function: &'static Function, recents: &mut Recents, now: Instant) -> FunctionView {
    let stats = FunctionStats::of(function);
    let recent = recents.look(function, now);
    let notes = notes::of_function(&stats, recent.as_ref());
    FunctionView { stats, recent, notes }
}

#[cfg(feature = "watch")]
fn loops() -> Vec<LoopView> {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    crate::observe::watch::records()
        .iter()
        .map(|record| LoopView {
            stats: record.stats(),
            history: record.history().into_iter().map(micros).collect(),
        })
        .collect()
}

#[cfg(not(feature = "watch"))]
fn loops() -> Vec<LoopView> {
    Vec::new()
}
