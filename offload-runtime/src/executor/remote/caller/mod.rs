//! The caller's end of a pool at the broker: one task, on the thread of the connection, which knows
//! every call of this process that is out.
//!
//! # The protocol
//!
//! A call is put into the stream, and a worker gets it, which *claims* it here. Whether it begins is
//! decided here, by [`InFlight::begin`]: one that was cancelled does not, nor one that has begun
//! elsewhere. If it begins, the server is told that the message has arrived, and that the message is gone it is to say
//! to the worker, and not here, under a subject that has what the caller says besides: so the worker is *granted* the
//! call by one message, half of a way there and back earlier than if it were told from here, and starts the body. From then on it says that it works, until
//! its answer is *received*. Whatever is lost on the way is said again, by the one that waits for what follows,
//! and does nothing when it arrives twice.
//!
//! A worker of which nothing is heard for `ack_wait` while there is a connection is lost. Then the call
//! has failed, or, if its function has `attempts`, is put into the stream again as the next
//! attempt. A connection is one on which something is heard: the server is asked for a sign of life more often than
//! workers say that they work.
//!
//! The task waits for nothing but what comes next: what takes time is done by others, which send it a
//! [`Request`] when it is done.

mod outstanding;
mod publishing;
mod receiving;

use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use self::outstanding::Outstanding;
pub(super) use self::outstanding::ToSend;
use super::broker::next;
use super::failures;
use super::in_flight::Stage;
use super::known_workers::{KnownWorkers, SAY_SO};
use super::queue::{Queue, Rejection};
use super::seen::{Readers, Seen};
use super::served::Site;
use super::subjects;
use crate::task::counts::Ending;

/// How often it looks for calls that are late, if workers do not say more often that they work.
const LOOK: Duration = Duration::from_secs(1);

/// What the other threads of the process ask of it, and what was begun comes to.
pub(super) enum Request {
    Send(ToSend),
    /// It was cancelled, or rejected, before it had begun.
    Forget(u64),
    /// It has begun, and nobody awaits it any more.
    Cancel(u64),
    Stored {
        number: u64,
        attempt: u32,
        stored: Result<u64, Rejection>,
    },
    /// The result was in the object store.
    Fetched {
        number: u64,
        attempt: u32,
        result: Result<Bytes, String>,
    },
    /// A worker did not know its function, and then others were asked, who have said by now what they know.
    Unknown {
        number: u64,
        since: Instant,
    },
}

/// See the [module](self), for those who send calls.
pub(super) struct Caller {
    requests: UnboundedSender<Request>,
}

impl Caller {
    /// Starts it. `ack_wait`: a worker of which nothing is heard for so long is lost.
    pub(super) fn start(queue: Queue, site: Site, seen: Arc<Seen>, ack_wait: Duration) -> Caller {
        let (requests, received) = unbounded_channel();
        let link = queue.link.clone();
        let name = link.new_name();
        seen.set_caller(&name);
        let dispatcher = Dispatcher {
            name,
            queue,
            site,
            ack_wait,
            requests: requests.clone(),
            outstanding: HashMap::new(),
            workers: KnownWorkers::default(),
            seen,
            readers: Readers::default(),
            was_wanted: false,
            connected_since: None,
            link_heard: Instant::now(),
            is_probed: false,
            looked: Instant::now(),
            has_objects: false,
        };
        link.spawn(dispatcher.run(received));
        Caller { requests }
    }

    pub(super) fn ask(&self, request: Request) {
        // It runs as long as the process does.
        let _ = self.requests.send(request);
    }
}

/// The task: it sends calls out, and deals with what is heard of them.
struct Dispatcher {
    /// Of this process, as workers know it.
    name: String,
    queue: Queue,
    site: Site,
    ack_wait: Duration,
    requests: UnboundedSender<Request>,
    /// Those that have not ended, by their numbers.
    outstanding: HashMap<u64, Outstanding>,
    workers: KnownWorkers,
    seen: Arc<Seen>,
    readers: Readers,
    /// The number of calls in the stream was wanted at the last look.
    was_wanted: bool,
    /// `None`: it is not.
    connected_since: Option<Instant>,
    /// When something came from the server.
    link_heard: Instant,
    /// All workers were asked to say that they are there.
    is_probed: bool,
    /// When it looked for workers that are lost.
    looked: Instant,
    /// Something was in the object store.
    has_objects: bool,
}

impl Dispatcher {
    async fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        let client = self.queue.link.client.clone();
        let (here, workers) =
            (subjects::caller(self.queue.pool, &self.name), subjects::present(self.queue.pool));
        let mut subscribing = pin!(async {
            let to_caller = client.subscribe(here).await.ok()?;
            Some((to_caller, client.subscribe(workers).await.ok()?))
        });
        let (mut to_caller, mut present) = (None, None);
        let mut ticks = interval(self.beat().min(LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counts = interval(SAY_SO);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                subscribed = &mut subscribing, if to_caller.is_none() => match subscribed {
                    Some(subscribed) => (to_caller, present) = (Some(subscribed.0), Some(subscribed.1)),
                    None => break,
                },
                request = requests.recv() => match request {
                    Some(request) => self.handle(request),
                    None => return,
                },
                message = next_of(&mut to_caller) => match message {
                    Some(message) => self.hear(&message),
                    None => break,
                },
                message = next_of(&mut present) => match message {
                    Some(message) => self.hear_presence(&message),
                    None => break,
                },
                _ = ticks.tick() => self.look(),
                _ = counts.tick() => self.look_into_stream(),
            }
        }
        // The client has ended, and does not come back.
        let lost: Vec<u64> = self.outstanding.keys().copied().collect();
        lost.into_iter().for_each(|number| self.fail_disconnected(number));
        while let Some(request) = requests.recv().await {
            if let Request::Send(to_send) = request {
                let number = to_send.call.number();
                self.outstanding.insert(number, Outstanding::new(to_send));
                self.fail_disconnected(number);
            }
        }
    }

    /// How often workers are to say that they work.
    fn beat(&self) -> Duration {
        self.ack_wait / 5
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Send(to_send) => {
                // What is over was cancelled, and is forgotten.
                if to_send.call.stage() == Stage::Waiting {
                    let number = to_send.call.number();
                    let mut out = Outstanding::new(to_send);
                    let bytes = out.arguments.as_ref().map_or(0, Bytes::len);
                    out.is_object = bytes > self.queue.link.max_body();
                    self.has_objects |= out.is_object;
                    self.outstanding.insert(number, out);
                    self.publish(number);
                }
            }
            Request::Forget(number) => self.forget(number),
            Request::Cancel(number) => self.cancel(number),
            Request::Stored { number, attempt, stored } => self.stored(number, attempt, stored),
            Request::Fetched { number, attempt, result } => {
                let Some(out) = self.outstanding.get(&number) else { return };
                let result = result.map_err(|reason| {
                    (failures::no_result(out.call.name(), &reason), Ending::Failed)
                });
                // What a lost attempt has left may be gone; the next one goes on.
                if out.attempt == attempt || (out.attempt > attempt && result.is_ok()) {
                    self.end(number, result);
                }
            }
            Request::Unknown { number, since } => {
                let Some(out) = self.outstanding.get(&number) else { return };
                let name = out.call.name();
                if let Some(workers) = self.workers.without(name, since, Instant::now()) {
                    let error = failures::unknown(name, workers);
                    self.reject(number, error);
                }
            }
        }
    }

    /// Asks the server how many calls are queued, while calls are out or somebody reads the numbers, and once more when that
    /// is over.
    fn look_into_stream(&mut self) {
        let is_wanted = self.readers.are_there(&self.seen) || !self.outstanding.is_empty();
        if std::mem::replace(&mut self.was_wanted, is_wanted) || is_wanted {
            self.seen.look_into(&self.queue);
        }
    }

    /// Whether calls are late, or workers are lost.
    fn look(&mut self) {
        let now = Instant::now();
        self.seen.workers.store(self.workers.alive(now), Ordering::Relaxed);
        let numbers: Vec<u64> = self.outstanding.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.expire(number, now));
        self.ask_for_echo();
        let looked = std::mem::replace(&mut self.looked, now);
        // What was said while this process was stopped, or this task was busy, is still to be heard.
        let was_away = now.saturating_duration_since(looked) > 2 * self.beat();
        // Also where nobody has told the client that its connection leads nowhere.
        let is_deaf = now.saturating_duration_since(self.link_heard) > 3 * self.beat();
        // Nothing is heard of anybody without a connection, and for a moment after it.
        if was_away || is_deaf || !self.queue.link.is_connected() {
            self.connected_since = None;
            return;
        }
        if !std::mem::replace(&mut self.is_probed, true) {
            self.probe();
        }
        let since = *self.connected_since.get_or_insert(now);
        let is_lost = |out: &Outstanding| {
            let assigned = out.assignment.as_ref().filter(|assigned| !assigned.has_answered)?;
            let silent = now.saturating_duration_since(assigned.heard.max(since));
            (silent >= self.ack_wait).then(|| (assigned.worker.clone(), silent))
        };
        let lost: Vec<_> = self
            .outstanding
            .iter()
            .filter_map(|(number, out)| {
                is_lost(out).map(|(worker, silent)| (*number, worker, silent))
            })
            .collect();
        for (number, worker, silent) in lost {
            self.give_up_worker(number, &worker, silent);
        }
    }
}

/// The next message; without a subscription it waits for ever.
async fn next_of(subscriber: &mut Option<Subscriber>) -> Option<Message> {
    match subscriber {
        Some(subscriber) => next(subscriber).await,
        None => pending().await,
    }
}
