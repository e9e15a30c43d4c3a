//! A worker of a pool: gets calls out of the stream, as many as it may run, and drains when it is told to
//! stop.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{Message, StatusCode};
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::unconstrained;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::broker::{PATIENCE, next};
use super::job::{Heard, Job, WorkerContext};
use super::known_workers::SAY_SO;
use super::messages::{self, Presence, ToWorker};
use super::queue::{PAUSE, Queue};
use super::seen::{Part, Seen};
use super::subjects;
use super::survey::Survey;
use crate::sync::foreign::quietly;
use crate::system::abort::Unpoisoned;
use crate::wire::registry;

/// A request for a call waits so long at the server.
const REQUEST: Duration = Duration::from_secs(30);

/// Meanwhile the server says so often that it is there, to each slot: with thousands of them that is most of what it does.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A request of whose server nothing was heard for so long is lost.
const LOST: Duration = Duration::from_secs(12);

/// A request that the server has rejected is made again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it looks for requests that are lost; and it says that it is there no more often than this.
const LOOK: Duration = Duration::from_millis(500);

/// The calls that a worker has, by their names: what is heard of them goes there.
type Routes = Arc<Mutex<HashMap<String, UnboundedSender<Heard>>>>;

/// What has become of something that was begun.
enum Done {
    /// The call of this slot has ended, or was none of ours.
    Slot(usize),
    /// An answer was delivered, or given up.
    Delivered,
    /// The server was asked for what calls are got from; `None`: to no avail.
    Consumer(Option<Arc<PullConsumer>>),
}

/// The client has ended, and does not come back.
pub(super) struct Disconnected;

/// See the [module](self).
pub(super) struct Worker {
    context: Arc<WorkerContext>,
    queue: Queue,
    ack_wait: Duration,
    routes: Routes,
    slots: Vec<Slot>,
    done: UnboundedSender<Done>,
    deliveries: usize,
    consumer: Consumer,
    /// When it said last that it is there.
    said: Option<Instant>,
    /// It was asked whether it is there, and has not said so.
    is_probed: bool,
    survey: Survey,
}

/// What calls are got from.
enum Consumer {
    Unknown,
    /// A look for it at the server is under way.
    Asked,
    Known(Arc<PullConsumer>),
}

/// Takes one call at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slot {
    /// It has nothing to do, and has not asked for a call.
    Free,
    /// It has asked. Of the server something was heard then.
    Asked {
        heard: Instant,
    },
    /// It has asked, and was rejected then: the consumer is gone, say, or on its way to another server.
    Rejected {
        at: Instant,
    },
    Busy,
}

impl Worker {
    /// Works until it is told to stop, and then until what is under way has ended.
    pub(super) async fn run(
        context: WorkerContext,
        queue: Queue,
        ack_wait: Duration,
        slots: usize,
    ) -> Result<(), Disconnected> {
        let (client, mut stop) = (context.link.client.clone(), context.is_stopping.clone());
        let (own, probe) =
            (subjects::worker(context.pool, &context.name), subjects::probe(context.pool));
        let subscribe = async |subject| client.subscribe(subject).await.map_err(|_| Disconnected);
        let mut to_worker = subscribe(format!("{own}.call.>")).await?;
        let mut probes = subscribe(probe).await?;
        // What is pulled has the subject under which it was stored, so each slot has a subscription.
        let mut pulls = Vec::new();
        for slot in 0..slots.max(1) {
            pulls.push(subscribe(format!("{own}.pull.{slot}")).await?);
        }
        let (done, mut is_done) = unbounded_channel();
        let slots = vec![Slot::Free; slots.max(1)];
        let context = Arc::new(context);
        let routes = Routes::default();
        let survey = Survey::new(Arc::clone(&context.seen), queue.clone());
        let mut worker = Worker {
            context,
            queue,
            ack_wait,
            routes,
            slots,
            done,
            deliveries: 0,
            consumer: Consumer::Unknown,
            said: None,
            is_probed: false,
            survey,
        };
        let (mut says, mut looks) = (interval(SAY_SO), interval(LOOK));
        says.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped: Option<Instant> = None;
        loop {
            let is_stopping = stopped.is_some();
            let is_drained = pulls.is_empty() || stopped.is_some_and(|at| at.elapsed() > PATIENCE);
            if is_stopping && worker.is_done() && is_drained {
                break;
            }
            if !is_stopping {
                worker.request();
            }
            tokio::select! {
                message = next(&mut to_worker) => match message {
                    Some(message) => worker.route(&message),
                    None => return Err(Disconnected),
                },
                (slot, message) = next_of(&mut pulls) => match message {
                    Some(message) => worker.pulled(slot, message, is_stopping),
                    None if is_stopping => drop(pulls.swap_remove(slot)),
                    None => return Err(Disconnected),
                },
                _ = next(&mut probes) => worker.probed(is_stopping),
                _ = says.tick() => {
                    worker.say_present(is_stopping);
                    worker.survey.look().await;
                }
                message = worker.survey.next() => worker.survey.hear(message),
                // Requests may be lost, and it may be connected only now.
                _ = looks.tick() => if worker.is_probed || worker.said.is_none() {
                    worker.say_present(is_stopping);
                },
                Some(done) = is_done.recv() => match done {
                    Done::Slot(slot) => worker.slots[slot] = Slot::Free,
                    Done::Delivered => worker.deliveries -= 1,
                    Done::Consumer(found) => {
                        worker.consumer = found.map_or(Consumer::Unknown, Consumer::Known);
                    }
                },
                _ = stop.changed(), if !is_stopping => {
                    stopped = Some(Instant::now());
                    worker.say_present(true);
                    // Nothing is to come from now on; what is on its way is handed back. Nobody waits for
                    // a client that does not take this.
                    for pull in &mut pulls {
                        let _ = unconstrained(timeout(Duration::ZERO, pull.drain())).await;
                    }
                }
            }
        }
        // If the server is not there, nobody is.
        let _ = tokio::time::timeout(PATIENCE, client.flush()).await;
        Ok(())
    }

    /// Nothing is under way.
    fn is_done(&self) -> bool {
        self.deliveries == 0
    }

    /// Somebody asks who is there: many may ask at once, and all hear the answer.
    fn probed(&mut self, is_stopping: bool) {
        self.is_probed = true;
        if self.said.is_none_or(|said| said.elapsed() >= LOOK) {
            self.say_present(is_stopping);
        }
    }

    fn say_present(&mut self, is_stopping: bool) {
        if !self.context.link.is_connected() {
            self.said = None;
            return;
        }
        self.said = Some(Instant::now());
        self.is_probed = false;
        let worker = self.context.name.clone();
        let presence = if is_stopping {
            Presence::Leaving { worker }
        } else {
            let functions = registry::functions_of(self.context.site.host);
            let functions = functions.map(|function| function.about().name.to_owned()).collect();
            Presence::Here { worker, functions }
        };
        let subject = subjects::present(self.context.pool);
        self.context.link.say(subject, None, messages::write(&presence, b""));
    }

    /// Asks for as many calls as there are slots that have nothing to do.
    fn request(&mut self) {
        let now = Instant::now();
        let is_idle = |slot: &Slot| match slot {
            Slot::Free => true,
            Slot::Asked { heard } => now.saturating_duration_since(*heard) > LOST,
            Slot::Rejected { at } => now.saturating_duration_since(*at) > AGAIN,
            Slot::Busy => false,
        };
        if !self.context.link.is_connected() {
            // The server forgets what was asked.
            for slot in &mut self.slots {
                if matches!(slot, Slot::Asked { .. } | Slot::Rejected { .. }) {
                    *slot = Slot::Free;
                }
            }
            return;
        }
        if !self.slots.iter().any(is_idle) {
            return;
        }
        // What was asked and not answered may be gone with the consumer.
        let mut is_lost = false;
        for slot in self.slots.iter_mut().filter(|slot| is_idle(slot) && **slot != Slot::Free) {
            *slot = Slot::Free;
            is_lost = true;
        }
        let consumer = match &self.consumer {
            Consumer::Known(consumer) if !is_lost => consumer,
            Consumer::Asked => return,
            Consumer::Known(_) | Consumer::Unknown => return self.find_consumer(),
        };
        let own = subjects::worker(self.context.pool, &self.context.name);
        for (number, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| is_idle(slot)) {
            let expires = Some(REQUEST);
            let request = BatchConfig {
                batch: 1,
                expires,
                idle_heartbeat: HEARTBEAT,
                ..BatchConfig::default()
            };
            let (consumer, here) = (Arc::clone(consumer), format!("{own}.pull.{number}").into());
            self.context.link.send(async move {
                // If the request is lost, the slot asks again.
                let _ = consumer.request_batch(request, here).await;
            });
            *slot = Slot::Asked { heard: Instant::now() };
        }
    }

    /// Asks the server for what calls are got from. That takes its time, in which what is heard is dealt with.
    fn find_consumer(&mut self) {
        self.consumer = Consumer::Asked;
        let (queue, ack_wait, done) = (self.queue.clone(), self.ack_wait, self.done.clone());
        self.context.link.spawn(async move {
            let found = queue.consumer(ack_wait).await;
            if let Err(reason) = &found {
                // A subscriber is foreign, and its panic would be one of ours here.
                quietly(|| {
                    tracing::warn!(
                        target: "offload",
                        pool = queue.pool,
                        reason,
                        "no calls can be got"
                    );
                });
                sleep(PAUSE).await;
            }
            let _ = done.send(Done::Consumer(found.ok().map(Arc::new)));
        });
    }

    /// Something was said of a call that is here.
    fn route(&self, message: &Message) {
        let (call, terms) = subjects::of_call(&message.subject);
        let heard = match (message.status, terms) {
            // There is no stream, and the call is claimed again.
            (Some(_), Some(_)) => None,
            (None, Some(terms)) => Some(Heard::Granted(terms)),
            (Some(StatusCode::NO_RESPONDERS), None) => Some(Heard::Nobody),
            _ => messages::read::<ToWorker>(&message.payload).map(|(told, _)| Heard::Told(told)),
        };
        let route = self.routes.lock().unpoisoned().get(call).cloned();
        if let Some((route, heard)) = route.zip(heard) {
            let _ = route.send(heard);
        }
    }

    /// A call has come out of the stream, or the reason why there is none.
    fn pulled(&mut self, slot: usize, message: Message, is_stopping: bool) {
        match message.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::IDLE_HEARTBEAT) => {
                if let Slot::Asked { heard } = &mut self.slots[slot] {
                    *heard = Instant::now();
                }
                return;
            }
            // It has waited for long enough.
            Some(StatusCode::TIMEOUT) => {
                if self.slots[slot] != Slot::Busy {
                    self.slots[slot] = Slot::Free;
                }
                return;
            }
            Some(_) => {
                if self.slots[slot] != Slot::Busy {
                    self.slots[slot] = Slot::Rejected { at: Instant::now() };
                }
                return;
            }
        }
        let id = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(subjects::CALL)?.as_str().parse().ok());
        // A request that was thought to be lost was not, or there is to be no further one.
        let is_surplus = self.slots[slot] == Slot::Busy || is_stopping;
        let Some(id) = id.filter(|_| !is_surplus) else {
            let what = if is_surplus { &b"-NAK"[..] } else { b"+TERM" };
            if let Some(acknowledge) = message.reply {
                self.context.link.say(acknowledge, None, Bytes::from_static(what));
            }
            if !is_surplus {
                self.slots[slot] = Slot::Free;
            }
            return;
        };
        self.begin(slot, id, message);
    }

    fn begin(&mut self, slot: usize, id: subjects::CallId, message: Message) {
        let name = id.to_string();
        let (hear, heard) = unbounded_channel();
        match self.routes.lock().unpoisoned().entry(name.clone()) {
            // It is here already: it was offered again, since its caller did not answer, or the server has not heard of it.
            Entry::Occupied(route) => {
                if let Some(acknowledge) = message.reply {
                    let _ = route.get().send(Heard::Offered(acknowledge));
                }
                self.slots[slot] = Slot::Free;
                return;
            }
            Entry::Vacant(vacant) => drop(vacant.insert(hear)),
        }
        self.slots[slot] = Slot::Busy;
        self.deliveries += 1;
        let part = Part::of_serving(&self.context.seen);
        let delivered = message.reply.as_ref().and_then(|reply| subjects::delivered(reply));
        let is_next_attempt = id.attempt > 1 && !self.context.seen.is_own(&id.caller);
        if is_next_attempt || delivered.is_some_and(|times| times > 1) {
            Seen::count(&self.context.seen.again);
        }
        let context = Arc::clone(&self.context);
        let job = Job { context, id, message, heard, is_unwanted: false };
        let (routes, done) = (Arc::clone(&self.routes), self.done.clone());
        self.context.link.spawn(async move {
            let mut is_left = false;
            let delivery = job
                .run(|| {
                    is_left = true;
                    let _ = done.send(Done::Slot(slot));
                })
                .await;
            if !is_left {
                // Another call may run here while the answer is on its way.
                let _ = done.send(Done::Slot(slot));
            }
            if let Some(delivery) = delivery {
                delivery.deliver().await;
            }
            drop(routes.lock().unpoisoned().remove(&name));
            drop(part);
            let _ = done.send(Done::Delivered);
        });
    }
}

/// What comes next by any of these, by its number.
async fn next_of<S: Stream + Unpin>(streams: &mut [S]) -> (usize, Option<S::Item>) {
    poll_fn(|cx| {
        let mut streams = streams.iter_mut().enumerate();
        let ready = streams.find_map(|(number, stream)| match Pin::new(stream).poll_next(cx) {
            Poll::Ready(item) => Some((number, item)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
