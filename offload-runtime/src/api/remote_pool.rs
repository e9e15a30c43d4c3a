//! The pool of `remote` functions that users name, with its settings.

use std::fmt;
use std::time::Duration;

use crate::executor::remote::{self, Remotes};

/// A pool for bodies that run on other machines: see [`remote`](crate::remote).
///
/// Where there is no server, the bodies run here, on the `cpu` pool, or in processes, if it is
/// [isolated](Self::isolated). What would be sent is encoded and decoded all the same, so that what cannot be
/// sent is found.
///
/// Functions with `#[offload(remote)]` share one; with `pool`, they get another. It is made in a
/// `static`, and started at its first call.
///
/// ```
/// use offload_runtime::{Error, RemotePool, offload};
///
/// static RENDER: RemotePool = RemotePool::new("render").max_message(16 << 20);
///
/// #[offload(remote, pool = RENDER, timeout = "30s")]
/// fn render(page: String) -> Result<Vec<u8>, Error> {
///     Ok(page.into_bytes())
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(render("page".to_owned()).await?, b"page");
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct RemotePool {
    remotes: RemotePlace,
}

/// Where a pool is.
#[expect(clippy::large_enum_variant, reason = "it is a `static`, and moved by the compiler only")]
enum RemotePlace {
    Here(Remotes),
    /// The default pool.
    There(&'static Remotes),
}

impl RemotePool {
    /// A pool with the default settings. `name` is its label in all that it shows: it has letters, digits, `-` and `_`.
    ///
    /// # Panics
    ///
    /// If the name has other characters, or none; in a `static`, that is a compile error.
    pub const fn new(name: &'static str) -> RemotePool {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "a pool has a name");
        let mut at = 0;
        while at < bytes.len() {
            let is_fine = bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'-' | b'_');
            assert!(is_fine, "the name of a remote pool has letters, digits, `-` and `_`");
            at += 1;
        }
        RemotePool { remotes: RemotePlace::Here(Remotes::new(name)) }
    }

    /// The most that all arguments of a call, or its result, may take, in bytes as they are sent; 64 MiB
    /// unless set. What is larger is rejected, with [`Serialization`](crate::ErrorKind::Serialization).
    ///
    /// # Panics
    ///
    /// If `bytes` is 0 or more than 4 GiB; in a `static`, that is a compile error.
    pub const fn max_message(mut self, bytes: usize) -> RemotePool {
        assert!(bytes > 0, "a message has at least 1 byte");
        assert!(bytes <= u32::MAX as usize, "a message has at most 4 GiB");
        self.here().set_max_message(bytes);
        self
    }

    /// The most calls that may wait for a worker, of all programs that call; no bound unless set. One more is
    /// rejected at once, with [`Overloaded`](crate::ErrorKind::Overloaded).
    ///
    /// It holds where the stream of the pool is made by this program. A stream that is there already is used as it is.
    ///
    /// # Panics
    ///
    /// If `calls` is 0; in a `static`, that is a compile error.
    pub const fn queue(mut self, calls: usize) -> RemotePool {
        assert!(calls > 0, "at least 1 call can wait");
        self.here().plan_mut().queue = Some(calls);
        self
    }

    /// How long nothing may be heard of a worker before it is taken for dead; 10 s unless set. Its call fails, with
    /// [`WorkerDied`](crate::ErrorKind::WorkerDied), or is given to another, if its function has `attempts`.
    ///
    /// Workers say that they work five times as often. That their connection is lost counts as silence; that
    /// this program's own is lost does not.
    ///
    /// # Panics
    ///
    /// If it is less than 100 ms; in a `static`, that is a compile error.
    pub const fn ack_wait(mut self, time: Duration) -> RemotePool {
        assert!(time.as_millis() >= 100, "a worker has at least 100 ms to say something");
        self.here().plan_mut().ack_wait = time;
        self
    }

    /// Runs each body in a process of its worker's, which has no other, so that one that crashes, or takes all memory,
    /// costs its own call, and neither its worker nor the others' calls. There are as many of these processes as the worker's
    /// `cpu` pool has threads. Without a server they are this program's own.
    ///
    /// A worker process is the same program, started again, as those of a [`ProcessPool`](crate::ProcessPool) are, and all
    /// that is said there of workers holds: the program needs [`main`](macro@crate::main) or [`init`](crate::init), a body that
    /// nobody waits for is killed, and what it calls of the kinds `process` and `remote` runs in its place.
    ///
    /// A body that ends its process is [`WorkerDied`](crate::ErrorKind::WorkerDied), with the signal or the exit
    /// code. It is not run again, whatever `attempts` says: it would do the same to the next process.
    ///
    /// ```no_run
    /// use offload_runtime::{Error, RemotePool, offload};
    ///
    /// static RENDER: RemotePool = RemotePool::new("render").isolated();
    ///
    /// #[offload(remote, pool = RENDER, timeout = "30s")]
    /// fn render(page: String) -> Result<Vec<u8>, Error> {
    ///     Ok(page.into_bytes())
    /// }
    ///
    /// #[offload_runtime::main]
    /// async fn main() -> Result<(), Error> {
    ///     render("page".to_owned()).await.map(drop)
    /// }
    /// ```
    pub const fn isolated(mut self) -> RemotePool {
        self.here().isolate();
        self
    }

    const fn here(&mut self) -> &mut Remotes {
        match &mut self.remotes {
            RemotePlace::Here(remotes) => remotes,
            RemotePlace::There(_) => panic!("the default pool has no settings"),
        }
    }

    pub(crate) const fn remotes(&'static self) -> &'static Remotes {
        match &self.remotes {
            RemotePlace::Here(remotes) => remotes,
            RemotePlace::There(remotes) => remotes,
        }
    }
}

/// The default pool of `#[offload(remote)]`.
pub static REMOTE: RemotePool = RemotePool { remotes: RemotePlace::There(&remote::REMOTE) };

impl fmt::Debug for RemotePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.remotes {
            RemotePlace::Here(remotes) => remotes.label(),
            RemotePlace::There(remotes) => remotes.label(),
        };
        f.debug_struct("RemotePool").field("name", &name).finish()
    }
}
