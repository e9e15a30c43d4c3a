//! One instance of something, lent to all bodies that want it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::making::{self, Make};
use super::{AnyResource, Counts, Numbers, is_closed};
use crate::error::Error;
use crate::gate::{Gate, Of, Size};
use crate::sync::foreign::drop_quietly;
use crate::system::abort::Unpoisoned;
use crate::task::loan::{Lender, Loan, Thing};

/// More bodies than there ever are.
const ALL: usize = usize::MAX / 4;

/// One instance that all bodies borrow at once and do not own: a model that takes long to load, a
/// table.
///
/// A function says so with `#[resource(…)]` on an argument of the type `&T`, which its callers do not
/// give. It is made by the first call that needs it, on the thread that runs its body. Calls that come
/// meanwhile wait until it is there, without a thread.
///
/// ```
/// use offload_runtime::{SharedResource, offload};
///
/// struct Model(Vec<f32>);
///
/// static MODEL: SharedResource<Model> =
///     SharedResource::new("model", || Ok(Model(vec![0.5; 1024]))); // it takes a second to load, say
///
/// #[offload(cpu)]
/// fn classify(input: f32, #[resource(MODEL)] model: &Model) -> f32 {
///     model.0.iter().map(|weight| weight * input).sum()
/// }
///
/// # assert_eq!(futures::executor::block_on(classify(2.0)), 1024.0);
/// ```
///
/// # Errors
///
/// If it cannot be made, the call ends with an [`Error`](crate::Error) of the kind
/// [`Unavailable`](crate::ErrorKind::Unavailable), as with a [`Resource`](crate::Resource), and the next call
/// tries again, one at a time.
///
/// # Panics
///
/// A panic of a body leaves it as it is: nobody could change it but by what it allows itself.
///
/// # Processes
///
/// For functions of the kind `process` there is one in each worker process, made there at the first call
/// that needs it. It need not be a `serde` type.
///
/// # Shutdown
///
/// [`shutdown`](crate::shutdown) has it dropped by a thread of a pool, or by the last body that has it.
pub struct SharedResource<T: 'static> {
    name: &'static str,
    make: Make<T>,
    /// One may pass until it is made, then all.
    gate: Gate,
    instance: Mutex<Option<Arc<T>>>,
    counts: Counts,
}

impl<T: Send + Sync + 'static> SharedResource<T> {
    /// A resource with this name, which [`stats`](crate::stats), metrics, the dashboard and errors show.
    /// `make` makes the instance, on a thread of a pool, where it may block, in the context of no call.
    pub const fn new(
        name: &'static str,
        make: fn() -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> SharedResource<T> {
        SharedResource {
            name,
            make,
            gate: Gate::new(Of::Resource(name), Size::Known(1)),
            instance: Mutex::new(None),
            counts: Counts::new(),
        }
    }
}

/// What somebody has of the instance. Of several that are dropped at once, after the end, one is the last.
struct Share<T> {
    /// There until it is dropped.
    instance: Option<Arc<T>>,
    counts: &'static Counts,
}

impl<T> Share<T> {
    fn new(instance: Arc<T>, counts: &'static Counts) -> Share<T> {
        Share { instance: Some(instance), counts }
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take().and_then(Arc::into_inner) {
            self.counts.count_dropped();
            drop_quietly(instance);
        }
    }
}

impl<T> SharedResource<T> {
    fn instance(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.instance.lock().unpoisoned()
    }
}

impl<T: Send + Sync + 'static> Lender for SharedResource<T> {
    fn lend(&'static self, function: &str, is_gated: bool) -> Result<Loan, Error> {
        let lend = |instance: Arc<T>| Loan::new(self, Thing::Shared(instance), is_gated);
        if let Some(instance) = &*self.instance() {
            return Ok(lend(Arc::clone(instance)));
        }
        let made = Arc::new(making::make(self.make, self.name, function, &self.counts)?);
        let mut instance = self.instance();
        if let Some(there) = instance.as_ref().map(Arc::clone) {
            // Of two that are made at once, without permits, one is kept.
            drop(instance);
            self.counts.count_dropped();
            drop_quietly(made);
            return Ok(lend(there));
        }
        // Under the lock: a shutdown takes out what is there, and looks no more.
        if !is_closed() {
            *instance = Some(Arc::clone(&made));
            drop(instance);
            self.gate.set_limit(ALL);
        }
        Ok(lend(made))
    }

    fn take_back(&'static self, thing: Thing, _: bool, _: bool) {
        if let Thing::Shared(instance) = thing {
            drop(instance.downcast::<T>().map(|instance| Share::new(instance, &self.counts)));
        }
    }
}

impl<T: Send + Sync + 'static> AnyResource for SharedResource<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> &'static str {
        "shared"
    }

    fn gate(&'static self, is_here: bool) -> Option<&'static Gate> {
        is_here.then_some(&self.gate)
    }

    fn numbers(&self) -> Numbers {
        self.counts.numbers(Some(&self.gate), None)
    }

    fn close(&'static self) -> Vec<Box<dyn Any + Send>> {
        let Some(instance) = self.instance().take() else { return Vec::new() };
        vec![Box::new(Share::new(instance, &self.counts))]
    }
}

impl<T> fmt::Debug for SharedResource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.counts.numbers(Some(&self.gate), None);
        super::debug(f, "SharedResource", self.name, &numbers)
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::hint::spin_loop;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    /// Both threads drop theirs at the same moment, as nearly as that can be had.
    #[test]
    fn of_shares_that_are_dropped_at_once_one_is_counted() {
        const ROUNDS: u64 = 20_000;
        static COUNTS: Counts = Counts::new();
        static ARRIVED: AtomicU64 = AtomicU64::new(0);
        let drop_all = |shares: Vec<Arc<u8>>| {
            for (round, instance) in (1..).zip(shares) {
                let share = Share::new(instance, &COUNTS);
                ARRIVED.fetch_add(1, Ordering::SeqCst);
                // The other one may have no processor.
                for spins in 1.. {
                    match ARRIVED.load(Ordering::SeqCst) < 2 * round {
                        true if spins % 1000 == 0 => thread::yield_now(),
                        true => spin_loop(),
                        false => break,
                    }
                }
                drop(share);
            }
        };
        let own: Vec<Arc<u8>> = (0..ROUNDS).map(|_| Arc::new(0)).collect();
        let other = own.clone();
        thread::scope(|scope| {
            scope.spawn(|| drop_all(other));
            drop_all(own);
        });
        assert_eq!(COUNTS.numbers(None, None).dropped, ROUNDS);
    }
}
