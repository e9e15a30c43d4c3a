//! What stands out, in words: what somebody who looks at the numbers should
//! look at first, and what they can do about it.

#[cfg(feature = "remote")]
use std::time::Duration;

use serde::Serialize;

use super::recent::Summary;
#[cfg(feature = "remote")]
use crate::api::stats::RemoteStats;
use crate::api::stats::{FunctionStats, PoolStats};

/// One thing that stands out.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Note {
    level: Level,
    text: String,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// Something was lost, or will be.
    Bad,
    /// It is worth a look.
    Warn,
}

fn bad(text: String) -> Note {
    Note { level: Level::Bad, text }
}

fn warn(text: String) -> Note {
    Note { level: Level::Warn, text }
}

/// From this share of a bound on, it is near.
const NEAR: f64 = 0.8;

fn is_near(now: usize, bound: usize) -> bool {
    bound > 0 && now as f64 >= bound as f64 * NEAR
}

/// What stands out about a function.
pub(super) fn of_function(stats: &FunctionStats, recent: Option<&Summary>) -> Vec<Note> {
    let mut notes = Vec::new();
    #[cfg(feature = "watch")]
    notes.extend(of_kind(stats).into_iter().chain(of_starving(stats.starved)));
    if let Some(limit) = stats.limit {
        if limit.waiting > 0 && limit.used >= limit.permits {
            notes.push(warn(format!(
                "At its limit: all {} permits are taken, and {}.",
                limit.permits,
                calls(limit.waiting, "waits for one", "wait for one"),
            )));
        } else if limit.permits > 1 && is_near(limit.used, limit.permits) {
            notes.push(warn(format!(
                "Near its limit: {} of {} permits are taken.",
                limit.used, limit.permits
            )));
        }
    }
    let near = stats.queue.filter(|queue| queue.waiting > 0 && is_near(queue.waiting, queue.bound));
    if let Some(queue) = near {
        let (waiting, bound) = (queue.waiting, queue.bound);
        notes.push(warn(format!(
            "Near the end of its queue: {waiting} of {bound} calls wait; one more is rejected."
        )));
    }
    let Some(recent) = recent else { return notes };
    for (count, one, more) in [
        (recent.refused, "was rejected", "were rejected"),
        (recent.timed_out, "ran out of time", "ran out of time"),
        (recent.panicked, "panicked", "panicked"),
        (recent.died, "lost its process", "lost their processes"),
    ] {
        if count > 0 {
            let calls = calls(usize::try_from(count).unwrap_or(usize::MAX), one, more);
            notes.push(bad(format!("In the last minute {calls}.")));
        }
    }
    notes
}

/// That it is of the wrong kind.
#[cfg(feature = "watch")]
fn of_kind(stats: &FunctionStats) -> Option<Note> {
    let (better, share) = (stats.better_kind?, stats.computing?);
    let percent = (share * 100.0).round();
    let does = crate::task::cpu_time::does(better);
    Some(bad(format!(
        "Of the wrong kind: it {does} most of its time (it computes {percent} % of it), and is \
         `{}`. Write #[offload({better})].",
        stats.kind
    )))
}

/// That its bodies wait for a processor most of their time.
#[cfg(feature = "watch")]
fn of_starving(share: Option<f64>) -> Option<Note> {
    let percent = (share.filter(|share| *share >= 0.5)? * 100.0).round();
    Some(warn(format!(
        "Its bodies wait for a processor {percent} % of their time: others have it. Raise the \
         priority of its pool, or give the machine less to do."
    )))
}

/// What stands out about a pool.
pub(super) fn of_pool(stats: &PoolStats) -> Vec<Note> {
    let mut notes = Vec::new();
    #[cfg(feature = "remote")]
    if stats.kind == "remote" {
        notes.extend(stats.remote.and_then(of_remote));
        return notes;
    }
    let what = if stats.kind == "process" { "workers" } else { "threads" };
    if stats.queued > 0 && stats.running >= stats.limit {
        notes.push(warn(format!(
            "Full: all {} {what} are at work, and {}.",
            stats.limit,
            calls(stats.queued, "waits", "wait")
        )));
    } else if stats.kind == "thread" && is_near(stats.running, stats.limit) {
        notes.push(warn(format!(
            "Near its limit: {} of {} {what} are at work.",
            stats.running, stats.limit
        )));
    }
    let near = stats.queue_limit.filter(|bound| stats.queued > 0 && is_near(stats.queued, *bound));
    if let Some(bound) = near {
        notes.push(warn(format!(
            "Near the end of its queue: {} of {bound} calls wait; one more is rejected.",
            stats.queued
        )));
    }
    notes
}

/// The first call of a stream has waited for long from here on.
#[cfg(feature = "remote")]
const LONG: Duration = Duration::from_secs(30);

/// That nobody comes for the calls that wait at the server.
#[cfg(feature = "remote")]
fn of_remote(remote: RemoteStats) -> Option<Note> {
    let waiting = usize::try_from(remote.waiting).unwrap_or(usize::MAX);
    if waiting == 0 {
        return None;
    }
    let wait = calls(waiting, "waits", "wait");
    if remote.workers == 0 {
        return Some(bad(format!("No worker is there, and {wait} in the stream.")));
    }
    let seconds = remote.oldest.as_secs();
    (remote.oldest >= LONG).then(|| {
        warn(format!(
            "Its workers do not keep up: {wait} in the stream, the first of them for {seconds} s."
        ))
    })
}

fn calls(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 call {one}") } else { format!("{count} calls {more}") }
}

#[cfg(all(test, feature = "watch", not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_mostly_wait_for_a_processor_stand_out() {
        assert_eq!(of_starving(None), None);
        assert_eq!(of_starving(Some(0.4)), None);
        let note = of_starving(Some(0.75)).unwrap();
        assert!(note.text.starts_with("Its bodies wait for a processor 75 % of their time"));
    }
}
