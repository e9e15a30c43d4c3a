//! The buffer between a body and the consumer of its stream.
//!
//! # The protocol
//!
//! Who finds the buffer full shows its waker, and then looks whether half of it is free; who takes an
//! item looks at the same afterwards, and wakes. With a fence between in both cases, so at least one
//! of them sees the other. Who finds it empty does the same with the other waker.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;

use super::closed::Closed;
use crate::error::Error;
use crate::executor::threads::THREAD;
use crate::function;
use crate::sync::foreign::{drop_quietly, quietly};
use crate::sync::ring::Ring;
use crate::sync::waker::WakerCell;
use crate::system::abort::Unpoisoned;
use crate::task::current::{self, Until};

/// What both ends have.
pub(super) struct Channel<T> {
    function: &'static str,
    ring: Ring<T>,
    /// Nobody takes anything any more.
    is_closed: AtomicBool,
    /// So long a body may wait for room.
    stall_timeout: Option<Duration>,
    /// It has waited longer.
    has_stalled: AtomicBool,
    /// Foreign.
    consumer: WakerCell,
    sender: AtomicWaker,
    /// Has what nobody takes dropped by a thread of a pool.
    leave: fn(Arc<Channel<T>>),
}

/// The consumer's end. Dropped, it closes.
pub(super) struct Receiver<T>(pub(super) Arc<Channel<T>>);

impl<T> Channel<T> {
    pub(super) fn new(
        function: &'static str,
        room: usize,
        stall_timeout: Option<Duration>,
    ) -> Channel<T>
    where
        T: Send + 'static,
    {
        Channel {
            function,
            ring: Ring::new(room),
            is_closed: AtomicBool::new(false),
            stall_timeout,
            has_stalled: AtomicBool::new(false),
            consumer: WakerCell::new(),
            sender: AtomicWaker::new(),
            leave: |channel| leave(Rest(channel)),
        }
    }

    fn drop_items(&self) {
        while let Some(item) = self.ring.pop() {
            drop_quietly(item);
        }
    }
}

impl<T> Receiver<T> {
    /// Takes an item. If there is none, this waker is woken when there is.
    pub(super) fn take(&self, cx: &Context<'_>) -> Option<T> {
        let channel = &*self.0;
        // No `?` and no closure: unoptimized, each has a copy of the item on its stack.
        let mut item = channel.ring.pop();
        if item.is_none() {
            channel.consumer.register(cx.waker());
            item = channel.ring.pop();
        }
        if item.is_some() && channel.ring.is_half_free() {
            channel.sender.wake();
        }
        item
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let channel = &self.0;
        channel.is_closed.store(true, Ordering::SeqCst);
        channel.sender.wake();
        // A waker may be the last that holds a task: it is dropped here, and not where the body runs.
        drop_quietly(channel.consumer.take());
        fence(Ordering::SeqCst);
        // A destructor is foreign code, and this may be the thread of an event loop. What comes
        // from now on is left to the sink.
        if mem::needs_drop::<T>() && !channel.ring.is_empty() {
            (channel.leave)(Arc::clone(channel));
        }
    }
}

/// What nobody takes.
struct Rest<T>(Arc<Channel<T>>);

impl<T> Drop for Rest<T> {
    fn drop(&mut self) {
        self.0.drop_items();
    }
}

/// Has it dropped as what is left of a call.
fn leave<T: Send + 'static>(rest: Rest<T>) {
    THREAD.clear(function::leftover("dropped items", rest));
}

/// The body's end.
pub(super) struct Producer<T> {
    channel: Arc<Channel<T>>,
    /// How long the body has. It may send from a thread of its own, which does not know.
    until: Until,
    /// Wakes the thread that waited here last.
    waker: Option<(ThreadId, Waker)>,
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        fence(Ordering::SeqCst);
        // One that has stalled is closed as well, and what it has sent is still taken.
        let has_stalled = self.channel.has_stalled.load(Ordering::Acquire);
        if self.channel.is_closed.load(Ordering::SeqCst) && !has_stalled {
            self.channel.drop_items();
        }
    }
}

impl<T> Producer<T> {
    /// For the body on this thread.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Producer<T> {
        Producer { channel, until: current::until(), waker: None }
    }

    fn is_closed(&self) -> bool {
        self.channel.is_closed.load(Ordering::Acquire) || self.until.is_over()
    }

    /// Adds an item, when there is room.
    pub(super) fn put(&mut self, mut item: T) -> Result<(), Closed> {
        loop {
            if self.is_closed() {
                return Err(self.closed());
            }
            match self.channel.ring.push(item) {
                Ok(()) => {
                    if let Some(waker) = self.channel.consumer.take() {
                        quietly(|| waker.wake());
                    }
                    return Ok(());
                }
                Err(back) => item = back,
            }
            self.wait()?;
        }
    }

    /// Blocks the thread until there is room, or nobody takes anything any more.
    fn wait(&mut self) -> Result<(), Closed> {
        let stalled = self.channel.stall_timeout.and_then(|time| Instant::now().checked_add(time));
        let until = [stalled, self.until.answer_by].into_iter().flatten().min();
        let waker = self.waker();
        let _blocked = Blocked::here();
        loop {
            self.channel.sender.register(&waker);
            if self.channel.ring.is_half_free() || self.is_closed() {
                return Ok(());
            }
            let now = Instant::now();
            if stalled.is_some_and(|at| at <= now) {
                if !self.channel.ring.is_full() {
                    // It is slow, and takes something.
                    return Ok(());
                }
                self.channel.has_stalled.store(true, Ordering::Release);
                self.channel.is_closed.store(true, Ordering::Release);
                return Err(self.closed());
            }
            match until {
                Some(until) => thread::park_timeout(until.saturating_duration_since(now)),
                None => thread::park(),
            }
        }
    }

    fn waker(&mut self) -> Waker {
        let thread = thread::current();
        match &self.waker {
            Some((id, waker)) if *id == thread.id() => waker.clone(),
            _ => {
                let id = thread.id();
                let waker = Waker::from(Arc::new(Unpark(thread)));
                self.waker = Some((id, waker.clone()));
                waker
            }
        }
    }

    /// The body has ended. An error: it was ended, since the consumer took nothing for too long.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.channel.stall_timeout {
            Some(time) if self.channel.has_stalled.load(Ordering::Acquire) => {
                Err(Error::stalled(self.channel.function, time))
            }
            _ => Ok(()),
        }
    }

    /// The same end once more.
    #[cfg(feature = "process")]
    pub(super) fn again(&self) -> Producer<T> {
        Producer::new(Arc::clone(&self.channel))
    }

    /// The label of the function.
    pub(super) fn function(&self) -> &'static str {
        self.channel.function
    }

    fn closed(&self) -> Closed {
        Closed { function: self.channel.function }
    }
}

/// Unparks a thread that waits for room.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Threads that wait for room: they are woken when all bodies are told to stop.
static BLOCKED: Mutex<Vec<Thread>> = Mutex::new(Vec::new());

/// This thread is one of them until this is dropped.
struct Blocked;

impl Blocked {
    fn here() -> Blocked {
        BLOCKED.lock().unpoisoned().push(thread::current());
        Blocked
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let mut blocked = BLOCKED.lock().unpoisoned();
        let id = thread::current().id();
        if let Some(at) = blocked.iter().position(|thread| thread.id() == id) {
            drop(blocked.swap_remove(at));
        }
    }
}

/// All bodies were told to stop: those that wait for room learn it.
pub(crate) fn wake_blocked() {
    BLOCKED.lock().unpoisoned().iter().for_each(Thread::unpark);
}
