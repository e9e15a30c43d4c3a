//! The pool of `remote` functions that users name, with its settings.

use std::fmt;

use crate::executor::remote::{self, Remotes};

/// A pool for bodies that are to run on other machines.
///
/// This version cannot connect to any: the bodies run here, on the `cpu` pool. What would be sent is encoded and
/// decoded all the same, so that what cannot be sent is found.
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
        self.here().plan_mut().max_message = bytes;
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
