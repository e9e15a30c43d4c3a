//! A call as both its ends hold it: the body with the context it runs in, then
//! what it returned, in one allocation.
//!
//! What depends on the function's types is here, and is little: each function
//! has its own copy of it.

use std::any::Any;
use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::runtime::Handle;

use crate::admission::{Admitted, Way};
use crate::context::Captured;
use crate::counts::count;
use crate::function::Function;
use crate::meta::Meta;
use crate::outcome::quietly;
use crate::pools::THREAD;

/// Drops what is left of calls.
static CLEANER: Function = Function::thread("drop", &THREAD).mixed();

/// The right to run a call, which only one has. Dropped, the call never runs.
pub(crate) struct Job {
    /// There until it begins.
    work: Option<Awaited>,
    /// Here, since it is asked for where the rest is in another core's cache.
    quick: bool,
}

/// The other end of it: that which waits.
pub(crate) type Awaited = Arc<dyn Work>;

/// A call whose types are not known.
pub(crate) trait Work: Send + Sync {
    fn meta(&self) -> &Meta;

    /// Calls `enter` with what calls the body, to be called in its context. What
    /// the body returns is kept.
    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut()));

    /// Calls `enter` with what drops the body, if that has not been called.
    fn drop_body(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut()));

    /// Moves the result, if there is one, to an `Option` of its type.
    fn take_result(&self, result: &mut dyn Any);

    fn drop_result(&self);

    /// Whether it makes a difference where the result is dropped.
    fn minds_its_drop(&self) -> bool;
}

// In this order: see `Meta`.
#[repr(C)]
struct Task<F, T> {
    content: Mutex<Content<F, T>>,
    meta: Meta,
}

enum Content<F, T> {
    Body(F, Captured),
    Result(T),
    Nothing,
}

impl<F, T> Task<F, T> {
    fn content(&self) -> MutexGuard<'_, Content<F, T>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_body(&self) -> Option<(F, Captured)> {
        let mut content = self.content();
        match mem::replace(&mut *content, Content::Nothing) {
            Content::Body(body, captured) => Some((body, captured)),
            other => {
                *content = other;
                None
            }
        }
    }
}

impl<F, T> Work for Task<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send + 'static,
{
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut())) {
        let Some((body, captured)) = self.take_body() else { return };
        let mut body = Some(body);
        enter(captured, &mut || {
            if let Some(body) = body.take() {
                let result = body();
                *self.content() = Content::Result(result);
            }
        });
        // What was to be entered has panicked.
        if body.is_some() {
            quietly(&mut || drop(body.take()));
        }
    }

    fn drop_body(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut())) {
        let Some((body, captured)) = self.take_body() else { return };
        let mut body = Some(body);
        enter(captured, &mut || drop(body.take()));
    }

    fn take_result(&self, result: &mut dyn Any) {
        let content = mem::replace(&mut *self.content(), Content::Nothing);
        if let (Content::Result(own), Some(result)) = (content, result.downcast_mut()) {
            *result = Some(own);
        }
    }

    fn drop_result(&self) {
        let content = mem::replace(&mut *self.content(), Content::Nothing);
        drop(content);
    }

    fn minds_its_drop(&self) -> bool {
        mem::needs_drop::<T>()
    }
}

impl Job {
    /// Makes a job of a body, in the surroundings of this thread.
    pub(crate) fn new<F, T>(
        function: &'static Function,
        admitted: Admitted,
        waker: Option<Waker>,
        body: F,
    ) -> (Job, Awaited)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let content = Mutex::new(Content::Body(body, Captured::here()));
        let task = Arc::new(Task { content, meta: Meta::new(function, admitted, waker) });
        (Job { work: Some(task.clone()), quick: function.is_quick() }, task)
    }

    /// A job that drops what is left of a call, in this runtime.
    pub(crate) fn cleaner(left: impl Send + 'static, runtime: Option<Handle>) -> Job {
        let body = move || {
            let _runtime = runtime.as_ref().map(Handle::enter);
            drop(left);
        };
        let admitted = Admitted { callers: None, is_counted: false, way: Way::Queue };
        let (job, awaited) = Job::new(&CLEANER, admitted, None, body);
        awaited.meta().reply.detach();
        job
    }

    /// Its body is likely to end in no time.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    /// It is run now, or ended in another way: that is up to the caller.
    pub(crate) fn begin(mut self) -> Awaited {
        self.work.take().expect("a job begins once")
    }
}

impl Deref for Job {
    type Target = dyn Work;

    fn deref(&self) -> &Self::Target {
        self.work.as_deref().expect("a job that began is gone")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            count(&work.meta().function.counts().cancelled);
            drop_body(&*work);
        }
    }
}

/// Drops the body of a call, in its caller's runtime.
pub(crate) fn drop_body(work: &dyn Work) {
    work.drop_body(&mut |captured, drop_it| {
        let _runtime = work.meta().enter_runtime();
        quietly(drop_it);
        captured.drop_quietly();
    });
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    /// Two counts of an `Arc` are before it.
    #[test]
    fn a_small_call_fits_in_three_cache_lines() {
        let size = size_of::<Task<fn(), ()>>() + 2 * size_of::<usize>();
        assert!(size <= 3 * 64, "{size}");
    }
}
