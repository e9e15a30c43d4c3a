//! One call at the worker that has got it: claimed, begun, answered. What its caller does is in
//! [`caller`](super::caller).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::AckKind;
use async_nats::{HeaderName, HeaderValue, Message, Subject};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{Span, info_span};

use super::broker::Link;
use super::failures;
use super::messages::{self, Outcome, ToCaller, ToWorker};
use super::objects::{IfFull, Objects};
use super::parcel::Answer;
use super::seen::Seen;
use super::served::{self, Counted, Serving, Site};
use super::subjects::{self, CallId, Terms};
use crate::error::{Error, ErrorKind};
use crate::sync::foreign::quietly;
use crate::task::context::Captured;
use crate::task::incidents;
use crate::wire::registry::{self, Callable, Named};

/// How long a worker waits for an answer before it says something again.
const AGAIN: Duration = Duration::from_secs(1);

/// A caller that has not answered so many claims, and of which the server does not say that it is not there, is stopped, or cut
/// off: no slot waits for it any longer.
const CLAIMS: u32 = 3;

/// A call that nobody here knows is offered to others after this.
const HAND_BACK: Duration = Duration::from_secs(1);

/// A call whose caller does not answer the worker goes back to the queue, which delivers it again after this delay. The
/// delay doubles each time, up to 16 times this.
const OFFER_AGAIN: Duration = Duration::from_secs(1);

/// An answer is kept so long beyond its deadline, as its caller's clock is another, and the network slow.
const KEEP_ANSWER: Duration = Duration::from_secs(30);

/// An answer is given up whose caller is not there for so long, as the server says. One that has lost its
/// connection is back sooner.
const CALLER_AWAY: Duration = Duration::from_secs(15);

/// A worker that ends waits so long for a caller of which nothing is heard, and which the server does not say is not
/// there: it is stopped, or cut off. The server has the answer for it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// A caller that was not there so often when the worker said that it works does not come back.
const CALLER_GONE: u32 = 15;

/// What is heard of a call.
#[derive(Debug)]
pub(super) enum Heard {
    Told(ToWorker),
    /// Its message is gone, as the server says, and its caller has granted it under these terms.
    Granted(Terms),
    /// Its caller is not there.
    Nobody,
    /// It has come out of the stream once more. This is where that is acknowledged.
    Offered(Subject),
}

/// The worker, as its calls know it.
pub(super) struct WorkerContext {
    pub(super) link: Link,
    pub(super) pool: &'static str,
    /// Its name.
    pub(super) name: String,
    pub(super) site: Site,
    /// In which runtime bodies are, if the program has one.
    pub(super) runtime: Option<Handle>,
    pub(super) seen: Arc<Seen>,
    /// The worker takes no more calls, and ends when those that are here have.
    pub(super) is_stopping: watch::Receiver<bool>,
}

/// See the [module](self).
pub(super) struct Job {
    pub(super) context: Arc<WorkerContext>,
    pub(super) id: CallId,
    /// As it came out of the stream.
    pub(super) message: Message,
    pub(super) heard: UnboundedReceiver<Heard>,
    /// It was heard that nobody waits for it any more.
    pub(super) is_unwanted: bool,
}

/// A call that has begun.
struct Begun {
    /// Its caller is answered without it then.
    answer_by: Option<Instant>,
    beat: Duration,
}

impl Begun {
    /// The body may start now.
    fn now(Terms { left, beat }: Terms) -> Begun {
        // What is beyond the clock is no deadline.
        let answer_by =
            left.and_then(|left| Instant::now().checked_add(Duration::from_millis(left)));
        Begun { answer_by, beat: Duration::from_millis(beat.max(1)) }
    }

    /// The body is not to start, and its caller is told so.
    fn not_granted() -> Begun {
        Begun { answer_by: None, beat: AGAIN }
    }
}

/// What a body came to, on its way to its caller.
pub(super) struct Delivery {
    job: Job,
    outcome: Outcome,
    body: Bytes,
    give_up: Instant,
    beat: Duration,
}

impl Job {
    /// Runs the call. What it came to is still to be delivered, if there is something. `leave` is called if it has no use for
    /// its slot before it ends.
    pub(super) async fn run(mut self, leave: impl FnOnce()) -> Option<Delivery> {
        let Some(name) = self.header(subjects::FUNCTION) else {
            // It is none of ours, and would be offered again and again.
            self.acknowledge(AckKind::Term);
            return None;
        };
        let Some(function) = self.context.find(&name) else {
            let CallId { number, attempt, .. } = self.id;
            self.say(&ToCaller::Unknown { number, attempt, function: name }, b"");
            self.acknowledge(AckKind::Nak(Some(HAND_BACK)));
            return None;
        };
        let begun = self.claim(leave).await?;
        let give_up = begun.answer_by.unwrap_or_else(Instant::now) + KEEP_ANSWER;
        let arguments = match self.header(subjects::OBJECT) {
            Some(_) if !self.is_unwanted => self.fetch(give_up, begun.beat).await,
            _ => Ok(self.message.payload.clone()),
        };
        let name = function.about().name;
        let unstarted = |error| (Outcome::Unstarted(error), Bytes::new());
        let (outcome, body) = match arguments {
            _ if self.is_unwanted => unstarted(Error::cancelled(name)),
            Ok(arguments) => self.serve(function, arguments, &begun).await,
            Err(reason) => unstarted(failures::no_arguments(name, &reason)),
        };
        Some(Delivery { job: self, outcome, body, give_up, beat: begun.beat })
    }

    /// Gets the arguments out of the object store, unless it becomes unwanted meanwhile.
    async fn fetch(&mut self, until: Instant, beat: Duration) -> Result<Bytes, String> {
        let (objects, name) = (self.context.objects(), self.id.arguments());
        let most = self.context.site.max_message;
        let fetching = ToCaller::fetching(&self.id, &self.context.name);
        let unwanted = Notify::new();
        let fetched = async {
            tokio::select! {
                fetched = objects.get(&name, most, until) => fetched,
                () = unwanted.notified() => Err("nobody waits for the call any more".to_owned()),
            }
        };
        self.while_saying(&fetching, beat, || unwanted.notify_one(), fetched).await
    }

    fn header(&self, name: &str) -> Option<String> {
        let headers = self.message.headers.as_ref()?;
        Some(headers.get(name)?.as_str().to_owned())
    }

    /// What came with it of its caller's context, and of what is not ours.
    fn carried(&self) -> Vec<(String, String)> {
        let headers = self.message.headers.iter().flat_map(|headers| headers.iter());
        let first = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
            Some((AsRef::<str>::as_ref(name).to_owned(), values.first()?.as_str().to_owned()))
        };
        headers.filter_map(first).collect()
    }

    /// Says something to the caller, and asks to be told if that is not there.
    fn say(&self, message: &ToCaller, body: &[u8]) {
        let WorkerContext { link, pool, name, .. } = &*self.context;
        let caller = subjects::caller(pool, &self.id.caller);
        let here = subjects::call(pool, name, &self.id);
        link.say(caller, Some(here.into()), messages::write(message, body));
    }

    /// Tells the server what becomes of the message.
    fn acknowledge(&self, kind: AckKind) {
        if let Some(acknowledge) = &self.message.reply {
            // If the acknowledgement is lost, the server delivers the message again.
            self.context.link.say(acknowledge.clone(), None, kind.into());
        }
    }

    /// Asks the caller whether the body may start. If it does not answer, the call is offered to others, and its slot is left. It
    /// begins here all the same if that is what the caller says later.
    async fn claim(&mut self, leave: impl FnOnce()) -> Option<Begun> {
        let mut acknowledge = self.message.reply.clone()?;
        let began = Instant::now();
        // So long somebody may wait for it, as far as is known here.
        let timeout = self.header(subjects::TIMEOUT).and_then(|text| text.parse().ok());
        let timeout = timeout.map_or(Duration::MAX, Duration::from_millis);
        let mut leave = Some(leave);
        let mut unheard = 0;
        loop {
            if unheard >= CLAIMS && self.context.is_stopping() {
                self.leave_unstarted();
                return None;
            }
            if unheard < CLAIMS {
                let claim = ToCaller::claim(&self.id, &self.context.name, acknowledge.as_str());
                self.say(&claim, b"");
            }
            tokio::select! {
                heard = self.heard.recv() => match heard? {
                    Heard::Granted(terms) => return Some(Begun::now(terms)),
                    // For its caller it has begun, as only then this is said: an answer is waited for.
                    Heard::Told(ToWorker::Cancel) => {
                        self.is_unwanted = true;
                        return Some(Begun::not_granted());
                    }
                    Heard::Told(_) => return None,
                    Heard::Nobody if self.age() > timeout => {
                        self.acknowledge(AckKind::Term);
                        self.remove_arguments().await;
                        return None;
                    }
                    Heard::Nobody => {
                        self.acknowledge(AckKind::Nak(Some(HAND_BACK)));
                        return None;
                    }
                    Heard::Offered(by) => {
                        self.message.reply = Some(by.clone());
                        (acknowledge, unheard) = (by, 0);
                        continue;
                    }
                },
                () = sleep(AGAIN) => {}
            }
            if began.elapsed() > timeout {
                // Whoever else gets it hears that it is late.
                return None;
            }
            unheard = (unheard + 1).min(CLAIMS + 1);
            if unheard < CLAIMS {
                self.acknowledge(AckKind::Progress);
            } else if unheard == CLAIMS {
                let times = subjects::delivered(&acknowledge).unwrap_or(1).clamp(1, 5);
                self.acknowledge(AckKind::Nak(Some(OFFER_AGAIN * (1 << (times - 1)))));
                if let Some(leave) = leave.take() {
                    leave();
                }
            }
        }
    }

    /// Nobody waits here any more for the caller's word whether the body may start. Others are offered the call; but
    /// the caller, once it goes on, may grant it to this worker first, as it has heard of it first.
    fn leave_unstarted(&self) {
        let CallId { number, attempt, .. } = self.id;
        let worker = self.context.name.clone();
        let function = self.header(subjects::FUNCTION).unwrap_or_default();
        let outcome = Outcome::Unstarted(failures::unstarted(&function));
        let answer = ToCaller::Answer { number, attempt, worker, outcome, is_object: false };
        self.say(&answer, b"");
    }

    /// Nobody needs them any more: not another worker, nor the caller.
    async fn remove_arguments(&self) {
        if self.header(subjects::OBJECT).is_some() {
            self.context.objects().remove(&self.id.arguments()).await;
        }
    }

    /// How long ago the message was stored, by the clocks of the server and of this machine.
    fn age(&self) -> Duration {
        let stored = self.message.reply.as_ref().and_then(|reply| subjects::stored(reply));
        let stored = Duration::from_nanos(stored.unwrap_or_default());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().saturating_sub(stored)
    }

    /// Has the body run.
    async fn serve(
        &mut self,
        function: &'static dyn Callable,
        arguments: Bytes,
        begun: &Begun,
    ) -> (Outcome, Bytes) {
        let (tell, told) = oneshot::channel::<Result<Answer, Error>>();
        let serving = self.submit(function, arguments, begun, tell);
        let working = ToCaller::working(&self.id, &self.context.name);
        let answer = self.while_saying(&working, begun.beat, || serving.cancel(), told).await;
        let name = function.about().name;
        match answer {
            Ok(Ok(Ok(body))) => (Outcome::Returned, body),
            Ok(Ok(Err((error, ending)))) => (Outcome::of(error, ending), Bytes::new()),
            // For example, no worker process could be started.
            Ok(Err(error)) if error.kind() == ErrorKind::Unavailable => {
                (Outcome::Unstarted(error), Bytes::new())
            }
            // It was dropped before it started, or this worker shuts down.
            Ok(Err(_)) | Err(_) => (Outcome::Unstarted(failures::unstarted(name)), Bytes::new()),
        }
    }

    /// Waits for this, and says meanwhile, once a beat, how far the call is: so its caller knows that there is a
    /// worker. If nobody waits for the call any more, `stop` is called.
    async fn while_saying<T>(
        &mut self,
        message: &ToCaller,
        beat: Duration,
        stop: impl Fn(),
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        let mut beats = interval(beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        let (mut unheard, mut last) = (0, Instant::now());
        loop {
            let is_unwanted = tokio::select! {
                result = &mut work => return result,
                Some(heard) = self.heard.recv() => match heard {
                    Heard::Told(ToWorker::Cancel | ToWorker::Gone) => true,
                    Heard::Told(_) => {
                        unheard = 0;
                        false
                    }
                    Heard::Granted(_) => false,
                    Heard::Offered(by) => {
                        // The server has not heard that it has arrived, which it has.
                        let link = &self.context.link;
                        link.say(by, None, AckKind::Ack.into());
                        false
                    }
                    Heard::Nobody => {
                        // Only one after the other: each that is heard is not answered.
                        let before = std::mem::replace(&mut last, Instant::now());
                        unheard = if before.elapsed() > 2 * beat { 1 } else { unheard + 1 };
                        unheard >= CALLER_GONE
                    }
                },
                _ = beats.tick() => {
                    self.say(message, b"");
                    false
                }
            };
            if is_unwanted {
                self.is_unwanted = true;
                stop();
            }
        }
    }

    fn submit(
        &self,
        function: &'static dyn Callable,
        arguments: Bytes,
        begun: &Begun,
        tell: oneshot::Sender<Result<Answer, Error>>,
    ) -> Serving {
        let site = self.context.site;
        function.make_known();
        let _entered = self.context.runtime.as_ref().map(Handle::enter);
        let CallId { caller, number, attempt } = &self.id;
        // A subscriber is foreign: whether it panics is no matter of the call.
        let mut span = Span::none();
        quietly(|| span = info_span!(target: "offload", "remote", caller, number, attempt));
        let carried = self.carried();
        let captured = Captured::from_elsewhere(carried.clone().into_iter());
        let served = served::as_served(site, function.about(), Counted::Here);
        let left = begun.answer_by.map(|at| at.saturating_duration_since(Instant::now()));
        served::submit(served, left, captured, move |may_start| {
            let run = |()| {
                let mut answer = None;
                let call = || answer = Some(served::call(site, function, &carried, &arguments));
                quietly(|| span.in_scope(call));
                // The span could not be entered.
                answer.ok_or_else(|| failures::unstarted(function.about().name))
            };
            let answer = may_start.and_then(run);
            if let Ok(Err((error, ending))) = &answer {
                incidents::note_ending(function.about().name, *ending, error);
            }
            // It is told to who waits for it, if somebody does.
            let _ = tell.send(answer);
        })
    }
}

impl Delivery {
    /// Says what the body came to until the caller has heard it.
    pub(super) async fn deliver(mut self) {
        let CallId { number, attempt, .. } = self.job.id;
        let worker = self.job.context.name.clone();
        let objects = self.job.context.objects();
        let name = self.job.id.result();
        // Also a body that has run for longer than anybody waits has an answer.
        let give_up = self.give_up.max(Instant::now() + KEEP_ANSWER);
        let mut is_object = self.body.len() > self.job.context.link.max_body();
        if is_object {
            let working = ToCaller::working(&self.job.id, &worker);
            let body = std::mem::take(&mut self.body);
            let put = objects.put(&name, &body, give_up, IfFull::TryAgain);
            if let Err(rejection) = self.job.while_saying(&working, self.beat, || {}, put).await {
                let function = self.job.header(subjects::FUNCTION).unwrap_or_default();
                let reason = rejection.into_reason();
                self.outcome = Outcome::Failed(failures::no_result(&function, &reason));
                is_object = false;
                // A part of it may be there.
                let objects = objects.clone();
                self.job.context.link.spawn(async move { objects.remove(&name).await });
            }
        }
        let answer = ToCaller::Answer { number, attempt, worker, outcome: self.outcome, is_object };
        let (mut away_since, mut last_word) = (None, None);
        while Instant::now() < give_up {
            let said = Instant::now();
            self.job.say(&answer, &self.body);
            let mut again = pin!(sleep(self.beat.min(AGAIN)));
            let mut is_away = false;
            loop {
                tokio::select! {
                    heard = self.job.heard.recv() => match heard {
                        Some(Heard::Told(ToWorker::Received)) | None => return,
                        Some(Heard::Nobody) => is_away = true,
                        Some(_) => {}
                    },
                    () = &mut again => break,
                }
            }
            // Without a connection nobody is told that it is away.
            away_since = is_away.then(|| away_since.unwrap_or(said));
            if away_since.is_some_and(|since| since.elapsed() >= CALLER_AWAY) {
                break;
            }
            let context = &self.job.context;
            let is_last = context.is_stopping() && !is_away && context.link.is_connected();
            last_word = is_last.then(|| last_word.unwrap_or(said));
            if last_word.is_some_and(|since| since.elapsed() >= LAST_WORD) {
                return;
            }
        }
        Seen::count(&self.job.context.seen.unawaited);
        if is_object {
            // Nobody comes for it.
            objects.remove(&self.job.id.result()).await;
        }
        self.job.remove_arguments().await;
    }
}

impl WorkerContext {
    fn objects(&self) -> Objects {
        Objects { link: self.link.clone(), pool: self.pool }
    }

    fn is_stopping(&self) -> bool {
        *self.is_stopping.borrow()
    }

    /// The function of the pool with this name.
    fn find(&self, name: &str) -> Option<&'static dyn Callable> {
        match registry::named(self.site.host, name) {
            Named::Known(function) => Some(function),
            Named::Unknown | Named::Ambiguous => None,
        }
    }
}
