//! What the caller puts into the stream and the object store, and takes out again; and how calls end.

use std::time::Instant;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::outstanding::Outstanding;
use super::{Dispatcher, Request};
use crate::error::Error;
use crate::executor::remote::failures;
use crate::executor::remote::objects::{IfFull, Objects};
use crate::executor::remote::parcel::Answer;
use crate::executor::remote::queue::Rejection;
use crate::executor::remote::served::{self, Counted};
use crate::executor::remote::subjects::{self, CallId};
use crate::task::context::Captured;
use crate::task::counts::Ending;

/// A result of more bytes is read on a thread of a pool, as that takes long, and not by this task.
const LARGE: usize = 64 << 10;

impl Dispatcher {
    /// Puts a call into the stream.
    pub(super) fn publish(&mut self, number: u64) {
        let Some(out) = self.outstanding.get(&number) else { return };
        let Some(arguments) = out.arguments.clone() else { return };
        let (attempt, answer_by) = (out.attempt, out.answer_by);
        let id = self.id(number, attempt);
        let mut headers = HeaderMap::new();
        headers.insert(subjects::MESSAGE_ID, id.to_string());
        headers.insert(subjects::CALL, id.to_string());
        headers.insert(subjects::FUNCTION, out.call.name());
        if let Some(answer_by) = answer_by {
            let left = answer_by.saturating_duration_since(Instant::now());
            headers.insert(subjects::TIMEOUT, left.as_millis().to_string().as_str());
        }
        for (name, text) in out.call.carried().iter() {
            headers.insert(name, text);
        }
        let (queue, requests, objects) =
            (self.queue.clone(), self.requests.clone(), self.objects());
        let object = out.is_object.then(|| id.arguments());
        self.queue.link.spawn(async move {
            let mut payload = arguments.clone();
            if let Some(name) = object {
                headers.insert(subjects::OBJECT, "arguments");
                payload = Bytes::new();
                let until = answer_by.unwrap_or_else(Instant::now);
                let put = objects.put(&name, &arguments, until, IfFull::Reject);
                if let Err(rejection) = put.await {
                    let stored = Err(rejection);
                    let _ = requests.send(Request::Stored { number, attempt, stored });
                    return;
                }
            }
            let stored = queue.put(headers, payload, answer_by).await;
            let _ = requests.send(Request::Stored { number, attempt, stored });
        });
    }

    /// The server has stored the message of a call, or has rejected it.
    pub(super) fn stored(&mut self, number: u64, attempt: u32, stored: Result<u64, Rejection>) {
        let out = self.outstanding.get_mut(&number).filter(|out| out.attempt == attempt);
        match (out, stored) {
            (Some(out), Ok(sequence)) => {
                out.sequence = Some(sequence);
                if out.call.function().attempts() == 1 {
                    out.arguments = None;
                }
            }
            // It was cancelled meanwhile, or has ended.
            (None, stored) => {
                self.take_out(stored.ok());
                self.remove_object(self.id(number, attempt).arguments());
            }
            (Some(out), Err(rejection)) => {
                let name = out.call.name();
                let error = match rejection {
                    Rejection::Full(reason) => failures::full(name, &reason),
                    Rejection::Other(reason) => failures::unavailable(name, &reason),
                    Rejection::Late => return self.expire(number, Instant::now()),
                };
                // If it has begun all the same, its answer tells.
                self.reject(number, error);
            }
        }
    }

    /// Ends a call that has not begun.
    pub(super) fn reject(&mut self, number: u64, error: Error) {
        let Some(out) = self.outstanding.get(&number) else { return };
        if out.attempt > 1 && out.assignment.is_none() {
            // Its body may have run before.
            let error = failures::not_again(out.call.name(), &error);
            self.end(number, Err((error, Ending::Died)));
        } else if out.call.reject(error) {
            self.forget(number);
        }
    }

    /// Ends a call that is too late to begin, or to begin again. Most often its caller does, but that is gone if it was
    /// started and its handle dropped.
    pub(super) fn expire(&mut self, number: u64, now: Instant) {
        let Some(out) = self.outstanding.get(&number) else { return };
        if out.attempt > 1 && out.assignment.is_none() && out.is_late(now) {
            self.end(number, Err((failures::too_late_again(out.call.name()), Ending::Died)));
        } else if out.call.expire(now) {
            self.forget(number);
        }
    }

    /// A call ended before a worker began it: its message is deleted.
    pub(super) fn forget(&mut self, number: u64) {
        let out = self.remove(number);
        self.take_out(out.and_then(|out| out.sequence));
    }

    /// Takes a message out of the stream.
    pub(super) fn take_out(&self, sequence: Option<u64>) {
        let Some(sequence) = sequence else { return };
        let queue = self.queue.clone();
        self.queue.link.spawn(async move { queue.delete(sequence).await });
    }

    /// Takes the call out of the table of outstanding calls.
    pub(super) fn remove(&mut self, number: u64) -> Option<Outstanding> {
        let out = self.outstanding.remove(&number)?;
        if out.is_object {
            self.remove_object(self.id(number, out.attempt).arguments());
        }
        Some(out)
    }

    pub(super) fn objects(&self) -> Objects {
        Objects { link: self.queue.link.clone(), pool: self.queue.pool }
    }

    pub(super) fn remove_object(&self, name: String) {
        // Without one there was no reason to make the store.
        if self.has_objects {
            let objects = self.objects();
            self.queue.link.spawn(async move { objects.remove(&name).await });
        }
    }

    pub(super) fn id(&self, number: u64, attempt: u32) -> CallId {
        CallId { caller: self.name.clone(), number, attempt }
    }

    /// Gets a result out of the object store.
    pub(super) fn fetch(&self, number: u64, attempt: u32) {
        let until = self.outstanding.get(&number).and_then(|out| out.answer_by);
        let until = until.unwrap_or_else(Instant::now);
        let (objects, name) = (self.objects(), self.id(number, attempt).result());
        let (requests, most) = (self.requests.clone(), self.site.max_message);
        self.queue.link.spawn(async move {
            let result = objects.get(&name, most, until).await;
            let _ = requests.send(Request::Fetched { number, attempt, result });
            objects.remove(&name).await;
        });
    }

    /// Ends a call that has begun.
    pub(super) fn end(&mut self, number: u64, answer: Answer) {
        let Some(mut out) = self.remove(number) else { return };
        if out.assignment.is_none() {
            self.take_out(out.sequence);
        }
        let is_large = answer.as_ref().is_ok_and(|body| body.len() > LARGE);
        out.call.set_answer(answer);
        if is_large {
            let served = served::as_served(self.site, out.call.about(), Counted::Elsewhere);
            served::submit(served, None, Captured::NOTHING, move |_| drop(out.call));
        }
    }

    /// Ends a call when there is no client any more.
    pub(super) fn fail_disconnected(&mut self, number: u64) {
        let Some(out) = self.outstanding.remove(&number) else { return };
        let name = out.call.name();
        if !out.call.reject(failures::unavailable(name, "its client has ended")) {
            out.call.end(Err((failures::disconnected(name), Ending::Died)));
        }
    }
}
