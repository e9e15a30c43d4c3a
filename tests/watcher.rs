//! The watcher reports what blocks an event loop: where, and whether it
//! computes or waits.

use std::collections::HashMap;
use std::fmt::Debug;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use offload_runtime::{
    Doing, ErrorKind, LoopStats, StallStats, WatchLayer, spawn_thread, stats, watch,
};
use offload_tests::{PATIENCE, own_process, passes};
use tokio::runtime::{Builder, Runtime};
use tracing::field::{Field, Visit};
use tracing::{Event, Instrument, Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What was warned of, of all tests: the fields of each event.
static WARNINGS: Mutex<Vec<HashMap<String, String>>> = Mutex::new(Vec::new());

struct Listen;

impl<S: Subscriber> Layer<S> for Listen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Fields(HashMap<String, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        if event.metadata().target() == "offload" {
            let mut fields = Fields(HashMap::new());
            event.record(&mut fields);
            WARNINGS.lock().unwrap().push(fields.0);
        }
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = tracing_subscriber::registry().with(WatchLayer::new()).with(Listen);
        tracing::subscriber::set_global_default(all).unwrap();
    });
}

/// The messages that have these words.
fn warnings(of: &str) -> Vec<String> {
    let all = WARNINGS.lock().unwrap();
    let messages = all.iter().map(|fields| fields["message"].clone());
    messages.filter(|message| message.contains(of)).collect()
}

/// Waits for a message that has all these words. What is found is counted before it
/// is told.
fn await_warning(words: &[&str]) {
    let start = Instant::now();
    let all = |message: &String| words.iter().all(|word| message.contains(word));
    while !warnings("").iter().any(all) {
        assert!(start.elapsed() < PATIENCE, "{words:?} are not in {:?}", warnings(""));
        std::thread::yield_now();
    }
}

/// A watched runtime of each sort.
fn runtimes() -> [(&'static str, Runtime); 2] {
    listen();
    let one = Builder::new_current_thread().enable_time().build().unwrap();
    let many = Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    for runtime in [&one, &many] {
        let _inside = runtime.enter();
        watch().unwrap();
        watch().unwrap();
    }
    [("one thread", one), ("three threads", many)]
}

/// The places in this span, in whichever loop.
fn places(span: &str) -> Vec<StallStats> {
    let places = stats().loops.into_iter().flat_map(|one| one.stalls);
    places.filter(|place| place.spans.iter().any(|name| name.ends_with(span))).collect()
}

fn sleep() {
    std::thread::sleep(Duration::from_millis(20));
}

fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(20) {
        std::hint::spin_loop();
    }
}

/// Blocks the loop by doing this, until the watcher has found something in this
/// span. A stall is judged once. So if the machine was too busy then, it is done
/// again in another place, one more span inside.
async fn block(span: &'static str, what: fn(), found: impl Fn(&StallStats) -> bool) {
    let start = Instant::now();
    for attempt in 0.. {
        {
            let _inside: Vec<_> = (0..attempt).map(|_| info_span!("inside").entered()).collect();
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                what();
                if places(span).iter().any(&found) {
                    return;
                }
            }
        }
        assert!(start.elapsed() < PATIENCE, "{span}: {:?}", stats().loops);
        // Time for the watcher to learn which thread is which.
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
}

/// The system's number of this thread.
fn thread_number() -> Option<String> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn a_loop_that_waits_is_reported_with_the_thread_the_system_call_and_the_span() {
    for (sort, runtime) in runtimes() {
        let (span, name) = match sort {
            "one thread" => (info_span!("waits_on_one"), "waits_on_one"),
            _ => (info_span!("waits_on_many"), "waits_on_many"),
        };
        let waits = Doing::Waiting(Some("clock_nanosleep"));
        let blocked = async move {
            block(name, sleep, |place| place.doing == waits).await;
            thread_number().unwrap()
        };
        let task = runtime.spawn(blocked.instrument(span));
        let thread = runtime.block_on(task).unwrap();
        // Of the span, or of the one inside where it was blocked again.
        let words = ["waits in the system call", "`#[offload(thread)]`", "the span `watcher::"];
        await_warning(&[&words[..], &[&format!("the thread {thread} ")]].concat());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_loop_that_computes_is_reported_as_such() {
    for (sort, runtime) in runtimes() {
        let (span, name) = match sort {
            "one thread" => (info_span!("computes_on_one"), "computes_on_one"),
            _ => (info_span!("computes_on_many"), "computes_on_many"),
        };
        let computes = |place: &StallStats| place.doing == Doing::Computing;
        let task = runtime.spawn(block(name, compute, computes).instrument(span));
        runtime.block_on(task).unwrap();
        await_warning(&["it computes", "`#[offload(cpu)]`"]);
    }
}

/// First it is only known that it has no processor, which is nobody's fault; then it has used too
/// much of one in one turn all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_loop_that_computes_is_named_also_where_others_have_the_processors() {
    let [_, (_, runtime)] = runtimes();
    let over = Arc::new(AtomicBool::new(false));
    let busy = 4 * std::thread::available_parallelism().unwrap().get();
    let busy: Vec<_> = (0..busy)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || while !over.load(Ordering::Relaxed) {})
        })
        .collect();
    let named = || places("computes_among_many").iter().any(|one| one.doing == Doing::Computing);
    let task = async move {
        let start = Instant::now();
        while !named() {
            // One turn, for as long as it takes to use the threshold.
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until && !named() {
                compute();
            }
            assert!(start.elapsed() < PATIENCE, "{:?}", stats().loops);
            // Time for the watcher to learn which thread is which.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    };
    runtime.block_on(runtime.spawn(task.instrument(info_span!("computes_among_many")))).unwrap();
    over.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|one| one.join().unwrap());
    // One that has no processor is in no place.
    let starved = stats().loops.into_iter().flat_map(|one| one.stalls);
    let mut starved = starved.filter(|place| place.doing == Doing::Starved);
    assert!(starved.all(|place| place.spans.is_empty()), "{:?}", stats().loops);
}

#[test]
fn each_place_is_reported_once_and_counted_each_time() {
    let [_, (_, runtime)] = runtimes();
    let of = |place: &str| -> (u64, Duration) {
        let all = places(place);
        let longest = all.iter().map(|place| place.longest).max();
        (all.iter().map(|place| place.count).sum(), longest.unwrap_or_default())
    };
    for count in 1..=3 {
        let again = async move {
            let start = Instant::now();
            while of("again").0 < count {
                let until = Instant::now() + Duration::from_secs(1);
                while Instant::now() < until && of("again").0 < count {
                    sleep();
                }
                assert!(start.elapsed() < PATIENCE, "{:?}", stats().loops);
                tokio::time::sleep(Duration::from_millis(1200)).await;
            }
        };
        runtime.block_on(runtime.spawn(again.instrument(info_span!("again")))).unwrap();
    }
    assert!(of("again").1 >= Duration::from_millis(100), "{:?}", places("again"));
    assert_eq!(warnings("::again`").len(), 1);
}

/// All there is to know is what the thread does.
#[test]
fn a_place_without_a_span_is_reported_too() {
    listen();
    let runtime = Builder::new_current_thread().build().unwrap();
    let stalls = || -> Vec<StallStats> {
        let places = stats().loops.into_iter().flat_map(|one| one.stalls);
        places.filter(|place| place.spans.is_empty()).collect()
    };
    runtime.block_on(async {
        watch().unwrap();
        // The probe has to be there before it can be late.
        for count in 1..=2 {
            let start = Instant::now();
            while stalls().iter().map(|place| place.count).sum::<u64>() < count {
                sleep();
                assert!(start.elapsed() < PATIENCE);
            }
            tokio::task::yield_now().await;
        }
    });
}

/// Many short polls in a row are no stall, and neither is a loop that sleeps.
#[test]
fn a_loop_that_is_only_busy_is_left_alone() {
    for (_, runtime) in runtimes() {
        let busy = || async {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(500) {
                tokio::task::yield_now().await;
            }
        };
        // The host may stop a core for a while, which is a stall as any other. It does not
        // do so each time.
        let mut wrong = Vec::new();
        let is_left_alone = [
            info_span!("is_only_busy"),
            info_span!("is_only_busy_again"),
            info_span!("is_only_busy_to_the_end"),
        ]
        .into_iter()
        .any(|span| {
            let name = span.metadata().unwrap().name();
            runtime.block_on(runtime.spawn(busy().instrument(span))).unwrap();
            runtime.block_on(async { std::future::ready(()).await });
            wrong = places(name);
            // On a machine that has more to do than it can, it may have had to wait.
            wrong.retain(|place| place.doing != Doing::Starved);
            wrong.is_empty()
        });
        assert!(is_left_alone, "{wrong:?}");
    }
}

#[test]
fn the_lag_of_a_loop_is_the_time_that_it_was_blocked() {
    let [(_, runtime), _] = runtimes();
    let lag = |one: &LoopStats| one.flavor == "current_thread" && one.lag.max >= PAUSE;
    const PAUSE: Duration = Duration::from_millis(300);
    let start = Instant::now();
    while !stats().loops.iter().any(lag) {
        runtime.block_on(async {
            std::thread::sleep(PAUSE * 2);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        assert!(start.elapsed() < PATIENCE, "{:?}", stats().loops);
    }
}

#[test]
fn outside_of_a_runtime_there_is_no_loop_to_watch() {
    let error = watch().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("outside of a tokio runtime"), "{error}");
}

/// In a process of its own, since it looks at the threads of the process.
#[cfg(target_os = "linux")]
#[test]
fn the_watcher_ends_with_the_runtimes_that_it_watches() {
    passes(&mut own_process("child_watches_and_ends"));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_watches_and_ends() {
    let there = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let mut names = threads.map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name.trim() == "offload-lag"))
    };
    let settle = |what: &str, is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
            std::thread::yield_now();
        }
    };
    for _ in 0..2 {
        let runtimes = runtimes();
        settle("the watcher is there", &there);
        assert_eq!(stats().loops.len(), 2);
        drop(runtimes);
        settle("the watcher has ended", &|| !there());
        assert!(stats().loops.is_empty());
    }
}

/// What a subscriber does as it is told of a loop that is blocked is its own affair: here it panics first, and then
/// blocks, asks for the numbers and makes a call.
#[test]
fn a_subscriber_that_is_told_of_blocked_loops_costs_the_watcher_nothing() {
    passes(&mut own_process("child_tells_a_subscriber_of_blocked_loops"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_tells_a_subscriber_of_blocked_loops() {
    /// How often it was told, to the end.
    static TOLD: AtomicUsize = AtomicUsize::new(0);

    struct Foreign;

    impl<S: Subscriber> Layer<S> for Foreign {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if event.metadata().target() != "offload" {
                return;
            }
            if TOLD.load(Ordering::SeqCst) == 0 {
                TOLD.store(1, Ordering::SeqCst);
                panic!("on purpose");
            }
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(stats().loops.len(), 1);
            assert_eq!(spawn_thread(|| 7).wait().unwrap(), 7);
            TOLD.fetch_add(1, Ordering::SeqCst);
        }
    }

    let all = tracing_subscriber::registry().with(WatchLayer::new()).with(Foreign);
    tracing::subscriber::set_global_default(all).unwrap();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        watch().unwrap();
        let start = Instant::now();
        // Each place is told once.
        for attempt in 0.. {
            {
                let depth = attempt.min(50);
                let _inside: Vec<_> = (0..depth).map(|_| info_span!("inside").entered()).collect();
                // Longer than the threshold.
                std::thread::sleep(Duration::from_millis(150));
            }
            if TOLD.load(Ordering::SeqCst) >= 3 {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "told {TOLD:?} times");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// What a runtime was built with is dropped by the watcher, which has its last handle. It does there as it likes: here it
/// blocks, asks for the numbers and makes a call; and then that of two panics, which have ended by the same look.
#[test]
fn what_runtimes_leave_behind_that_were_watched_costs_the_watcher_nothing() {
    passes(&mut own_process("child_ends_runtimes_that_leave_foreign_code_behind"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_ends_runtimes_that_leave_foreign_code_behind() {
    struct Foreign<F: Fn()>(F);

    impl<F: Fn()> Drop for Foreign<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    fn watched(foreign: impl Fn() + Send + Sync + 'static) -> Runtime {
        let foreign = Foreign(foreign);
        let has_it = move || _ = &foreign;
        let runtime = Builder::new_current_thread().on_thread_start(has_it).build().unwrap();
        let inside = runtime.enter();
        watch().unwrap();
        drop(inside);
        runtime
    }

    fn is_on_the_watcher() -> bool {
        std::thread::current().name() == Some("offload-lag")
    }

    let stays = watched(|| ());
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    // The watcher may see that it ends before its own handle is dropped, which is then the last.
    loop {
        let (tell, released) = (tell.clone(), Arc::clone(&released));
        let holds = watched(move || {
            let is_held = is_on_the_watcher();
            tell.send(is_held).unwrap();
            if is_held {
                released.lock().unwrap().recv().unwrap();
                assert_eq!(spawn_thread(|| 7).wait().unwrap(), 7);
                assert!(!stats().loops.is_empty());
            }
        });
        holds.shutdown_background();
        if told.recv_timeout(PATIENCE).unwrap() {
            break;
        }
    }
    for _ in 0..2 {
        let tell = tell.clone();
        let panics = watched(move || {
            tell.send(is_on_the_watcher()).unwrap();
            panic!("on purpose");
        });
        panics.shutdown_background();
    }
    assert!(told.try_recv().is_err(), "the watcher is held");
    release.send(()).unwrap();
    for _ in 0..2 {
        assert!(told.recv_timeout(PATIENCE).unwrap());
    }
    // It still looks on.
    assert!(!stats().loops.is_empty());
    drop(stays);
    let start = Instant::now();
    while !stats().loops.is_empty() {
        assert!(start.elapsed() < PATIENCE, "the watcher is gone");
        std::thread::yield_now();
    }
}
