//! What can go wrong with the offload itself, as opposed to the body.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sync::foreign::{Payload, Quiet, text_of};
use crate::system::abort::Unpoisoned;

/// The error of a call that got no result from its body.
///
/// Functions that can fail so have a `Result<T, E>` with
/// `E: From<offload_runtime::Error>`: your own enum, `anyhow::Error`,
/// `Box<dyn std::error::Error + Send + Sync>`, or [`std::io::Error`].
///
/// ```
/// use offload_runtime::{Error, ErrorKind, Ran};
///
/// fn worth_another_try(error: &Error) -> bool {
///     error.kind() == ErrorKind::Overloaded || error.ran() == Ran::No
/// }
/// # let _ = worth_another_try;
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Error {
    // One pointer, so that a `Result` with it stays small.
    inner: Box<Inner>,
}

#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Inner {
    kind: ErrorKind,
    ran: Ran,
    function: String,
    /// The rest of the sentence that the function's name begins.
    what: String,
    /// What is behind it.
    #[cfg_attr(feature = "serde", serde(default, with = "source"))]
    source: Option<Source>,
    /// What a body of this process panicked with, until somebody takes it.
    #[cfg_attr(feature = "serde", serde(skip))]
    payload: Option<Arc<Mutex<Option<Payload>>>>,
    /// What is left of the process that ran the body.
    #[cfg(feature = "process")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remains: Option<Remains>,
}

/// What is known of a body's end in another process.
#[cfg(feature = "process")]
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Remains {
    pub(crate) pid: Option<u32>,
    pub(crate) signal: Option<i32>,
    pub(crate) code: Option<i32>,
    pub(crate) stderr: Option<String>,
    pub(crate) backtrace: Option<String>,
}

/// What is behind an error.
pub(crate) type Source = Arc<Quiet<Box<dyn std::error::Error + Send + Sync>>>;

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ErrorKind {
    /// A full queue: as many calls waited already as `queue` allows. Not started.
    Overloaded,
    /// A deadline: `timeout` or `queue_timeout` passed first.
    TimedOut,
    /// A cancel: the body was told to stop, and did, see [`check_cancelled`](crate::check_cancelled); or
    /// the call was [cancelled](crate::Started::cancel) before it started.
    Cancelled,
    /// A wait that would never end: the call was made from within a body that holds what it waits for.
    Deadlock,
    /// A panic of the body: in another process, or in a call that was [started](crate::Started).
    Panicked,
    /// The death of the process that ran the body.
    WorkerDied,
    /// An argument, or a result, that could not be sent to another process.
    Serialization,
    /// A failure to get what the call needs: the system started no thread or process for it, no server or worker
    /// on another machine took it, or the [resource](crate::Resource) that its body borrows could not be made.
    Unavailable,
    /// The end: [`shutdown`](crate::shutdown) was called, or the pool is [closed](crate::ThreadPool::close).
    ShuttingDown,
    /// A binary that is not set up to be a worker process.
    NotInitialized,
    /// A setting makes no sense; the message names it.
    Config,
}

/// Whether the body of a failed call was started: all that a retry asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Ran {
    /// The body was not started, and will not be.
    No,
    /// The body may have been started: nobody can tell.
    Maybe,
    /// The body was started; it may run still.
    Yes,
}

impl Error {
    /// An error as the runtime makes them, for tests of code that handles one.
    ///
    /// `what` goes on where the name of the function ends: "`` `thumbnail` was rejected``". It has no
    /// payload of a panic, and nothing of a worker process.
    ///
    /// ```
    /// use offload_runtime::{Error, ErrorKind, Ran};
    ///
    /// let error = Error::new(ErrorKind::Overloaded, Ran::No, "thumbnail", "was rejected");
    /// assert_eq!(error.kind(), ErrorKind::Overloaded);
    /// assert_eq!(error.to_string(), "`thumbnail` was rejected");
    /// ```
    pub fn new(kind: ErrorKind, ran: Ran, function: &str, what: impl Into<String>) -> Error {
        let function = function.to_owned();
        let inner = Inner {
            kind,
            ran,
            function,
            what: what.into(),
            source: None,
            payload: None,
            #[cfg(feature = "process")]
            remains: None,
        };
        Error { inner: Box::new(inner) }
    }

    pub(crate) fn overloaded(function: &str, waiting: usize) -> Error {
        let what = format!("was rejected, since {waiting} calls wait already");
        Error::new(ErrorKind::Overloaded, Ran::No, function, what)
    }

    pub(crate) fn expired_in_queue(function: &str, waited: Duration, ran: Ran) -> Error {
        let what = format!("timed out after {waited:.1?} while it was still queued");
        Error::new(ErrorKind::TimedOut, ran, function, what)
    }

    pub(crate) fn expired_running(function: &str, after: Duration, ran: Ran) -> Error {
        let what = format!("timed out after {after:.1?} while it was running");
        Error::new(ErrorKind::TimedOut, ran, function, what)
    }

    pub(crate) fn expired_detached(function: &str, after: Duration) -> Error {
        let what = format!("timed out after {after:.1?}; it is detached and goes on");
        Error::new(ErrorKind::TimedOut, Ran::Maybe, function, what)
    }

    /// Of a call, or of no call in particular.
    pub(crate) fn shutting_down(function: &str) -> Error {
        let what = match function {
            "" => "the process is shutting down",
            _ => "was not started, since the process is shutting down",
        };
        Error::new(ErrorKind::ShuttingDown, Ran::No, function, what)
    }

    /// The same of one pool.
    pub(crate) fn pool_closed(function: &str, pool: &str) -> Error {
        let what = match function {
            "" => format!("the pool `{pool}` is closed"),
            _ => format!("was not started, since its pool `{pool}` is closed"),
        };
        Error::new(ErrorKind::ShuttingDown, Ran::No, function, what)
    }

    /// A stream that had begun.
    pub(crate) fn stopped(function: &str) -> Error {
        let what =
            "was stopped before its end, since its pool is closed or the process is shutting down";
        Error::new(ErrorKind::ShuttingDown, Ran::Yes, function, what)
    }

    pub(crate) fn stalled(function: &str, after: Duration) -> Error {
        let what = format!("was ended, as nobody took what it had made for {after:.1?}");
        Error::new(ErrorKind::TimedOut, Ran::Yes, function, what)
    }

    /// `held`: what it waits for.
    pub(crate) fn deadlock(function: &str, held: &str) -> Error {
        let what = format!(
            "would wait for ever: it was called from within a body that holds {held}, and there is no other"
        );
        Error::new(ErrorKind::Deadlock, Ran::No, function, what)
    }

    pub(crate) fn forked(function: &str) -> Error {
        let what = "cannot run in a process that was forked after the first call: the threads of pools \
                    are in the one that it was forked from";
        Error::new(ErrorKind::Unavailable, Ran::No, function, what)
    }

    pub(crate) fn no_timer(function: &str, denial: &std::io::Error) -> Error {
        let what = format!("has a deadline, and the system denied the timer's thread: {denial}");
        Error::new(ErrorKind::Unavailable, Ran::No, function, what)
    }

    /// It was cancelled before its body was started.
    pub(crate) fn cancelled(function: &str) -> Error {
        Error::new(ErrorKind::Cancelled, Ran::No, function, "was cancelled before it started")
    }

    /// Who starts it polled its async function, in which the call did not come first.
    pub(crate) fn not_reached(function: &str) -> Error {
        let what = "was not started: an attribute macro below `#[offload]`, or another `impl` of the trait, has \
                    its async function do something else first";
        Error::new(ErrorKind::Config, Ran::No, function, what)
    }

    /// The body panicked, on a thread of this process, when it had begun; or what is done before.
    pub(crate) fn panicked(function: &str, payload: Payload, ran: Ran) -> Error {
        match ran {
            Ran::No => Error::panicked_before(function, payload),
            Ran::Maybe | Ran::Yes => Error::of_panic(ran, function, "panicked", payload),
        }
    }

    /// What is done for a call before it starts panicked: the expression of a deadline, say.
    pub(crate) fn panicked_before(function: &str, payload: Payload) -> Error {
        let what = "was not started, as a copy, a deadline, an argument or what it was to carry along panicked";
        Error::of_panic(Ran::No, function, what, payload)
    }

    fn of_panic(ran: Ran, function: &str, what: &str, payload: Payload) -> Error {
        let text = text_of(&payload);
        let mut error = Error::new(ErrorKind::Panicked, ran, function, format!("{what}: {text}"));
        error.inner.payload = Some(Arc::new(Mutex::new(Some(payload))));
        error
    }

    /// A resource that the body borrows could not be made, of which `source` says this.
    pub(crate) fn unmade(function: &str, resource: &str, source: Source, text: &str) -> Error {
        let what =
            format!("was not started, as the resource `{resource}` could not be made: {text}");
        let mut error = Error::new(ErrorKind::Unavailable, Ran::No, function, what);
        error.inner.source = Some(source);
        error
    }

    /// Whether it has something to drop that is foreign.
    pub(crate) fn has_foreign(&self) -> bool {
        self.inner.source.is_some() || self.inner.payload.is_some()
    }

    pub(crate) fn config(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, Ran::No, "", what)
    }

    /// The same error, of this function.
    pub(crate) fn of(mut self, function: &str) -> Error {
        function.clone_into(&mut self.inner.function);
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The label of the function: its option `name`, or its path. Empty where
    /// the error is not of one call.
    pub fn function(&self) -> &str {
        &self.inner.function
    }

    /// Whether the body was started.
    pub fn ran(&self) -> Ran {
        self.inner.ran
    }

    /// The payload of the body's panic, for [`resume_unwind`](std::panic::resume_unwind).
    ///
    /// # Errors
    ///
    /// The error itself, if it has no payload: it is of no panic, the body was in another process,
    /// or a clone of this error has given the payload away.
    ///
    /// ```
    /// let started = offload_runtime::spawn_thread(|| -> () { panic!("no such file") });
    /// let error = started.wait().unwrap_err();
    /// assert!(error.to_string().ends_with("panicked: no such file"));
    /// let payload = error.into_panic().unwrap();
    /// assert_eq!(payload.downcast_ref::<&str>(), Some(&"no such file"));
    /// ```
    pub fn into_panic(self) -> Result<Box<dyn std::any::Any + Send>, Error> {
        let payload = self.inner.payload.as_ref();
        let take = |cell: &Arc<Mutex<Option<Payload>>>| cell.lock().unpoisoned().take();
        payload.and_then(take).ok_or(self)
    }
}

/// What is left of a process that ran the body.
#[cfg(feature = "process")]
impl Error {
    /// The same error, with what is left of the process.
    pub(crate) fn with_remains(mut self, remains: Remains) -> Error {
        self.inner.remains = Some(remains);
        self
    }

    /// The number of the worker process that died.
    pub fn pid(&self) -> Option<u32> {
        self.inner.remains.as_ref()?.pid
    }

    /// The signal by which the worker died, such as 11 for a segmentation
    /// fault or 9 for a kill; `None` if it exited.
    pub fn signal(&self) -> Option<i32> {
        self.inner.remains.as_ref()?.signal
    }

    /// The code with which the worker exited; `None` if it died by a signal.
    pub fn exit_code(&self) -> Option<i32> {
        self.inner.remains.as_ref()?.code
    }

    /// The last that the worker printed during the call, at most 16 KiB.
    pub fn stderr(&self) -> Option<&str> {
        self.inner.remains.as_ref()?.stderr.as_deref()
    }

    /// The backtrace of a body that panicked in its worker, if backtraces are asked for there: by `RUST_BACKTRACE` or
    /// `RUST_LIB_BACKTRACE`, in the environment of this process or that of the pool
    /// (`ProcessPool::env`). To find the names of functions takes a new worker some ten milliseconds.
    pub fn backtrace(&self) -> Option<&str> {
        self.inner.remains.as_ref()?.backtrace.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function() {
            "" => f.write_str(&self.inner.what),
            function => write!(f, "`{function}` {}", self.inner.what),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("ran", &self.ran())
            .field("function", &self.function())
            .field("what", &self.inner.what)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.inner.source.as_deref()?;
        Some(&***source)
    }
}

/// Of a source of an error, what can be sent is its text.
#[cfg(feature = "serde")]
mod source {
    use std::fmt;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Source;
    use crate::sync::foreign::Quiet;

    /// A source, as it came from elsewhere.
    #[derive(Debug)]
    struct Text(String);

    impl fmt::Display for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Text {}

    pub(super) fn serialize<S: Serializer>(
        source: &Option<Source>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match source {
            Some(source) => serializer.serialize_some(&source.to_string()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Source>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.map(|text| Source::new(Quiet::new(Box::new(Text(text))))))
    }
}

/// `TimedOut` becomes [`TimedOut`](std::io::ErrorKind::TimedOut), `Overloaded`
/// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy), the rest
/// [`Other`](std::io::ErrorKind::Other): never `Interrupted`, which [`std::io::copy`] and its
/// like retry for ever. The `Error` is kept inside.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::TimedOut => Io::TimedOut,
            ErrorKind::Overloaded => Io::ResourceBusy,
            _ => Io::Other,
        };
        std::io::Error::new(kind, error)
    }
}
