//! What is larger than a message of the server may be: arguments and results in the object store of a pool.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_nats::jetstream::object_store::{Config, DeleteErrorKind, Object, ObjectStore};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout, timeout_at};

use super::broker::Link;
use super::queue::{PAUSE, with_sources};
use super::subjects;
use crate::sync::foreign::{drop_payload, quietly};

/// What nobody has removed, since caller and worker are gone, goes after this.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is not there after so long, with a connection, is not to be had; and what does not move for so long has failed.
const GIVE_UP: Duration = Duration::from_secs(10);

/// What could not be removed for so long stays.
const REMOVE: Duration = Duration::from_secs(60);

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) link: Link,
    pub(super) pool: &'static str,
}

impl Objects {
    async fn store(&self) -> Result<ObjectStore, String> {
        let bucket = subjects::bucket(self.pool);
        if let Ok(store) = self.link.jetstream.get_object_store(&bucket).await {
            return Ok(store);
        }
        let description = "arguments and results of remote calls that are too large for a message";
        let description = Some(description.to_owned());
        let config = Config { bucket, description, max_age: MAX_AGE, ..Config::default() };
        let store = self.link.jetstream.create_object_store(config).await;
        store.map_err(|error| with_sources(&error))
    }

    /// Stores these bytes, for somebody who waits until then.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: &Bytes,
        until: Instant,
    ) -> Result<(), String> {
        let put = || async {
            let store = self.store().await?;
            let put = store.put(name, &mut &bytes[..]).await;
            put.map(drop).map_err(|error| with_sources(&error))
        };
        self.again(until, put).await
    }

    /// Bytes that somebody has stored, at most so many, for somebody who waits until then.
    pub(super) async fn get(
        &self,
        name: &str,
        most: usize,
        until: Instant,
    ) -> Result<Bytes, String> {
        let get = || async {
            let store = self.store().await?;
            let object = store.get(name).await.map_err(|error| with_sources(&error))?;
            without_panic(read(object, most)).await
        };
        self.again(until, get)
            .await?
            .map_err(|TooLarge| format!("it is larger than the {most} bytes of `max_message`"))
    }

    /// Removes them, with the note that they were there.
    pub(super) async fn remove(&self, name: &str) {
        let remove = || async {
            let store = self.store().await?;
            match store.delete(name).await {
                // It was never stored, or is gone.
                Err(error) if error.kind() == DeleteErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(with_sources(&error)),
                Ok(()) => {}
            }
            let bucket = subjects::bucket(self.pool);
            let stream = self.link.jetstream.get_stream_no_info(format!("OBJ_{bucket}")).await;
            let stream = stream.map_err(|error| with_sources(&error))?;
            let note = format!("$O.{bucket}.M.{}", URL_SAFE.encode(name));
            let purged = stream.purge().filter(note).await;
            purged.map(drop).map_err(|error| with_sources(&error))
        };
        if let Err(reason) = self.again(Instant::now() + REMOVE, remove).await {
            // A subscriber is foreign, and its panic would be one of ours here.
            quietly(|| {
                tracing::warn!(
                    target: "offload",
                    pool = self.pool,
                    name,
                    reason,
                    "an object stays in the store"
                );
            });
        }
    }

    /// Tries until it works: with a connection for some time, and without one as long as somebody waits.
    async fn again<T, F>(&self, until: Instant, work: impl Fn() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let give_up = Instant::now() + GIVE_UP;
        let until = until.max(give_up);
        loop {
            self.link.connected(Some(until)).await;
            let reason = match timeout_at(until.into(), work()).await {
                Ok(Err(reason)) => reason,
                Ok(done) => return done,
                Err(_) => "it takes too long".to_owned(),
            };
            let now = Instant::now();
            if now >= until || (now >= give_up && self.link.is_connected()) {
                return Err(reason);
            }
            sleep(PAUSE).await;
        }
    }
}

/// There are more bytes than there may be, or are said to be.
struct TooLarge;

/// The bytes of an object, of which there are at most so many.
async fn read(mut object: Object, most: usize) -> Result<Result<Bytes, TooLarge>, String> {
    // Whoever may write to the store says how large it is: it is not believed.
    if object.info().size > most {
        return Ok(Err(TooLarge));
    }
    let mut bytes = Vec::new();
    loop {
        let read = timeout(GIVE_UP, object.read_buf(&mut bytes)).await;
        let read = read.map_err(|_| "it does not come".to_owned())?;
        match read.map_err(|error| error.to_string())? {
            0 => return Ok(Ok(Bytes::from(bytes))),
            _ if bytes.len() > most => return Ok(Err(TooLarge)),
            _ => {}
        }
    }
}

/// The client's reader panics if the server does not let it begin, as one that has gone meanwhile.
async fn without_panic<T>(reading: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut reading = pin!(reading);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| reading.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| {
            drop_payload(payload);
            Poll::Ready(Err("the client cannot read it".to_owned()))
        })
    })
    .await
}
