//! A function whose bodies do what another kind is for is found, and told once.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{FunctionStats, offload, to_thread};
use offload_tests::{PATIENCE, numbers};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One test at a time: a crowd of bodies leaves no time to the others.
static ALONE: Mutex<()> = Mutex::new(());

/// The warnings, of all tests.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listen;

impl<S: Subscriber> Layer<S> for Listen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        WARNINGS.lock().unwrap().push(message.0);
    }
}

fn listen() -> MutexGuard<'static, ()> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = tracing_subscriber::registry().with(Listen);
        tracing::subscriber::set_global_default(all).unwrap();
    });
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn warnings(of: &str) -> Vec<String> {
    let all = WARNINGS.lock().unwrap();
    // That bodies wait for a processor is another matter.
    let is_of = |message: &&String| message.contains(of) && message.contains("its kind is");
    all.iter().filter(is_of).cloned().collect()
}

fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

const A_WHILE: Duration = Duration::from_millis(2);

/// Calls until it is known what the function does.
fn call_until_known<F: Future<Output = ()>>(name: &str, call: impl Fn() -> F) -> f64 {
    call_until(name, call, |known| known.computing.is_some()).computing.unwrap()
}

/// Calls until this is known of the function.
fn call_until<F: Future<Output = ()>>(
    name: &str,
    call: impl Fn() -> F,
    is_so: impl Fn(&FunctionStats) -> bool,
) -> FunctionStats {
    let start = Instant::now();
    loop {
        block_on(call());
        let known = numbers(name);
        if is_so(&known) {
            return known;
        }
        assert!(start.elapsed() < PATIENCE, "{known:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_thread_function_that_computes_is_told_to_be_cpu_and_only_once() {
    #[offload(thread, name = "computes on thread")]
    fn computes() {
        compute(A_WHILE);
    }

    let _alone = listen();
    // The host may take the core from the first ones, which then seem to wait.
    call_until("computes on thread", computes, |known| known.better_kind == Some("cpu"));
    for _ in 0..100 {
        block_on(computes());
    }
    let told = warnings("computes on thread");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`#[offload(cpu)]`") && told[0].contains("is `thread`"), "{told:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_cpu_function_that_waits_is_told_to_be_thread() {
    #[offload(cpu, name = "waits on cpu")]
    fn waits() {
        std::thread::sleep(A_WHILE);
    }

    let _alone = listen();
    let computing = call_until_known("waits on cpu", waits);
    assert!(computing < 0.4, "{computing}");
    assert_eq!(numbers("waits on cpu").better_kind, Some("thread"));
    let told = warnings("waits on cpu");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`#[offload(thread)]`") && told[0].contains("is `cpu`"), "{told:?}");
}

/// So much computing, however many others want the processor.
#[cfg(target_os = "linux")]
fn compute_much() {
    use rustix::time::{ClockId, clock_gettime};
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = used();
    while used() - start < Duration::from_millis(5) {
        std::hint::spin_loop();
    }
}

fn spin_until(end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Of many more bodies than there are cores each waits for a core most of its
/// time, and still it can be told what it does.
#[cfg(target_os = "linux")]
#[test]
fn in_a_crowd_those_that_compute_are_told_and_those_that_wait_are_not() {
    #[offload(thread, name = "is the crowd")]
    fn crowd(begun: Arc<Barrier>, end: Arc<AtomicBool>) {
        begun.wait();
        spin_until(&end);
    }

    #[offload(thread, name = "computes in a crowd")]
    fn computes() {
        compute_much();
    }

    #[offload(thread, name = "waits in a crowd")]
    fn waits(all: Arc<Barrier>) {
        all.wait();
    }

    let _alone = listen();
    let many = 20 * std::thread::available_parallelism().unwrap().get();
    let [begun, all] = [many + 1, 8].map(|so_many| Arc::new(Barrier::new(so_many)));
    let end = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..many)
        .map(|_| {
            let call = crowd(Arc::clone(&begun), Arc::clone(&end));
            std::thread::spawn(|| block_on(call))
        })
        .collect();
    begun.wait();
    // The first eight are enough, unless one was interrupted while it was looked at, or
    // the host took the core from it.
    let start = Instant::now();
    for round in 1.. {
        for _ in 0..8 {
            block_on(computes());
        }
        block_on(join_all((0..8).map(|_| waits(Arc::clone(&all)))));
        let [computes, waits] = ["computes in a crowd", "waits in a crowd"].map(numbers);
        // Of what it takes, most is waiting for a processor.
        let is_starved = computes.starved.is_some_and(|share| share >= 0.5);
        let are_known = computes.better_kind.is_some() && waits.computing.is_some() && is_starved;
        if round >= 4 && are_known || start.elapsed() > PATIENCE {
            break;
        }
    }
    end.store(true, Ordering::Relaxed);
    for one in crowd {
        one.join().unwrap();
    }
    let [computes, waits] = ["computes in a crowd", "waits in a crowd"].map(numbers);
    assert!(computes.starved.is_some_and(|share| share >= 0.5), "{computes:?}");
    // That is told, too.
    let is_told = |message: &&String| {
        message.contains("computes in a crowd") && message.contains("wait for a processor")
    };
    assert_eq!(WARNINGS.lock().unwrap().iter().filter(is_told).count(), 1);
    assert_eq!(computes.better_kind, Some("cpu"), "{computes:?}");
    assert_eq!(warnings("computes in a crowd").len(), 1);
    assert!(waits.computing.is_some_and(|share| share < 0.4), "{waits:?}");
    assert_eq!(waits.better_kind, None);
    assert_eq!(warnings("waits in a crowd"), [""; 0]);
}

/// For how long the host took cores away that were wanted, in ticks. No thread is told
/// of its own.
#[cfg(target_os = "linux")]
fn stolen() -> u64 {
    let all = std::fs::read_to_string("/proc/stat").unwrap();
    all.split_whitespace().nth(8).unwrap().parse().unwrap()
}

/// What is known of two functions of these names, once it is.
#[cfg(target_os = "linux")]
macro_rules! of_the_right_kind {
    ($computes:tt, $waits:tt) => {
        || {
            #[offload(cpu, name = $computes)]
            fn computes() {
                compute_much();
            }

            #[offload(thread, name = $waits)]
            fn waits() {
                std::thread::sleep(A_WHILE);
            }

            call_until_known($computes, computes);
            call_until_known($waits, waits);
            [$computes, $waits].map(numbers)
        }
    };
}

#[cfg(target_os = "linux")]
#[test]
fn functions_of_the_right_kind_are_left_alone_on_a_busy_machine_too() {
    let pairs: [fn() -> [FunctionStats; 2]; 3] = [
        of_the_right_kind!("computes on cpu", "waits on thread"),
        of_the_right_kind!("computes on cpu again", "waits on thread again"),
        of_the_right_kind!("computes on cpu to the end", "waits on thread to the end"),
    ];
    let _alone = listen();
    let end = Arc::new(AtomicBool::new(false));
    // They want three quarters of all cores, and get them: bodies that compute
    // give way.
    let others: Vec<_> = (0..std::thread::available_parallelism().unwrap().get())
        .map(|_| {
            let end = Arc::clone(&end);
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    compute(Duration::from_millis(3));
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        })
        .collect();
    // Whoever loses a core to the host seems to wait. Then others are looked at.
    let mut wrong = None;
    for look in pairs {
        let before = stolen();
        let pair = look();
        let [computing, waiting] = [0, 1].map(|which| pair[which].computing.unwrap());
        let is_left_alone = |one: &FunctionStats| {
            one.better_kind.is_none() && warnings(&format!("`{}`", one.name)).is_empty()
        };
        let is_right = waiting < 0.4 && computing > 0.6 && pair.iter().all(is_left_alone);
        wrong = (!is_right).then_some(pair);
        if is_right || stolen() == before {
            break;
        }
    }
    end.store(true, Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
    assert!(wrong.is_none(), "{wrong:?}");
}

/// Closures have only their kind in common, and short bodies are worth no word.
#[test]
fn closures_and_short_bodies_are_not_judged() {
    #[offload(thread, name = "is short")]
    fn short() {
        std::hint::black_box(1);
    }

    let _alone = listen();
    for _ in 0..200 {
        block_on(to_thread(|| compute(A_WHILE)));
        block_on(short());
    }
    assert_eq!(numbers("to_thread").computing, None);
    assert_eq!(warnings("to_thread"), [""; 0]);
    assert_eq!(numbers("is short").better_kind, None);
}
