//! The connection to the broker: which there is, and the thread on which all that is said to it and
//! heard from it is dealt with.
//!
//! A program has one connection or none. It is chosen once, by the first that asks: the first call of a
//! remote function, or `serve`.

use std::borrow::Cow;
use std::env;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ClientError, ConnectOptions, Event, ServerAddr, Subject};
use bytes::Bytes;
use futures_core::Stream;
use percent_encoding::percent_decode_str;
use tokio::runtime::{self, Handle};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind, Ran};
use crate::sync::foreign::quietly;
use crate::system::abort::{Unpoisoned, abort_on_panic};
use crate::system::{program, spawner};

/// So much of the name of a host stands in the names of its processes, in characters.
const HOST: usize = 32;

/// Says where the server is.
const URL: &str = "OFFLOAD_NATS_URL";

/// So much of a message to or from the server may be its head, in bytes.
const HEAD: usize = 64 << 10;

/// The most bytes of a message of a server to which nobody has told otherwise.
const USUAL_PAYLOAD: usize = 1 << 20;

/// How long the server has to answer what is asked of it. What is asked is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What asks the server several things, one after the other, has failed after this.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// How often the server is asked whether it is there. One that is silent for the third time is not, and
/// the client connects again.
const PING: Duration = Duration::from_secs(10);

/// How often it is looked for a connection that is lost.
const LOOK: Duration = Duration::from_millis(500);

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) jetstream: jetstream::Context,
    /// Of the thread that deals with it.
    handle: Handle,
}

/// A client that the program has made, until it is asked for.
static OWN: Mutex<Option<Client>> = Mutex::new(None);

/// What it came to; `None`: there is no server.
static LINK: OnceLock<Result<Option<Link>, Error>> = OnceLock::new();

/// This client is used, if none has been so far.
pub(crate) fn connect(client: Client) -> Result<(), Error> {
    let before = OWN.lock().unpoisoned().replace(client);
    if before.is_some() || LINK.get().is_some() {
        return Err(Error::config(
            "`offload_runtime::remote::connect` is called once, before the first call of a remote function",
        ));
    }
    link().map(drop)
}

/// The connection, if there is a server.
pub(super) fn link() -> Result<Option<Link>, Error> {
    LINK.get_or_init(|| {
        if let Some(client) = OWN.lock().unpoisoned().clone() {
            return Ok(Some(Link::new(client, start()?)));
        }
        let Some((addresses, options)) = from_environment()? else { return Ok(None) };
        let handle = start()?;
        let (tell, told) = mpsc::channel();
        handle.spawn(async move {
            let client = options.connect(&addresses[..]).await;
            let _ = tell.send(client.map_err(|error| error.to_string()));
        });
        let client = told.recv().unwrap_or_else(|_| Err("its thread has ended".to_owned()));
        let unconnected = |error| Error::config(format!("the server at {URL}: {error}"));
        Ok(Some(Link::new(client.map_err(unconnected)?, handle)))
    })
    .clone()
}

/// Which servers the environment names, and how the program connects with them.
pub(crate) fn from_environment() -> Result<Option<(Vec<ServerAddr>, ConnectOptions)>, Error> {
    let Some(url) = env::var_os(URL).filter(|url| !url.is_empty()) else { return Ok(None) };
    let url = url.into_string().map_err(|_| rejected("it is no text".to_owned()))?;
    let addresses = url.split(',').map(|address| address.trim().parse());
    let addresses: Result<Vec<ServerAddr>, _> = addresses.collect();
    let addresses = addresses.map_err(|error| rejected(error.to_string()))?;
    let options = options(&addresses).map_err(rejected)?;
    Ok(Some((addresses, options)))
}

/// It does not say what stands there: that may be a password.
fn rejected(why: String) -> Error {
    Error::config(format!("the environment variable {URL} is no address of a NATS server: {why}"))
}

/// How the program connects with these.
fn options(addresses: &[ServerAddr]) -> Result<ConnectOptions, String> {
    // The client ignores the user and the password in an address.
    let named =
        addresses.iter().find_map(|address| Some((address.username()?, address.password()?)));
    let user = named.map(|(user, password)| Ok::<_, String>((decoded(user)?, decoded(password)?)));
    let user = user.transpose()?;
    let servers = Arc::new(Servers {
        addresses: addresses.to_vec(),
        user: user.clone(),
        asked: Mutex::new(None),
    });
    // It connects in the background, and again if the connection is lost.
    Ok(as_user(user)
        .retry_on_initial_connect()
        .ping_interval(PING)
        // The client reports events one after the other, and goes on connecting meanwhile.
        .event_callback(move |event| {
            let warned = tokio::spawn(warn_of(event, Arc::clone(&servers)));
            async { drop(warned.await) }
        })
        .name(client_name()))
}

/// A user, and the password.
type User = (String, String);

fn as_user(user: Option<User>) -> ConnectOptions {
    match user {
        Some((user, password)) => ConnectOptions::with_user_and_password(user, password),
        None => ConnectOptions::new(),
    }
}

/// What stands in an address for this, where a sign of an address is written as `%` and its number.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| "its user or password, percent-decoded, is not UTF-8".to_owned())
}

/// The servers that the program connects to.
struct Servers {
    addresses: Vec<ServerAddr>,
    user: Option<User>,
    /// When it was last asked why there is no connection.
    asked: Mutex<Option<Instant>>,
}

impl Servers {
    /// Why there is no connection, found out by a second attempt to connect: the event of the client that retries has no
    /// source, and the error of one that does not retry has. Not more often than [`LONG_PATIENCE`]. `None`: this was
    /// asked a moment ago, or the attempt succeeded or took too long.
    async fn reason(&self) -> Option<String> {
        if !self.is_to_be_asked() {
            return None;
        }
        let options = as_user(self.user.clone()).name(client_name());
        let tried = timeout(PATIENCE, options.connect(&self.addresses[..])).await.ok()?;
        tried.err().map(|error| error.to_string())
    }

    fn is_to_be_asked(&self) -> bool {
        let (mut asked, now) = (self.asked.lock().unpoisoned(), Instant::now());
        let is_recent = asked.is_some_and(|asked| now.duration_since(asked) < LONG_PATIENCE);
        if !is_recent {
            *asked = Some(now);
        }
        !is_recent
    }
}

/// Warns of an event of the client, if it is one to warn of.
async fn warn_of(event: Event, servers: Arc<Servers>) {
    let reason = match &event {
        Event::ClientError(ClientError::Other(_)) => servers.reason().await,
        Event::ClientError(_) | Event::ServerError(_) | Event::SlowConsumer(_) => None,
        _ => return,
    };
    // A subscriber is foreign, and its panic would be one of the client's.
    quietly(|| {
        tracing::warn!(target: "offload", %event, reason, "the connection for remote calls");
    });
}

/// What the server shows of this process.
fn client_name() -> String {
    format!("{} {}", program::name().unwrap_or_default(), std::process::id())
}

/// Starts the thread.
fn start() -> Result<Handle, Error> {
    let rejected = |error: std::io::Error| {
        let what = format!("the system denies what the connection to the server needs: {error}");
        Error::new(ErrorKind::Unavailable, Ran::No, "", what)
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(rejected)?;
    let handle = runtime.handle().clone();
    let (tell, told) = mpsc::channel();
    let run = move || {
        abort_on_panic("the thread of remote calls", || {
            runtime.block_on(std::future::pending::<()>());
        });
    };
    spawner::request(Box::new(move || {
        let thread = std::thread::Builder::new().name("offload-remote".into()).spawn(run);
        let _ = tell.send(thread.map(drop));
    }))
    .map_err(rejected)?;
    told.recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("its spawner has ended")))
        .map_err(rejected)?;
    Ok(handle)
}

impl Link {
    fn new(client: Client, handle: Handle) -> Link {
        // `build` spawns the task that confirms messages (`tokio::spawn`): on this runtime, which lasts, and not on the
        // caller's, which may end or not be there.
        let _entered = handle.enter();
        let jetstream =
            ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE).build(client.clone());
        Link { client, jetstream, handle }
    }

    /// Has this done on the thread of the connection. It may not panic.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(async move {
            let mut work = pin!(work);
            poll_fn(|cx| abort_on_panic("what sees to remote calls", || work.as_mut().poll(cx)))
                .await;
        });
    }

    /// Says something to whoever listens there, and waits for nothing: without a connection, or if the client does not take it
    /// for too long, it is lost. Who waits for what follows says it again.
    pub(super) fn say(&self, subject: impl Into<Subject>, answer_to: Option<Subject>, text: Bytes) {
        let (client, subject) = (self.client.clone(), subject.into());
        self.send(async move {
            // What cannot be sent is as good as lost.
            let _ = match answer_to {
                Some(answer_to) => client.publish_with_reply(subject, answer_to, text).await,
                None => client.publish(subject, text).await,
            };
        });
    }

    /// The same of what the client is to send.
    pub(super) fn send(&self, sending: impl Future<Output = ()> + Send + 'static) {
        // The client would keep all that is said meanwhile, and send it afterwards, when it is old.
        if !self.is_connected() {
            return;
        }
        // It is done at once as long as the client keeps up. The budget of the task that says it is no reason to wait.
        let mut sending = Box::pin(unconstrained(sending));
        if sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.spawn(async move { drop(timeout(PATIENCE, sending).await) });
        }
    }

    /// What the server is asked, one thing after the other, unless it takes too long.
    pub(super) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let late = |_| Err("the server does not answer".to_owned());
        timeout(LONG_PATIENCE, asked).await.unwrap_or_else(late)
    }

    /// Waits until there is a connection. False: there was none until then.
    pub(super) async fn connected(&self, until: Option<Instant>) -> bool {
        while !self.is_connected() {
            let now = Instant::now();
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(now));
            if left.is_zero() {
                return false;
            }
            sleep(left.min(LOOK)).await;
        }
        true
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// What stands beside a head in a message has at most so many bytes.
    pub(super) fn max_body(&self) -> usize {
        let most = self.client.server_info().max_payload;
        // Before the first connection it is not known.
        let most = if most == 0 { USUAL_PAYLOAD } else { most };
        most.saturating_sub(HEAD)
    }

    /// A name that nobody else has, and which says whose it is: the host's, the number of this process, and what tells it
    /// from others. It is a part of subjects.
    pub(super) fn new_name(&self) -> String {
        let inbox = self.client.new_inbox();
        let unique = inbox.rsplit('.').next().unwrap_or_default();
        let host = program::host().unwrap_or_default();
        let sign = |sign: char| if sign.is_ascii_alphanumeric() { sign } else { '_' };
        let host: String = host.chars().take(HOST).map(sign).collect();
        format!("{host}_{}_{unique}", std::process::id())
    }
}

/// What comes next. `None`: nothing any more.
pub(super) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn what_sees_to_remote_calls_ends_the_process_if_it_panics() {
        let said = aborts("executor::remote::broker::tests::child_whose_connection_panics");
        let expected = "what sees to remote calls panicked, which is a bug of it; aborting";
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn the_thread_of_remote_calls_ends_the_process_if_it_panics() {
        let said = aborts("executor::remote::broker::tests::child_whose_thread_panics");
        let expected = "the thread of remote calls panicked, which is a bug of it; aborting";
        assert!(said.contains(expected), "{said}");
    }

    /// The runtime's timer calls this on its own thread, outside of any task, so tokio does not catch it.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_thread_panics() {
        let handle = start().unwrap();
        let _inside = handle.enter();
        let waker = Waker::from(Arc::new(Panics));
        // It may be over before it is polled: then once more.
        loop {
            let mut due = Box::pin(sleep(Duration::from_millis(1)));
            if due.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                wait_for_the_end();
            }
        }
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_connection_panics() {
        let handle = start().unwrap();
        // Nobody listens there, and nobody waits for it.
        let options = ConnectOptions::new().retry_on_initial_connect();
        let client = handle.block_on(options.connect("127.0.0.1:1")).unwrap();
        Link::new(client, handle).spawn(async { panic!("on purpose") });
        wait_for_the_end();
    }
}
