//! What a body leaves on its thread is gone before the next one: spans that it entered, runtimes. Its
//! processors and its signal mask are set back when the thread is idle.

use std::future::Future;
use std::sync::{Arc, LazyLock, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{self, FutureExt};
#[cfg(target_os = "linux")]
use nix::sys::signal::SigSet;
use offload_runtime::{Resource, ThreadPool, offload, spawn_thread};
use offload_tests::{one_at_a_time, own_process, passes};
#[cfg(target_os = "linux")]
use offload_tests::{pool, settle};
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::{Builder, Handle, Runtime};
use tracing::{Span, info_span};
use tracing_subscriber::registry::LookupSpan;

static ONE: ThreadPool = ThreadPool::new("one").threads(1).keep_alive(Duration::from_secs(600));

/// All bodies are on one thread, one after the other, and no test comes between those of another.
#[offload(thread, pool = ONE)]
fn on_the_one<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    body()
}

/// Until the thread of the pool is idle.
#[cfg(target_os = "linux")]
fn until_idle(name: &str) {
    settle("its thread is idle", || pool(name).idle == 1);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn name_of_span() -> Option<&'static str> {
    Span::current().metadata().map(tracing::Metadata::name)
}

#[test]
fn spans_that_a_body_entered_and_did_not_leave_are_left() {
    let _alone = one_at_a_time();
    let subscriber = tracing_subscriber::registry();
    tracing::subscriber::with_default(subscriber, || {
        let caller = info_span!("caller").entered();
        let leaks = || {
            let again = Span::current();
            std::mem::forget(info_span!("left").entered());
            // The same ones twice, which a subscriber may count once.
            std::mem::forget(again.clone().entered());
            std::mem::forget(again.entered());
            name_of_span()
        };
        assert!(block_on(on_the_one(leaks)).is_some());
        drop(caller);
        assert_eq!(block_on(on_the_one(name_of_span)), Some("offload"));
        // Without the span of a call, which is entered below what is there.
        let bare = || tracing::dispatcher::get_default(|own| own.current_span().id().cloned());
        assert_eq!(bare(), None);
        let seen = block_on(on_the_one(|| {
            tracing::dispatcher::get_default(|own| {
                let id = own.current_span().id().cloned().unwrap();
                let registry = own.downcast_ref::<tracing_subscriber::Registry>().unwrap();
                registry.span(&id).unwrap().parent().map(|parent| parent.name())
            })
        }));
        assert_eq!(seen, None, "the span of the next call is below one of the body before");
    });
}

fn enter_a_span() {
    std::mem::forget(info_span!("left").entered());
}

/// Enters a span for good when it is dropped.
struct EntersSpan(mpsc::Sender<()>);

impl Drop for EntersSpan {
    fn drop(&mut self) {
        enter_a_span();
        let _ = self.0.send(());
    }
}

impl Wake for EntersSpan {
    fn wake(self: Arc<Self>) {
        enter_a_span();
    }
}

/// Nothing that the runtime calls besides a body leaves a span either: neither for the body of the same call nor for the
/// next.
#[test]
fn spans_that_other_foreign_code_entered_and_did_not_leave_are_left() {
    passes(own_process("child_whose_foreign_code_enters_spans").env("OFFLOAD_THREADS", "1"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_whose_foreign_code_enters_spans() {
    static STARTS: ThreadPool = ThreadPool::new("starts").threads(1).on_thread_start(enter_a_span);
    static LENT: Resource<u32> = Resource::new("lent", || {
        enter_a_span();
        Ok(1)
    })
    .check(|_| {
        enter_a_span();
        true
    });

    /// The spans that a body is in, from the innermost.
    fn spans() -> Vec<&'static str> {
        tracing::dispatcher::get_default(|own| {
            let registry = own.downcast_ref::<tracing_subscriber::Registry>().unwrap();
            let inner = own.current_span().id().and_then(|id| registry.span(id));
            inner.map_or_else(Vec::new, |span| span.scope().map(|span| span.name()).collect())
        })
    }

    #[offload(thread, pool = ONE)]
    fn borrows(#[resource(LENT)] lent: &mut u32) -> Vec<&'static str> {
        let _ = lent;
        spans()
    }

    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let is_clean = |what: &str| {
        assert_eq!(block_on(on_the_one(spans)), ["offload"], "{what}");
        assert_eq!(spawn_thread(spans).wait().unwrap(), ["offload"], "{what}");
    };
    assert_eq!(STARTS.spawn(spans).wait().unwrap(), ["offload"], "the start of a thread");
    // It is made for the first, and checked for the second.
    for _ in 0..2 {
        assert_eq!(block_on(borrows()), ["offload"], "what makes a resource");
        is_clean("what makes a resource");
    }
    let (tell, told) = mpsc::channel();
    // A result that nobody awaits, which the thread of the body drops, and a waker.
    let (go, gate) = mpsc::channel::<()>();
    let result = EntersSpan(tell.clone());
    let started = ONE.spawn(move || {
        gate.recv().unwrap();
        result
    });
    drop(started);
    go.send(()).unwrap();
    told.recv().unwrap();
    is_clean("the destructor of a result");
    let (go, gate) = mpsc::channel::<()>();
    let mut woken = Box::pin(on_the_one(move || gate.recv().unwrap()));
    let waker = Waker::from(Arc::new(EntersSpan(tell.clone())));
    assert!(woken.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    go.send(()).unwrap();
    told.recv().unwrap();
    is_clean("a waker");
    block_on(woken);
    // An argument of a call that is dropped in the queue, which the thread of the default pool drops.
    let (go, gate) = mpsc::channel::<()>();
    let fills = ONE.spawn(move || gate.recv().unwrap());
    let argument = EntersSpan(tell);
    let mut queued = Box::pin(on_the_one(move || drop(argument)));
    assert!(queued.as_mut().now_or_never().is_none());
    drop(queued);
    told.recv().unwrap();
    go.send(()).unwrap();
    fills.wait().unwrap();
    is_clean("the destructor of an argument");
}

/// It is that of bodies whose callers have none, and costs no thread.
#[test]
fn a_runtime_that_the_start_of_a_thread_entered_for_good_stays() {
    static STARTED: LazyLock<Runtime> = LazyLock::new(runtime);
    static ENTERS: ThreadPool = ThreadPool::new("enters")
        .threads(1)
        .on_thread_start(|| std::mem::forget(STARTED.handle().enter()));

    let other = runtime();
    let look = || (thread::current().id(), Handle::current().id());
    let (first, here) = ENTERS.spawn(look).wait().unwrap();
    assert_eq!(here, STARTED.handle().id());
    assert_eq!(other.block_on(ENTERS.run(look)), (first, other.handle().id()));
    assert_eq!(ENTERS.spawn(look).wait().unwrap(), (first, here));
}

/// From a caller that is in no runtime, and from one that is.
#[test]
fn a_runtime_that_a_body_left_entered_is_not_that_of_the_next_body() {
    let _alone = one_at_a_time();
    let (own, other) = (runtime(), runtime());
    for is_in_runtime in [false, true] {
        let handle = other.handle().clone();
        let (go_on, held) = mpsc::channel::<()>();
        let leaks = on_the_one(move || {
            held.recv().unwrap();
            std::mem::forget(handle.enter());
            thread::current().id()
        });
        let looks = on_the_one(|| {
            (thread::current().id(), Handle::try_current().ok().map(|handle| handle.id()))
        });
        let opens = async move {
            go_on.send(()).unwrap();
        };
        let all = future::join3(leaks, looks, opens);
        let (leaker, (looker, seen), ()) = match is_in_runtime {
            true => own.block_on(all),
            false => block_on(all),
        };
        assert_eq!(seen, is_in_runtime.then(|| own.handle().id()));
        assert_ne!(leaker, looker, "the thread that is left in a runtime serves on");
    }
}

/// The end of the runtime does not wait for it, and nothing of that is left for the next body.
#[test]
fn a_body_that_outlives_the_runtime_of_its_caller_costs_nothing() {
    let _alone = one_at_a_time();
    let (own, other) = (runtime(), runtime());
    let (own_id, other_id) = (own.handle().id(), other.handle().id());
    let (begin, begun) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    own.block_on(async {
        let mut call = Box::pin(on_the_one(move || {
            begin.send(()).unwrap();
            let _ = gate.recv();
            // Which has ended: what it gets is cancelled, and nothing panics.
            let is_cancelled = block_on(Handle::current().spawn(async {})).unwrap_err();
            tell.send((Handle::current().id(), is_cancelled.is_cancelled())).unwrap();
        }));
        assert!(call.as_mut().now_or_never().is_none());
        begun.recv().unwrap();
    });
    drop(own);
    drop(go);
    assert_eq!(told.recv(), Ok((own_id, true)));
    let look = || on_the_one(|| Handle::try_current().ok().map(|handle| handle.id()));
    assert_eq!(block_on(look()), None);
    assert_eq!(other.block_on(look()), Some(other_id));
}

/// Enters a runtime for good when it is dropped.
struct Enters(Handle, mpsc::Sender<()>);

impl Drop for Enters {
    fn drop(&mut self) {
        std::mem::forget(self.0.enter());
        let _ = self.1.send(());
    }
}

impl Wake for Enters {
    fn wake(self: Arc<Self>) {
        // It is dropped here.
    }
}

#[test]
fn a_destructor_that_leaves_a_runtime_entered_costs_its_thread_and_nothing_else() {
    let _alone = one_at_a_time();
    let (own, other) = (runtime(), runtime());
    for is_in_runtime in [false, true] {
        let _guard = is_in_runtime.then(|| own.enter());
        let (tell, told) = mpsc::channel();
        // A result that nobody awaits, which the thread of the body drops.
        let result = Enters(other.handle().clone(), tell.clone());
        let (go, gate) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let mut call = Box::pin(on_the_one(move || {
            begin.send(()).unwrap();
            gate.recv().unwrap();
            result
        }));
        assert!(call.as_mut().now_or_never().is_none());
        // One that is dropped before would not run.
        begun.recv().unwrap();
        drop(call);
        go.send(()).unwrap();
        told.recv().unwrap();
        let here = Handle::try_current().ok().map(|handle| handle.id());
        let look = || block_on(on_the_one(|| Handle::try_current().ok().map(|handle| handle.id())));
        assert_eq!(look(), here);
        // What a body panics with, and nobody awaits; and a waker.
        for panics in [true, false] {
            let (go, gate) = mpsc::channel::<()>();
            let enters = || Enters(other.handle().clone(), tell.clone());
            let (begin, begun) = mpsc::channel();
            let payload = panics.then(enters);
            let mut call = Box::pin(on_the_one(move || {
                begin.send(()).unwrap();
                let _ = gate.recv();
                if let Some(payload) = payload {
                    std::panic::panic_any(payload);
                }
            }));
            let waker =
                if panics { Waker::noop().clone() } else { Waker::from(Arc::new(enters())) };
            assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop(waker);
            begun.recv().unwrap();
            let kept = (!panics).then_some(call);
            drop(go);
            told.recv().unwrap();
            assert_eq!(look(), here);
            if let Some(call) = kept {
                block_on(call);
            }
        }
        // An argument of a call that is dropped in the queue, which a thread of the default pool drops.
        let (go, gate) = mpsc::channel::<()>();
        let mut fills = Box::pin(on_the_one(move || gate.recv().unwrap()));
        assert!(fills.as_mut().now_or_never().is_none());
        let argument = Enters(other.handle().clone(), tell.clone());
        let mut queued = Box::pin(on_the_one(move || drop(argument)));
        assert!(queued.as_mut().now_or_never().is_none());
        drop(queued);
        told.recv().unwrap();
        go.send(()).unwrap();
        block_on(fills);
        let seen = spawn_thread(|| Handle::try_current().ok().map(|handle| handle.id()));
        assert_eq!(seen.wait().unwrap(), here);
    }
}

/// What the system lets this thread have: its processors, and the signals that it blocks.
#[cfg(target_os = "linux")]
fn kept() -> (Vec<usize>, SigSet) {
    let processors = sched_getaffinity(None).unwrap();
    let processors = (0..CpuSet::MAX_CPU).filter(|processor| processors.is_set(*processor));
    (processors.collect(), SigSet::thread_get_mask().unwrap())
}

/// Lets this thread run on the first of its processors only.
#[cfg(target_os = "linux")]
fn stay_on_one() {
    let mut one = CpuSet::new();
    one.set(kept().0[0]);
    sched_setaffinity(None, &one).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn processors_and_signal_mask_are_set_back_when_the_thread_is_idle() {
    let _alone = one_at_a_time();
    let before = block_on(on_the_one(kept));
    let changed = block_on(on_the_one(|| {
        stay_on_one();
        SigSet::all().thread_block().unwrap();
        kept()
    }));
    assert_ne!(changed.1, before.1);
    assert_eq!(changed.0.len(), 1);
    until_idle("one");
    assert_eq!(block_on(on_the_one(kept)), before);
}

/// Which is not what a body has left there.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_was_pinned_when_it_started_stays_so() {
    static PINNED: ThreadPool = ThreadPool::new("pinned").threads(1).on_thread_start(stay_on_one);

    let before = PINNED.spawn(kept).wait().unwrap();
    assert_eq!(before.0.len(), 1);
    until_idle("pinned");
    assert_eq!(PINNED.spawn(kept).wait().unwrap(), before);
}
