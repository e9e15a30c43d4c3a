//! The queue of a pool at the broker: a stream of which each message is taken once.

use std::time::{Duration, Instant, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Stream};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::broker::{Link, PATIENCE};
use super::subjects;

/// A call whose caller is gone is thrown away after this, if no worker has seen to it.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So many requests of workers for a call may wait, each for one; and so many calls may be on
/// their way to workers.
const MOST: i64 = 50_000;

/// What is wrong with a server that never answers is said after this.
const GIVE_UP: Duration = Duration::from_secs(10);

/// A message that could not be taken out for so long stays until a worker gets it.
const DELETE: Duration = Duration::from_secs(60);

/// A pause before what failed is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Queue {
    pub(super) link: Link,
    pub(super) pool: &'static str,
    /// So many calls may wait in it, if it is made here.
    pub(super) bound: Option<usize>,
}

/// Why a message is not in the stream. It may be there all the same, if the server could not be heard.
#[derive(Debug)]
pub(super) enum Rejection {
    /// There is no room.
    Full(String),
    Other(String),
    /// Nobody waits for it any more.
    Late,
}

impl Rejection {
    /// Why something is not stored that is no call.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Rejection {
        let reason = with_sources(error);
        if is_full(error) { Rejection::Full(reason) } else { Rejection::Other(reason) }
    }

    pub(super) fn into_reason(self) -> String {
        match self {
            Rejection::Full(reason) | Rejection::Other(reason) => reason,
            Rejection::Late => "nobody waits for it any more".to_owned(),
        }
    }
}

impl Queue {
    /// The stream. One that is there is used as it is.
    async fn stream(&self) -> Result<Stream, String> {
        let config = Config {
            name: subjects::stream(self.pool),
            subjects: vec![subjects::calls(self.pool)],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_messages: self.bound.and_then(|bound| i64::try_from(bound).ok()).unwrap_or(-1),
            max_age: MAX_AGE,
            description: Some(
                "calls of #[offload(remote)] functions that wait for a worker".to_owned(),
            ),
            ..Config::default()
        };
        let stream = self.link.jetstream.get_or_create_stream(config);
        self.link.in_time(async { stream.await.map_err(|error| with_sources(&error)) }).await
    }

    /// What the workers of the pool get their calls from. One of which nothing is heard for
    /// `ack_wait` before a call has begun there has lost that call to another.
    pub(super) async fn consumer(&self, ack_wait: Duration) -> Result<PullConsumer, String> {
        let config = pull::Config {
            durable_name: Some(subjects::CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            max_waiting: MOST,
            max_ack_pending: MOST,
            ..pull::Config::default()
        };
        let stream = self.stream().await?;
        let consumer = stream.get_or_create_consumer(subjects::CONSUMER, config);
        self.link.in_time(async { consumer.await.map_err(|error| with_sources(&error)) }).await
    }

    /// Puts a message into the stream; its number there. One that is sent again, since it is not
    /// known whether it has arrived, is there once; and so it is found out after `until`, too, when it is only to be taken out.
    pub(super) async fn put(
        &self,
        headers: HeaderMap,
        payload: Bytes,
        until: Option<Instant>,
    ) -> Result<u64, Rejection> {
        let began = Instant::now();
        let (mut until, mut is_sent) = (until, false);
        loop {
            if !self.link.connected(until).await {
                return Err(Rejection::Late);
            }
            if !std::mem::replace(&mut is_sent, true) {
                until = until.map(|until| until.checked_add(DELETE).unwrap_or(until));
            }
            let subject = subjects::calls(self.pool);
            let sent =
                self.link.jetstream.publish_with_headers(subject, headers.clone(), payload.clone());
            let error = match sent.await {
                Ok(acknowledged) => match acknowledged.await {
                    Ok(acknowledged) => return Ok(acknowledged.sequence),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Err(Rejection::Late);
            }
            let again = match why(&error) {
                Why::Full => return Err(Rejection::Full(with_sources(&error))),
                Why::Rejected => return Err(Rejection::Other(with_sources(&error))),
                Why::NoStream => self.stream().await.map(drop),
                Why::Unheard => Ok(()),
            };
            match again {
                Err(reason) if began.elapsed() > GIVE_UP && self.link.is_connected() => {
                    return Err(Rejection::Other(reason));
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// How many messages wait, and how long the first of them has, by the clocks of the server and of this
    /// machine.
    pub(super) async fn waiting(&self) -> Option<(u64, Duration)> {
        let stream = self.link.jetstream.get_stream(subjects::stream(self.pool));
        let stream = async { stream.await.map_err(|error| with_sources(&error)) };
        let stream = self.link.in_time(stream).await.ok()?;
        let state = &stream.cached_info().state;
        let stored = u64::try_from(state.first_timestamp.unix_timestamp_nanos()).unwrap_or(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let waited = now.saturating_sub(Duration::from_nanos(stored));
        Some((state.messages, if state.messages == 0 { Duration::ZERO } else { waited }))
    }

    /// Takes a message out again, which may be gone already.
    pub(super) async fn delete(&self, sequence: u64) {
        let until = Instant::now() + DELETE;
        while self.link.connected(Some(until)).await && Instant::now() < until {
            let delete = async {
                let name = subjects::stream(self.pool);
                let stream = self.link.jetstream.get_stream_no_info(name).await;
                let stream = stream.map_err(|error| with_sources(&error))?;
                match stream.delete_message(sequence).await {
                    // The server has answered: there is no such message.
                    Err(error) if answer(&error).is_none() => Err(with_sources(&error)),
                    _ => Ok(()),
                }
            };
            match self.link.in_time(delete).await {
                Ok(()) => return,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Tells the server that a message has arrived, which is gone when this returns true. It is tried
    /// again while `goes_on` says so.
    pub(super) async fn acknowledge(&self, subject: &str, goes_on: impl Fn() -> bool) -> bool {
        while goes_on() {
            let request = async_nats::Request::new()
                .payload(Bytes::from_static(b"+ACK"))
                .timeout(Some(PATIENCE));
            // It may also be the client that does not take it.
            match timeout(2 * PATIENCE, self.link.client.send_request(subject.to_owned(), request))
                .await
            {
                Ok(Ok(_)) => return true,
                _ => sleep(PAUSE).await,
            }
        }
        false
    }
}

/// What a rejection means.
enum Why {
    Full,
    Rejected,
    NoStream,
    Unheard,
}

fn why(error: &PublishError) -> Why {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Why::NoStream,
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending => Why::Unheard,
        _ => match answer(error) {
            Some(_) if is_full(error) => Why::Full,
            Some(error) if error.error_code() == ErrorCode::CLUSTER_NOT_AVAILABLE => Why::Unheard,
            Some(_) => Why::Rejected,
            None => Why::Unheard,
        },
    }
}

/// What the server has said itself, if this is that.
fn answer<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a jetstream::Error> {
    let mut sources = std::iter::successors(Some(error), |&error| error.source());
    sources.find_map(|error| error.downcast_ref())
}

/// Whether the server has said that it has no room.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ];
    answer(error).is_some_and(|error| full.contains(&error.error_code()))
}

/// An error, and what is behind it.
pub(super) fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        // Most say what their source says.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = error.source();
    }
    text
}
