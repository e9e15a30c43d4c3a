//! What a worker sees of the pool that it works for, beyond its own calls: how many others there are, and what
//! waits. It looks only while somebody reads the numbers: of a thousand workers each would hear all.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use tokio::task::unconstrained;
use tokio::time::timeout;

use super::broker::next;
use super::known_workers::KnownWorkers;
use super::messages::{self, Presence};
use super::queue::Queue;
use super::seen::{Readers, Seen};
use super::subjects;

/// See the [module](self).
pub(super) struct Survey {
    seen: Arc<Seen>,
    queue: Queue,
    workers: KnownWorkers,
    /// Of what workers say. `None`: it does not listen.
    present: Option<Subscriber>,
    readers: Readers,
}

impl Survey {
    pub(super) fn new(seen: Arc<Seen>, queue: Queue) -> Survey {
        Survey {
            seen,
            queue,
            workers: KnownWorkers::default(),
            present: None,
            readers: Readers::default(),
        }
    }

    /// Looks around, as often as workers say that they are there.
    pub(super) async fn look(&mut self) {
        if !self.readers.are_there(&self.seen) {
            self.present = None;
            return;
        }
        self.seen.look_into(&self.queue);
        let Queue { link, pool, .. } = &self.queue;
        if self.present.is_none() && link.is_connected() {
            // Nobody waits for a client that does not take this.
            let subscribing = link.client.subscribe(subjects::present(pool));
            let subscribed = unconstrained(timeout(Duration::ZERO, subscribing)).await;
            self.present = subscribed.ok().and_then(Result::ok);
            // What was heard before the subscription may be out of date: ask all workers.
            link.say(subjects::probe(pool), None, Bytes::new());
        }
        self.count();
    }

    /// What a worker says next.
    pub(super) async fn next(&mut self) -> Option<Message> {
        match &mut self.present {
            Some(present) => next(present).await,
            None => pending().await,
        }
    }

    /// `None`: there is nothing more to be heard.
    pub(super) fn hear(&mut self, message: Option<Message>) {
        let Some(message) = message else {
            self.present = None;
            return;
        };
        if let Some((presence, _)) = messages::read::<Presence>(&message.payload) {
            self.workers.hear(presence, Instant::now());
            self.count();
        }
    }

    fn count(&self) {
        let workers = self.workers.alive(Instant::now());
        self.seen.workers.store(workers, Ordering::Relaxed);
    }
}
