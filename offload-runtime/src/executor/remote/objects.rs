//! What is larger than a message of the server may be: arguments and results in the object store of a pool.
//!
//! They have the format of the client's object store, and the client reads them, which checks their digest. It does not write
//! them: after a failed `put` nobody knows under which subject the client has stored the parts, so they could not be removed. Here parts are
//! stored under the name of the object and the number of the attempt, so those of a failed one are found and removed as well.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::object_store::{Config, Object, ObjectInfo, ObjectStore};
use async_nats::jetstream::stream::PurgeErrorKind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use ring::digest;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout, timeout_at};

use super::broker::Link;
use super::queue::{PAUSE, Rejection, with_sources};
use super::subjects;
use crate::sync::foreign::{drop_payload, quietly};

/// What nobody has removed, since caller and worker are gone, goes after this.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is not there after so long, with a connection, is not to be had; and what does not move for so long has failed.
const GIVE_UP: Duration = Duration::from_secs(10);

/// So many bytes of an object are in a message.
const PART: usize = 128 << 10;

/// What could not be removed for so long stays.
const REMOVE: Duration = Duration::from_secs(60);

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) link: Link,
    pub(super) pool: &'static str,
}

/// What is done if there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfFull {
    Reject,
    /// The upload is tried again until its deadline: there is room when objects of other calls were removed.
    TryAgain,
}

impl Objects {
    async fn store(&self) -> Result<ObjectStore, Rejection> {
        let bucket = subjects::bucket(self.pool);
        if let Ok(store) = self.link.jetstream.get_object_store(&bucket).await {
            return Ok(store);
        }
        let description = "arguments and results of remote calls that are too large for a message";
        let description = Some(description.to_owned());
        let config = Config { bucket, description, max_age: MAX_AGE, ..Config::default() };
        let store = self.link.jetstream.create_object_store(config).await;
        store.map_err(|error| Rejection::of(&error))
    }

    /// Stores these bytes, for somebody who waits until then. What it has stored when it fails is there until the object
    /// is removed.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: &Bytes,
        until: Instant,
        if_full: IfFull,
    ) -> Result<(), Rejection> {
        let tries = AtomicU32::new(0);
        let put = || async {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            match self.put_once(name, number, bytes).await {
                Ok(()) => Ok(Ok(())),
                Err(Rejection::Full(reason)) if if_full == IfFull::Reject => {
                    Ok(Err(Rejection::Full(reason)))
                }
                Err(rejection) => Err(rejection.into_reason()),
            }
        };
        self.again(until, put).await.unwrap_or_else(|reason| Err(Rejection::Other(reason)))
    }

    async fn put_once(&self, name: &str, number: u32, bytes: &Bytes) -> Result<(), Rejection> {
        drop(self.store().await?);
        let publish = async |subject, part| {
            let sent = self.link.jetstream.publish(subject, part).await;
            let stored = sent.map_err(|error| Rejection::of(&error))?.await;
            stored.map(drop).map_err(|error| Rejection::of(&error))
        };
        let bucket = subjects::bucket(self.pool);
        let id = format!("{name}.{number}");
        let mut rest = bytes.clone();
        // Of one part at a time: who sends other calls meanwhile is on this thread, too.
        let mut sha256 = digest::Context::new(&digest::SHA256);
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(PART));
            sha256.update(&part);
            publish(subjects::part(&bucket, &id), part).await?;
        }
        let digest = format!("SHA-256={}", URL_SAFE.encode(sha256.finish()));
        let about = ObjectInfo {
            name: name.to_owned(),
            description: None,
            metadata: HashMap::new(),
            headers: None,
            options: None,
            nuid: id,
            size: bytes.len(),
            chunks: bytes.len().div_ceil(PART),
            modified: None,
            digest: Some(digest),
            deleted: false,
            bucket: bucket.clone(),
        };
        let about =
            serde_json::to_vec(&about).map_err(|error| Rejection::Other(error.to_string()))?;
        publish(subjects::about(&bucket, name), about.into()).await
    }

    /// Bytes that somebody has stored, at most so many, for somebody who waits until then.
    pub(super) async fn get(
        &self,
        name: &str,
        most: usize,
        until: Instant,
    ) -> Result<Bytes, String> {
        let get = || async {
            let store = self.store().await.map_err(Rejection::into_reason)?;
            let object = store.get(name).await.map_err(|error| with_sources(&error))?;
            without_panic(read(object, most)).await
        };
        self.again(until, get)
            .await?
            .map_err(|TooLarge| format!("it is larger than the {most} bytes of `max_message`"))
    }

    /// Removes them, and what tries to store them have left.
    pub(super) async fn remove(&self, name: &str) {
        let bucket = subjects::bucket(self.pool);
        let (about, parts) =
            (subjects::about(&bucket, name), subjects::part(&bucket, &format!("{name}.*")));
        let remove = || async {
            let stream = self.link.jetstream.get_stream_no_info(format!("OBJ_{bucket}")).await;
            let stream = stream.map_err(|error| with_sources(&error))?;
            for subject in [&about, &parts] {
                match stream.purge().filter(subject.clone()).await.map_err(|error| error.kind()) {
                    Ok(_) => {}
                    // There is no store.
                    Err(PurgeErrorKind::JetStream(error))
                        if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            Ok(())
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
    let size = object.info().size;
    if size > most {
        return Ok(Err(TooLarge));
    }
    let mut bytes = Vec::new();
    loop {
        let read = timeout(GIVE_UP, object.read_buf(&mut bytes)).await;
        let read = read.map_err(|_| "it does not come".to_owned())?;
        match read.map_err(|error| error.to_string())? {
            0 if bytes.len() == size => return Ok(Ok(Bytes::from(bytes))),
            // A part without bytes looks like the end, too, before which the client does not look at the digest.
            0 => return Err(format!("{} of its {size} bytes are there", bytes.len())),
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
