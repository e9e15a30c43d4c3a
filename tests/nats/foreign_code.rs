//! Code that is not the runtime's, at each place where a call to a worker runs it: what it does there costs its
//! own call at the most.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offload_runtime::{Error, ErrorKind, remote};
use offload_tests::numbers;
use tokio::runtime::Handle;

use crate::functions::{self as f, Answer, Argument, Deed, Place, Plan};
use crate::server::{Worker, have_ended, until, with_server};

type Call = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

/// That of the call under way.
static HANDLE: Mutex<Option<Call>> = Mutex::new(None);

/// What was done in this process, and on which thread.
static DONE: Mutex<Vec<(Plan, String)>> = Mutex::new(Vec::new());

/// Smaller results are read on the thread of the connection.
const LARGE: usize = 100 << 10;

fn come_to(plan: Plan) {
    let name = thread::current().name().unwrap_or_default().to_owned();
    DONE.lock().unwrap().push((plan, name));
    if plan.deed == Deed::DropHandle {
        // While it is locked, the call is polled for the first time.
        let handle = HANDLE.lock().unwrap().take();
        drop(handle.expect("it is there"));
    }
}

/// Nothing is left of it, and the permit of its function is free.
async fn is_over() {
    until("the counts add up", || {
        let numbers = numbers("answers");
        let ended = numbers.finished + numbers.panicked + numbers.failed + numbers.cancelled;
        numbers.running + numbers.waiting == 0 && numbers.started <= ended
    })
    .await;
    let plan = Plan { place: Place::Nowhere, deed: Deed::Block, bytes: 0 };
    let Answer(back) = f::answers(Argument(plan)).await.unwrap();
    assert_eq!(back, plan);
}

#[test]
fn foreign_code_on_the_way_to_a_worker_and_back_costs_no_more_than_its_own_call() {
    use Place::*;

    let name = "foreign_code::foreign_code_on_the_way_to_a_worker_and_back_costs_no_more_than_its_own_call";
    with_server(name, async |server| {
        let worker = Worker::start("jobs");
        *f::IN_TEST.lock().unwrap() = Some(come_to);
        let at_caller = [(WriteArgument, 0), (ReadResult, 0), (ReadResult, LARGE)];
        let in_worker = [ReadArgument, Body, DropOfArgument, WriteResult].map(|place| (place, 0));
        for (place, bytes) in at_caller.into_iter().chain(in_worker) {
            for deed in [Deed::Panic, Deed::Block, Deed::CallBack] {
                let plan = Plan { place, deed, bytes };
                let answer = tokio::spawn(f::answers(Argument(plan))).await;
                match (deed, answer) {
                    (Deed::Panic, Ok(answer)) => {
                        let error = answer.unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::Panicked, "{plan:?}: {error}");
                    }
                    // As a body would here.
                    (Deed::Panic, Err(unwound)) => {
                        assert!(place == ReadResult && unwound.is_panic(), "{plan:?}: {unwound}");
                    }
                    (_, answer) => assert_eq!(answer.unwrap().unwrap().0, plan),
                }
                is_over().await;
            }
        }
        for (place, bytes) in at_caller {
            let plan = Plan { place, deed: Deed::DropHandle, bytes };
            {
                let mut handle = HANDLE.lock().unwrap();
                let call = handle.insert(Box::pin(f::answers(Argument(plan))));
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            until("it has dropped the handle", || HANDLE.lock().unwrap().is_none()).await;
            is_over().await;
        }
        server.has_messages("jobs", 0).await;
        assert_eq!(f::process_id().await.unwrap(), worker.id(), "the worker serves on");
        let done = DONE.lock().unwrap();
        assert_eq!(done.len(), 12, "{done:?}");
        for (plan, name) in &*done {
            let is_of_pool = plan.place == WriteArgument || plan.bytes == LARGE;
            let expected = if is_of_pool { "offload-thread-" } else { "offload-remote" };
            assert!(name.starts_with(expected), "{plan:?} on {name}");
        }
    });
}

/// What is done as it is woken.
struct AsWoken(Deed, AtomicBool);

impl Wake for AsWoken {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.carry_out();
    }
}

#[test]
fn a_waker_where_serve_is_awaited_costs_the_connection_nothing() {
    let name = "foreign_code::a_waker_where_serve_is_awaited_costs_the_connection_nothing";
    with_server(name, async |_| {
        for deed in [Deed::Panic, Deed::Block, Deed::CallBack] {
            let woken = Arc::new(AsWoken(deed, AtomicBool::new(false)));
            let mut served = Box::pin(remote::serve([&f::JOBS]));
            let waker = Waker::from(Arc::clone(&woken));
            assert!(served.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            f::process_id().await.unwrap();
            // Who serves is told to stop.
            kill(Pid::this(), Signal::SIGTERM).unwrap();
            until("it is woken", || woken.1.load(Ordering::SeqCst)).await;
            served.await.unwrap();
        }
        // The thread that woke it sees to the next calls, and to the one that was started there.
        tokio::spawn(remote::serve([&f::JOBS]));
        f::process_id().await.unwrap();
        // Five, each counted where it is called and where it is served: both is here.
        have_ended("process id", 10).await;
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// As that of a call to a thread of this process may be, when nothing of the thread's own is there any more.
#[test]
fn a_call_that_is_dropped_as_its_thread_ends_is_cancelled() {
    let name = "foreign_code::a_call_that_is_dropped_as_its_thread_ends_is_cancelled";
    with_server(name, async |server| {
        let handle = Handle::current();
        let (stored, is_stored) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            // So that it is there before the runtime's own locals, and goes after them.
            KEPT.with_borrow(|kept| assert!(kept.is_empty()));
            let _runtime = handle.enter();
            let poll = |future: Pin<&mut dyn Future<Output = ()>>| {
                assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            };
            let mut call = Box::pin(async { drop(f::process_id().await) });
            poll(call.as_mut());
            let mut serves = Box::pin(async { drop(remote::serve([&f::PARTED]).await) });
            poll(serves.as_mut());
            KEPT.set(vec![Box::new(call), Box::new(serves)]);
            let _ = is_stored.recv();
        });
        server.has_messages("jobs", 1).await;
        drop(stored);
        thread.join().unwrap();
        server.has_messages("jobs", 0).await;
        let worker = Worker::start("jobs");
        assert_eq!(f::process_id().await.unwrap(), worker.id());
    });
}
