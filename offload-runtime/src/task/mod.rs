//! A call as both its ends hold it: the body with the context it runs in, then what it
//! returned, in one allocation.
//!
//! What depends on the function's types is in this file, and is little: each function has its
//! own copy of it. A task knows its [`Owner`], and no executor.

pub(crate) mod about;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod counts;
pub(crate) mod cpu_time;
pub(crate) mod current;
pub(crate) mod incidents;
pub(crate) mod kept;
pub(crate) mod large;
pub(crate) mod loan;
pub(crate) mod meta;
pub(crate) mod portions;
mod spans;
pub(crate) mod state;
pub(crate) mod under_way;

use std::any::Any;
use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use self::about::About;
use self::context::Captured;
use self::large::{Boxed, is_large};
use self::loan::Loans;
use self::meta::{Meta, StandIn};
use self::under_way::UnderWay;
use crate::error::{Error, Ran};
use crate::sync::foreign::{Payload, drop_quietly};
use crate::sync::semaphore::{self, Waiter};

/// What a body has that may run.
pub(crate) type Permits = semaphore::Permits<Queued>;

/// The function of a task, as far as a task and who runs it need it.
pub(crate) trait Owner: Sync {
    fn about(&self) -> &About;

    /// A thread is ready to run the call: has it all that it needs besides?
    fn admit(&'static self, task: Queued) -> Admitted;

    /// Brings a call that waited for a permit back to a thread of its pool.
    fn resume(&'static self, task: Queued);

    /// Whether its bodies have a permit from there.
    fn is_gated_by(&self, gate: usize) -> bool;

    /// A body is about to start on this thread, in its frame: what it borrows.
    fn lend(&'static self) -> Result<Loans, Error>;

    /// What tells the executor of its calls from others.
    fn executor_place(&self) -> usize;

    /// A body of it waits for a call. If its pool is full, a thread that takes that body's place, until
    /// this is dropped.
    fn stand_in(&'static self) -> Option<StandIn>;

    /// What counts the calls of that executor.
    fn under_way(&self) -> &'static UnderWay;

    /// A call that waited for a permit, from the gate with this number, was cancelled.
    fn leave_line(&'static self, gate: usize);

    /// Ends the calls of its executor that wait for the permits that it needs: that is closed.
    fn reject_lines(&'static self);

    /// A call was cancelled that had a reservation of a permit from the gate with this number.
    fn give_up_reservation(&'static self, gate: usize);
}

/// Whether a call may start.
pub(crate) enum Admitted {
    /// With the permits that it needs.
    Start(Queued, Permits),
    /// It waits, and is brought back when there is a permit.
    Waits,
    /// It was cancelled.
    Cancelled,
    /// It would wait for ever.
    Rejected(Queued, Error),
}

/// A task whose types are not known.
pub(crate) trait Work: Send + Sync {
    fn meta(&self) -> &Meta;

    /// Calls `enter` with what calls the body, to be called in its context. What the body
    /// returns is kept. `enter` is not called if the body is gone.
    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut()));

    /// Keeps why there is no result, and drops what is there.
    fn fail(&self, failure: Failure);

    /// Moves the result, if there is one, to an `Option` of its type; or returns why there is
    /// none.
    fn take(&self, result: &mut dyn Any) -> Option<Failure>;

    /// Drops the body, the result, or why there is none.
    fn clear(&self);

    /// The error, if that is why there is no result.
    fn error(&self) -> Option<Error>;

    /// Whether it makes a difference where [`clear`](Self::clear) is called.
    fn has_drop_glue(&self) -> bool;

    /// What is kept between the parts of a body that runs in several.
    fn kept(&self) -> Option<&kept::Kept<Permits>> {
        None
    }

    /// Whether the next part of such a body is to run.
    fn wants_more(&self) -> bool {
        false
    }
}

/// Why a call has no result.
pub(crate) enum Failure {
    /// The body panicked, when it had begun; or what is done before.
    Panic(Payload, Ran),
    /// It was not started, or came too late, or was lost.
    Error(Error),
}

impl Failure {
    /// Whether its destructor may be foreign code.
    fn is_foreign(&self) -> bool {
        match self {
            Failure::Error(error) => error.has_foreign(),
            Failure::Panic(..) => true,
        }
    }

    /// The error, if it is one.
    fn error(&self) -> Option<Error> {
        match self {
            Failure::Error(error) => Some(error.clone()),
            Failure::Panic(..) => None,
        }
    }
}

/// A task at its caller's end.
pub(crate) type Awaited = Arc<dyn Work>;

/// A task in a queue, which is run, or ended in another way, by who takes it out.
#[must_use = "a call that nobody ends is awaited for ever"]
pub(crate) struct Queued(Option<Awaited>);

// In this order: see `Meta`.
#[repr(C)]
struct Task<F, T> {
    content: Mutex<Content<F, T>>,
    /// `None` until the call is admitted. Not larger than a `Meta`, which has a reference in it.
    meta: Option<Meta>,
}

enum Content<F, T> {
    Body(F, Captured),
    Result(T),
    // Apart, since most calls have none.
    Failure(Box<Failure>),
    Nothing,
}

/// A task that is not admitted yet. Until then it is its caller's alone.
pub(crate) trait Unsent: Send + Sync {
    /// The task itself, in the surroundings of the thread that made these.
    fn admit(self: Arc<Self>, meta: Meta, captured: Captured) -> Awaited;
}

/// The task of a call that is made now and admitted later, at its first poll: so its body, which may be large, is
/// no part of what its caller moves.
pub(crate) fn unsent<F, T>(body: F) -> Arc<dyn Unsent>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if const { is_large::<T>() } {
        let body: Boxed<T> = Box::new(body);
        Task::unsent(move || Box::new(body()))
    } else if const { is_large::<F>() } {
        let body: Boxed<T> = Box::new(body);
        Task::unsent(body)
    } else {
        Task::unsent(body)
    }
}

/// What makes a task of a body, in the surroundings of this thread. What that returns is
/// moved to an `Option` by [`poll_result`](large::poll_result).
///
/// A function, and not the task: without optimization each call to which a large body is given has a
/// copy of it on the stack, whether it is made or not, and so there is one.
pub(crate) fn maker<F, T>() -> fn(Meta, Captured, F) -> Awaited
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Branches of constants: of those that are not taken nothing is compiled, and each function of
    // a program has one kind of task.
    if const { is_large::<T>() } {
        task_to_large
    } else if const { is_large::<F>() } {
        task_of_large
    } else {
        task
    }
}

fn task_of_large<F, T>(meta: Meta, captured: Captured, body: F) -> Awaited
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let body: Boxed<T> = Box::new(body);
    task(meta, captured, body)
}

fn task_to_large<F, T>(meta: Meta, captured: Captured, body: F) -> Awaited
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let body: Boxed<T> = Box::new(body);
    task(meta, captured, move || Box::new(body()))
}

fn task<F, T>(meta: Meta, captured: Captured, body: F) -> Awaited
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Arc::new(Task { content: Mutex::new(Content::Body(body, captured)), meta: Some(meta) })
}

/// What a task holds. Never contended, so nobody waits here: the state says whose it is.
fn own<C>(content: &Mutex<C>) -> MutexGuard<'_, C> {
    let content = content.try_lock();
    content.unwrap_or_else(|_| unreachable!("it has one owner at a time, and none panics"))
}

impl<F, T> Task<F, T> {
    fn content(&self) -> MutexGuard<'_, Content<F, T>> {
        own(&self.content)
    }

    fn replace(&self, content: Content<F, T>) -> Content<F, T> {
        mem::replace(&mut *self.content(), content)
    }
}

impl<F, T> Task<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn unsent(body: F) -> Arc<dyn Unsent> {
        let content = Mutex::new(Content::Body(body, Captured::NOTHING));
        Arc::new(Task { content, meta: None })
    }
}

impl<F, T> Unsent for Task<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn admit(mut self: Arc<Self>, meta: Meta, captured: Captured) -> Awaited {
        let task = Arc::get_mut(&mut self).expect("nobody else has it");
        match &mut *task.content() {
            Content::Body(_, surroundings) => *surroundings = captured,
            _ => unreachable!("it has its body until it is sent"),
        }
        task.meta = Some(meta);
        self
    }
}

impl<F, T> Work for Task<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send + 'static,
{
    fn meta(&self) -> &Meta {
        self.meta.as_ref().expect("what is sent was admitted")
    }

    fn call(&self, enter: &mut dyn FnMut(Captured, &mut dyn FnMut())) {
        let Content::Body(body, captured) = self.replace(Content::Nothing) else { return };
        let mut body = Some(body);
        enter(captured, &mut || {
            if let Some(body) = body.take() {
                let result = body();
                *self.content() = Content::Result(result);
            }
        });
        // It was not called, if its context could not be entered.
        drop_quietly(body);
    }

    fn fail(&self, failure: Failure) {
        let content = self.replace(Content::Failure(Box::new(failure)));
        drop_quietly(content);
    }

    fn take(&self, result: &mut dyn Any) -> Option<Failure> {
        match self.replace(Content::Nothing) {
            Content::Result(own) => {
                if let Some(result) = result.downcast_mut() {
                    *result = Some(own);
                }
                None
            }
            Content::Failure(failure) => Some(*failure),
            Content::Body(..) | Content::Nothing => None,
        }
    }

    fn clear(&self) {
        let content = self.replace(Content::Nothing);
        drop(content);
    }

    fn error(&self) -> Option<Error> {
        match &*self.content() {
            Content::Failure(failure) => failure.error(),
            _ => None,
        }
    }

    fn has_drop_glue(&self) -> bool {
        match &*self.content() {
            Content::Body(_, captured) => mem::needs_drop::<F>() || captured.is_any(),
            Content::Result(_) => mem::needs_drop::<T>(),
            Content::Failure(failure) => failure.is_foreign(),
            Content::Nothing => false,
        }
    }
}

impl Queued {
    pub(crate) fn new(task: Awaited) -> Queued {
        Queued(Some(task))
    }

    /// The right to run the call, or to end it in another way. `None`: it was cancelled, or
    /// somebody else has it.
    pub(crate) fn begin(mut self) -> Option<Awaited> {
        let task = self.0.take()?;
        task.meta().state.begin().then_some(task)
    }

    /// The call, for who looks at it later.
    pub(crate) fn awaited(&self) -> Awaited {
        Arc::clone(self.0.as_ref().expect("it is there until it begins"))
    }

    /// Forgets what is only a shell.
    pub(crate) fn discard(mut self) {
        self.0 = None;
    }
}

impl Deref for Queued {
    type Target = dyn Work;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().expect("it is there until it begins")
    }
}

impl Waiter for Queued {
    fn set_waiting(&self) -> bool {
        let is_waiting = self.meta().state.set_waiting();
        if is_waiting {
            // It does not wait for a thread any more.
            self.meta().pool_slot.leave();
        }
        is_waiting
    }

    fn set_reserved(&self) -> bool {
        self.meta().reservation.set();
        self.meta().state.requeue()
    }

    fn resume(self) {
        self.meta().owner.resume(self);
    }

    fn is_awaited(&self) -> bool {
        self.meta().state.is_unstarted()
    }
}
