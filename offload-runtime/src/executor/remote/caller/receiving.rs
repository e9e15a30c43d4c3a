//! What workers say to the caller, and what it says to them.

use std::time::{Duration, Instant};

use async_nats::Message;
use bytes::Bytes;

use super::outstanding::{Assignment, Outstanding};
use super::{Dispatcher, Request};
use crate::error::{Error, ErrorKind, Ran};
use crate::executor::remote::failures;
use crate::executor::remote::messages::{self, Outcome, Presence, ToCaller, ToWorker};
use crate::executor::remote::parcel::Answer;
use crate::executor::remote::queue::PAUSE;
use crate::executor::remote::seen::Seen;
use crate::executor::remote::subjects::{self, Terms};
use crate::task::counts::Ending;

/// How long workers have to say which functions they know.
const PROBE: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) fn tell(&self, worker: &str, number: u64, attempt: u32, message: &ToWorker) {
        let id = self.id(number, attempt);
        let subject = subjects::call(self.queue.pool, worker, &id);
        // What is lost is said again when the worker says something again.
        self.queue.link.say(subject, None, messages::write(message, b""));
    }

    pub(super) fn hear(&mut self, message: &Message) {
        self.link_heard = Instant::now();
        let Some((told, body)) = messages::read(&message.payload) else { return };
        match told {
            ToCaller::Claim { number, attempt, worker, acknowledge } => {
                self.claim(number, attempt, worker, acknowledge);
            }
            ToCaller::Unknown { number, attempt, .. } => {
                if self.outstanding.get(&number).is_some_and(|out| out.attempt == attempt) {
                    let since = Instant::now();
                    self.probe();
                    let requests = self.requests.clone();
                    self.queue.link.spawn(async move {
                        tokio::time::sleep(PROBE).await;
                        let _ = requests.send(Request::Unknown { number, since });
                    });
                }
            }
            ToCaller::Fetching { number, attempt, worker } => {
                self.hear_of(number, attempt, &worker, false);
            }
            ToCaller::Working { number, attempt, worker } => {
                self.hear_of(number, attempt, &worker, true);
            }
            ToCaller::Answer { number, attempt, worker, outcome, is_object } => {
                self.tell(&worker, number, attempt, &ToWorker::Received);
                self.has_objects |= is_object;
                if self.is_of_assigned(number, &worker, &outcome) {
                    self.answered(number, attempt, outcome, is_object, body);
                }
            }
        }
    }

    /// A worker that leaves a call unstarted may have asked for it in vain, and another one has it.
    fn is_of_assigned(&self, number: u64, worker: &str, outcome: &Outcome) -> bool {
        let assignment = self.outstanding.get(&number).and_then(|out| out.assignment.as_ref());
        let is_assigned = || assignment.is_some_and(|assigned| assigned.worker == worker);
        !matches!(outcome, Outcome::Unstarted(_)) || is_assigned()
    }

    /// What an attempt came to.
    fn answered(
        &mut self,
        number: u64,
        attempt: u32,
        outcome: Outcome,
        is_object: bool,
        body: Bytes,
    ) {
        let is_wanted = |out: &Outstanding| out.is_answer(attempt, &outcome);
        let out = self.outstanding.get_mut(&number).filter(|out| is_wanted(out));
        let Some(out) = out else {
            Seen::count(&self.seen.unawaited);
            if is_object {
                self.remove_object(self.id(number, attempt).result());
            }
            return;
        };
        let is_unstarted = matches!(outcome, Outcome::Unstarted(_));
        // It may have been handed back.
        let message = out.sequence.filter(|_| is_unstarted);
        if !is_unstarted {
            out.call.set_started();
        }
        if is_object {
            let is_first = match &mut out.assignment {
                Some(assigned) if out.attempt == attempt => {
                    !std::mem::replace(&mut assigned.has_answered, true)
                }
                // A worker that was believed to be lost speaks again.
                _ => true,
            };
            if is_first {
                self.fetch(number, attempt);
            }
        } else {
            let answer = answer(outcome, body, attempt, out.call.name());
            self.take_out(message);
            self.end(number, answer);
        }
    }

    /// A worker says that it has this call.
    fn hear_of(&mut self, number: u64, attempt: u32, worker: &str, has_started: bool) {
        let out = self.outstanding.get_mut(&number).filter(|out| out.attempt == attempt);
        let assigned = out.and_then(|out| {
            let assigned = out.assignment.as_mut().filter(|assigned| assigned.worker == worker)?;
            Some((&out.call, assigned))
        });
        let mut is_wanted = false;
        if let Some((call, assigned)) = assigned {
            assigned.heard = Instant::now();
            if has_started {
                call.set_started();
            }
            is_wanted = !call.is_cancelled();
        }
        if !is_wanted {
            let out = self.outstanding.get_mut(&number);
            if let Some(out) = out.filter(|out| out.attempt > attempt) {
                out.cancel_earlier(attempt);
            }
            self.tell(worker, number, attempt, &ToWorker::Cancel);
        }
    }

    /// A worker asks whether it may begin this call.
    pub(super) fn claim(&mut self, number: u64, attempt: u32, worker: String, acknowledge: String) {
        let out = self.outstanding.get_mut(&number).filter(|out| out.attempt == attempt);
        let Some(out) = out else {
            self.decline(&worker, number, attempt, acknowledge);
            return;
        };
        match &mut out.assignment {
            Some(assigned) if assigned.worker == worker => {
                // It was said before, and the grant was lost or is on its way.
                assigned.heard = Instant::now();
                self.grant(number, acknowledge);
            }
            Some(_) => self.decline(&worker, number, attempt, acknowledge),
            None if attempt > 1 || out.call.begin() => {
                if out.call.grant() {
                    out.assignment = Some(Assignment::new(worker));
                    self.grant(number, acknowledge);
                } else {
                    // Its caller has been told that it did not run.
                    let error = Error::cancelled(out.call.name());
                    self.decline(&worker, number, attempt, acknowledge);
                    self.end(number, Err((error, Ending::Returned)));
                }
            }
            None => {
                // The worker takes its message out.
                drop(self.remove(number));
                self.decline(&worker, number, attempt, acknowledge);
            }
        }
    }

    /// Nobody waits for it, or another worker has it.
    pub(super) fn decline(&self, worker: &str, number: u64, attempt: u32, acknowledge: String) {
        self.tell(worker, number, attempt, &ToWorker::Gone);
        let queue = self.queue.clone();
        let until = Instant::now() + self.ack_wait;
        self.queue.link.spawn(async move {
            queue.acknowledge(&acknowledge, || Instant::now() < until).await;
        });
    }

    /// The worker that has this call may begin it, when the message is gone: it is told by the server.
    pub(super) fn grant(&self, number: u64, acknowledge: String) {
        let Some(out) = self.outstanding.get(&number) else { return };
        let Some(assigned) = &out.assignment else { return };
        let id = self.id(number, out.attempt);
        let left = out.answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| u64::try_from(left.as_millis()).ok());
        let beat = u64::try_from(self.beat().as_millis()).unwrap_or(u64::MAX);
        let terms = Terms { left, beat };
        let granted = subjects::granted(self.queue.pool, &assigned.worker, &id, terms);
        // If it is lost, the worker claims the call again.
        let text = Bytes::from_static(b"+ACK");
        self.queue.link.say(acknowledge, Some(granted.into()), text);
    }

    pub(super) fn cancel(&mut self, number: u64) {
        let Some(out) = self.outstanding.get(&number) else { return };
        match &out.assignment {
            Some(assigned) => {
                self.tell(&assigned.worker, number, out.attempt, &ToWorker::Cancel);
            }
            // An earlier attempt may have run, so the call is not started again.
            None if out.attempt > 1 => {
                self.take_out(out.sequence);
                let error = Error::cancelled(out.call.name());
                self.end(number, Err((error, Ending::Died)));
            }
            // It has not begun, and is forgotten.
            None => {}
        }
    }

    pub(super) fn hear_presence(&mut self, message: &Message) {
        self.link_heard = Instant::now();
        if let Some((presence, _)) = messages::read::<Presence>(&message.payload) {
            self.workers.hear(presence, Instant::now());
        }
    }

    /// Asks workers which functions they know.
    pub(super) fn probe(&self) {
        self.queue.link.say(subjects::probe(self.queue.pool), None, Bytes::new());
    }

    /// Nobody listens there, which the server says to where this process listens: so it hears that there is
    /// a way there and back.
    pub(super) fn ask_for_echo(&self) {
        let here = subjects::caller(self.queue.pool, &self.name);
        self.queue.link.say(format!("{here}.echo"), Some(here.into()), Bytes::new());
    }

    /// Nothing was heard of the worker of a call for too long.
    pub(super) fn give_up_worker(&mut self, number: u64, worker: &str, silent: Duration) {
        let Some(out) = self.outstanding.get_mut(&number) else { return };
        let attempts = out.call.function().attempts();
        let (has_objects, is_object) = (self.has_objects, out.is_object);
        let attempt = out.attempt;
        let is_late = out.answer_by.is_some_and(|by| by <= Instant::now() + PAUSE);
        if out.attempt < attempts && !is_late && !out.call.is_cancelled() {
            Seen::count(&self.seen.again);
            out.attempt += 1;
            (out.assignment, out.sequence) = (None, None);
            self.publish(number);
            if is_object {
                // The next one has its own, as a worker that gives up an attempt removes what that has.
                self.remove_object(self.id(number, attempt).arguments());
            }
        } else {
            let error = failures::worker_lost(out.call.name(), worker, silent);
            self.end(number, Err((error, Ending::Died)));
        }
        if has_objects {
            // It may have died between its result and its answer.
            self.remove_object(self.id(number, attempt).result());
        }
    }
}

/// What a worker says of an attempt, as the end of a call of this function.
fn answer(outcome: Outcome, body: Bytes, attempt: u32, function: &str) -> Answer {
    match outcome {
        Outcome::Returned => Ok(body),
        Outcome::Panicked(error) => Err((error, Ending::Panicked)),
        // An earlier attempt may have run.
        Outcome::Failed(error) | Outcome::Unstarted(error)
            if attempt > 1 && error.ran() == Ran::No =>
        {
            Err((failures::not_again(function, &error), Ending::Died))
        }
        // Of a pool whose bodies run in processes.
        Outcome::Failed(error) if error.kind() == ErrorKind::WorkerDied => {
            Err((error, Ending::Died))
        }
        Outcome::Failed(error) | Outcome::Unstarted(error) => Err((error, Ending::Failed)),
    }
}
