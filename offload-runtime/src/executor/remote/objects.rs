//! What is larger than a message of the server may be: arguments and results in the object store of a pool.

use std::future::Future;
use std::time::{Duration, Instant};

use async_nats::jetstream::object_store::{Config, DeleteErrorKind, ObjectStore};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::broker::Link;
use super::queue::{PAUSE, with_sources};
use super::subjects;
use crate::sync::foreign::quietly;

/// What nobody has removed, since caller and worker are gone, goes after this.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is not there after so long is not to be had.
const GIVE_UP: Duration = Duration::from_secs(10);

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

    /// Stores these bytes.
    pub(super) async fn put(&self, name: &str, bytes: &Bytes) -> Result<(), String> {
        let put = || async {
            let store = self.store().await?;
            let put = store.put(name, &mut &bytes[..]).await;
            put.map(drop).map_err(|error| with_sources(&error))
        };
        again(put).await
    }

    /// Bytes that somebody has stored.
    pub(super) async fn get(&self, name: &str) -> Result<Bytes, String> {
        let get = || async {
            let store = self.store().await?;
            let mut object = store.get(name).await.map_err(|error| with_sources(&error))?;
            let mut bytes = Vec::with_capacity(object.info().size);
            object.read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
            Ok(Bytes::from(bytes))
        };
        again(get).await
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
        if let Err(reason) = again(remove).await {
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
}

/// Tries until it works, for some time.
async fn again<T, F>(work: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    loop {
        match work().await {
            Err(_) if began.elapsed() < GIVE_UP => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}
