//! Small calls that begin where their caller is: before a thread of the pool has had a look at them, and otherwise as all
//! others.

use std::any::TypeId;
use std::cell::Cell;
use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::executor::block_on;
use offload_runtime::{
    Error, ErrorKind, Limiter, ProcessPool, Ran, Resource, SharedResource, ThreadResource,
    is_cancelled, offload,
};
use offload_tests::{AtSpan, Deed, PATIENCE, adds_up, begin, poll, pool, soon};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize, Serializer};
use tracing::subscriber::NoSubscriber;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, registry};

use crate::ending::passes;
use crate::ends::{Told, spin, tell};
use crate::support::{is_there, numbers, runs, settle, workers};

/// Runs a test in a process of its own: in this one others ask for the numbers of all pools, and a call that comes while the
/// lock of its pool is taken for that is queued.
fn passes_alone(test: &str) {
    passes("begun", test);
}

/// The thread of a call that was begun is held.
struct Held {
    is_there: Receiver<ThreadId>,
    release: Sender<()>,
}

impl Held {
    /// Waits until it is.
    fn wait(&self) -> ThreadId {
        soon(&self.is_there)
    }

    fn release(&self) {
        self.release.send(()).unwrap();
    }
}

/// Begins a call whose thread is held where it makes the call's span: before it reads the answer, and before it would write
/// the request.
fn hold<F: Future>(call: F) -> (Pin<Box<F>>, Held) {
    let (tells, is_there) = channel();
    let (release, held) = channel();
    let held = Mutex::new(held);
    let holds = AtSpan(move || {
        tells.send(thread::current().id()).unwrap();
        // Until it is released, or the test has failed.
        let _ = held.lock().unwrap().recv();
    });
    let call = subscriber::with_default(holds, || begin(call));
    (call, Held { is_there, release })
}

/// Waits until a thread of this pool is idle, and a worker.
fn rest(name: &str) {
    settle("the pool is at rest", || {
        let pool = pool(name);
        let workers = pool.workers.expect("it is a pool of processes");
        pool.idle > 0 && pool.queued == 0 && workers.idle > 0
    });
}

/// One worker, which is kept ready.
const fn one(name: &'static str) -> ProcessPool {
    ProcessPool::new(name).workers(1)
}

#[test]
fn a_small_call_has_a_worker_at_work_before_a_thread_of_the_pool_has_it() {
    passes_alone("child_begins");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_begins() {
    static POOL: ProcessPool = one("begins");

    #[offload(process, pool = POOL, name = "begins")]
    fn tells(path: String, n: u32, bytes: Vec<u8>, more: Option<u64>) -> Result<u64, Error> {
        tell(&path);
        Ok(u64::from(n) + bytes.len() as u64 + more.unwrap_or(0))
    }

    #[offload(process, pool = POOL, name = "lends")]
    fn lent(#[to_owned] path: &str) -> Result<usize, Error> {
        tell(path);
        Ok(path.len())
    }

    block_on(tells(Told::new().path(), 0, Vec::new(), None)).unwrap();
    rest("begins");
    let told = Told::new();
    let (call, held) = hold(tells(told.path(), 1, vec![0; 2], Some(3)));
    // At once: it is in no queue, and has its thread and its worker.
    let load = pool("begins");
    assert_eq!((load.running, load.queued, load.idle, workers("begins").idle), (1, 0, 0, 0));
    held.wait();
    told.pid();
    assert_eq!(numbers("begins").finished, 1);
    held.release();
    assert_eq!(block_on(call).unwrap(), 6);
    let counts = numbers("begins");
    assert_eq!((counts.started, counts.finished, counts.running, counts.waiting), (2, 2, 0, 0));
    assert_eq!((pool("begins").running, workers("begins").idle), (0, 1));

    // What was written where it was lent.
    rest("begins");
    let told = Told::new();
    let (call, held) = hold(lent(&told.path()));
    told.pid();
    held.release();
    assert_eq!(block_on(call).unwrap(), told.path().len());
}

/// Says on which thread it was written.
#[derive(Deserialize)]
struct Own;

static WRITTEN_ON: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

impl Serialize for Own {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WRITTEN_ON.lock().unwrap().push(thread::current().id());
        serializer.serialize_unit_struct("Own")
    }
}

#[test]
fn values_of_the_programs_types_are_written_by_a_thread_of_the_pool() {
    passes_alone("child_writes_values_of_its_types");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_writes_values_of_its_types() {
    static POOL: ProcessPool = one("own types");

    #[offload(process, pool = POOL)]
    fn takes(_plain: u32, _own: Own) -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn takes_some(_own: Option<Own>) -> Result<(), Error> {
        Ok(())
    }

    block_on(takes(1, Own)).unwrap();
    rest("own types");
    block_on(takes(1, Own)).unwrap();
    rest("own types");
    block_on(takes_some(Some(Own))).unwrap();
    let threads = WRITTEN_ON.lock().unwrap();
    // Once each, too.
    assert_eq!(threads.len(), 3);
    assert!(!threads.contains(&thread::current().id()));
}

#[test]
fn a_call_that_needs_a_permit_or_is_late_or_long_is_queued() {
    static ONE: Limiter = Limiter::new(1);
    static POOL: ProcessPool =
        ProcessPool::new("needs more").workers(2).min_workers(2).max_message(1000);

    #[offload(process, pool = POOL, limit = ONE)]
    fn limited(path: String) -> Result<(), Error> {
        tell(&path);
        while !is_cancelled() && Path::new(&path).exists() {
            thread::yield_now();
        }
        Ok(())
    }

    #[offload(process, pool = POOL, queue_timeout = Duration::ZERO)]
    fn late() -> Result<(), Error> {
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn long(text: String) -> Result<usize, Error> {
        Ok(text.len())
    }

    #[offload(process, pool = POOL)]
    fn meets(path: String) -> Result<(), Error> {
        tell(&path);
        while Path::new(&path).exists() {
            thread::yield_now();
        }
        Ok(())
    }

    block_on(POOL.ready()).unwrap();
    // Two threads, too.
    let met = [Told::new(), Told::new()];
    let both = met.each_ref().map(|told| begin(meets(told.path())));
    for (told, call) in met.iter().zip(both) {
        told.pid();
        std::fs::remove_file(told.path()).unwrap();
        block_on(call).unwrap();
    }
    settle("both are idle", || (pool("needs more").idle, workers("needs more").idle) == (2, 2));

    let (first, second) = (Told::new(), Told::new());
    let has_permit = begin(limited(first.path()));
    first.pid();
    let mut waits = begin(limited(second.path()));
    settle("it waits for its permit", || ONE.waiting() == 1);
    std::fs::remove_file(first.path()).unwrap();
    block_on(has_permit).unwrap();
    second.pid();
    assert_eq!((ONE.waiting(), ONE.in_use()), (0, 1));
    assert!(poll(&mut waits).is_pending());
    std::fs::remove_file(second.path()).unwrap();
    block_on(waits).unwrap();

    rest("needs more");
    let error = block_on(late()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No), "{error}");
    rest("needs more");
    assert_eq!(block_on(long("x".repeat(900))).unwrap(), 900);
    rest("needs more");
    let error = block_on(long("x".repeat(1001))).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
    // None had got anything of it.
    assert_eq!(workers("needs more").kills, 0);
}

#[test]
fn a_call_that_is_dropped_when_it_has_begun_has_its_worker_killed() {
    passes_alone("child_drops_what_has_begun");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_what_has_begun() {
    static POOL: ProcessPool = one("dropped early");

    #[offload(process, pool = POOL, name = "dropped early")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    #[offload(process, pool = POOL)]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    block_on(nothing()).unwrap();
    rest("dropped early");
    let told = Told::new();
    let (call, held) = hold(spins(told.path()));
    let pid = told.pid();
    held.wait();
    drop(call);
    held.release();
    settle("it is reaped", || !is_there(pid));
    settle("it is counted", || numbers("dropped early").killed == 1);
    assert_eq!((numbers("dropped early").cancelled, workers("dropped early").kills), (0, 1));
    block_on(nothing()).unwrap();
    // Also before the worker has read it.
    for _ in 0..50 {
        rest("dropped early");
        let _ = poll(&mut Box::pin(nothing()));
        block_on(nothing()).unwrap();
    }
}

#[test]
fn a_body_is_told_in_its_grace_though_nobody_reads_its_answer_yet() {
    passes_alone("child_tells_a_body");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_tells_a_body() {
    static POOL: ProcessPool = one("told early").grace(PATIENCE);

    #[offload(process, pool = POOL)]
    fn asks(path: String) -> Result<u32, Error> {
        tell(&path);
        while !is_cancelled() {
            thread::yield_now();
        }
        std::fs::remove_file(path).unwrap();
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL, timeout = "300ms")]
    fn is_late() -> Result<(), Error> {
        while !is_cancelled() {
            thread::yield_now();
        }
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let worker = block_on(pid()).unwrap();
    rest("told early");
    let told = Told::new();
    let (call, held) = hold(asks(told.path()));
    assert_eq!(told.pid(), worker);
    drop(call);
    settle("the body has ended", || !Path::new(&told.path()).exists());
    held.release();
    assert_eq!(block_on(pid()).unwrap(), worker);

    // The caller's own timer.
    rest("told early");
    let (call, held) = hold(is_late());
    let error = block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::Maybe), "{error}");
    held.release();
    assert_eq!(block_on(pid()).unwrap(), worker);
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn a_worker_that_dies_before_it_has_read_the_call_costs_nothing_and_after_that_the_call() {
    passes_alone("child_has_workers_that_die");
}

/// Whether all threads of a process are. One that was not, when a call came, might take it.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut states = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")));
    states.all(|stat| stat.is_ok_and(|stat| stat.rsplit(") ").next().unwrap().starts_with('T')))
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_workers_that_die() {
    static POOL: ProcessPool = one("dies early");

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL, name = "dies early")]
    fn spins(path: String) -> Result<(), Error> {
        tell(&path);
        spin()
    }

    let worker = block_on(pid()).unwrap();
    rest("dies early");
    signal(worker, Signal::STOP);
    settle("it is stopped", || is_stopped(worker));
    let (call, held) = hold(pid());
    held.wait();
    signal(worker, Signal::KILL);
    settle("it is dead", || !runs(worker));
    held.release();
    assert_ne!(block_on(call).unwrap(), worker, "another has it");
    assert_eq!(workers("dies early").restarts, 1);

    rest("dies early");
    let told = Told::new();
    let (call, held) = hold(spins(told.path()));
    held.wait();
    signal(told.pid(), Signal::KILL);
    held.release();
    let error = block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe), "{error}");
    assert_eq!(numbers("dies early").died, 1);
    block_on(pid()).unwrap();
    // One that is dead, whether that was seen or not.
    for _ in 0..10 {
        let worker = block_on(pid()).unwrap();
        rest("dies early");
        signal(worker, Signal::KILL);
        assert_ne!(block_on(pid()).unwrap(), worker);
    }
}

#[test]
fn a_call_that_has_begun_when_its_pool_is_closed_has_the_grace() {
    passes_alone("child_closes_its_pool");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_closes_its_pool() {
    static POOL: ProcessPool = one("closed early");

    #[offload(process, pool = POOL)]
    fn waits(path: String) -> Result<u32, Error> {
        tell(&path);
        while !is_cancelled() && Path::new(&path).exists() {
            thread::yield_now();
        }
        Ok(7)
    }

    #[offload(process, pool = POOL)]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    for has_time in [true, false] {
        POOL.open();
        block_on(nothing()).unwrap();
        rest("closed early");
        let told = Told::new();
        let (mut call, held) = hold(waits(told.path()));
        let pid = told.pid();
        held.wait();
        let grace = if has_time { PATIENCE } else { Duration::ZERO };
        let closes = thread::spawn(move || block_on(POOL.close(grace)));
        settle("it takes no calls", || poll(&mut Box::pin(nothing())).is_ready());
        assert!(poll(&mut call).is_pending());
        if has_time {
            std::fs::remove_file(told.path()).unwrap();
        }
        held.release();
        match block_on(call) {
            Ok(seven) => assert!(has_time && seven == 7),
            Err(error) => {
                assert!(!has_time, "{error}");
                assert_eq!((error.kind(), error.ran()), (ErrorKind::ShuttingDown, Ran::Maybe));
            }
        }
        assert_eq!(closes.join().unwrap().abandoned == 0, has_time);
        // Without a grace it is killed, by the thread that was held.
        settle("its worker has ended", || !runs(pid));
        settle("no thread is left", || pool("closed early").threads == 0);
        assert_eq!(workers("closed early").alive, 0);
    }
}

#[test]
fn callers_that_come_together_have_one_worker_in_turn() {
    static POOL: ProcessPool = one("together early");

    #[offload(process, pool = POOL, name = "together early")]
    fn doubles(n: u64) -> Result<u64, Error> {
        Ok(2 * n)
    }

    let together = Arc::new(Barrier::new(4));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let together = Arc::clone(&together);
            thread::spawn(move || {
                for n in 0..200 {
                    if n % 20 == 0 {
                        together.wait();
                    }
                    let n = 1000 * caller + n;
                    assert_eq!(block_on(doubles(n)).unwrap(), 2 * n);
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!((numbers("together early").started, numbers("together early").finished), (800, 800));
    assert_eq!(workers("together early").alive, 1);
}

#[test]
fn a_subscriber_around_an_answer_costs_the_call_at_the_most_and_its_body_may_have_run() {
    passes_alone("child_has_a_subscriber_around_an_answer");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_a_subscriber_around_an_answer() {
    static POOL: ProcessPool = one("foreign early");

    #[offload(process, pool = POOL, panic = "error", name = "foreign early")]
    fn tells(path: String, spins: bool) -> Result<(), Error> {
        tell(&path);
        if spins {
            spin();
        }
        Ok(())
    }

    block_on(tells(Told::new().path(), false)).unwrap();
    for deed in Deed::ALL {
        println!("{deed:?}");
        rest("foreign early");
        let told = Told::new();
        let mut call = Box::pin(tells(told.path(), deed == Deed::Panic));
        // Once: what is called back may have a span, too.
        let plan = Arc::new(Mutex::new(Some(deed)));
        let planned = Arc::clone(&plan);
        let at_span = AtSpan(move || {
            let deed = planned.lock().unwrap().take();
            deed.into_iter().for_each(Deed::happens);
        });
        let result = match subscriber::with_default(at_span, || poll(&mut call)) {
            Poll::Ready(result) => result,
            Poll::Pending => block_on(call),
        };
        assert_eq!(*plan.lock().unwrap(), None, "no span is made");
        match deed {
            Deed::Panic => {
                let error = result.unwrap_err();
                let (kind, ran) = (error.kind(), error.ran());
                assert_eq!((kind, ran), (ErrorKind::Panicked, Ran::Maybe), "{error}");
                // Nobody takes what the body would come to.
                settle("its worker is gone", || workers("foreign early").kills == 1);
            }
            Deed::Block | Deed::CallBack => {
                result.unwrap();
                told.pid();
            }
        }
        adds_up("foreign early");
        block_on(tells(Told::new().path(), false)).unwrap();
    }
    assert_eq!((numbers("foreign early").panicked, workers("foreign early").kills), (1, 1));
}

thread_local! {
    /// What was called back asks the subscriber, too.
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Does that when such a thread asks it whether it is the one that does nothing.
struct WhenAsked(fn() -> Option<Deed>);

impl<S: Subscriber> Layer<S> for WhenAsked {
    #[expect(unsafe_code, reason = "it is what the runtime asks")]
    unsafe fn downcast_raw(&self, what: TypeId) -> Option<*const ()> {
        if what == TypeId::of::<NoSubscriber>()
            && !IS_ASKED.get()
            && let Some(deed) = (self.0)()
        {
            IS_ASKED.set(deed != Deed::Panic);
            deed.happens();
            IS_ASKED.set(false);
        }
        None
    }
}

#[test]
fn a_subscriber_that_is_asked_at_the_caller_costs_the_call_which_is_not_made_at_the_most() {
    static POOL: ProcessPool = one("asks early");

    #[offload(process, pool = POOL, panic = "error", name = "asks early")]
    fn nothing() -> Result<(), Error> {
        Ok(())
    }

    let deeds: [fn() -> Option<Deed>; 3] =
        [|| Some(Deed::Panic), || Some(Deed::Block), || Some(Deed::CallBack)];
    block_on(nothing()).unwrap();
    for (foreign, deed) in deeds.into_iter().zip(Deed::ALL) {
        rest("asks early");
        let mut call = Box::pin(nothing());
        let asked = registry().with(WhenAsked(foreign));
        let result = match subscriber::with_default(asked, || poll(&mut call)) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                assert_ne!(deed, Deed::Panic, "it is made");
                block_on(call)
            }
        };
        match (deed, result) {
            (Deed::Panic, result) => {
                let error = result.unwrap_err();
                assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No), "{error}");
            }
            (_, result) => result.unwrap(),
        }
        adds_up("asks early");
        assert_eq!((numbers("asks early").refused, numbers("asks early").panicked), (1, 0));
        block_on(nothing()).unwrap();
    }
}

#[test]
fn a_call_that_borrows_is_sent_at_its_first_poll_unless_it_has_to_have_a_permit_for_that() {
    passes_alone("child_borrows");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_borrows() {
    static POOL: ProcessPool = one("borrows early");
    static SHARED: SharedResource<u32> = SharedResource::new("shared early", || Ok(1));
    static LOCAL: ThreadResource<u32> = ThreadResource::new("local early", || Ok(2));
    static OWN: Resource<u32> = Resource::new("own early", || Ok(3)).size(1);

    #[offload(process, pool = POOL)]
    fn shared(path: String, #[resource(SHARED)] shared: &u32) -> Result<u32, Error> {
        tell(&path);
        Ok(*shared)
    }

    #[offload(process, pool = POOL)]
    fn local(path: String, #[resource(LOCAL)] local: &mut u32) -> Result<u32, Error> {
        tell(&path);
        Ok(*local)
    }

    #[offload(process, pool = POOL)]
    fn own(path: String, #[resource(OWN)] own: &mut u32) -> Result<u32, Error> {
        tell(&path);
        Ok(*own)
    }

    assert_eq!(block_on(own(Told::new().path())).unwrap(), 3);
    rest("borrows early");
    let told = Told::new();
    let (call, held) = hold(shared(told.path()));
    // Before the thread of the pool has gone on.
    told.pid();
    held.release();
    assert_eq!(block_on(call).unwrap(), 1);

    rest("borrows early");
    let told = Told::new();
    let (call, held) = hold(local(told.path()));
    told.pid();
    held.release();
    assert_eq!(block_on(call).unwrap(), 2);

    rest("borrows early");
    let told = Told::new();
    let (call, held) = hold(own(told.path()));
    held.wait();
    assert_eq!(pool("borrows early").running, 1);
    assert!(!Path::new(&told.path()).exists(), "it has begun");
    held.release();
    assert_eq!(block_on(call).unwrap(), 3);
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// What it does when it is asked.
static WHEN_ASKED: Mutex<Option<Deed>> = Mutex::new(None);

#[test]
fn a_subscriber_that_is_asked_by_a_thread_of_the_pool_costs_nothing_but_a_request() {
    passes_alone("child_asks_a_subscriber");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_asks_a_subscriber() {
    static POOL: ProcessPool = one("asked");

    #[offload(process, pool = POOL, panic = "error", name = "asked")]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL, panic = "error", name = "asked as it writes")]
    fn pid_for(_own: Own) -> Result<u32, Error> {
        Ok(std::process::id())
    }

    fn deed() -> Option<Deed> {
        let thread = thread::current();
        thread.name().filter(|name| name.starts_with("asked-"))?;
        ASKED.fetch_add(1, Ordering::Relaxed);
        *WHEN_ASKED.lock().unwrap()
    }

    subscriber::set_global_default(registry().with(WhenAsked(deed))).unwrap();
    let worker = block_on(pid()).unwrap();
    for deed in Deed::ALL {
        println!("{deed:?}");
        *WHEN_ASKED.lock().unwrap() = Some(deed);
        // Its request is written by that thread.
        let result = block_on(pid_for(Own));
        match deed {
            Deed::Panic => {
                let error = result.unwrap_err();
                assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No), "{error}");
            }
            Deed::Block | Deed::CallBack => assert_eq!(result.unwrap(), worker),
        }
        rest("asked");
        let before = ASKED.load(Ordering::Relaxed);
        // And this one elsewhere.
        assert_eq!(block_on(pid()).unwrap(), worker);
        assert!(ASKED.load(Ordering::Relaxed) > before);
        *WHEN_ASKED.lock().unwrap() = None;
        adds_up("asked as it writes");
        adds_up("asked");
        rest("asked");
        assert_eq!(block_on(pid_for(Own)).unwrap(), worker);
        rest("asked");
    }
    assert_eq!((workers("asked").restarts, workers("asked").kills), (0, 0));
}

#[test]
fn what_a_worker_has_printed_before_a_call_is_not_in_its_error() {
    passes_alone("child_has_a_worker_that_prints");
}

/// What is to happen while it is written.
#[derive(Deserialize)]
struct Meanwhile;

static MEANWHILE: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

impl Serialize for Meanwhile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let meanwhile = MEANWHILE.lock().unwrap().take().unwrap();
        meanwhile();
        serializer.serialize_unit_struct("Meanwhile")
    }
}

/// The lines that this process prints from now on, its workers' too. They are printed as ever, a little later.
fn printed_lines() -> Receiver<String> {
    let mut usual = File::from(std::io::stderr().as_fd().try_clone_to_owned().unwrap());
    let (prints, printed) = std::io::pipe().unwrap();
    rustix::stdio::dup2_stderr(printed).unwrap();
    let (tells, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(prints).lines() {
            let line = line.unwrap();
            writeln!(usual, "{line}").unwrap();
            // The test may be over.
            let _ = tells.send(line);
        }
    });
    lines
}

/// Waits until it was printed. What is passed on was read.
fn wait_for(lines: &Receiver<String>, line: &str) {
    while soon(lines) != line {}
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_a_worker_that_prints() {
    static POOL: ProcessPool = one("prints early");

    /// A thread of the worker prints, too, when the file is there.
    #[offload(process, pool = POOL)]
    fn says(later: String) -> Result<(), Error> {
        eprintln!("before");
        thread::spawn(move || {
            while !Path::new(&later).exists() {
                thread::sleep(Duration::from_millis(1));
            }
            eprintln!("meanwhile");
        });
        Ok(())
    }

    #[offload(process, pool = POOL)]
    fn dies(path: String) -> Result<(), Error> {
        tell(&path);
        eprintln!("then");
        std::process::abort()
    }

    // Its request is written by a thread of the pool.
    #[offload(process, pool = POOL)]
    fn dies_with(_meanwhile: Meanwhile) -> Result<(), Error> {
        eprintln!("then");
        std::process::abort()
    }

    // Of this one a part is sent ahead.
    #[offload(process, pool = POOL)]
    fn dies_with_blob(_meanwhile: Meanwhile, _blob: Vec<u8>) -> Result<(), Error> {
        eprintln!("then");
        std::process::abort()
    }

    let lines = Arc::new(Mutex::new(printed_lines()));
    for way in ["begun", "queued", "sent ahead"] {
        let later = Told::new();
        block_on(says(later.path())).unwrap();
        wait_for(&lines.lock().unwrap(), "before");
        rest("prints early");
        let (path, heard) = (later.path(), Arc::clone(&lines));
        *MEANWHILE.lock().unwrap() = Some(Box::new(move || {
            fs::write(path, "").unwrap();
            wait_for(&heard.lock().unwrap(), "meanwhile");
        }));
        let result = match way {
            "begun" => {
                let told = Told::new();
                let (call, held) = hold(dies(told.path()));
                // Its request was not sent by the thread that is held.
                told.pid();
                held.release();
                block_on(call)
            }
            "queued" => block_on(dies_with(Meanwhile)),
            _ => block_on(dies_with_blob(Meanwhile, vec![1; 1 << 20])),
        };
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WorkerDied, "{way}: {error}");
        assert_eq!(error.stderr(), Some("then\n"), "{way}");
    }
}
