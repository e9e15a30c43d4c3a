//! Bodies on other machines: how a program gets to them, and how it becomes one of them.

use crate::error::Error;
use crate::executor::remote::{broker, serve as serving};

/// The client of NATS whose [`Client`](async_nats::Client) is given to [`connect`].
pub use async_nats;

pub use super::remote_pool::REMOTE;
use super::remote_pool::RemotePool;

/// Sends the calls of all remote functions out through this client, which the program has connected: with
/// TLS, say, or credentials.
///
/// It is called once, before the first call. The runtime in which the client was made has to run as long as there are
/// calls. A program that does not call this uses the server that the environment variable
/// `OFFLOAD_NATS_URL` names, with a client of its own; without either, bodies run in this process.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), if it comes too late, or for the second time;
/// [`Unavailable`](crate::ErrorKind::Unavailable), if the system denies a thread.
///
/// ```no_run
/// use offload_runtime::remote::{self, async_nats};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let options = async_nats::ConnectOptions::with_user_and_password("web".into(), "secret".into());
/// remote::connect(options.connect("nats://queue.internal:4222").await?)?;
/// # Ok(())
/// # }
/// ```
pub fn connect(client: async_nats::Client) -> Result<(), Error> {
    broker::connect(client)
}

/// Makes this program a worker of these pools: it takes their calls, as many at a time of each pool as the `cpu` pool has
/// threads, and runs the bodies there, or in processes, if the pool is [isolated](RemotePool::isolated).
///
/// It ends when the process gets SIGTERM, or when [`shutdown`](crate::shutdown) begins: then it takes no more calls, and returns
/// when those under way have ended and their answers have arrived, or have nobody to take them: a program that is stopped is waited for
/// for some seconds. A program that does nothing else needs no code
/// for it: with `#[offload_runtime::main]` the environment variable `OFFLOAD_REMOTE_WORKER=render,reports` makes it the worker
/// of these pools, and its `main` does not run. Such a worker takes SIGINT as SIGTERM, and ends at once when it gets a second of
/// them.
///
/// Bodies are in the runtime in which this is awaited, if it is awaited in one.
///
/// # Cancel safety
///
/// Dropped, it takes no more calls. Those under way go on.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), if there is no server: see [`connect`]. [`Unavailable`](crate::ErrorKind::Unavailable), if the
/// system denies threads, or the client was given to [`connect`] and has ended. [`NotInitialized`](crate::ErrorKind::NotInitialized),
/// if a pool is isolated, and the program cannot be its own worker: see [`init`](crate::init).
///
/// ```no_run
/// use offload_runtime::{RemotePool, remote};
///
/// static RENDER: RemotePool = RemotePool::new("render");
///
/// # async fn example() -> Result<(), offload_runtime::Error> {
/// remote::serve([&RENDER]).await?;
/// # Ok(())
/// # }
/// ```
pub async fn serve(pools: impl IntoIterator<Item = &'static RemotePool>) -> Result<(), Error> {
    serving::serve(pools.into_iter().map(RemotePool::remotes).collect()).await
}
