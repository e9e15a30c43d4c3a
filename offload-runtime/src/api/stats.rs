//! What the pools and functions do and have done, in numbers.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::executor::{self, Executor};
use crate::function::Function;
use crate::resource::{self, Lends};
use crate::sync::histogram::Histogram;
use crate::task::Owner;
use crate::task::about::About;

/// Takes a snapshot of all pools, functions and resources that had a call.
///
/// Counting is always on. Each number is read by itself, so while calls are
/// under way sums may be off by a few.
///
/// ```
/// # use offload_runtime::offload;
/// #[offload(cpu, name = "square")]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # futures::executor::block_on(async {
/// square(7).await;
/// let stats = offload_runtime::stats();
/// let square = stats.functions.iter().find(|function| function.name == "square").unwrap();
/// assert_eq!((square.started, square.finished), (1, 1));
/// # });
/// ```
pub fn stats() -> Stats {
    let oldest = Oldest::look();
    Stats {
        pools: executor::all().into_iter().map(PoolStats::of).collect(),
        functions: Function::known()
            .into_iter()
            .map(|function| FunctionStats::of(function, &oldest))
            .collect(),
        resources: resource::all().into_iter().map(ResourceStats::of).collect(),
        #[cfg(feature = "watch")]
        loops: super::loops::watched(),
    }
}

/// A snapshot of pools, functions and resources, as [`stats`] returns it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// The pools, in the order of their first calls.
    pub pools: Vec<PoolStats>,
    /// The functions, in the order of their first calls.
    pub functions: Vec<FunctionStats>,
    /// The resources, in the order of the first calls that borrow them.
    pub resources: Vec<ResourceStats>,
    /// The runtimes that are [watched](fn@crate::watch).
    #[cfg(feature = "watch")]
    pub loops: Vec<crate::LoopStats>,
}

/// Numbers of one pool, as it is now.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PoolStats {
    /// Its name; `thread`, `cpu` and `process` are the default pools.
    pub name: &'static str,
    /// Its kind: `thread`, `cpu`, `process` or `remote`.
    pub kind: &'static str,
    /// Threads that there are.
    pub threads: usize,
    /// Threads that have nothing to do.
    pub idle: usize,
    /// Calls whose bodies run.
    pub running: usize,
    /// Calls that wait for a thread; those that were dropped are not counted.
    pub queued: usize,
    /// The most threads that there may be, besides those in the place of blocked bodies.
    pub limit: usize,
    /// The most calls that may wait for a thread; `None`: no bound.
    pub queue_limit: Option<usize>,
    /// Its processes, if it is of the kind `process`. Each call that has one
    /// has a thread too, which waits for it.
    #[cfg(feature = "process")]
    pub workers: Option<WorkerStats>,
    /// Its stream and its workers, if it is of the kind `remote`, and there is a server.
    #[cfg(feature = "remote")]
    pub remote: Option<RemoteStats>,
}

/// What this process has seen of a remote pool at the server: one that calls, and one that works for the pool.
///
/// A worker looks at the pool only while somebody reads these numbers: so if nobody has for a minute, the first look
/// has old ones of `workers`, `waiting` and `oldest`.
#[cfg(feature = "remote")]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RemoteStats {
    /// Workers that have said within 16 s that they are there.
    pub workers: u64,
    /// Calls of all programs in the stream of the pool, at most 5 s ago. In a process that has no calls out it is as old as the
    /// last time that this was read, if that was more than a minute ago: read it more often than that.
    pub waiting: u64,
    /// How long the first of them had waited then, and as old as that; zero if there was none.
    pub oldest: Duration,
    /// Calls of this process that were given to another worker, since theirs was lost; and of those that it got as a
    /// worker, such as were another's before. A call of its own that it gets back as a worker is counted once.
    pub redelivered: u64,
    /// Answers that came when nobody waited for them any more; and those that it had as a worker, and of
    /// which no caller was there to take them.
    pub unawaited: u64,
    /// Calls that it has as a worker, and has not answered.
    pub serving: u64,
    /// The most bodies of the pool that it runs at once as a worker; 0: it is none.
    pub slots: u64,
}

#[cfg(feature = "remote")]
impl RemoteStats {
    fn of(remote: executor::Remote) -> RemoteStats {
        let executor::Remote { workers, messages, oldest, again, unawaited, serving, slots } =
            remote;
        RemoteStats {
            workers,
            waiting: messages,
            oldest,
            redelivered: again,
            unawaited,
            serving,
            slots,
        }
    }
}

/// Numbers of the workers of one pool, as they are now and have been.
#[cfg(feature = "process")]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WorkerStats {
    /// Processes that can take a call or have one.
    pub alive: usize,
    /// Processes that wait for a call.
    pub idle: usize,
    /// Processes that died by themselves: a crash, an exit, a kill by others.
    pub restarts: u64,
    /// Processes that were killed, since nobody waited for their call.
    pub kills: u64,
    /// Processes that were replaced between calls: by `max_jobs` or `max_memory`.
    pub recycled: u64,
}

#[cfg(feature = "process")]
impl WorkerStats {
    fn of(workers: executor::Workers) -> WorkerStats {
        let executor::Workers { alive, idle, restarts, kills, recycled } = workers;
        WorkerStats { alive, idle, restarts, kills, recycled }
    }
}

/// Numbers of one function, since its first call.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FunctionStats {
    /// Its label: the option `name`, or its path.
    pub name: &'static str,
    /// Its kind: `thread`, `cpu`, `process` or `remote`.
    pub kind: &'static str,
    /// The name of its pool.
    pub pool: &'static str,
    /// Bodies that started. Each ends as `finished` or `panicked`, or, in a
    /// process, as `died`, `killed` or `failed`.
    pub started: u64,
    /// Bodies that returned.
    pub finished: u64,
    /// Bodies that panicked.
    pub panicked: u64,
    /// Bodies whose process died.
    #[cfg(feature = "process")]
    pub died: u64,
    /// Bodies whose process was killed, since nobody waited for them any more.
    #[cfg(feature = "process")]
    pub killed: u64,
    /// Calls whose arguments or result could not be sent, or whose worker could not make what they
    /// [borrow](crate::Resource).
    #[cfg(feature = "process")]
    pub failed: u64,
    /// Calls that never started, since their future was dropped (also before it
    /// gave the answer that the call was rejected) or their deadline passed.
    pub cancelled: u64,
    /// Bodies that ended after their future was dropped, or their deadline passed;
    /// they are also `finished` or `panicked`.
    pub abandoned: u64,
    /// Calls that were rejected: too many were queued, the process shuts down, it would be a
    /// deadlock, a setting makes no sense, or the system has no thread for a deadline.
    pub refused: u64,
    /// Calls that were answered by a deadline, or were [started](crate::Started) and ended by it, though nobody
    /// had their handle any more; they are also `cancelled` or, when their body has ended, `abandoned`.
    pub timed_out: u64,
    /// Bodies that run now. One of a stream that waits for its consumer is not counted.
    pub running: usize,
    /// Calls that wait now, for a permit, a resource or a thread; those that were dropped are not
    /// counted.
    pub waiting: usize,
    /// For how long the oldest body has run, of those that run now; that of a stream, since it
    /// last waited for its consumer. `None`: none runs.
    pub longest_running: Option<Duration>,
    /// Calls under way that were started at once (by `spawn`, [`spawn_thread`](crate::spawn_thread) and the
    /// like), whether somebody waits for their handles or not. If it grows, more is started than gets done, and
    /// no caller is slowed down by it: `queue` and `limit` are what bounds it.
    pub spawned: usize,
    /// The times from the first poll to the start of the body.
    pub wait: Percentiles,
    /// The times from the start of the body to its end.
    pub run: Percentiles,
    /// The share of their time for which its bodies computed, from 0 to 1, when
    /// enough of them were sampled; `None` for what runs in other processes.
    ///
    /// One body in 64 is sampled, of functions whose bodies take longer than
    /// 100 µs one in 16, and of each function the first ones: the processor time
    /// of its thread against the time that passed. What it was ready to run and
    /// had no processor, since others had them, is neither computing nor waiting:
    /// on Linux it is not counted (`/proc/thread-self/schedstat`; where that cannot
    /// be read, this stays `None`). Other systems do not tell it, so there a body
    /// that computes among many seems to wait for a part of its time.
    #[cfg(feature = "watch")]
    pub computing: Option<f64>,
    /// The kind that it should be, if most of what its bodies do is of that
    /// kind: three fifths of their time. This is reported once, too, as a
    /// `tracing` warning of the target `offload`.
    ///
    /// What each system gives:
    ///
    /// | | Linux | other Unix | others |
    /// | --- | --- | --- | --- |
    /// | a `thread` function that computes | yes | where there are cores for all | no |
    /// | a `cpu` function that waits | yes | no | no |
    #[cfg(feature = "watch")]
    pub better_kind: Option<&'static str>,
    /// The share of their time for which its bodies were ready to run and had no processor, from 0
    /// to 1, when enough of them were sampled; `None` where the system does not tell (not
    /// Linux), and for what runs in other processes. When it is half of their time or more,
    /// that is reported once, as a `tracing` warning of the target `offload`: the machine is
    /// busy with something else, or the [`Priority`](crate::Priority) of the pool is too low.
    #[cfg(feature = "watch")]
    pub starved: Option<f64>,
    /// Numbers of its option `limit`; `None`: it has none.
    pub limit: Option<LimitStats>,
    /// Numbers of its option `queue`; `None`: it has none.
    pub queue: Option<QueueStats>,
}

/// Numbers of the limiter of a function, which others may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LimitStats {
    /// The most bodies that may run at once.
    pub permits: usize,
    /// Bodies that run now.
    pub used: usize,
    /// Calls that wait for a permit.
    pub waiting: usize,
}

/// Numbers of one resource, since the first call that borrows it.
///
/// What a worker process has of its own is not counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ResourceStats {
    /// Its name.
    pub name: &'static str,
    /// Its kind: `exclusive` for a [`Resource`](crate::Resource), `shared` for a
    /// [`SharedResource`](crate::SharedResource), `thread` for a
    /// [`ThreadResource`](crate::ThreadResource).
    pub kind: &'static str,
    /// The most bodies that may have it at once; `None`: no bound.
    pub size: Option<usize>,
    /// Bodies that have it, also in worker processes.
    pub in_use: usize,
    /// Calls that wait for it.
    pub waiting: usize,
    /// Instances that were made.
    pub made: u64,
    /// Instances that were dropped: their body panicked, `check` said no, or nobody has used them for
    /// the time of `keep_alive`, their thread has ended, or the process shuts down.
    pub dropped: u64,
    /// Instances that could not be made.
    pub failed: u64,
}

impl ResourceStats {
    pub(crate) fn of(lends: Lends) -> ResourceStats {
        let numbers = lends.0.numbers();
        ResourceStats {
            name: lends.0.name(),
            kind: lends.0.kind(),
            size: numbers.size,
            in_use: numbers.in_use,
            waiting: numbers.waiting,
            made: numbers.made,
            dropped: numbers.dropped,
            failed: numbers.failed,
        }
    }
}

/// Numbers of the calls of a function that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct QueueStats {
    /// The most calls that may wait; one more is rejected.
    pub bound: usize,
    /// Calls that wait now.
    pub waiting: usize,
}

/// Percentiles of how long something took. They are at most an eighth too long, but for `max`, which
/// is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Percentiles {
    /// The median: half of all took no longer.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// When the oldest body began, of each function of which one runs.
pub(crate) struct Oldest {
    now: Instant,
    began: Vec<(&'static About, Instant)>,
}

impl Oldest {
    /// Looks at all executors.
    pub(crate) fn look() -> Oldest {
        let mut began: Vec<(&'static About, Instant)> = Vec::new();
        let mut see = |about: &'static About, at: Instant| match began
            .iter_mut()
            .find(|(known, _)| ptr::eq(*known, about))
        {
            Some((_, first)) => *first = at.min(*first),
            None => began.push((about, at)),
        };
        executor::all().into_iter().for_each(|executor| executor.bodies(&mut see));
        Oldest { now: Instant::now(), began }
    }

    fn of(&self, about: &About) -> Option<Duration> {
        let (_, at) = self.began.iter().find(|(known, _)| ptr::eq(*known, about))?;
        Some(self.now.saturating_duration_since(*at))
    }
}

impl PoolStats {
    pub(crate) fn of(executor: &'static dyn Executor) -> PoolStats {
        let load = executor.load();
        PoolStats {
            name: executor.name(),
            kind: executor.kind(),
            threads: load.threads,
            idle: load.idle,
            running: load.running,
            queued: load.queued,
            limit: load.limit,
            queue_limit: load.queue_limit,
            #[cfg(feature = "process")]
            workers: load.workers.map(WorkerStats::of),
            #[cfg(feature = "remote")]
            remote: load.remote.map(RemoteStats::of),
        }
    }
}

impl FunctionStats {
    pub(crate) fn of(function: &'static Function, oldest: &Oldest) -> FunctionStats {
        let about = function.about();
        let counts = about.counts();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // In this order: no more have finished than started.
        let finished = counts.finished();
        FunctionStats {
            name: about.name,
            kind: about.kind,
            pool: function.executor().name(),
            started: counts.started(),
            finished,
            panicked: read(&counts.panicked),
            #[cfg(feature = "process")]
            died: read(&counts.died),
            #[cfg(feature = "process")]
            killed: read(&counts.killed),
            #[cfg(feature = "process")]
            failed: read(&counts.failed),
            cancelled: read(&counts.cancelled),
            abandoned: read(&counts.abandoned),
            refused: read(&counts.rejected),
            timed_out: read(&counts.timed_out),
            running: counts.running(),
            waiting: counts.waiting(),
            longest_running: oldest.of(about),
            spawned: counts.spawned(),
            wait: Percentiles::of(&counts.wait),
            run: Percentiles::of(&counts.run),
            #[cfg(feature = "watch")]
            computing: about.cpu_time.computing(),
            #[cfg(feature = "watch")]
            better_kind: about.cpu_time.better_kind(about.kind),
            #[cfg(feature = "watch")]
            starved: about.cpu_time.starving(),
            limit: function.limiter().map(|limiter| LimitStats {
                permits: limiter.limit(),
                used: limiter.in_use(),
                waiting: limiter.waiting(),
            }),
            queue: function
                .queue_bound()
                .map(|bound| QueueStats { bound, waiting: function.waiting() }),
        }
    }
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram) -> Percentiles {
        let ([p50, p90, p99], max) = histogram.percentiles([0.5, 0.9, 0.99]);
        Percentiles { p50, p90, p99, max }
    }
}
