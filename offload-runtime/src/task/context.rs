//! What a body gets from the task that called it. In, never back: it is
//! entered around the body and left after it.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::LocalKey;

use super::about::About;
use super::spans::Spans;
use crate::sync::foreign::{Quiet, panic_of, resume_first};
use crate::system::abort::Unpoisoned;

/// The caller's surroundings, taken at the first poll of the call, but for its
/// runtime: that is in [`Meta`](super::meta::Meta).
pub(crate) struct Captured(Option<Box<Surroundings>>);

/// See [`Captured::again`].
pub(crate) struct Again(Option<Option<Spans>>);

impl Again {
    /// The surroundings for the next part; this thread is in those of the last.
    pub(crate) fn here(self) -> Captured {
        Captured(self.0.map(|spans| Box::new(Surroundings { values: values(), spans })))
    }
}

/// What most calls have nothing of.
struct Surroundings {
    values: Vec<Quiet<Box<dyn Value>>>,
    spans: Option<Spans>,
}

impl Captured {
    pub(crate) const NOTHING: Captured = Captured(None);

    /// The surroundings of this thread. It runs foreign code: clones of values, and what a
    /// subscriber does.
    pub(crate) fn here() -> Captured {
        let found = Surroundings { values: values(), spans: Spans::here() };
        let is_any = found.spans.is_some() || !found.values.is_empty();
        Captured(is_any.then(|| Box::new(found)))
    }

    /// What is to be kept of these for another part of the same body, when this one has run in them.
    pub(crate) fn again(&mut self) -> Again {
        Again(self.0.as_mut().map(|found| found.spans.as_mut().map(Spans::again)))
    }

    /// What was [`carried`] here from elsewhere, as far as its names are known here.
    #[cfg(feature = "remote")]
    pub(crate) fn from_elsewhere(carried: impl Iterator<Item = (String, String)>) -> Captured {
        let keys = *REMOTE_KEYS.read().unpoisoned();
        let enter = |(name, text): (String, String)| {
            let key = keys.iter().find(|key| key.name == name)?;
            Some(Quiet::new(key.key.value_of(text)))
        };
        let values: Vec<_> = carried.filter_map(enter).collect();
        let is_any = !values.is_empty();
        Captured(is_any.then(|| Box::new(Surroundings { values, spans: None })))
    }

    /// Whether there is more than the caller's spans.
    pub(crate) fn carries_values(&self) -> bool {
        self.0.as_ref().is_some_and(|found| !found.values.is_empty())
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Calls `body` in these surroundings.
    pub(crate) fn enter(self, about: &About, waited: Duration, body: &mut dyn FnMut()) {
        let Some(surroundings) = self.0 else { return body() };
        let mut values = surroundings.values.into_iter();
        let Some(spans) = surroundings.spans else { return enter_values(&mut values, body) };
        let mut inside = None;
        let run = || inside = panic_of(|| enter_values(&mut values, body));
        let outside = panic_of(|| spans.enter(about, waited, run));
        resume_first([inside, outside]);
    }
}

/// Keys that are carried, in the order of [`propagate`].
static KEYS: RwLock<&[&dyn Key]> = RwLock::new(&[]);

/// Whether there are any, to be read without the lock.
static ANY: AtomicBool = AtomicBool::new(false);

/// Registers a `tokio::task_local!`: from now on every offloaded body sees its caller's value of it.
///
/// Call it once for each key, when the process starts. The value is cloned at
/// the first poll of a call, if the caller has one; nothing that a body does
/// to its copy gets back to the caller, or into the next body. Carried values
/// cost each call a few allocations.
///
/// # Panics
///
/// A panic of the value's `Clone` ends that call alone: as a panic of the call's own.
///
/// ```
/// use offload_runtime::{offload, propagate};
///
/// tokio::task_local! {
///     static TENANT: String;
/// }
///
/// #[offload(thread)]
/// fn bucket() -> String {
///     TENANT.with(|tenant| format!("photos-{tenant}"))
/// }
///
/// propagate(&TENANT);
/// let bucket = TENANT.scope("acme".to_owned(), bucket());
/// # assert_eq!(futures::executor::block_on(bucket), "photos-acme");
/// ```
pub fn propagate<T: Clone + Send + 'static>(key: &'static LocalKey<T>) {
    let mut keys = KEYS.write().unpoisoned();
    if !keys.iter().any(|known| known.is(std::ptr::from_ref(key).cast())) {
        add(&mut keys, Box::leak(Box::new(Carried(key))));
    }
}

/// Registers a context of the program's own kind, a thread-local hub, say: from now on every offloaded
/// body runs in its caller's.
///
/// `capture` takes it, at the first poll of a call or when one is started; `None`: there is nothing
/// to carry. `enter` is called with what was taken, on the thread of the body and before it. What
/// `enter` returns is dropped after the body, also if that panics: its destructor is to put back
/// what was there. What was registered first is entered first, and left last.
///
/// Call it once for each kind of context, when the process starts. For a body in another process,
/// both functions are called in this one. It costs each call that has something to carry a few
/// allocations.
///
/// # Panics
///
/// A panic of either function, or of the destructor, ends that call alone: as a panic of the call's
/// own.
///
/// ```
/// use std::cell::RefCell;
///
/// use offload_runtime::{propagate_with, to_thread};
///
/// thread_local! {
///     static HUB: RefCell<Option<String>> = const { RefCell::new(None) };
/// }
///
/// struct Entered(Option<String>);
///
/// impl Drop for Entered {
///     fn drop(&mut self) {
///         HUB.set(self.0.take());
///     }
/// }
///
/// propagate_with(|| HUB.with_borrow(Clone::clone), |hub| Entered(HUB.replace(Some(hub))));
/// HUB.set(Some("request 7".to_owned()));
/// let seen = to_thread(|| HUB.with_borrow(Clone::clone));
/// # assert_eq!(futures::executor::block_on(seen).as_deref(), Some("request 7"));
/// ```
pub fn propagate_with<C, G>(capture: fn() -> Option<C>, enter: fn(C) -> G)
where
    C: Send + 'static,
    G: 'static,
{
    let mut keys = KEYS.write().unpoisoned();
    add(&mut keys, Box::leak(Box::new(Own { capture, enter })));
}

/// Registers a context that is a text, as [`propagate_with`] does; it also goes to bodies on other machines: a request's
/// number, a tenant, or the `traceparent` of a [trace](https://www.w3.org/TR/trace-context/).
///
/// `name` is that of the header in which it travels, where `enter` is called by the worker: both
/// programs register it. It has letters, digits, `-` and `_`; a text with line ends is not carried.
///
/// All that a call carries so may have 32 KiB, names included, and counts as its arguments do. With more the call is rejected, with
/// [`Serialization`](crate::ErrorKind::Serialization).
///
/// # Panics
///
/// If the name has other characters, or none. A panic of either function, or of the destructor, ends that call alone.
///
/// ```
/// use std::cell::RefCell;
///
/// use offload_runtime::{Error, offload, propagate_remote};
///
/// thread_local! {
///     static TRACE: RefCell<Option<String>> = const { RefCell::new(None) };
/// }
///
/// struct Entered(Option<String>);
///
/// impl Drop for Entered {
///     fn drop(&mut self) {
///         TRACE.set(self.0.take());
///     }
/// }
///
/// #[offload(remote, timeout = "10s")]
/// fn trace() -> Result<Option<String>, Error> {
///     Ok(TRACE.with_borrow(Clone::clone))
/// }
///
/// propagate_remote(
///     "traceparent",
///     || TRACE.with_borrow(Clone::clone),
///     |text| Entered(TRACE.replace(Some(text))),
/// );
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// TRACE.set(Some(text.to_owned()));
/// # futures::executor::block_on(async {
/// assert_eq!(trace().await?.as_deref(), Some(text));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[cfg(feature = "remote")]
pub fn propagate_remote<G: 'static>(
    name: &'static str,
    capture: fn() -> Option<String>,
    enter: fn(String) -> G,
) {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    assert!(
        !name.is_empty() && name.bytes().all(is_fine),
        "the name of what is carried has letters, digits, `-` and `_`"
    );
    let own: &'static Own<String, G> = Box::leak(Box::new(Own { capture, enter }));
    add(&mut KEYS.write().unpoisoned(), own);
    let mut keys = REMOTE_KEYS.write().unpoisoned();
    *keys = Vec::leak(keys.iter().copied().chain([RemoteKey { name, key: own }]).collect());
}

/// Those that go to other machines.
#[cfg(feature = "remote")]
static REMOTE_KEYS: RwLock<&[RemoteKey]> = RwLock::new(&[]);

#[cfg(feature = "remote")]
#[derive(Clone, Copy)]
struct RemoteKey {
    name: &'static str,
    key: &'static dyn Textual,
}

/// What the caller on this thread has of those that go to other machines. It runs foreign code.
#[cfg(feature = "remote")]
pub(crate) fn carried() -> Vec<(&'static str, String)> {
    let keys = *REMOTE_KEYS.read().unpoisoned();
    let one = |key: &RemoteKey| Some((key.name, key.key.text()?));
    keys.iter().filter_map(one).filter(|(_, text)| !text.contains(['\r', '\n'])).collect()
}

/// A key whose value is a text.
#[cfg(feature = "remote")]
trait Textual: Send + Sync {
    fn text(&self) -> Option<String>;
    fn value_of(&self, text: String) -> Box<dyn Value>;
}

#[cfg(feature = "remote")]
impl<G: 'static> Textual for Own<String, G> {
    fn text(&self) -> Option<String> {
        (self.capture)()
    }

    fn value_of(&self, text: String) -> Box<dyn Value> {
        Box::new(Captive { captured: text, enter: self.enter })
    }
}

/// Adds one, for good: as the keys before it are, whoever has read them.
fn add(keys: &mut &'static [&'static dyn Key], key: &'static dyn Key) {
    *keys = Vec::leak(keys.iter().copied().chain([key]).collect());
    ANY.store(true, Ordering::Release);
}

/// The values that the caller has of all keys.
fn values() -> Vec<Quiet<Box<dyn Value>>> {
    if !ANY.load(Ordering::Acquire) {
        return Vec::new();
    }
    // Not locked while foreign code runs.
    let keys = *KEYS.read().unpoisoned();
    keys.iter().filter_map(|key| key.value()).map(Quiet::new).collect()
}

/// Calls inside all values, each in the scope of those before it.
fn enter_values(values: &mut dyn Iterator<Item = Quiet<Box<dyn Value>>>, call: &mut dyn FnMut()) {
    let Some(value) = values.next() else { return call() };
    // Nothing unwinds through a scope: to leave that is foreign code, too, and may panic.
    let mut inside = None;
    let mut enter = || inside = panic_of(|| enter_values(values, call));
    let outside = panic_of(|| value.take().scope(&mut enter));
    resume_first([inside, outside]);
}

trait Key: Send + Sync {
    fn is(&self, key: *const ()) -> bool;
    fn value(&self) -> Option<Box<dyn Value>>;
}

trait Value: Send {
    fn scope(self: Box<Self>, call: &mut dyn FnMut());
}

struct Carried<T: 'static>(&'static LocalKey<T>);

impl<T: Clone + Send + 'static> Key for Carried<T> {
    fn is(&self, key: *const ()) -> bool {
        std::ptr::eq(std::ptr::from_ref(self.0).cast(), key)
    }

    fn value(&self) -> Option<Box<dyn Value>> {
        let value = self.0.try_with(T::clone).ok()?;
        Some(Box::new(Held { key: self.0, value }))
    }
}

struct Held<T: 'static> {
    key: &'static LocalKey<T>,
    value: T,
}

impl<T: Send + 'static> Value for Held<T> {
    fn scope(self: Box<Self>, call: &mut dyn FnMut()) {
        self.key.sync_scope(self.value, call);
    }
}

/// A context of the program's own kind.
struct Own<C, G> {
    capture: fn() -> Option<C>,
    enter: fn(C) -> G,
}

impl<C: Send + 'static, G: 'static> Key for Own<C, G> {
    fn is(&self, _: *const ()) -> bool {
        false
    }

    fn value(&self) -> Option<Box<dyn Value>> {
        let captured = (self.capture)()?;
        Some(Box::new(Captive { captured, enter: self.enter }))
    }
}

struct Captive<C, G> {
    captured: C,
    enter: fn(C) -> G,
}

impl<C: Send + 'static, G: 'static> Value for Captive<C, G> {
    fn scope(self: Box<Self>, call: &mut dyn FnMut()) {
        let entered = (self.enter)(self.captured);
        call();
        drop(entered);
    }
}
