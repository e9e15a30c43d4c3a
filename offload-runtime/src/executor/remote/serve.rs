//! How a program becomes a worker of remote pools, and stops being one.

use std::env;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::broker::{self, Link};
use super::executor::Remotes;
use super::failures;
use super::job::WorkerContext;
use super::queue::Queue;
use super::seen::Part;
use super::worker::{self, Worker};
use crate::error::Error;
use crate::executor::{self, Executor, threads};
use crate::sync::foreign::quietly;
use crate::wire::registry;

/// Names the pools whose worker this program is to be.
const WORKER: &str = "OFFLOAD_REMOTE_WORKER";

/// The status of a process that cannot be a worker.
const REJECTED: i32 = 70;

/// How often a worker looks whether the process shuts down.
const LOOK: Duration = Duration::from_millis(100);

/// Stops the worker, also where nobody awaits it any more.
struct Stop(Arc<watch::Sender<bool>>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Whose the signals of the process are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signals {
    /// The worker's, and nobody else's: SIGTERM and SIGINT stop it, and a second one ends it at once.
    Worker,
    /// The program's, which does more besides: SIGTERM stops the worker, and is the program's as well.
    Program,
}

/// Works for these pools until the process gets SIGTERM or shuts down, and what is under way has ended.
pub(crate) async fn serve(pools: Vec<&'static Remotes>) -> Result<(), Error> {
    serve_with(pools, Signals::Program).await
}

async fn serve_with(pools: Vec<&'static Remotes>, signals: Signals) -> Result<(), Error> {
    let runtime = Handle::try_current().ok();
    let link = broker::link()?.ok_or_else(failures::no_server)?;
    threads::CPU.check()?;
    for pool in &pools {
        // From now on it is seen in the numbers of this process.
        pool.check()?;
        pool.body_site().executor.check()?;
    }
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    watch_end(&link, Arc::clone(&stop), signals);
    let stop = Stop(stop);
    let mut ends = Vec::new();
    for pool in pools {
        let (site, plan, label) = (pool.body_site(), pool.plan(), pool.label());
        let queue = Queue { link: link.clone(), pool: label, bound: plan.queue };
        let (name, runtime) = (link.new_name(), runtime.clone());
        let seen = pool.seen();
        let context = WorkerContext {
            link: link.clone(),
            pool: label,
            name,
            site,
            runtime,
            seen: Arc::clone(&seen),
            is_stopping: stopped.clone(),
        };
        let slots = site.executor.load().limit;
        let (tell, told) = oneshot::channel();
        let run = Worker::run(context, queue, plan.ack_wait, slots);
        link.spawn(async move {
            let part = Part::of_slots(&seen, slots);
            let end = run.await;
            drop(part);
            // The waker of who awaits this is foreign.
            quietly(|| drop(tell.send(end)));
        });
        ends.push(told);
    }
    let mut result = Ok(());
    for end in ends {
        result = result.and(end.await.unwrap_or(Err(worker::Disconnected)));
    }
    drop(stop);
    result.map_err(|worker::Disconnected| failures::disconnected(""))
}

/// Stops the worker when the process is told to end.
fn watch_end(link: &Link, stop: Arc<watch::Sender<bool>>, signals: Signals) {
    link.spawn(async move {
        let mut terminated = signal(SignalKind::terminate()).ok();
        let interrupt = (signals == Signals::Worker).then(|| signal(SignalKind::interrupt()));
        let mut interrupted = interrupt.and_then(Result::ok);
        let mut told = async || {
            tokio::select! {
                () = received(&mut terminated) => SignalKind::terminate(),
                () = received(&mut interrupted) => SignalKind::interrupt(),
            }
        };
        let mut stopped = stop.subscribe();
        loop {
            tokio::select! {
                _ = told() => break,
                _ = stopped.changed() => break,
                () = sleep(LOOK) => if executor::is_closed() { break },
            }
        }
        stop.send_replace(true);
        if signals == Signals::Worker {
            // Somebody does not want to wait for what is under way.
            let again = told().await;
            // It fails for signals that there are not.
            let _ = signal_hook::low_level::emulate_default_handler(again.as_raw_value());
        }
    });
}

/// Waits for a signal; for ever, if it cannot be waited for.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// If the environment says so, this process is a worker, and does not return from here.
pub(crate) fn serve_if_asked() {
    let Some(names) = env::var_os(WORKER).filter(|names| !names.is_empty()) else { return };
    let names = names.to_string_lossy().into_owned();
    let result = pools(&names).and_then(run);
    match result {
        Ok(()) => process::exit(0),
        Err(reason) => {
            eprintln!("{WORKER} is `{names}`: {reason}");
            process::exit(REJECTED);
        }
    }
}

/// The pools with these names.
fn pools(names: &str) -> Result<Vec<&'static Remotes>, String> {
    let hosts = registry::remote_pools().into_iter().filter_map(|host| host.as_remote());
    let known: Vec<&'static Remotes> = hosts.filter_map(|pool| pool.downcast_ref()).collect();
    let find = |name: &str| {
        let found = known.iter().find(|pool| pool.label() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|pool| format!("`{}`", pool.label())).collect();
            let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("no function of this program uses a remote pool `{name}`; those that are used: {others}")
        })
    };
    names.split(',').map(str::trim).map(find).collect()
}

fn run(pools: Vec<&'static Remotes>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the system denies a runtime: {error}"))?;
    runtime.block_on(serve_with(pools, Signals::Worker)).map_err(|error| error.to_string())
}
