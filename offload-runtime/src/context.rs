//! What a body gets from the task that called it. In, never back: it is
//! entered around the body and left after it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::task::LocalKey;

use crate::meta::Meta;
use crate::outcome::{drop_quietly, quietly};

thread_local! {
    /// The runtime whose context this thread stays in from one body to the next.
    static ENTERED: Cell<Option<Id>> = const { Cell::new(None) };
    /// The one to stay in from now on.
    static STAY: Cell<Option<Handle>> = const { Cell::new(None) };
}

/// Calls `run` in the context of the runtime that [`STAY`] names, if
/// any. Bodies that come from there need not enter it then: to do so changes a
/// count that all cores share. The others must not run inside `run`.
pub(crate) fn stay<R>(run: impl FnOnce() -> R) -> R {
    let runtime = STAY.take();
    let guard = runtime.as_ref().map(Handle::enter);
    let outer = ENTERED.replace(runtime.as_ref().map(Handle::id));
    let result = run();
    ENTERED.set(outer);
    // A body that has leaked a guard of its own makes this one panic.
    quietly(|| drop(guard));
    result
}

/// Whether this thread is in the context of another runtime than a body wants.
pub(crate) fn is_elsewhere(runtime: Option<Id>) -> bool {
    ENTERED.get().is_some_and(|entered| runtime != Some(entered))
}

/// Whether there is one in [`STAY`], and it is time to return to [`stay`].
pub(crate) fn is_to_stay() -> bool {
    let runtime = STAY.take();
    let is_to_stay = runtime.is_some();
    STAY.set(runtime);
    is_to_stay
}

/// No runtime is to be stayed in.
pub(crate) fn forget() {
    drop_quietly(STAY.take());
}

/// The caller's surroundings, taken at the first poll of the call, but for its
/// runtime: that is in [`Meta`].
pub(crate) struct Captured(Option<Box<Surroundings>>);

/// What most calls have nothing of.
struct Surroundings {
    values: Vec<Box<dyn Value>>,
    #[cfg(feature = "tracing")]
    spans: Option<crate::spans::Spans>,
}

impl Captured {
    /// The surroundings of this thread.
    pub(crate) fn here() -> Captured {
        let found = Surroundings {
            values: values(),
            #[cfg(feature = "tracing")]
            spans: crate::spans::Spans::here(),
        };
        Captured(found.is_any().then(|| Box::new(found)))
    }

    /// Drops what was not entered: carried values are foreign.
    pub(crate) fn drop_quietly(self) {
        drop_quietly(self.0);
    }

    /// Calls `body` in these surroundings, and in the runtime of the call.
    pub(crate) fn enter(self, meta: &Meta, waited: Duration, body: &mut dyn FnMut()) {
        let entered = ENTERED.get();
        let runtime = meta.handle.as_ref().filter(|_| entered != meta.runtime);
        let _runtime = runtime.map(Handle::enter);
        if runtime.is_some() && entered.is_none() && meta.function.pool().has_waiting() {
            // The next call is likely to come from there as well.
            STAY.set(runtime.cloned());
        }
        let Some(surroundings) = self.0 else { return body() };
        let mut values = surroundings.values.into_iter();
        #[cfg(feature = "tracing")]
        if let Some(spans) = surroundings.spans {
            spans.enter(meta.function, waited, || enter_values(&mut values, body));
            return;
        }
        #[cfg(not(feature = "tracing"))]
        let _ = waited;
        enter_values(&mut values, body);
    }
}

impl Surroundings {
    fn is_any(&self) -> bool {
        #[cfg(feature = "tracing")]
        if self.spans.is_some() {
            return true;
        }
        !self.values.is_empty()
    }
}

/// Keys that are carried, in the order of [`propagate`].
static KEYS: RwLock<Vec<Box<dyn Key>>> = RwLock::new(Vec::new());

/// Whether there are any, to be read without the lock.
static ANY: AtomicBool = AtomicBool::new(false);

/// From now on every offloaded body sees its caller's value of this
/// `tokio::task_local!`.
///
/// Call it once for each key, when the process starts. The value is cloned at
/// the first poll of a call, if the caller has one; nothing that a body does
/// to its copy gets back to the caller, or into the next body. Carried values
/// cost each call a few allocations.
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
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if !keys.iter().any(|known| known.is(std::ptr::from_ref(key).cast())) {
        keys.push(Box::new(Carried(key)));
        ANY.store(true, Ordering::Release);
    }
}

/// The values that the caller has of all keys.
fn values() -> Vec<Box<dyn Value>> {
    if !ANY.load(Ordering::Acquire) {
        return Vec::new();
    }
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    keys.iter().filter_map(|key| key.value()).collect()
}

/// Calls inside all values, each in the scope of those before it.
fn enter_values(values: &mut dyn Iterator<Item = Box<dyn Value>>, call: &mut dyn FnMut()) {
    match values.next() {
        Some(value) => value.scope(&mut || enter_values(values, call)),
        None => call(),
    }
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
