//! What workers say to the caller, and what it says to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Message;
use bytes::Bytes;

use super::out::Taken;
use super::{AtWork, Request};
use crate::error::{Error, Ran};
use crate::executor::remote::failures;
use crate::executor::remote::in_flight::{InFlight, Stage};
use crate::executor::remote::messages::{self, Outcome, Presence, ToCaller, ToWorker};
use crate::executor::remote::parcel::Answer;
use crate::executor::remote::queue::PAUSE;
use crate::executor::remote::seen::Seen;
use crate::executor::remote::subjects;
use crate::task::counts::Ending;

/// How long workers have to say which functions they know.
const PROBE: Duration = Duration::from_secs(1);

impl AtWork {
    pub(super) async fn tell(&self, worker: &str, number: u64, attempt: u32, message: &ToWorker) {
        let id = self.id(number, attempt);
        let subject = format!("{}.call.{id}", subjects::worker(self.queue.pool, worker));
        // What is lost is said again when the worker says something again.
        let _ = self.queue.link.client.publish(subject, messages::write(message, b"")).await;
    }

    pub(super) async fn hear(&mut self, message: &Message) {
        let Some((told, body)) = messages::read(&message.payload) else { return };
        match told {
            ToCaller::Claim { number, attempt, worker, acknowledge } => {
                self.claim(number, attempt, worker, acknowledge).await;
            }
            ToCaller::Unknown { number, attempt, .. } => {
                if self.out.get(&number).is_some_and(|out| out.attempt == attempt) {
                    let since = Instant::now();
                    self.probe().await;
                    let requests = self.requests.clone();
                    self.queue.link.spawn(async move {
                        tokio::time::sleep(PROBE).await;
                        let _ = requests.send(Request::Judge { number, since });
                    });
                }
            }
            ToCaller::Working { number, attempt, worker } => {
                let mut is_wanted = false;
                if let Some((out, taken)) = self.taken(number, attempt, &worker) {
                    taken.heard = Instant::now();
                    if taken.is_granted {
                        out.set_started();
                    }
                    is_wanted = !out.is_cancelled();
                }
                if !is_wanted {
                    self.tell(&worker, number, attempt, &ToWorker::Cancel).await;
                }
            }
            ToCaller::Answer { number, attempt, worker, outcome, is_object } => {
                self.tell(&worker, number, attempt, &ToWorker::Received).await;
                self.has_objects |= is_object;
                // Also one of a worker that was thought to be lost.
                let out = self.out.get_mut(&number).filter(|out| out.attempt >= attempt);
                match out {
                    Some(out) if is_object => {
                        out.call.set_started();
                        let is_first = match &mut out.taken {
                            Some(taken) if out.attempt == attempt => {
                                !std::mem::replace(&mut taken.has_answered, true)
                            }
                            // One that was thought to be lost.
                            _ => true,
                        };
                        if is_first {
                            self.fetch(number, attempt);
                        }
                    }
                    Some(out) => {
                        if !matches!(outcome, Outcome::Unstarted(_)) {
                            out.call.set_started();
                        }
                        let answer = answer(outcome, body, out.attempt, out.call.name());
                        self.end(number, answer);
                    }
                    None => {
                        Seen::count(&self.seen.unawaited);
                        if is_object {
                            self.remove_object(self.id(number, attempt).result());
                        }
                    }
                }
            }
        }
    }

    /// A call, if this worker has it.
    pub(super) fn taken(
        &mut self,
        number: u64,
        attempt: u32,
        worker: &str,
    ) -> Option<(&InFlight, &mut Taken)> {
        let out = self.out.get_mut(&number).filter(|out| out.attempt == attempt)?;
        let taken = out.taken.as_mut().filter(|taken| taken.worker == worker)?;
        Some((&out.call, taken))
    }

    /// A worker asks whether it may begin this call.
    pub(super) async fn claim(
        &mut self,
        number: u64,
        attempt: u32,
        worker: String,
        acknowledge: String,
    ) {
        let out = self.out.get_mut(&number).filter(|out| out.attempt == attempt);
        let Some(out) = out else {
            self.decline(&worker, number, attempt, acknowledge).await;
            return;
        };
        match &mut out.taken {
            Some(taken) if taken.worker == worker => {
                // It was said before, and the grant was lost or is on its way.
                taken.heard = Instant::now();
                if taken.is_granted {
                    self.grant(number).await;
                }
            }
            Some(_) => self.decline(&worker, number, attempt, acknowledge).await,
            None if attempt > 1 || out.call.begin() => {
                let taken =
                    Taken { worker, heard: Instant::now(), is_granted: false, has_answered: false };
                out.taken = Some(taken);
                let (call, queue) = (Arc::clone(&out.call), self.queue.clone());
                let requests = self.requests.clone();
                self.queue.link.spawn(async move {
                    let goes_on = || call.stage() == Stage::Begun && !call.is_cancelled();
                    let is_gone = queue.acknowledge(&acknowledge, goes_on).await;
                    let _ = requests.send(Request::Acknowledged { number, attempt, is_gone });
                });
            }
            None => {
                drop(self.remove(number));
                self.decline(&worker, number, attempt, acknowledge).await;
            }
        }
    }

    /// Nobody waits for it, or another worker has it.
    pub(super) async fn decline(
        &self,
        worker: &str,
        number: u64,
        attempt: u32,
        acknowledge: String,
    ) {
        self.tell(worker, number, attempt, &ToWorker::Gone).await;
        let queue = self.queue.clone();
        let until = Instant::now() + self.ack_wait;
        self.queue.link.spawn(async move {
            queue.acknowledge(&acknowledge, || Instant::now() < until).await;
        });
    }

    /// The message is gone, or nobody waits for the call any more.
    pub(super) async fn acknowledged(&mut self, number: u64, attempt: u32, is_gone: bool) {
        let Some(out) = self.out.get_mut(&number).filter(|out| out.attempt == attempt) else {
            return;
        };
        let Some(taken) = &mut out.taken else { return };
        if is_gone && out.call.grant() {
            taken.is_granted = true;
            taken.heard = Instant::now();
            out.sequence = None;
            self.grant(number).await;
            return;
        }
        // Its caller has been told that it did not run.
        let (worker, sequence, name) = (taken.worker.clone(), out.sequence, out.call.name());
        self.tell(&worker, number, attempt, &ToWorker::Gone).await;
        if !is_gone {
            self.take_out(sequence);
        }
        self.end(number, Err((Error::cancelled(name), Ending::Returned)));
    }

    pub(super) async fn grant(&self, number: u64) {
        let Some(out) = self.out.get(&number) else { return };
        let Some(taken) = &out.taken else { return };
        let left = out.answer_by.map(|by| by.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| u64::try_from(left.as_millis()).ok());
        let beat = u64::try_from(self.beat().as_millis()).unwrap_or(u64::MAX);
        self.tell(&taken.worker, number, out.attempt, &ToWorker::Grant { left, beat }).await;
    }

    pub(super) async fn cancel(&mut self, number: u64) {
        let Some(out) = self.out.get(&number) else { return };
        match &out.taken {
            Some(taken) if taken.is_granted => {
                self.tell(&taken.worker, number, out.attempt, &ToWorker::Cancel).await;
            }
            // Not again.
            None if out.attempt > 1 => {
                self.take_out(out.sequence);
                let error = Error::cancelled(out.call.name());
                self.end(number, Err((error, Ending::Died)));
            }
            // What is under way sees it.
            _ => {}
        }
    }

    pub(super) fn hear_presence(&mut self, message: &Message) {
        if let Some((presence, _)) = messages::read::<Presence>(&message.payload) {
            self.workers.hear(presence, Instant::now());
        }
    }

    /// Asks workers which functions they know.
    pub(super) async fn probe(&self) {
        let subject = subjects::probe(self.queue.pool);
        let _ = self.queue.link.client.publish(subject, Bytes::new()).await;
    }

    pub(super) fn lose(&mut self, number: u64, worker: &str, silent: Duration) {
        let Some(out) = self.out.get_mut(&number) else { return };
        let attempts = out.call.parcel.function().attempts();
        let (has_objects, attempt) = (self.has_objects, out.attempt);
        let is_late = out.answer_by.is_some_and(|by| by <= Instant::now() + PAUSE);
        if out.attempt < attempts && !is_late && !out.call.is_cancelled() {
            Seen::count(&self.seen.again);
            out.attempt += 1;
            (out.taken, out.sequence) = (None, None);
            self.send(number);
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
        Outcome::Failed(error) | Outcome::Unstarted(error) => Err((error, Ending::Failed)),
    }
}
