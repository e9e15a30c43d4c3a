//! The caller's end of a pool at the broker: one task, on the thread of the connection, which knows
//! every call of this process that is out.
//!
//! # The protocol
//!
//! A call is put into the stream, and a worker gets it, which *claims* it here. Whether it begins is
//! decided here, by [`InFlight::begin`]: one that was cancelled does not, nor one that has begun
//! elsewhere. If it begins, the server is told that the message has arrived, and when it has confirmed that
//! the message is gone, the worker is *granted* the call, and starts the body. From then on
//! it says that it works, until its answer is *received*. Whatever is lost on the way is said again, by
//! the one that waits for what follows, and does nothing when it arrives twice.
//!
//! A worker of which nothing is heard for `ack_wait` while there is a connection is lost. Then the call
//! has failed, or, if its function has `attempts`, is put into the stream again as the next
//! attempt.

mod hears;
mod out;
mod sends;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use self::out::Out;
pub(super) use self::out::ToSend;
use super::broker::next;
use super::calls::Calls;
use super::failures;
use super::in_flight::Stage;
use super::known_workers::{KnownWorkers, SAY_SO};
use super::queue::{Queue, Refusal};
use super::seen::Seen;
use super::served::Site;
use super::subjects;
use crate::executor::Remote;
use crate::task::counts::Ending;

/// What the other threads of the process ask of it, and what was begun comes to.
pub(super) enum Request {
    Send(ToSend),
    /// It was cancelled, or refused, before it had begun.
    Forget(u64),
    /// It has begun, and nobody awaits it any more.
    Cancel(u64),
    Stored {
        number: u64,
        attempt: u32,
        stored: Result<u64, Refusal>,
    },
    Acknowledged {
        number: u64,
        attempt: u32,
        is_gone: bool,
    },
    /// The result was in the object store.
    Fetched {
        number: u64,
        attempt: u32,
        result: Result<Bytes, String>,
    },
    /// A worker did not know its function, and then others were asked.
    Judge {
        number: u64,
        since: Instant,
    },
}

/// See the [module](self), for those who send calls.
pub(super) struct Caller {
    requests: UnboundedSender<Request>,
    seen: Arc<Seen>,
}

impl Caller {
    /// Starts it. `ack_wait`: a worker of which nothing is heard for so long is lost.
    pub(super) fn start(
        queue: Queue,
        site: Site,
        calls: &'static Calls,
        ack_wait: Duration,
    ) -> Caller {
        let (requests, received) = unbounded_channel();
        let seen = Arc::new(Seen::default());
        let link = queue.link.clone();
        let at_work = AtWork {
            name: link.new_name(),
            queue,
            site,
            calls,
            ack_wait,
            requests: requests.clone(),
            out: HashMap::new(),
            workers: KnownWorkers::default(),
            seen: Arc::clone(&seen),
            connected_since: None,
            looked: Instant::now(),
            has_objects: false,
        };
        link.spawn(at_work.run(received));
        Caller { requests, seen }
    }

    pub(super) fn ask(&self, request: Request) {
        // It runs as long as the process does.
        let _ = self.requests.send(request);
    }

    pub(super) fn seen(&self) -> Remote {
        self.seen.numbers()
    }
}

/// The task.
struct AtWork {
    /// Of this process, as workers know it.
    name: String,
    queue: Queue,
    site: Site,
    calls: &'static Calls,
    ack_wait: Duration,
    requests: UnboundedSender<Request>,
    /// Those that have not ended, by their numbers.
    out: HashMap<u64, Out>,
    workers: KnownWorkers,
    seen: Arc<Seen>,
    /// `None`: it is not.
    connected_since: Option<Instant>,
    /// When it looked for workers that are lost.
    looked: Instant,
    /// Something was in the object store.
    has_objects: bool,
}

impl AtWork {
    async fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        let client = self.queue.link.client.clone();
        let to_caller = client.subscribe(subjects::caller(self.queue.pool, &self.name)).await;
        let present = client.subscribe(subjects::present(self.queue.pool)).await;
        let subscriptions: Option<(Subscriber, Subscriber)> = to_caller.ok().zip(present.ok());
        if let Some((mut to_caller, mut present)) = subscriptions {
            self.probe().await;
            let mut ticks = interval(self.beat());
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut counts = interval(SAY_SO);
            counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    request = requests.recv() => match request {
                        Some(request) => self.handle(request).await,
                        None => return,
                    },
                    message = next(&mut to_caller) => match message {
                        Some(message) => self.hear(&message).await,
                        None => break,
                    },
                    message = next(&mut present) => match message {
                        Some(message) => self.hear_presence(&message),
                        None => break,
                    },
                    _ = ticks.tick() => self.look(),
                    _ = counts.tick() => self.count(),
                }
            }
        }
        // The client has ended, and does not come back.
        let lost: Vec<u64> = self.out.keys().copied().collect();
        lost.into_iter().for_each(|number| self.fail_disconnected(number));
        while let Some(request) = requests.recv().await {
            if let Request::Send(to_send) = request {
                let number = to_send.call.number;
                self.out.insert(number, Out::new(to_send));
                self.fail_disconnected(number);
            }
        }
    }

    /// How often workers are to say that they work.
    fn beat(&self) -> Duration {
        self.ack_wait / 5
    }

    async fn handle(&mut self, request: Request) {
        match request {
            Request::Send(to_send) => {
                // What is over was cancelled, and is forgotten.
                if to_send.call.stage() == Stage::Waiting {
                    let number = to_send.call.number;
                    let mut out = Out::new(to_send);
                    let bytes = out.arguments.as_ref().map_or(0, Bytes::len);
                    out.is_object = bytes > self.queue.link.max_body();
                    self.has_objects |= out.is_object;
                    self.out.insert(number, out);
                    self.send(number);
                }
            }
            Request::Forget(number) => {
                if let Some(out) = self.remove(number) {
                    self.take_out(out.sequence);
                }
            }
            Request::Cancel(number) => self.cancel(number).await,
            Request::Stored { number, attempt, stored } => self.stored(number, attempt, stored),
            Request::Acknowledged { number, attempt, is_gone } => {
                self.acknowledged(number, attempt, is_gone).await;
            }
            Request::Fetched { number, attempt, result } => {
                let Some(out) = self.out.get(&number) else { return };
                let result = result.map_err(|reason| {
                    (failures::no_result(out.call.name(), &reason), Ending::Failed)
                });
                // What a lost attempt has left may be gone; the next one goes on.
                if out.attempt == attempt || (out.attempt > attempt && result.is_ok()) {
                    self.end(number, result);
                }
            }
            Request::Judge { number, since } => {
                let Some(out) = self.out.get(&number) else { return };
                if let Some(workers) = self.workers.without(out.call.name(), since) {
                    let error = failures::unknown(out.call.name(), workers);
                    self.refuse(number, error);
                }
            }
        }
    }

    /// Asks the server what waits.
    fn count(&self) {
        let (queue, seen) = (self.queue.clone(), Arc::clone(&self.seen));
        self.queue.link.spawn(async move {
            if let Some((messages, oldest)) = queue.waiting().await {
                seen.messages.store(messages, Ordering::Relaxed);
                let oldest = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
                seen.oldest.store(oldest, Ordering::Relaxed);
            }
        });
    }

    /// Whether workers are lost.
    fn look(&mut self) {
        let now = Instant::now();
        self.seen.workers.store(self.workers.alive(now), Ordering::Relaxed);
        let looked = std::mem::replace(&mut self.looked, now);
        // What was said while this process was stopped, or this task was busy, is still to be heard.
        let was_away = now.saturating_duration_since(looked) > 2 * self.beat();
        // Nothing is heard of anybody without a connection, and for a moment after it.
        if was_away || !self.queue.link.is_connected() {
            self.connected_since = None;
            return;
        }
        let since = *self.connected_since.get_or_insert(now);
        let is_lost = |out: &Out| {
            let taken =
                out.taken.as_ref().filter(|taken| taken.is_granted && !taken.has_answered)?;
            let silent = now.saturating_duration_since(taken.heard.max(since));
            (silent >= self.ack_wait).then(|| (taken.worker.clone(), silent))
        };
        let lost: Vec<_> = self
            .out
            .iter()
            .filter_map(|(number, out)| {
                is_lost(out).map(|(worker, silent)| (*number, worker, silent))
            })
            .collect();
        for (number, worker, silent) in lost {
            self.lose(number, &worker, silent);
        }
    }
}
